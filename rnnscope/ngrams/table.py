"""Counts of all n-grams of a text, as a trie in sorted arrays.

A node of level k is a distinct k-gram of the text; its parent is the node of its first k - 1 symbols. So the node of
what was read so far is also the context of what comes next, and a whole text is followed through all levels with one
binary search per character and level. Nodes are numbered within their level, by parent and then by last symbol.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Ints: TypeAlias = NDArray[np.int64]
Counts: TypeAlias = NDArray[np.int32]

NOWHERE = -1
"""The node of what the text does not contain."""


@dataclass(frozen=True, eq=False)
class Level:
    """The N k-grams of a text, and the C contexts (k-1)-grams that they begin with.

    keys: (N,) ascending, parent * V + last symbol. starts: (C + 1,), the children of context c are the nodes
    starts[c] to starts[c + 1] - 1. count: (N,) occurrences. left: (N,) distinct symbols seen just before it
    (N1+(. w_1 ... w_k) of Kneser and Ney); zeros at the highest level, where nobody has looked.
    """

    keys: Ints
    starts: Ints
    count: Counts
    left: Counts


@dataclass(frozen=True, eq=False)
class Table:
    """The levels 1 to n of a text over V symbols; level 1 has all V, seen or not."""

    symbols: int
    levels: tuple[Level, ...]

    @property
    def order(self) -> int:
        """The highest n."""
        return len(self.levels)


def _told_nobody(level: int) -> None:
    """Nobody wants to know."""


def count(
    ids: NDArray[np.integer], order: int, symbols: int, *, counting: Callable[[int], None] = _told_nobody
) -> Table:
    """Count the n-grams, n = 1 to `order`, of ids (N,) over `symbols` symbols.

    Needs about 20 bytes for each distinct n-gram of each n, and 60 for each character while it works.

    Args:
        counting: called with each n from 2 on before its n-grams are counted; what it raises breaks off.

    Raises:
        ValueError: no order of at least 1, no symbols, or ids that are none of them.
    """
    text = np.asarray(ids).astype(np.int64)
    if order < 1 or symbols < 1 or text.ndim != 1:
        raise ValueError(f"order {order} over {symbols} symbols of ids of shape {text.shape}")
    if len(text) and not 0 <= text.min() <= text.max() < symbols:
        raise ValueError(f"ids from {text.min()} to {text.max()} are not all below {symbols}")
    keys = np.arange(symbols)
    starts = np.array([0, symbols])
    counts = np.bincount(text, minlength=symbols)
    nodes = text  # of the k-gram that ends at each character, from the k-th on
    levels = []
    for k in range(2, order + 1):
        counting(k)
        below = nodes[1:]  # the last k - 1 symbols of each k-gram
        longer, nodes, longer_counts, places = _distinct(nodes[:-1] * symbols + text[k - 1 :])
        left = np.bincount(below[places], minlength=len(keys))
        levels.append(Level(keys, starts, counts.astype(np.int32), left.astype(np.int32)))
        starts = np.searchsorted(longer, np.arange(len(keys) + 1) * symbols)
        keys, counts = longer, longer_counts
    levels.append(Level(keys, starts, counts.astype(np.int32), np.zeros(len(keys), np.int32)))
    return Table(symbols, tuple(levels))


def _distinct(keys: Ints) -> tuple[Ints, Ints, Ints, Ints]:
    """Return the distinct keys, ascending; which of them each key is; how often each occurs; and one place of each."""
    order = np.argsort(keys)  # faster than np.unique, which sorts stably to name the first place
    ordered = keys[order]
    new = np.ones(len(keys), bool)
    new[1:] = ordered[1:] != ordered[:-1]
    where = np.flatnonzero(new)
    which = np.empty(len(keys), np.int64)
    which[order] = np.cumsum(new) - 1
    return ordered[where], which, np.diff(where, append=len(keys)), order[where]


def child(table: Table, level: int, contexts: Ints, symbols: NDArray[np.integer]) -> Ints:
    """Return the nodes of `level` (from 1) below `contexts` by `symbols`, all of one shape; NOWHERE where none is."""
    keys = table.levels[level - 1].keys
    if not len(keys):
        return np.full(contexts.shape, NOWHERE)
    wanted = contexts * table.symbols + symbols
    found = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where((keys[found] == wanted) & (contexts != NOWHERE), found, NOWHERE)


def follow(table: Table, ids: NDArray[np.integer], order: int) -> Iterator[tuple[Ints, Ints]]:
    """Yield for each level k = 1 to `order` (contexts, nodes), of the shape of ids (..., T).

    nodes: of the k-gram that ends at each character; contexts: of its first k - 1 symbols, a node of the level below
    (0 at level 1). NOWHERE where the table has none or the text begins too late.
    """
    symbols = np.asarray(ids).astype(np.int64)
    contexts = np.zeros_like(symbols)
    for level in range(1, order + 1):
        nodes = child(table, level, contexts, symbols)
        yield contexts, nodes
        contexts = np.full_like(nodes, NOWHERE)
        contexts[..., 1:] = nodes[..., :-1]


def begin(table: Table, contexts: NDArray[np.integer], order: int) -> Ints:
    """Return the nodes (..., order) of the last 0, 1, ... order - 1 symbols of contexts (..., any number)."""
    state = np.full((*contexts.shape[:-1], order), NOWHERE)
    state[..., 0] = 0
    for column in range(max(0, contexts.shape[-1] - order + 1), contexts.shape[-1]):
        state = advance(table, state, contexts[..., column])
    return state


def advance(table: Table, state: Ints, symbols: NDArray[np.integer]) -> Ints:
    """Return the nodes (..., order) after one more symbol (...)."""
    new = np.zeros_like(state)
    for level in range(1, state.shape[-1]):
        new[..., level] = child(table, level, state[..., level - 1], symbols)
    return new


def children(table: Table, level: int, contexts: Ints) -> tuple[Ints, Ints, Ints]:
    """Return (rows, symbols, nodes) of all nodes of `level` below contexts (B,), rows telling whose they are."""
    found = table.levels[level - 1]
    known = np.flatnonzero(contexts != NOWHERE)
    first = found.starts[contexts[known]]
    sizes = found.starts[contexts[known] + 1] - first
    rows = np.repeat(known, sizes)
    nodes = np.arange(len(rows)) + np.repeat(first - np.cumsum(sizes) + sizes, sizes)
    return rows, found.keys[nodes] % table.symbols, nodes

"""Two models made of the counts of n-grams: maximum likelihood, and interpolated Kneser-Ney.

Order n: the next character is predicted from the n - 1 before it. At the start of a text there are fewer, and as
many as there are serve.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rnnscope.ngrams.table import NOWHERE, Counts, Ints, Level, Table, begin, children, count, follow

Floats: TypeAlias = NDArray[np.float64]

NO_SINGLETON = 0.5
"""The discount where no n-gram was seen once, and the formula's would leave nothing for what was not seen."""


class Model(Protocol):
    """What writes and judges texts: symbols are ids 0 to V - 1."""

    @property
    def name(self) -> str:
        """What a table or a legend calls it."""

    @property
    def table(self) -> Table:
        """The counts."""

    @property
    def order(self) -> int:
        """n."""

    def distribution(self, state: Ints) -> Floats:
        """Return the probabilities (B, V) of the next symbol; state (B, order): of `table.begin` and `advance`."""

    def probability(self, contexts: NDArray[np.integer]) -> Floats:
        """Return the probabilities (..., V) of the next symbol after contexts (..., any number of symbols)."""

    def nats(self, ids: NDArray[np.integer]) -> Floats:
        """Return -ln p (..., T) of each symbol of ids (..., T) given those before it; inf where p is 0."""


@dataclass(frozen=True, eq=False)
class Unsmoothed:
    """p(w | h) = c(h w) / c(h .): the relative frequency after the last n - 1 characters, 0 for what was never seen.

    To write, `distribution` takes the longest end of h that training went on from, so that it never has nothing to
    say; to judge, `nats` is inf where h or what follows it was not seen.
    """

    table: Table
    order: int

    @property
    def name(self) -> str:
        """What a table or a legend calls it."""
        return f"unsmoothed {self.order}-gram"

    def distribution(self, state: Ints) -> Floats:
        """Return the probabilities (B, V); state (B, order)."""
        weights = np.zeros((len(state), self.table.symbols))
        empty = np.arange(len(state))
        for level in range(self.order, 0, -1):
            rows, symbols, nodes = children(self.table, level, state[empty, level - 1])
            weights[empty[rows], symbols] = self.table.levels[level - 1].count[nodes]
            empty = empty[~weights[empty].any(1)]
            if not len(empty):
                break
        weights[empty] = 1.0  # a table of no text
        weights /= weights.sum(1, keepdims=True)
        return weights

    def probability(self, contexts: NDArray[np.integer]) -> Floats:
        """Return the probabilities (..., V) after contexts (..., any number of symbols)."""
        return _probability(self, contexts)

    def nats(self, ids: NDArray[np.integer]) -> Floats:
        """Return -ln p (..., T) of each symbol of ids (..., T); inf for what was not seen."""
        return _last(unsmoothed_nats(self.table, ids, self.order))


@dataclass(frozen=True, eq=False)
class KneserNey:
    """Interpolated Kneser-Ney smoothing (Kneser & Ney 1995; Chen & Goodman 1999, equation 24, with one discount).

    p(w | h) = max(a(h w) - D, 0) / a(h .) + D N(h .) / a(h .) p(w | h without its first symbol), where a(h w) counts
    occurrences at order n and distinct symbols before h w below it, N(h .) is the number of w with a(h w) > 0, and
    D = n1 / (n1 + 2 n2), of the numbers of n-grams with a = 1 and 2. Below the first order lies 1 / V.
    """

    table: Table
    order: int

    @property
    def name(self) -> str:
        """What a table or a legend calls it."""
        return f"Kneser-Ney {self.order}-gram"

    @cached_property
    def _discounted(self) -> tuple[_Discounted, ...]:
        levels = self.table.levels
        lower = [_Discounted.of(level, level.left) for level in levels[: self.order - 1]]
        return (*lower, _Discounted.of(levels[self.order - 1], levels[self.order - 1].count))

    def distribution(self, state: Ints) -> Floats:
        """Return the probabilities (B, V), all above 0; state (B, order)."""
        p = np.full((len(state), self.table.symbols), 1 / self.table.symbols)
        for level, found in enumerate(self._discounted, 1):
            contexts = state[:, level - 1]
            p *= found.rest(contexts)[:, None]
            rows, symbols, nodes = children(self.table, level, contexts)
            p[rows, symbols] += found.share(contexts[rows], nodes)
        return p

    def probability(self, contexts: NDArray[np.integer]) -> Floats:
        """Return the probabilities (..., V) after contexts (..., any number of symbols); they add up to 1."""
        return _probability(self, contexts)

    def nats(self, ids: NDArray[np.integer]) -> Floats:
        """Return -ln p (..., T) of each symbol of ids (..., T), all finite."""
        p = np.full(np.shape(ids), 1 / self.table.symbols)
        followed = follow(self.table, ids, self.order)
        for found, (contexts, nodes) in zip(self._discounted, followed, strict=True):
            p = found.interpolate(contexts, nodes, p)
        nats: Floats = -np.log(p)
        return nats


@dataclass(frozen=True, eq=False)
class _Discounted:
    """One order of Kneser-Ney: counts (N,) of its nodes, total and kinds (C,) of its contexts, and the discount."""

    counts: Counts
    total: Ints
    kinds: Ints
    discount: float

    @staticmethod
    def of(level: Level, counts: Counts) -> _Discounted:
        once, twice = int((counts == 1).sum()), int((counts == 2).sum())
        discount = once / (once + 2 * twice) if once else NO_SINGLETON
        return _Discounted(counts, _sums(level, counts), _sums(level, counts > 0), discount)

    def rest(self, contexts: Ints) -> Floats:
        """Return the weight of the order below, (...); 1 in contexts that nothing is known of."""
        total = _at(self.total, contexts)
        rest: Floats = np.where(total > 0, self.discount * _at(self.kinds, contexts) / np.maximum(total, 1), 1.0)
        return rest

    def share(self, contexts: Ints, nodes: Ints) -> Floats:
        """Return what the discounted counts of `nodes` below `contexts` give, (...); 0 where nothing was seen."""
        counted = np.maximum(_at(self.counts, nodes) - self.discount, 0)
        share: Floats = counted / np.maximum(_at(self.total, contexts), 1)
        return share

    def interpolate(self, contexts: Ints, nodes: Ints, below: Floats) -> Floats:
        """Return the probabilities of what was followed, given those of the order below; all of one shape."""
        mixed: Floats = self.share(contexts, nodes) + self.rest(contexts) * below
        return mixed


def build(ids: NDArray[np.integer], order: int, symbols: int) -> KneserNey:
    """Return the interpolated Kneser-Ney model of order `order` of a training text (N,) over V = `symbols` symbols."""
    return KneserNey(count(ids, order, symbols), order)


def kneser_ney_nats(table: Table, ids: NDArray[np.integer], order: int) -> Iterator[Floats]:
    """Yield `KneserNey.nats` (..., T) of the orders 1 to `order`, in one pass: they share all but the highest level."""
    below = np.full(np.shape(ids), 1 / table.symbols)
    for level, (contexts, nodes) in zip(table.levels, follow(table, ids, order), strict=False):
        yield -np.log(_Discounted.of(level, level.count).interpolate(contexts, nodes, below))
        below = _Discounted.of(level, level.left).interpolate(contexts, nodes, below)


def unsmoothed_nats(table: Table, ids: NDArray[np.integer], order: int) -> Iterator[Floats]:
    """Yield `Unsmoothed.nats` (..., T) of the orders 1 to `order`, in one pass."""
    p = np.zeros(np.shape(ids))
    for k, (level, (contexts, nodes)) in enumerate(zip(table.levels, follow(table, ids, order), strict=False), 1):
        share = _at(level.count, nodes) / np.maximum(_at(_sums(level, level.count), contexts), 1)
        late = np.arange(len(p.T)) >= k - 1  # the first k - 1 characters are left to the orders below
        p = np.where(late, share, p)
        with np.errstate(divide="ignore"):
            yield -np.log(p)


def _sums(level: Level, values: NDArray[np.generic]) -> Ints:
    """Return the sum of values (N,) over the children of each context, (C,)."""
    running = np.concatenate([[0], np.cumsum(values, dtype=np.int64)])
    return np.diff(running[level.starts])


def _at(values: NDArray[np.integer], nodes: Ints) -> Ints:
    """Return the values of `nodes`, of their shape; 0 for NOWHERE."""
    if not len(values):
        return np.zeros_like(nodes)
    return np.where(nodes != NOWHERE, values[nodes], 0)


def _last(found: Iterator[Floats]) -> Floats:
    *_, last = found
    return last


def _probability(model: Unsmoothed | KneserNey, contexts: NDArray[np.integer]) -> Floats:
    contexts = np.asarray(contexts)
    rows = contexts.reshape(math.prod(contexts.shape[:-1]), contexts.shape[-1])
    found = model.distribution(begin(model.table, rows, model.order))
    return found.reshape(*contexts.shape[:-1], model.table.symbols)

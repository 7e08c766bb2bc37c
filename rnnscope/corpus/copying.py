"""How much of a written text is copied from the training text, and how much it repeats itself.

The longest piece of it that training has is found in a suffix array (Manber & Myers 1993) of the training text: the
places of the text, sorted by what follows there.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from rnnscope.corpus.loading import Corpus

Ints: TypeAlias = NDArray[np.int64]

INDEXED = 4_000_000
"""Characters of the training part that are looked at, at most: the last ones."""

BITS = 62  # of a key into which the first symbols of a suffix are packed
CHUNK = 256  # characters compared at a time

TEXT_END, INDEX_END = -2, -1  # below every symbol, and unlike each other


@dataclass(frozen=True, eq=False)
class Index:
    """A text (N,), INDEX_END from there on for a while, and its suffix array (N,): places by what follows."""

    text: NDArray[np.int16 | np.int32]
    suffixes: NDArray[np.int32]


_indices: dict[tuple[str, int], Index] = {}  # by corpus; one at a time


def _told_nobody() -> None:
    """Nobody wants to know."""


def training_index(corpus: Corpus, *, working: Callable[[], None] = _told_nobody) -> Index:
    """Return the index of the last 4,000,000 characters of the training part, made once for a corpus in a process.

    Takes about 0.5 s and 100 MB for a million characters. working: called now and then
    meanwhile; what it raises breaks off.
    """
    key = corpus.sha256, len(corpus.train)
    if key not in _indices:
        index = build_index(corpus.train[-INDEXED:], working=working)
        _indices.clear()
        _indices[key] = index
    return _indices[key]


def build_index(ids: NDArray[np.integer], *, working: Callable[[], None] = _told_nobody) -> Index:
    """Return the index of ids (N,), not negative.

    By prefix doubling (Manber & Myers 1993): sorted by their first k symbols, suffixes are sorted by 2 k with the
    ranks of those that begin k later; only the ones not told apart yet are sorted again (Larsson & Sadakane 2007).
    """
    size = len(ids)
    text = np.asarray(ids).astype(np.int64)
    working()
    keys, depth = _packed(text)
    suffixes = np.argsort(keys)
    working()
    ordered = keys[suffixes]
    slots = np.arange(size)  # of the suffix array, that may still change
    ranks = np.zeros(size + 1, np.int64)  # the first slot of its group; -1 past the end
    ranks[-1] = -1
    while len(slots):
        changed = np.ones(len(slots), bool)
        changed[1:] = ordered[1:] != ordered[:-1]
        starts = np.flatnonzero(changed)
        ranks[suffixes[slots]] = slots[starts][np.cumsum(changed) - 1]
        together = np.repeat(np.diff(starts, append=len(slots)) > 1, np.diff(starts, append=len(slots)))
        slots = slots[together]
        working()
        undecided = suffixes[slots]
        ordered = ranks[undecided] * (size + 1) + ranks[np.minimum(undecided + depth, size)] + 1
        order = np.argsort(ordered)
        suffixes[slots], ordered = undecided[order], ordered[order]
        depth *= 2
    ended = np.concatenate([text, np.full(CHUNK, INDEX_END)])
    small = text.max(initial=0) <= np.iinfo(np.int16).max
    return Index(ended.astype(np.int16) if small else ended.astype(np.int32), suffixes.astype(np.int32))


def _packed(text: Ints) -> tuple[Ints, int]:
    """Return for each place (N,) its first symbols in one number, and how many they are."""
    bits = max(1, int(text.max(initial=0) + 1).bit_length())  # 0 stands for the end
    depth = max(1, BITS // bits)
    keys = np.zeros_like(text)
    for ahead in range(depth):
        keys <<= bits
        keys[: max(len(text) - ahead, 0)] += text[ahead:] + 1
    return keys, depth


def longest_copy(ids: NDArray[np.integer], index: Index) -> tuple[int, int]:
    """Return (start, length) of the longest piece of ids (N,) that occurs in the indexed text; the first of them.

    (0, 0) where no symbol does.
    """
    lengths = copied(ids, index)
    if not len(lengths):
        return 0, 0
    start = int(np.argmax(lengths))
    return (start, int(lengths[start])) if lengths[start] else (0, 0)


def copied(ids: NDArray[np.integer], index: Index) -> Ints:
    """Return (N,) how many symbols of ids (N,) from each place on occur as a piece of the indexed text.

    A binary search among the suffixes for all places at once; what both ends of the range that is left share with the
    text is never compared again.
    """
    places = np.arange(len(ids))
    written = np.concatenate([np.asarray(ids).astype(np.int64), np.full(CHUNK, TEXT_END)])
    low, high = np.full(len(ids), -1), np.full(len(ids), len(index.suffixes))
    shared_low, shared_high = np.zeros_like(places), np.zeros_like(places)
    while (rows := np.flatnonzero(high - low > 1)).size:
        middle = (low[rows] + high[rows]) // 2
        suffix = index.suffixes[middle].astype(np.int64)
        shared = _common(written, places[rows], index.text, suffix, np.minimum(shared_low[rows], shared_high[rows]))
        above = written[places[rows] + shared] > index.text[suffix + shared]
        up, down = rows[above], rows[~above]
        low[up], shared_low[up] = middle[above], shared[above]
        high[down], shared_high[down] = middle[~above], shared[~above]
    return np.maximum(shared_low, shared_high)


def _common(one: NDArray[np.integer], a: Ints, other: NDArray[np.integer], b: Ints, shared: Ints) -> Ints:
    """Return how many symbols one[a:] and other[b:] have in common, of which `shared` are known; all (R,)."""
    shared = shared.copy()
    rows, size = np.arange(len(a)), 8
    while len(rows):
        ahead = shared[rows, None] + np.arange(size)
        same = one[a[rows, None] + ahead] == other[b[rows, None] + ahead]
        whole = same.all(1)
        shared[rows] += np.where(whole, size, same.argmin(1))
        rows, size = rows[whole], min(2 * size, CHUNK)
    return shared


def distinct(text: str, n: int) -> float:
    """Return the share of a text's n-grams of words that are different (Li et al. 2016); NaN if it has none."""
    words = text.split()
    grams = [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]
    return len(set(grams)) / len(grams) if grams else math.nan


def repeated_lines(text: str) -> float:
    """Return the share of a text's lines, blank ones left out, that occurred in it before; NaN if it has none."""
    lines = Counter(line for line in text.split("\n") if line.strip())
    return 1 - len(lines) / lines.total() if lines else math.nan

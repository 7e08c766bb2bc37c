"""How well single units tell concepts: AUC for yes/no, R² for counts, of all units and labels at once.

Both are a matrix product of what is made once of each unit (centred ranks, or standardised values) with the labels:
- AUC - 1/2 is the sum of the centred ranks of the yes characters, divided by how many pairs of a yes and a no there
  are (Mann and Whitney 1947); ties have the mean of their ranks.
- R² of the least-squares line through label over value is their squared correlation.
U units, N characters, M sets of labels.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rnnscope.recording.lab_events import Floats, Ints

Single: TypeAlias = NDArray[np.float32]
Mask: TypeAlias = NDArray[np.bool_]

THREADS = 2
"""numpy sorts without holding Python's lock."""

AT_ONCE = 64
"""Units between two calls of `working`: a quarter of a second on 100,000 characters."""


def _told_nobody() -> None:
    """Nobody wants to know."""


class Prepared(NamedTuple):
    """What the product with labels is taken of.

    units: (U, N) float32, zeros for those that cannot be scored. bad: (U,) which these are.
    """

    units: Single
    bad: Mask


def prepared(values: Single, count: bool, *, working: Callable[[], None] = _told_nobody) -> Prepared:
    """Return the standardised values, for counts, or the centred ranks of `values` (U, N).

    A unit is bad that has a NaN, or, for counts, anything infinite.
    working: called now and then meanwhile; what it raises breaks off.
    """
    units = np.empty(values.shape, np.float32)
    bad = np.empty(len(values), bool)
    fill = _standardise if count else _rank
    with ThreadPoolExecutor(THREADS) as pool:
        for begin in range(0, len(values), AT_ONCE):
            working()
            bounds = np.linspace(begin, min(begin + AT_ONCE, len(values)), THREADS + 1).astype(int)
            parts = [slice(start, stop) for start, stop in pairwise(bounds)]
            list(pool.map(lambda part: fill(values[part], units[part], bad[part]), parts))
    return Prepared(units, bad)


def _rank(values: Single, ranks: Single, bad: Mask) -> None:
    """Fill in the ranks of values (U, N) among the N of each unit, ties with the mean of theirs, minus their mean.

    Exact for N up to 2^23. One sort of 64-bit numbers, the value in the upper half and its place in the lower, takes
    a third of argsort's time. Memory is taken once: to get it anew cost as much again.
    """
    count = values.shape[1]
    places = np.arange(count)
    middles = (places - (count - 1) / 2).astype(np.float32)
    bits, turned = np.empty(count, np.int32), np.empty(count, np.int32)
    keys, place = np.empty(count, np.int64), np.empty(count, np.int64)
    new = np.ones(count, bool)  # values, in ascending order, that are not that before
    for unit, row in enumerate(values):
        bad[unit] = np.isnan(row).any()
        if bad[unit]:
            ranks[unit] = 0
            continue
        np.add(row, np.float32(0), out=bits.view(np.float32))  # -0 becomes 0
        np.right_shift(bits, 31, out=turned)  # read as whole numbers, negative floats are in reverse order
        turned &= 0x7FFFFFFF
        bits ^= turned
        np.left_shift(bits, 32, out=keys, dtype=np.int64)
        keys |= places
        keys.sort()
        np.bitwise_and(keys, 0xFFFFFFFF, out=place)
        keys >>= 32
        np.not_equal(keys[1:], keys[:-1], out=new[1:])
        begins = np.flatnonzero(new)
        if len(begins) == count:
            ranks[unit, place] = middles
        else:
            ends = np.append(begins[1:], count)
            middle = (middles[begins] + middles[ends - 1]) / 2
            ranks[unit, place] = np.repeat(middle, ends - begins)


def _standardise(values: Single, result: Single, bad: Mask) -> None:
    """Fill in values (U, N) with mean 0 and variance 1 over the N of each unit; of a constant unit zeros."""
    exact, squares = np.empty(values.shape[1]), np.empty(values.shape[1])
    for unit, row in enumerate(values):
        bad[unit] = not np.isfinite(row).all()
        if bad[unit]:
            result[unit] = 0
            continue
        np.copyto(exact, row)
        mean = exact.mean()
        exact -= mean
        size = np.sqrt(np.multiply(exact, exact, out=squares).mean())
        known = size > 1e-7 * abs(mean)  # less is rounding
        np.multiply(exact, 1 / size if known else 0.0, out=result[unit], casting="same_kind")


def sizes(labels: Floats, begins: Ints, length: int, count: bool) -> Floats:
    """Return what the product of prepared units with labels[begin : begin + length] is to be divided by, (M,).

    It is then the correlation or, for labels of 0 and 1, AUC - 1/2. Exact for whole numbers; NaN where all labels
    are the same.

    Args:
        labels: (any,) in one row. begins: (M,).
    """
    sums = np.concatenate([[0], np.cumsum(labels, dtype=np.float64)])
    total = sums[begins + length] - sums[begins]
    if count:
        squares = np.concatenate([[0], np.cumsum(np.square(labels, dtype=np.float64))])
        size = np.sqrt(length * (squares[begins + length] - squares[begins]) - np.square(total))
    else:
        size = total * (length - total)
    return np.where(size > 0, size, np.nan)


def deviations(values: Floats, labels: Floats, count: bool) -> Floats:
    """Return how far each unit (U, N) is from knowing nothing of labels (N,), (U,) float64.

    AUC - 1/2, or the correlation: negative where low values mean yes or much. NaN where all labels are the same, or
    the unit is bad.
    """
    units, bad = prepared(np.asarray(values, np.float32), count)
    exact = np.asarray(labels, np.float64)
    centred = exact - exact.mean() if count else exact
    far = units.astype(np.float64) @ centred / sizes(exact, np.zeros(1, np.int64), len(exact), count)
    return np.where(bad, np.nan, far)


def scores(values: Floats, labels: Floats, count: bool) -> Floats:
    """Return the two-sided AUC (0.5 to 1) of units (U, N) for labels (N,) of 0 and 1, or R² for counts, (U,)."""
    far = deviations(values, labels, count)
    return np.square(far) if count else 0.5 + np.abs(far)

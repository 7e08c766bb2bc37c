"""A series of per-step scalars that stays small however long the run: buckets of equal step width.

When the buckets are used up, neighbours are merged and the width doubles, so memory and drawing cost are bounded
while every spike (least, greatest) and every NaN stays visible at its place.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Doubles = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Buckets:
    """The buckets that hold something, oldest first (N of them).

    step (N,): last step in the bucket. low, high, mean, last (N,): of its finite values, NaN where it has none.
    count, bad (N,): how many values are finite, and how many NaN or infinite. width: steps in a bucket.
    """

    step: Integers
    low: Doubles
    high: Doubles
    mean: Doubles
    last: Doubles
    count: Integers
    bad: Integers
    width: int

    def __len__(self) -> int:
        return len(self.step)


class Series:
    """At most `capacity` buckets of (step, value). Steps may have gaps; none may lie before the first."""

    def __init__(self, capacity: int = 8192) -> None:
        """Raises ValueError for a capacity below 2 or odd (buckets are merged in pairs)."""
        if capacity < 2 or capacity % 2:
            raise ValueError(f"capacity must be even and at least 2, not {capacity}")
        self._capacity = capacity
        self._origin: int | None = None
        self._width = 1
        self._step = np.full(capacity, -1, dtype=np.int64)
        self._low = np.full(capacity, np.inf)
        self._high = np.full(capacity, -np.inf)
        self._sum = np.zeros(capacity)
        self._last = np.full(capacity, np.nan)
        self._count = np.zeros(capacity, dtype=np.int64)
        self._bad = np.zeros(capacity, dtype=np.int64)
        self.first_bad: int | None = None
        """Step (or end of the bucket handed in) of the first NaN or infinite value; None while there is none."""

    def append(self, step: ArrayLike, value: ArrayLike) -> None:
        """Add one value a step (N,), NaN and infinities included.

        Raises:
            ValueError: a step lies before the first step ever added.
        """
        values = np.atleast_1d(np.asarray(value, dtype=np.float64))
        finite = np.isfinite(values)
        self.merge(step, values, values, values, finite.astype(np.int64), (~finite).astype(np.int64))

    def merge(
        self, step: ArrayLike, mean: ArrayLike, low: ArrayLike, high: ArrayLike, count: ArrayLike, bad: ArrayLike
    ) -> None:
        """Add buckets that were summarised elsewhere (`Columns` of a long run), each at its last step; all (N,).

        Raises:
            ValueError: a step lies before the first step ever added.
        """
        steps = np.atleast_1d(np.asarray(step, dtype=np.int64))
        if not len(steps):
            return
        self._make_room(int(steps.min()), int(steps.max()))
        counts, bads = np.atleast_1d(np.asarray(count)), np.atleast_1d(np.asarray(bad))
        index = (steps - self._start) // self._width
        if self.first_bad is None and bads.any():
            self.first_bad = int(steps[bads > 0][0])
        np.maximum.at(self._step, index, steps)
        np.add.at(self._bad, index, bads)
        some = counts > 0
        index, weight = index[some], counts[some]
        means, lows, highs = (np.atleast_1d(np.asarray(a, dtype=np.float64))[some] for a in (mean, low, high))
        np.add.at(self._count, index, weight)
        np.add.at(self._sum, index, means * weight)
        np.minimum.at(self._low, index, lows)
        np.maximum.at(self._high, index, highs)
        self._last[index] = means  # with an index that repeats, numpy keeps the last one assigned

    def buckets(self) -> Buckets:
        """Return the buckets that hold something."""
        used = self._step >= 0
        count = self._count[used]
        some = count > 0
        return Buckets(
            step=self._step[used],
            low=np.where(some, self._low[used], np.nan),
            high=np.where(some, self._high[used], np.nan),
            mean=np.where(some, self._sum[used] / np.maximum(count, 1), np.nan),
            last=self._last[used],
            count=count,
            bad=self._bad[used],
            width=self._width,
        )

    def __len__(self) -> int:
        return int(np.count_nonzero(self._step >= 0))

    @property
    def _start(self) -> int:
        return self._origin or 0

    def _make_room(self, first: int, last: int) -> None:
        if self._origin is None:
            self._origin = first
        if first < self._start:
            raise ValueError(f"step {first} lies before the series' first step {self._start}")
        while (last - self._start) // self._width >= self._capacity:
            self._double()

    def _double(self) -> None:
        """Merge bucket 2i and 2i+1 into bucket i."""
        half = self._capacity // 2

        last = np.where(np.isnan(self._last[1::2]), self._last[0::2], self._last[1::2])
        merged = (
            (self._step, self._step.reshape(half, 2).max(axis=1), -1),
            (self._low, self._low.reshape(half, 2).min(axis=1), np.inf),
            (self._high, self._high.reshape(half, 2).max(axis=1), -np.inf),
            (self._sum, self._sum.reshape(half, 2).sum(axis=1), 0),
            (self._last, last, np.nan),
            (self._count, self._count.reshape(half, 2).sum(axis=1), 0),
            (self._bad, self._bad.reshape(half, 2).sum(axis=1), 0),
        )
        for array, paired, nothing in merged:
            array[:half] = paired
            array[half:] = nothing
        self._width *= 2


def smooth(step: ArrayLike, value: ArrayLike, span: ArrayLike, count: ArrayLike | None = None) -> Doubles:
    """Return the exponential moving average of a series (N,), bias-corrected, the same whatever the run's length.

    At step s it is the mean of all values up to s with weights exp(-(s - s_i) / span): the bias correction of Adam
    (Kingma & Ba 2015, section 3) as a ratio of two averages, which holds for gaps too. `span` is in steps; one for
    each value (N,) lets it grow: what came before then fades at the pace of the span of the step it fades at.
    `count` (N,): how many values each stands for (buckets). NaN and infinite values are left out; NaN is returned
    before the first finite one. Steps must not decrease.

    Raises:
        ValueError: `span` is not positive, or steps decrease.
    """
    steps = np.asarray(step, dtype=np.float64)
    values = np.asarray(value, dtype=np.float64)
    spans = np.asarray(span, dtype=np.float64)
    if not (spans > 0).all():
        raise ValueError(f"span must be positive, not {spans}")
    gaps = np.diff(steps, prepend=steps[:1])
    if (gaps < 0).any():
        raise ValueError("steps must not decrease")
    weight = np.where(np.isfinite(values), 1.0 if count is None else np.asarray(count, dtype=np.float64), 0.0)
    decay = np.exp(-gaps / spans)
    total = _recurrence(decay, np.where(weight > 0, values, 0.0) * weight)
    norm = _recurrence(decay, weight)
    # Far from any value both underflow together; the mean is then unknown rather than 0/0.
    mean = np.full(len(steps), np.nan)
    np.divide(total, norm, out=mean, where=norm > 0)
    return mean


def _recurrence(decay: Doubles, given: Doubles) -> Doubles:
    """Return y with y_0 = given_0 and y_n = decay_n y_(n-1) + given_n, by pointer doubling in log2(N) passes."""
    decay, y = decay.copy(), given.copy()
    shift = 1
    while shift < len(y):
        y[shift:] += decay[shift:] * y[:-shift]
        decay[shift:] *= decay[:-shift].copy()
        shift *= 2
    return y

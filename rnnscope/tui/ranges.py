"""Axis ranges that stay: fixed numbers to begin with, growing only in visible steps, never shrinking by themselves."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

LOG_FLOORS: tuple[float, ...] = (-4, -8, -12, -16, -24, -32, -40, -48)
LOG_TOPS: tuple[float, ...] = (1, 2, 4, 8, 16, 32, 39)
LOSS_BOTTOMS: tuple[float, ...] = (1.0, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 1e-3, 1e-4, 1e-6)


def round_up(value: float) -> float:
    """Return the next of 1, 2, 5, 10, 20, 50, ... that is at least `value` (which is positive)."""
    magnitude = 10.0 ** math.floor(math.log10(value))
    for factor in (1, 2, 5):
        if factor * magnitude >= value * (1 - 1e-9):
            return float(factor * magnitude)
    return 10.0 * magnitude


def snug(value: float) -> float:
    """Return the next of 1, 1.5, 2, 3, 4, 5, 6, 8, 10, 15, ... that is at least `value` (which is positive)."""
    magnitude = 10.0 ** math.floor(math.log10(value))
    return next(
        (f * magnitude for f in (1, 1.5, 2, 3, 4, 5, 6, 8) if f * magnitude >= value * (1 - 1e-9)), 10 * magnitude
    )


def steps_end(last: int) -> float:
    """Return the right end of an axis of steps that starts at 0: 50, 100, 150, 200, 300, 400, 500, 600, 800, ..."""
    if last <= 50:
        return 50.0
    magnitude = 10.0 ** math.floor(math.log10(last))
    for factor in (1, 1.5, 2, 3, 4, 5, 6, 8, 10):
        if factor * magnitude >= last:
            return float(factor * magnitude)
    return 10.0 * magnitude


def loss_top(vocabulary: int | None, largest: float) -> float:
    """Return the upper end of the loss axis: ln V (blind guessing) rounded up to halves; once a loss was larger,
    one more than that, then 10, 20, 50, ...
    """
    first = math.ceil(2 * math.log(max(vocabulary or 65, 2)) + 0.2) / 2
    if not math.isfinite(largest) or largest <= first:
        return first
    return first + 1 if largest <= first + 1 else round_up(largest)


def linear_bottom(top: float, smallest: float) -> float:
    """Return the lower end of a linear loss axis that ends at `top`: 1 nat, where the loss of real text stays above
    it and the room above is worth it; 0 once anything shown was smaller.
    """
    return 1.0 if top >= 3 and not smallest < 1 else 0.0


def loss_bottom(smallest: float) -> float:
    """Return the lower end of a logarithmic loss axis."""
    if not math.isfinite(smallest) or smallest <= 0:
        return LOSS_BOTTOMS[0]
    return next((bottom for bottom in LOSS_BOTTOMS if bottom <= smallest), LOSS_BOTTOMS[-1])


def close_up(values: ArrayLike, step: float = 0.25) -> tuple[float, float]:
    """Return the range around `values` in whole quarters, at least half wide; (0, 1) where nothing is finite."""
    array = np.asarray(values, dtype=np.float64)
    array = array[np.isfinite(array)]
    if not len(array):
        return 0.0, 1.0
    low, high = math.floor(array.min() / step) * step, math.ceil(array.max() / step) * step
    return (low, high) if high - low >= 2 * step else (low, low + 2 * step)


def log_range(values: ArrayLike, before: tuple[float, float] | None = None) -> tuple[float, float]:
    """Return a range for log10 values out of the fixed ends above that holds them and everything shown `before`."""
    array = np.asarray(values, dtype=np.float64)
    array = array[np.isfinite(array)]
    low = float(array.min()) if len(array) else 0.0
    high = float(array.max()) if len(array) else 0.0
    bottom = next((end for end in LOG_FLOORS if end <= low), LOG_FLOORS[-1])
    top = next((end for end in LOG_TOPS if end >= high), LOG_TOPS[-1])
    if before is None:
        return bottom, top
    return min(bottom, before[0]), max(top, before[1])

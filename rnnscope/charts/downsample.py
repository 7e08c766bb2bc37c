"""Fewer points, same picture: the smallest and the largest value of each bucket, as oscilloscopes do."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def min_max(x: ArrayLike, y: ArrayLike, buckets: int) -> tuple[Floats, Floats]:
    """Keep at most two points (smallest and largest y, in their order) of each of `buckets` equal runs of points.

    x, y (N,): x ascending. Peaks survive, which averaging or striding would lose. A bucket without a finite value
    becomes one NaN point, so that a gap stays a gap; NaN and infinity beside finite values are dropped.
    Series of at most 2 * buckets points are returned whole.
    """
    xs, ys = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    count = len(ys)
    buckets = max(buckets, 1)
    if count <= 2 * buckets:
        return xs, ys
    size = -(-count // buckets)
    padded = np.full(-(-count // size) * size, np.nan)
    padded[:count] = ys
    table = padded.reshape(-1, size)
    finite = np.isfinite(table)
    lowest = np.where(finite, table, np.inf).argmin(axis=1)
    highest = np.where(finite, table, -np.inf).argmax(axis=1)
    start = np.arange(len(table)) * size
    pairs = np.sort(np.stack([start + lowest, start + highest], axis=1), axis=1)
    keep = np.ones(pairs.shape, dtype=bool)
    keep[:, 1] = pairs[:, 1] != pairs[:, 0]
    index = np.minimum(pairs[keep], count - 1)
    values = np.where(np.isfinite(ys[index]), ys[index], np.nan)
    return xs[index], values

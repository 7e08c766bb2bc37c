"""Exponential smoothing whose time constant is a number of training steps, whatever the length of the run."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

_BLOCK = 200.0  # time constants in one block: exp(200) is far from overflow


def smooth(values: ArrayLike, steps: ArrayLike, tau: float) -> NDArray[np.float64]:
    """Return the bias-corrected exponential moving average of `values` (N,) with time constant `tau` steps.

    s_i = d_i s_{i-1} + (1 - d_i) x_i with d_i = exp(-steps_i / tau), divided by the same recursion over ones, so that
    the first values are not drawn towards zero (Kingma and Ba 2015, section 3). steps (N,): training steps that each
    value stands for. Values that are not finite are left out: the average there is the one before (NaN at the start).
    """
    x = np.asarray(values, dtype=np.float64)
    finite = np.isfinite(x)
    span = np.where(finite, np.asarray(steps, dtype=np.float64), 0.0) / tau
    gain = -np.expm1(-span)
    weighted = gain * np.where(finite, x, 0.0)
    time = np.cumsum(span)
    out = np.full(x.shape, np.nan)
    total = norm = 0.0
    start = 0
    while start < len(x):
        before = time[start - 1] if start else 0.0
        stop = max(int(np.searchsorted(time, before + _BLOCK, side="right")), start + 1)
        elapsed = np.minimum(time[start:stop] - before, 2 * _BLOCK)
        growth, decay = np.exp(elapsed), np.exp(-elapsed)
        totals = decay * (total + np.cumsum(weighted[start:stop] * growth))
        norms = decay * (norm + np.cumsum(gain[start:stop] * growth))
        with np.errstate(invalid="ignore"):
            out[start:stop] = np.where(norms > 0, totals / np.where(norms > 0, norms, 1.0), np.nan)
        total, norm = float(totals[-1]), float(norms[-1])
        start = stop
    return out

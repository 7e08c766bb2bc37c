"""How fast the reach fades, measured, beside what the leading Lyapunov exponent predicts."""

from __future__ import annotations

import math

import numpy as np

from rnnscope.recording.events import Floats

SKIPPED = 0.2
"""Share of the lags at the near end that the fit leaves out: there the direct paths and not the product speak."""
FEWEST = 4


def decay(log_reach: Floats) -> tuple[float, float] | None:
    """Return (slope, value at lag 0) of the straight line through log10 of the reach (T,), lag 0 first.

    By least squares over the lags that are finite, without the nearest fifth of them: in decades a step, and decades.
    None where fewer than four remain.
    """
    lags = np.flatnonzero(np.isfinite(log_reach))
    lags = lags[lags >= SKIPPED * (lags[-1] + 1)] if len(lags) else lags
    if len(lags) < FEWEST:
        return None
    slope, start = np.polyfit(lags.astype(np.float64), np.asarray(log_reach, np.float64)[lags], 1)
    return float(slope), float(start)


def predicted(exponents: Floats) -> float:
    """Return the slope that the leading exponent (nats a step) predicts, in decades a step; NaN without one."""
    return float(exponents[0]) / math.log(10) if len(exponents) else math.nan

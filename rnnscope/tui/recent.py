"""The last training steps in full: what the clip rate and the rate of training are made from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnnscope.recording.records import Columns

CLIP_STEPS = 100
RATE_SECONDS = 5.0  # of training time, over which the rate is measured

Doubles = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Recent:
    """The last rows in full, for the clip rate and for the rate of training."""

    step: Integers
    seconds: Doubles
    chars: Integers
    grad_norm: Doubles
    grad_norm_clipped: Doubles


def no_recent() -> Recent:
    """Return recent rows, none yet."""
    none, nothing = np.zeros(0, dtype=np.int64), np.zeros(0)
    return Recent(none, nothing, none, nothing, nothing)


def latest(recent: Recent, new: Columns) -> Recent:
    """Return the rows that the clip rate and the rate of training are made from."""
    old = no_recent() if new.reset else recent
    step = np.concatenate([old.step, new.step])
    seconds = np.concatenate([old.seconds, new.seconds])
    if not len(step):
        return old
    wanted = seconds >= seconds[-1] - RATE_SECONDS
    wanted[-CLIP_STEPS:] = True
    return Recent(
        step[wanted],
        seconds[wanted],
        np.concatenate([old.chars, new.chars])[wanted],
        np.concatenate([old.grad_norm, new.grad_norm])[wanted],
        np.concatenate([old.grad_norm_clipped, new.grad_norm_clipped])[wanted],
    )


def clip_rate(recent: Recent) -> tuple[float, float]:
    """Return (share of the last 100 steps that were clipped, mean of norm after / norm before over those).

    Norm clipping adds 1e-6 to the norm it divides by, so a ratio that close to 1 counts as not clipped.
    """
    before, after = recent.grad_norm[-CLIP_STEPS:], recent.grad_norm_clipped[-CLIP_STEPS:]
    known = np.isfinite(before) & np.isfinite(after) & (before > 0)
    if not known.any():
        return 0.0, 1.0
    ratio = after[known] / before[known]
    clipped = ratio < 1 - 1e-5
    return float(clipped.mean()), float(ratio[clipped].mean()) if clipped.any() else 1.0


def rates(recent: Recent) -> tuple[float, float]:
    """Return (characters, steps) a second of training time over the last seconds, NaN while unknown."""
    if len(recent.step) < 2:
        return float("nan"), float("nan")
    wanted = np.flatnonzero(recent.seconds >= recent.seconds[-1] - RATE_SECONDS)
    if len(wanted) < 2:
        wanted = np.arange(len(recent.step))[-2:]
    first, last = int(wanted[0]), int(wanted[-1])
    seconds = recent.seconds[last] - recent.seconds[first]
    if seconds <= 0:
        return float("nan"), float("nan")
    return (
        float((recent.chars[last] - recent.chars[first]) / seconds),
        float((recent.step[last] - recent.step[first]) / seconds),
    )

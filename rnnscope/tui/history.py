"""The scalars of a run as far as they were read: columns that grow, and are thinned before they grow too long."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnnscope.recording.records import Columns

LONGEST = 16_384  # rows kept; beyond it neighbours are merged in pairs, so that memory and redraws stay small
CLIP_STEPS = 100
RATE_SECONDS = 5.0  # of training time, over which the rate is measured

Doubles = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class History:
    """Columns of records.Columns that a screen shows, oldest first; see there."""

    step: Integers
    count: Integers
    bad: Integers
    loss: Doubles
    low: Doubles
    high: Doubles

    def __len__(self) -> int:
        return len(self.step)


@dataclass(frozen=True, eq=False)
class Recent:
    """The last rows in full, for the clip rate and for the rate of training."""

    step: Integers
    seconds: Doubles
    chars: Integers
    grad_norm: Doubles
    grad_norm_clipped: Doubles


def no_history() -> History:
    """Return a history without rows."""
    none, nothing = np.zeros(0, dtype=np.int64), np.zeros(0)
    return History(none, none, none, nothing, nothing, nothing)


def no_recent() -> Recent:
    """Return recent rows, none yet."""
    none, nothing = np.zeros(0, dtype=np.int64), np.zeros(0)
    return Recent(none, nothing, none, nothing, nothing)


def extended(history: History, new: Columns, longest: int = LONGEST) -> History:
    """Return `history` with the rows of `new` (alone, where `new` says to start over)."""
    old = no_history() if new.reset else history
    joined = History(
        np.concatenate([old.step, new.step]),
        np.concatenate([old.count, new.count]),
        np.concatenate([old.bad, new.bad]),
        np.concatenate([old.loss, new.loss]),
        np.concatenate([old.low, new.loss_low]),
        np.concatenate([old.high, new.loss_high]),
    )
    while len(joined) > longest:
        joined = _halved(joined)
    return joined


def _halved(history: History) -> History:
    """Merge neighbours in pairs: sums of counts, means weighted by them, least and greatest."""
    even = len(history) // 2 * 2
    count, loss = history.count[:even].reshape(-1, 2), np.nan_to_num(history.loss[:even]).reshape(-1, 2)
    total = count.sum(axis=1)
    mean = np.where(total > 0, (count * loss).sum(axis=1) / np.maximum(total, 1), np.nan)
    low, high = history.low[:even].reshape(-1, 2), history.high[:even].reshape(-1, 2)
    return History(
        np.append(history.step[1:even:2], history.step[even:]),
        np.append(total, history.count[even:]),
        np.append(history.bad[:even].reshape(-1, 2).sum(axis=1), history.bad[even:]),
        np.append(mean, history.loss[even:]),
        np.append(np.fmin(low[:, 0], low[:, 1]), history.low[even:]),
        np.append(np.fmax(high[:, 0], high[:, 1]), history.high[even:]),
    )


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
    wanted = np.flatnonzero(recent.seconds >= recent.seconds[-1] - RATE_SECONDS) if len(recent.step) else []
    if len(wanted) < 2:
        return float("nan"), float("nan")
    first, last = int(wanted[0]), int(wanted[-1])
    seconds = recent.seconds[last] - recent.seconds[first]
    if seconds <= 0:
        return float("nan"), float("nan")
    return (
        float((recent.chars[last] - recent.chars[first]) / seconds),
        float((recent.step[last] - recent.step[first]) / seconds),
    )

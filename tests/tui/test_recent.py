"""Clip rate and rate of training from the last steps."""

from __future__ import annotations

import numpy as np
import pytest

from rnnscope.recording.records import Columns
from rnnscope.tui.recent import CLIP_STEPS, clip_rate, latest, no_recent, rates


def columns(first: int, norms: list[float], seconds: float = 0.1, reset: bool = False) -> Columns:
    """Rows of steps `first`, first+1, ... of `seconds` each, 2,000 characters a step."""
    step = np.arange(first, first + len(norms), dtype=np.int64)
    norm = np.array(norms)
    ones, loss = np.ones(len(norms), dtype=np.int64), np.full(len(norms), 2.0)
    after = np.minimum(norm, 5.0)
    return Columns(
        reset=reset, step=step, count=ones, bad=0 * ones, loss=loss, loss_low=loss, loss_high=loss, lr=loss,
        grad_norm=norm, grad_norm_clipped=after, clipped=(after < norm).astype(float), epoch=loss,
        seconds=step * seconds, chars=step * 2000, newest=None,
    )  # fmt: skip


def test_nothing_yet() -> None:
    assert clip_rate(no_recent()) == (0.0, 1.0)
    assert all(np.isnan(rates(no_recent())))


def test_clip_rate_and_scale() -> None:
    recent = latest(no_recent(), columns(1, [1.0, 10.0, 20.0, 4.0]))
    rate, scale = clip_rate(recent)
    assert rate == 0.5
    assert scale == pytest.approx((5 / 10 + 5 / 20) / 2)


def test_only_the_last_hundred_steps_count() -> None:
    recent = latest(no_recent(), columns(1, [10.0] * 300))
    recent = latest(recent, columns(301, [1.0] * CLIP_STEPS))
    assert clip_rate(recent)[0] == 0.0


def test_the_epsilon_of_norm_clipping_is_no_clipping() -> None:
    recent = latest(no_recent(), columns(1, [5.0 + 1e-6] * 10))
    assert clip_rate(recent) == (0.0, 1.0)


def test_norms_that_are_no_numbers_are_left_out() -> None:
    recent = latest(no_recent(), columns(1, [np.nan, np.inf, 10.0, 1.0]))
    assert clip_rate(recent) == (0.5, 0.5)


def test_rate_is_that_of_the_last_seconds() -> None:
    recent = latest(no_recent(), columns(1, [1.0] * 500, seconds=0.1))
    assert rates(recent) == pytest.approx((20_000.0, 10.0))


def test_slow_steps_still_have_a_rate() -> None:
    recent = latest(no_recent(), columns(1, [1.0] * 3, seconds=20.0))
    assert rates(recent) == pytest.approx((100.0, 0.05))


def test_a_resumed_run_starts_over() -> None:
    recent = latest(no_recent(), columns(1, [10.0] * 50))
    recent = latest(recent, columns(20, [1.0] * 5, reset=True))
    assert recent.step.tolist() == [20, 21, 22, 23, 24]

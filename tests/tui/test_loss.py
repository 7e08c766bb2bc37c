"""The loss panel: how it is smoothed, and the axis that it is drawn on."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from rnnscope.charts.spans import plain
from rnnscope.recording.series import smooth
from rnnscope.tui.snapshot import LossData
from rnnscope.tui.view import LossView
from rnnscope.tui.widgets.loss import LossPanel, spans, y_range


def falling(steps: int, floor: float = 1.5, noise: float = 0.04) -> LossData:
    """A loss that falls from ln 65 as Shakespeare's does: by half a nat over the first ten steps."""
    step = np.arange(1, steps + 1)
    loss = floor + (math.log(65) - floor) / (1 + step / 15) + np.random.default_rng(0).normal(0, noise, steps)
    count = np.ones(steps, dtype=np.int64)
    return LossData(step, count, 0 * count, loss, loss, loss, (0,), (4.2,), 65, (), None)


def drawn(data: LossData, view: LossView, width: int = 58, height: int = 20) -> str:
    panel = LossPanel(id="loss")
    panel.inputs = (data, view, ())
    painted = panel.paint(width, height)
    return plain([painted.left, painted.right, *painted.rows])


def test_the_smoothed_loss_is_no_more_than_a_tenth_of_a_nat_above_the_raw_mean() -> None:
    data = falling(400)
    smoothed = smooth(data.step, data.loss, spans(data.step, 20), data.count)
    about = np.convolve(data.loss, np.ones(7) / 7, "same")[4:-4]  # the raw mean of 7 steps
    gap = smoothed[4:-4] - about
    assert np.abs(gap).max() < 0.15
    assert np.abs(gap[10:]).max() < 0.1
    lagging = smooth(data.step, data.loss, 20.0, data.count)[4:-4] - about
    assert lagging.max() > 0.4  # what it is measured against: one time constant from the start


def test_the_span_grows_to_the_one_chosen_and_no_further() -> None:
    assert spans(np.array([0, 1, 8, 80, 160, 5000]), 20).tolist() == [1 / 8, 1 / 8, 1, 10, 20, 20]


def test_a_constant_loss_is_smoothed_to_itself() -> None:
    step = np.arange(1, 300)
    np.testing.assert_allclose(smooth(step, np.full(299, 2.5), spans(step, 100)), 2.5, rtol=1e-12)


@pytest.mark.parametrize(
    ("width", "words"),
    [
        (98, "smoothed: exponential mean, τ = min(20, step/8) steps"),
        (58, "smoothed, τ = min(20, step/8)"),
        (38, "smooth τ≤20"),
    ],
)
def test_the_legend_says_how_it_is_smoothed_and_still_names_the_dots(width: int, words: str) -> None:
    legend = drawn(falling(100), LossView(), width).split("\n")[2]
    assert words in legend
    assert "● validation" in legend


def test_the_axis_is_stated_and_changes_only_when_a_loss_leaves_it() -> None:
    for steps in (1, 50, 400):
        text = drawn(falling(steps), LossView())
        assert "nats/char, 1 to 4.5" in text
        assert "1.0┤" in text
    low = replace(falling(400), validation_step=(400,), validation_loss=(0.9,))
    assert "nats/char, 0 to 4.5" in drawn(low, LossView())


@pytest.mark.parametrize("axis", ["linear", "log", "close"])
@pytest.mark.parametrize("width", [30, 38, 48, 58, 98])
def test_the_newest_loss_in_the_title_is_never_cut(width: int, axis: str) -> None:
    panel = LossPanel(id="loss")
    panel.inputs = (falling(100), LossView(axis=axis, span=50), ())  # type: ignore[arg-type]
    number = plain([panel.paint(width, 12).right])
    assert number.startswith("val 4.20")
    assert "…" not in number


def test_ticks_every_half_nat_where_rows_allow() -> None:
    ticks = [line.split("┤")[0] for line in drawn(falling(100), LossView(), height=20).split("\n") if "┤" in line]
    assert ticks == ["4.5", "4.0", "3.5", "3.0", "2.5", "2.0", "1.5", "1.0"]
    low = [line.split("┤")[0] for line in drawn(falling(100), LossView(), height=12).split("\n") if "┤" in line]
    assert low == ["4", "3", "2", "1"]


@pytest.mark.parametrize("axis", ["linear", "log", "close"])
def test_every_axis_survives_a_loss_without_a_finite_value(axis: str) -> None:
    data = falling(3)
    nothing = np.full(3, math.nan)
    data = replace(data, loss=nothing, low=nothing, high=nothing, bad=data.count, validation_loss=(math.inf,))
    view = LossView(axis=axis)  # type: ignore[arg-type]
    low, high = y_range(view, data, nothing, (0.0, 50.0))
    assert math.isfinite(low)
    assert low < high
    assert "✗" in drawn(data, view)

"""What the lab's panels say in words, in the room there is."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from rnnscope.charts.spans import plain
from rnnscope.charts.text import cells
from rnnscope.recording.lab_events import Clipping, Horizon, Jacobian, Lyapunov, Parameters
from rnnscope.tui.captions import due, paragraph
from rnnscope.tui.snapshot import When
from rnnscope.tui.widgets.lab.clipping import ClippingPanel, decades, dominant_line, norms_line
from rnnscope.tui.widgets.lab.horizon import reach_words, use_words
from rnnscope.tui.widgets.lab.jacobian import JacobianPanel, exponents_line, matrix_line, slope_line
from rnnscope.tui.widgets.lab.parameters import number, order
from rnnscope.tui.widgets.lab.triangle import by_lag, readout
from tests.fakes import TEXT, fake_config, fake_gradients
from tests.lab_fakes import lab_events


def event(kind: str, cell: str = "lstm"):  # type: ignore[no-untyped-def]
    return next(e for e in lab_events(fake_config(cell=cell), TEXT, np.random.default_rng(0)) if e.kind == kind)


@pytest.mark.parametrize("width", [20, 40, 58, 78, 118, 198])
def test_every_line_fits(width: int) -> None:
    jacobian, lyapunov, clipping, triangle = (event(k) for k in ("jacobian", "lyapunov", "clipping", "triangle"))
    gradients = fake_gradients(fake_config(), np.random.default_rng(0))
    for line in (
        matrix_line(jacobian, width), matrix_line(event("jacobian", "tanh"), width),
        exponents_line(lyapunov, When(1, True), width), slope_line(gradients, lyapunov, width),
        slope_line(None, None, width), norms_line(clipping, width), dominant_line(clipping, width),
        readout(triangle, 0, 40, 3, width),
    ):  # fmt: skip
        assert 0 < cells(line) <= width


def test_the_bound_applies_to_elman_cells_only_and_says_what_follows() -> None:
    jacobian: Jacobian = event("jacobian", "tanh")
    assert matrix_line(jacobian, 118).endswith("σ₁ 1.14 1.14 > bound 1/γ = 1: can explode")
    small = dataclasses.replace(jacobian, largest_singular=np.array([0.4, 0.9]))
    assert matrix_line(small, 118).endswith("0.4 0.9 < bound 1/γ = 1: must vanish")
    assert "not applicable" in matrix_line(event("jacobian"), 118)


def test_old_exponents_say_so() -> None:
    lyapunov: Lyapunov = event("lyapunov")
    assert "(old: step 1,000)" in exponents_line(lyapunov, When(1000, True), 118)
    assert "old" not in exponents_line(lyapunov, When(1000), 118)


def test_singular_values_of_zero_lie_below_the_chart_and_do_not_stretch_it() -> None:
    jacobian: Jacobian = event("jacobian", "tanh")
    jacobian.singular[3:, 4:] = -np.inf
    panel = JacobianPanel(id="jacobian")
    panel.inputs = (jacobian, None, When(0), None, When(5), 500)
    text = plain(panel.paint(80, 24).rows)
    assert "▼" in text
    assert "✗" not in text
    assert "-8┤" not in text


def test_both_slopes_stand_side_by_side() -> None:
    gradients = fake_gradients(fake_config(layers=1), np.random.default_rng(0))
    lag = np.arange(50.0)
    straight = dataclasses.replace(gradients, reach=(-0.2 * lag)[None, ::-1], reach_floor=np.zeros((1, 50)))
    lyapunov = dataclasses.replace(event("lyapunov"), exponents=np.array([-0.2 * np.log(10), -3.0]))
    assert slope_line(straight, lyapunov, 118).count("-0.200") == 2


def test_clipping_says_what_it_did() -> None:
    clipping: Clipping = event("clipping")
    fired = f"fired on {clipping.fired:.0%} of 200 steps, scale ×0.70"
    assert fired in norms_line(clipping, 118)
    assert "by norm at 5" in norms_line(clipping, 118)
    off = dataclasses.replace(clipping, threshold=None)
    assert "clipping is off" in norms_line(off, 118)
    assert f"layer {clipping.layer + 1}, time step {clipping.t + 1} of 50" in dominant_line(clipping, 118)
    assert "no time step" in dominant_line(dataclasses.replace(clipping, layer=-1, t=-1), 118)


def test_the_histogram_holds_norms_and_threshold_in_whole_decades_that_never_shrink() -> None:
    assert decades(np.array([0.4, 30.0])) == (-1, 2)
    assert decades(np.array([2.0, 3.0])) == (0, 2)
    assert decades(np.array([np.nan, 0.0])) == (-1, 1)
    assert decades(np.array([2.0]), (-3, 1)) == (-3, 2)
    panel = ClippingPanel(id="clipping")
    clipping: Clipping = event("clipping")
    infinite = dataclasses.replace(clipping, before=np.array([1.0, np.inf, np.nan]), after=np.array([1.0, 5.0, 5.0]))
    panel.inputs = (infinite, When(5), 100)
    assert "steps of the last 3, 2 not finite" in plain(panel.paint(80, 24).rows)


def test_use_and_learning_are_told_apart() -> None:
    horizon: Horizon = event("horizon")
    assert use_words(horizon)[0].startswith("USE (curve)")
    assert "even text older than 128 still helps" in use_words(horizon)[0]
    enough = dataclasses.replace(horizon, full_loss=1.65)
    assert "text older than 32 no longer helps" in use_words(enough)[0]
    lives = dataclasses.replace(horizon, half_life=np.array([np.inf, np.nan]))
    assert "layer 1 longer than the window · layer 2 unknown" in reach_words(lives)[0]


def test_rows_are_ordered_with_what_is_no_number_on_top() -> None:
    parameters: Parameters = event("parameters")
    norms = np.arange(len(parameters.names), dtype=float)
    norms[3] = np.nan
    changed = dataclasses.replace(parameters, gradient_norm=norms)
    assert order(changed, "gradient")[:3] == [3, len(norms) - 1, len(norms) - 2]
    assert order(changed, "model") == list(range(len(norms)))
    assert order(changed, "idle")[-3:] == [0, 1, 2]  # those that have no units are not "unknown"
    assert [number(v) for v in (0.0, 0.01234, 1e-5, 54321.0, np.nan, np.inf)] == [
        "0", "0.0123", "1.0e-05", "5.4e+04", "✗ nan", "✗ inf",
    ]  # fmt: skip


def test_the_mean_of_each_lag_leaves_out_what_is_no_number() -> None:
    norms = np.array([[0.0, np.nan, np.nan], [-1.0, -2.0, np.nan], [-np.inf, -3.0, -4.0]])
    np.testing.assert_array_equal(by_lag(norms), [-2.0, -2.0, np.nan])


def test_the_readout_names_both_characters() -> None:
    triangle = event("triangle")
    line = readout(triangle, 1, 6, 5, 118)
    assert "t = 7 (next: ‘B’)" in line or "predicting ‘B’" in line
    assert "‘:’" in line or "read ‘:’" in line
    triangle.norms[1, 6, 5] = -np.inf
    assert readout(triangle, 1, 6, 5, 118).endswith("0 (or underflow)")


def test_paragraphs_break_between_words() -> None:
    assert paragraph("the gradient grew\nby 1.4", 10) == ["the", "gradient", "grew by", "1.4"]
    assert paragraph("abcdefgh ij", 4) == ["abcd", "efgh", "ij"]
    assert paragraph("", 5) == [""]
    assert due("triangle", 500) == "waiting for the first triangle (every 500 steps) …"

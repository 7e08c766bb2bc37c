"""What keys change about the view: pure functions."""

from __future__ import annotations

import numpy as np
import pytest

from rnnscope.recording.events import Sample
from rnnscope.tui.view import LOSS_KEYS, SHORTEST_WINDOW, UNIT_KEYS, LossView, UnitView, View, change, settle


@pytest.fixture
def sample() -> Sample:
    """Two fields, three layers, 4 characters, 20 units; unit 7 of layer 1's h varies most."""
    units = np.zeros((2, 3, 4, 20), dtype=np.float16)
    units[0, 1, :, 7] = [1, -1, 1, -1]
    units[0, 1, :, 8] = 0.9
    return Sample("abcd", 1, 0.8, np.ones(4, np.float32), ("h", "c"), units, 0.0)


def test_unchosen_view_is_the_last_layer_and_its_busiest_unit(sample: Sample) -> None:
    sample.units[0, 2, :, 3] = [0, 1, 0, 1]
    assert settle(UnitView(), sample) == UnitView(layer=2, unit=3, field="h")


def test_a_field_that_the_cell_does_not_have_becomes_its_first(sample: Sample) -> None:
    assert settle(UnitView(field="z", layer=0, unit=1), sample) == UnitView(0, 1, "h")


@pytest.mark.parametrize(
    ("key", "before", "after"),
    [
        ("unit_next", UnitView(1, 19), UnitView(1, 0)),
        ("unit_previous", UnitView(1, 0), UnitView(1, 19)),
        ("unit_forward", UnitView(1, 15), UnitView(1, 5)),
        ("unit_back", UnitView(1, 5), UnitView(1, 15)),
        ("unit_busiest", UnitView(1, 0), UnitView(1, 7)),
        ("layer", UnitView(2, 4), UnitView(0, 4)),
        ("field", UnitView(1, 4, "h"), UnitView(1, 4, "c")),
        ("field", UnitView(1, 4, "c"), UnitView(1, 4, "h")),
    ],
)
def test_unit_keys(sample: Sample, key: str, before: UnitView, after: UnitView) -> None:
    assert change(View(unit=before), key, sample=sample, last_step=100).unit == after


@pytest.mark.parametrize("key", UNIT_KEYS)
def test_unit_keys_wait_for_a_sample(key: str) -> None:
    assert change(View(), key, sample=None, last_step=0) == View()


def loss(keys: str, last: int) -> LossView:
    view = View()
    for key in keys.split():
        view = change(view, key, sample=None, last_step=last)
    return view.loss


def test_zoom_halves_and_follows_the_newest_step() -> None:
    assert loss("zoom_in zoom_in", 1000) == LossView(span=250, end=None)


def test_zoom_stops_at_the_shortest_window() -> None:
    assert loss("zoom_in " * 20, 1000).span == SHORTEST_WINDOW


def test_zooming_out_as_often_as_in_shows_everything_again() -> None:
    assert loss("zoom_in zoom_in zoom_out zoom_out", 1000) == LossView()


def test_panning_back_stops_following_and_stops_at_the_start() -> None:
    assert loss("zoom_in earlier", 1000) == LossView(span=500, end=875)
    assert loss("zoom_in" + " earlier" * 20, 1000) == LossView(span=500, end=500)


def test_panning_forward_to_the_end_follows_again() -> None:
    assert loss("zoom_in earlier later", 1000) == LossView(span=500, end=None)


def test_reset_shows_everything_on_the_linear_axis_and_keeps_the_smoothing() -> None:
    assert loss("zoom_in loss_axis smoother reset", 1000) == LossView(smoothing=LossView().smoothing + 1)


def test_axis_goes_round() -> None:
    assert [loss("loss_axis " * n, 10).axis for n in range(4)] == ["linear", "log", "close", "linear"]


def test_smoothing_has_ends() -> None:
    assert loss("rougher " * 50, 10).tau == 1
    assert loss("smoother " * 50, 10).tau == 2000


@pytest.mark.parametrize("key", LOSS_KEYS)
def test_loss_keys_before_the_first_step_do_no_harm(key: str) -> None:
    assert change(View(), key, sample=None, last_step=0).loss.tau > 0

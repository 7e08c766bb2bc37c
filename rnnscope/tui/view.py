"""What a person chose to look at: one frozen value, and one pure function for each key that changes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np

from rnnscope.recording.events import Sample
from rnnscope.recording.neuron_events import Activations

Reading: TypeAlias = Sample | Activations
"""A text with what every unit did at each of its characters."""

SMOOTHINGS: tuple[int, ...] = (1, 5, 10, 20, 50, 100, 200, 500, 1000, 2000)
"""Time constants of the smoothed loss, in steps: fixed numbers, so that smoothing does not depend on run length."""
SHORTEST_WINDOW = 20  # steps: zooming in further shows no more

LossAxis: TypeAlias = Literal["linear", "log", "close"]
LOSS_AXES: tuple[LossAxis, ...] = ("linear", "log", "close")


@dataclass(frozen=True)
class LossView:
    """How the loss is drawn.

    span: steps shown, None for all; end: last step shown, None to follow the newest; smoothing: index of SMOOTHINGS.
    """

    span: int | None = None
    end: int | None = None
    axis: LossAxis = "linear"
    smoothing: int = 3

    @property
    def tau(self) -> int:
        """Time constant of the smoothed line in steps."""
        return SMOOTHINGS[self.smoothing]


@dataclass(frozen=True)
class UnitView:
    """Which unit is shown: layer and unit counted from 0, field one of the sample's fields ("h", "c", a gate).

    layer -1 is the last one, before anyone has chosen; unit -1 is the one that varies most in the sample shown.
    """

    layer: int = -1
    unit: int = -1
    field: str = "h"


@dataclass(frozen=True)
class View:
    """Everything chosen about the display."""

    loss: LossView = LossView()
    gradient: Literal["reach", "total"] = "reach"
    unit: UnitView = UnitView()


def busiest(sample: Reading, layer: int, field: str) -> int:
    """Return the unit of `layer` whose `field` has the largest standard deviation over the sample's text."""
    values = sample.units[sample.fields.index(field), layer].astype(np.float32)
    with np.errstate(invalid="ignore", over="ignore"):  # a unit that is infinite: no warning, no choice
        spread = np.nan_to_num(values.std(axis=0), nan=-1.0, posinf=-1.0)
    return int(np.argmax(spread))


def settle(view: UnitView, sample: Reading) -> UnitView:
    """Return `view` with layer, unit and field that exist in `sample`."""
    _, layers, _, hidden = sample.units.shape
    field = view.field if view.field in sample.fields else sample.fields[0]
    layer = view.layer % layers
    unit = busiest(sample, layer, field) if view.unit < 0 else view.unit % hidden
    return UnitView(layer, unit, field)


def _unit_by(amount: int) -> Callable[[UnitView, Reading], UnitView]:
    def move(view: UnitView, sample: Reading) -> UnitView:
        return replace(view, unit=(view.unit + amount) % sample.units.shape[3])

    return move


def _layer(view: UnitView, sample: Reading) -> UnitView:
    return replace(view, layer=(view.layer + 1) % sample.units.shape[1])


def _field(view: UnitView, sample: Reading) -> UnitView:
    index = sample.fields.index(view.field)
    return replace(view, field=sample.fields[(index + 1) % len(sample.fields)])


def _busiest(view: UnitView, sample: Reading) -> UnitView:
    return replace(view, unit=busiest(sample, view.layer, view.field))


UNIT_KEYS: dict[str, Callable[[UnitView, Reading], UnitView]] = {
    "unit_next": _unit_by(1),
    "unit_previous": _unit_by(-1),
    "unit_forward": _unit_by(10),
    "unit_back": _unit_by(-10),
    "unit_busiest": _busiest,
    "layer": _layer,
    "field": _field,
}


def _zoom_in(view: LossView, last: int) -> LossView:
    shown = view.span if view.span is not None else max(last, 1)
    return replace(view, span=max(shown // 2, SHORTEST_WINDOW))


def _zoom_out(view: LossView, last: int) -> LossView:
    if view.span is None or view.span * 2 >= last:
        return replace(view, span=None, end=None)
    return replace(view, span=view.span * 2)


def _earlier(view: LossView, last: int) -> LossView:
    if view.span is None:
        return view
    end = (view.end if view.end is not None else last) - max(view.span // 4, 1)
    return replace(view, end=max(end, view.span))


def _later(view: LossView, last: int) -> LossView:
    if view.span is None or view.end is None:
        return view
    end = view.end + max(view.span // 4, 1)
    return replace(view, end=end if end < last else None)


def _reset(view: LossView, last: int) -> LossView:
    return replace(view, span=None, end=None, axis="linear")


def _axis(view: LossView, last: int) -> LossView:
    return replace(view, axis=LOSS_AXES[(LOSS_AXES.index(view.axis) + 1) % len(LOSS_AXES)])


def _smooth_by(amount: int) -> Callable[[LossView, int], LossView]:
    def move(view: LossView, last: int) -> LossView:
        return replace(view, smoothing=min(max(view.smoothing + amount, 0), len(SMOOTHINGS) - 1))

    return move


LOSS_KEYS: dict[str, Callable[[LossView, int], LossView]] = {
    "zoom_in": _zoom_in,
    "zoom_out": _zoom_out,
    "earlier": _earlier,
    "later": _later,
    "reset": _reset,
    "loss_axis": _axis,
    "smoother": _smooth_by(1),
    "rougher": _smooth_by(-1),
}


def change(view: View, key: str, *, sample: Sample | None, last_step: int) -> View:
    """Return `view` after the action `key` of the tables above; unit keys need a sample to have any effect."""
    if key in LOSS_KEYS:
        return replace(view, loss=LOSS_KEYS[key](view.loss, last_step))
    if key == "gradient":
        return replace(view, gradient="total" if view.gradient == "reach" else "reach")
    if sample is None:
        return view
    return replace(view, unit=UNIT_KEYS[key](settle(view.unit, sample), sample))


def why_unchanged(view: View, key: str, *, sample: Sample | None) -> str:
    """Return why the action `key` left `view` as it was."""
    if key in ("earlier", "later", "zoom_out", "reset") and view.loss.span is None:
        return "every step is shown already; i zooms in"
    if key == "later":
        return "the newest step is shown already"
    if key == "earlier":
        return "the first step is shown already"
    if key == "zoom_in":
        return f"no fewer than {SHORTEST_WINDOW} steps are shown"
    if key in ("smoother", "rougher"):
        return f"smoothed over {view.loss.tau} steps: no {key} than that"
    if key in UNIT_KEYS and sample is None:
        return "there is no sample yet to show units of"
    if key == "layer":
        return "the network has one layer only"
    return "nothing to change: this is it already"

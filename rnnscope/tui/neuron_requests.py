"""What the neuron lab asks of the worker: from what is looked at to a command. Pure functions."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Literal

from rnnscope.recording.commands import Measure
from rnnscope.recording.requests import TAKES, Request
from rnnscope.tui.asking import measure
from rnnscope.tui.neuron_view import HOWS, METHODS, TOP, NeuronView
from rnnscope.tui.view import Reading

PROBES = {"text": "activations"}
"""The probe behind a panel, where it is not of the same name."""
LENGTH = Request().length


def probe_of(panel: str) -> str:
    """Return the name of the probe that a panel shows."""
    return PROBES.get(panel, panel)


def again(view: NeuronView, reading: Reading | None) -> Request:
    """Return the text that was asked for last; where none was, the one that is shown, to be read in full."""
    if view.asked is not None and not view.live:
        return view.asked
    return Request() if reading is None else Request(source="prompt", prompt=reading.text)


def excerpt(view: NeuronView, part: Literal["validation", "train"], length: int | None) -> Request:
    """Return the next excerpt of "validation" or "train", of `length` characters in all (None: unknown)."""
    asked, start = view.asked, 0
    if asked is not None and asked.source == part:
        start = asked.start + asked.length
    if length is not None and start + 1 >= length:
        start = 0
    return replace(Request(), source=part, start=start)


def _shown(view: NeuronView, reading: Reading | None) -> Request:
    """Return the request for the very text on the screen, whatever the network would write now."""
    asked = view.asked or Request()
    chosen = replace(asked, layer=view.unit.layer, units=(view.unit.unit,), field=view.unit.field, concept=view.own)
    return chosen if reading is None else replace(chosen, source="prompt", prompt=reading.text)


def command(panel: str, view: NeuronView, reading: Reading | None) -> Measure:
    """Return the command that measures what `panel` shows. `view` is settled."""
    made = {"text": again, "contexts": _contexts, "birth": _birth, "interventions": _intervention,
            "attribution": _attribution}.get(panel, _shown)(view, reading)  # fmt: skip
    return _measure(probe_of(panel), made)


def _measure(probe: str, request: Request) -> Measure:
    """Return the command for a request, with nothing in it that the probe does not read."""
    kept = {name: getattr(request, name) for name in TAKES[probe]}
    return measure(probe, Request(**kept))


def _contexts(view: NeuronView, reading: Reading | None) -> Request:
    """Return the request for the pattern of the span, or, without one, for the unit, where no text plays a part."""
    if view.span == (0, 0):
        chosen = Request(layer=view.unit.layer, units=(view.unit.unit,), field=view.unit.field)
        return replace(chosen, threshold=view.threshold)
    return replace(_shown(view, reading), span=view.span, threshold=view.threshold)


def _birth(view: NeuronView, reading: Reading | None) -> Request:
    return replace(_shown(view, reading), concept=_wanted(view))


def _wanted(view: NeuronView) -> tuple[str, ...]:
    """Return the concept chosen as a probe takes it: one's own with its expression, a built-in one by its name."""
    own = [given for given in view.own if given.split("=", 1)[0] == view.concept]
    return tuple(own) or ((view.concept,) if view.concept else ())


def _intervention(view: NeuronView, reading: Reading | None) -> Request:
    """Return the request to go on from the text up to the cursor, with the units chosen held."""
    how = HOWS[view.how]
    return Request(
        how=how,
        layer=view.unit.layer, units=view.chosen_units, field=state_of(view.unit.field), seed=view.seed,
        value=view.value if how in ("clamp", "scale") else 0.0,
        prompt=reading.text[: view.cursor + 1] if reading is not None else "",
    )  # fmt: skip


def ranking(view: NeuronView, reading: Reading | None) -> Measure:
    """Return the command that also ablates every unit of the layer in turn."""
    return _measure("interventions", replace(_intervention(view, reading), ranked=True))


def state_of(field: str) -> str:
    """Return the state to hold where a gate is shown: gates are made anew at each character, states last."""
    return field if field in ("h", "c") else "h"


def _attribution(view: NeuronView, reading: Reading | None) -> Request:
    tops = getattr(reading, "top", ())
    target = tops[view.target][view.cursor] if 0 < view.target < min(TOP, len(tops)) else ""
    return replace(
        _shown(view, reading), method=METHODS[view.method], field=state_of(view.unit.field), position=view.cursor,
        target=target, of_unit=view.target == TOP,
    )  # fmt: skip


def concept_given(text: str) -> str | None:
    """Return "NAME=REGEX" as typed, trimmed; None where there is no name, or no expression that `re` takes."""
    name, equals, expression = text.partition("=")
    try:
        re.compile(expression)
    except re.error:
        return None
    return f"{name.strip()}={expression}" if name.strip() and equals and expression else None

"""What the neuron lab asks of the worker: from what is looked at to a command. Pure functions."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Literal

from rnnscope.recording.commands import Measure
from rnnscope.recording.requests import Request
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
    probe = probe_of(panel)
    if panel == "text":
        return measure(probe, again(view, reading))
    shown = _shown(view, reading)
    if panel == "contexts":
        # Without a span the text plays no part.
        if view.span == (0, 0):
            return measure(probe, replace(shown, source="generate", prompt="", concept=()), threshold=view.threshold)
        return measure(probe, replace(shown, concept=()), span=view.span, threshold=view.threshold)
    if panel == "units":
        return measure(probe, Request(field=view.unit.field, concept=view.own))
    if panel == "saturation":
        return measure(probe)
    if panel == "birth":
        return measure(probe, shown, concept=_wanted(view))
    if panel == "interventions":
        return measure(probe, _intervention(view, reading))
    if panel == "attribution":
        return measure(probe, _attribution(view, reading, shown))
    return measure(probe, shown)


def _wanted(view: NeuronView) -> tuple[str, ...]:
    """Return the concept chosen as a probe takes it: one's own with its expression, a built-in one by its name."""
    own = [given for given in view.own if given.split("=", 1)[0] == view.concept]
    return tuple(own) or ((view.concept,) if view.concept else ())


def _intervention(view: NeuronView, reading: Reading | None, *, ranked: bool = False) -> Request:
    """Return the request to go on from the text up to the cursor, with the units chosen held."""
    how = HOWS[view.how]
    return Request(
        how=how,
        layer=view.unit.layer, units=view.chosen_units, field=state_of(view.unit.field), seed=view.seed,
        value=view.value if how in ("clamp", "scale") else 0.0, ranked=ranked,
        prompt=reading.text[: view.cursor + 1] if reading is not None else "",
    )  # fmt: skip


def ranking(view: NeuronView, reading: Reading | None) -> Measure:
    """Return the command that also ablates every unit of the layer in turn."""
    return measure("interventions", _intervention(view, reading, ranked=True))


def state_of(field: str) -> str:
    """Return the state to hold where a gate is shown: gates are made anew at each character, states last."""
    return field if field in ("h", "c") else "h"


def _attribution(view: NeuronView, reading: Reading | None, shown: Request) -> Request:
    tops = getattr(reading, "top", ())
    target = tops[view.target][view.cursor] if 0 < view.target < min(TOP, len(tops)) else ""
    return replace(
        shown, method=METHODS[view.method], field=state_of(view.unit.field), position=view.cursor, target=target,
        of_unit=view.target == TOP, concept=(),
    )  # fmt: skip


def concept_given(text: str) -> str | None:
    """Return "NAME=REGEX" as typed, trimmed; None where there is no name, or no expression that `re` takes."""
    name, equals, expression = text.partition("=")
    try:
        re.compile(expression)
    except re.error:
        return None
    return f"{name.strip()}={expression}" if name.strip() and equals and expression else None

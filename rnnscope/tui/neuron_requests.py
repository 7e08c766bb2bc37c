"""What the neuron lab asks of the worker: from what is looked at to a command. Pure functions."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass, replace
from typing import Literal

from rnnscope.recording.commands import Measure
from rnnscope.recording.requests import TAKES, Request
from rnnscope.tui.asking import measure
from rnnscope.tui.neuron_view import HOWS, METHODS, TOP, NeuronView
from rnnscope.tui.view import Reading

PROBES = {"text": "activations"}
"""The probe behind a panel, where it is not of the same name."""

CONTEXT_CHARS = 1_000_000
"""Characters in which contexts are looked for: a few seconds of a network of the default size."""


def probe_of(panel: str) -> str:
    """Return the name of the probe that a panel shows."""
    return PROBES.get(panel, panel)


def typed(text: str, bytes_mode: bool) -> str:
    """Return shown text as a person would type it: in bytes mode, where each character stands for a byte of UTF-8, the
    characters that the bytes spell (half ones left out).
    """
    return text.encode("latin-1", "ignore").decode("utf-8", "ignore") if bytes_mode else text


@dataclass(frozen=True)
class Asker:
    """Makes requests from what is looked at.

    view: settled. temperature: of the samples of the run. bytes_mode: see `typed`.
    """

    view: NeuronView
    reading: Reading | None = None
    temperature: float = Request().temperature
    bytes_mode: bool = False

    def command(self, panel: str) -> Measure:
        """Return the command that measures what `panel` shows."""
        special = {
            "text": self.again, "contexts": self._contexts, "birth": self._birth,
            "interventions": self._intervention, "attribution": self._attribution,
        }  # fmt: skip
        return _measure(probe_of(panel), special.get(panel, self._shown)())

    def ranking(self) -> Measure:
        """Return the command that also ablates every unit of the layer in turn; that can be done to h and c alone."""
        held = self._intervention()
        return _measure("interventions", replace(held, ranked=True, field=held.field if held.field == "c" else "h"))

    def again(self) -> Request:
        """Return the text that was asked for last; where none was, the one that is shown, to be read in full."""
        if self.view.asked is not None and not self.view.live:
            return self.view.asked
        return Request(temperature=self.temperature) if self.reading is None else self._prompt()

    def written(self) -> Request:
        """Return the request for a new text of the network's own."""
        return Request(seed=self.view.seed, temperature=self.temperature)

    def excerpt(self, part: Literal["validation", "train"], length: int | None) -> Request:
        """Return the next excerpt of "validation" or "train", of `length` characters in all (None: unknown)."""
        asked, start = self.view.asked, 0
        if asked is not None and asked.source == part:
            start = asked.start + asked.length
        if length is not None and start + 1 >= length:
            start = 0
        return Request(source=part, start=start)

    def _prompt(self, stop: int | None = None) -> Request:
        """Return the request for the very text on the screen (up to a character), whatever would be written now."""
        text = self.reading.text if self.reading is not None else ""
        return Request(source="prompt", prompt=typed(text[:stop], self.bytes_mode))

    def _shown(self) -> Request:
        unit, text = self.view.unit, Request() if self.reading is None else self._prompt()
        return replace(text, layer=unit.layer, units=(unit.unit,), field=unit.field, concept=self.view.own)

    def _contexts(self) -> Request:
        """Return the request for the pattern of the span, or, without one, for the unit, where no text plays a part."""
        shown = replace(self._shown(), threshold=self.view.threshold, chars=CONTEXT_CHARS)
        if self.view.span == (0, 0):
            return replace(shown, source=Request().source, prompt="")
        return replace(shown, span=self.view.span)

    def _birth(self) -> Request:
        """Return the request to follow the unit, with the concept chosen as a probe takes it: one's own with its
        expression, a built-in one by its name.
        """
        chosen = self.view.concept
        own = tuple(given for given in self.view.own if given.split("=", 1)[0] == chosen)
        return replace(self._shown(), concept=own or ((chosen,) if chosen else ()))

    def _intervention(self) -> Request:
        """Return the request to go on from the text up to the cursor, with the units chosen held."""
        view, how = self.view, HOWS[self.view.how]
        text = self._prompt(view.cursor + 1) if self.reading is not None else Request()
        return replace(
            text, how=how, layer=view.unit.layer, units=view.chosen_units, field=view.unit.field, seed=view.seed,
            value=view.value if how in ("clamp", "scale") else 0.0, temperature=self.temperature,
        )  # fmt: skip

    def _attribution(self) -> Request:
        """Return the request to explain a character that may follow the cursor, or the unit there."""
        view, tops = self.view, getattr(self.reading, "top", ())
        target = tops[view.target][view.cursor] if 0 < view.target < min(TOP, len(tops)) else ""
        text = self._prompt(view.cursor + 1) if self.reading is not None else Request()
        return replace(
            text, layer=view.unit.layer, units=(view.unit.unit,), field=view.unit.field, method=METHODS[view.method],
            target=target, of_unit=view.target == TOP,
        )  # fmt: skip


def _measure(probe: str, request: Request) -> Measure:
    """Return the command for a request, with nothing in it that the probe does not read."""
    return measure(probe, Request(**{name: getattr(request, name) for name in TAKES[probe]}))


def concept_given(text: str) -> tuple[str, str]:
    """Return "NAME=REGEX" as typed, trimmed, and why `re` does not take the expression; both "" where a part lacks."""
    name, equals, expression = text.partition("=")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of what the syntax may mean one day: it would be printed
            re.compile(expression)
    except (re.error, OverflowError, RecursionError) as problem:
        return "", f"{expression} is no regular expression: {problem}"
    return f"{name.strip()}={expression}" if name.strip() and equals and expression else "", ""

"""Places in the training text where a unit is most excited or inhibited, or where the units of a span are on again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from textual import events

from rnnscope.charts.coloured_text import coloured_text
from rnnscope.charts.spans import Row, Span, Style, fit
from rnnscope.charts.text import printable, shorten
from rnnscope.recording.neuron_events import Contexts
from rnnscope.tui.captions import caption, longest
from rnnscope.tui.snapshot import When
from rnnscope.tui.widgets.asked import AskedPanel
from rnnscope.tui.widgets.panel import Painted
from rnnscope.tui.widgets.units import NAMES, scale, unit_legend

HEADINGS = {1: "most exciting", -1: "most inhibiting", 0: "the same pattern"}
LEFT = 7  # cells of a score and the sign of the row selected
BEFORE = 0.6  # share of a line before the character found


@dataclass(frozen=True)
class Line:
    """A line of the list: a heading, or snippet `number`."""

    heading: str = ""
    number: int = -1


def listed(event: Contexts) -> list[Line]:
    """Return headings and snippets, group by group, in the order found."""
    lines: list[Line] = []
    for group in (1, -1, 0):
        members = np.flatnonzero(event.groups == group).tolist()
        if members:
            lines += [Line(HEADINGS[group]), *(Line(number=number) for number in members)]
    return lines


def scrolled(lines: list[Line], selected: int, room: int) -> int:
    """Return the first line shown, so that snippet `selected` is seen (the heading above the first one too)."""
    place = next((i for i, line in enumerate(lines) if line.number == selected), 0)
    if len(lines) <= room or place < room - 1:
        return 0
    return min(place - room // 2, len(lines) - room)


def cut(event: Contexts, number: int, width: int) -> tuple[str, np.ndarray, int]:
    """Return the piece of a snippet around the character found, its values, and where in it that character is.

    A newline becomes its picture, since the piece fills one line.
    """
    snippet, peak = event.snippets[number], int(event.peaks[number])
    start = min(max(peak - int(BEFORE * width), 0), max(len(snippet) - width, 0))
    piece = printable(snippet[start : start + width])
    values = np.asarray(event.values[number, start : start + len(piece)], np.float32)
    return piece, values, peak - start


class ContextsPanel(AskedPanel):
    """Shows (Contexts | None, When, snippet), or (None, Standing)."""

    heading = "contexts"
    key = "M"
    chips = (
        (("↑", "↓"), "row"),
        (("enter",), "read it"),
        (("M",), "search"),
        (("m",), "mark"),
        (("(", ")"), "threshold"),
    )
    summary = (
        "The places in the training text where this unit is highest, and those where it is lowest. Each line is a "
        "piece of the text coloured by the unit's value h_t, the character found in the middle and marked; read the "
        "lines one under the other and say what they have in common. Or mark a span of the text with m: the units that "
        "are on throughout it are looked for, and the places where the same ones are on together are listed, best "
        "first."
    )
    details = (
        "The number is the unit's value at the character found, or, for a span, the share of its units that are on "
        "throughout the place found too. A unit counts as on where it is above the threshold, a share of its largest "
        "value, which ( and ) change. What the examples suggest is only a guess until the table of concepts (k) bears "
        "it out: a unit is often on in other places as well. Enter reads the text from there on."
    )

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._lines: list[Line] = []
        self._first = 0

    def paint(self, width: int, height: int) -> Painted:
        """Draw the snippets."""
        event, when, selected = self.inputs if len(self.inputs) == 3 else (None, None, 0)
        if not isinstance(event, Contexts) or not isinstance(when, When):
            standing = self.inputs[1] if len(self.inputs) > 1 else None
            return Painted(self.asking(standing, "look for what excites the unit", width, height), self.title())
        row = selected if isinstance(selected, int) else 0
        notes = 2 if height >= 6 else 0
        self._lines = listed(event)
        room = height - notes
        self._first = scrolled(self._lines, row, room)
        rows = [self._line(event, line, row, width) for line in self._lines[self._first : self._first + room]]
        rows += [()] * (room - len(rows))
        if notes:
            rows.append(self._words(event, width))
            rows.append(unit_legend(np.asarray(event.values, np.float32).ravel(), event.field, width, self.look))
        what = f"layer {event.layer + 1} · {NAMES.get(event.field, event.field)} · unit {event.unit}"
        title = self.title(longest(width - 40, what, f"L{event.layer + 1} {event.field} {event.unit}"))
        return Painted(rows, title, self.age(when, title, width, f"{event.chars:,} characters"))

    def _line(self, event: Contexts, line: Line, selected: int, width: int) -> Row:
        palette, mono = self.look.palette, self.look.mono
        if line.heading:
            return caption(width, Style(fg=palette.faint, bold=True), line.heading)
        here = line.number == selected
        score = float(event.scores[line.number])
        text = f"{score:.0%}" if event.span else f"{score:+.2f}"
        style = Style(fg=palette.accent if here else palette.faint, bold=here)
        low, high, ramp = scale(event.field)
        piece, values, peak = cut(event, line.number, width - LEFT)
        drawn = coloured_text(
            piece, values, width - LEFT, 1, low, high, ramp, palette=palette, mono=mono, cursor=peak, tail=False,
            nan_is_missing=True,
        )  # fmt: skip
        return fit((Span(f"{'▸' if here else ' '}{text:>{LEFT - 2}} ", style), *drawn[0]), width)

    def _words(self, event: Contexts, width: int) -> Row:
        faint = Style(fg=self.look.palette.faint)
        if not event.span:
            return caption(width, faint, "marked: the character at which the unit is highest or lowest")
        units = " ".join(map(str, np.asarray(event.on).tolist()))
        span = shorten(printable(event.span), 24)
        count = len(event.on)
        return caption(
            width, faint,
            f"on throughout ‘{span}’ (above {event.threshold:g} of their largest): {count} units: {units}",
            f"on throughout ‘{span}’: {count} units: {units}", f"{count} units on: {units}",
        )  # fmt: skip

    async def clicked(self, event: events.Click) -> bool:
        """Select the snippet that was clicked; read it on a second click."""
        index = self._first + event.y - 1
        number = self._lines[index].number if 0 <= index < len(self._lines) else -1
        if number < 0 or event.chain > 2:
            return False
        await self.run_action(f"screen.select({number})" if event.chain == 1 else "screen.open")
        return True

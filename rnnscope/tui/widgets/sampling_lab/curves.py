"""Curves by position: how the model's own writing leads it away, averaged over many prefixes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from textual import events
from textual.geometry import Region

from rnnscope.charts.axes import Axes
from rnnscope.charts.bars import sparkline
from rnnscope.charts.series import Band, HLine, Line, Series, VMark
from rnnscope.charts.spans import Row, Span, Style, fit
from rnnscope.charts.text import crop, printable, shorten
from rnnscope.recording.reading_events import Exposure
from rnnscope.tui.captions import caption, longest
from rnnscope.tui.curves import Curve, curves_of, grown, settled
from rnnscope.tui.look import Look
from rnnscope.tui.snapshot import When
from rnnscope.tui.widgets.asked import AskedPanel
from rnnscope.tui.widgets.panel import Painted

NAME = 13
"""Cells of a curve's name before its little line."""
SMALL = (30, 7)
"""Columns and rows that a small chart needs at least."""
LARGE = 9
"""Rows that the large chart keeps."""


def number(value: float, curve: Curve) -> str:
    """Return a value of a curve, "–" where there is none."""
    if not math.isfinite(value):
        return "–"
    return f"{value:.0f}%" if curve.unit == "%" else f"{value:.2f}"


def at_words(curve: Curve, at: int) -> str:
    """Return what the curve's lines are at the cursor, with the band of the first."""
    said = []
    for drawn in curve.lines:
        value = float(drawn.mean[at]) if at < len(drawn.mean) else math.nan
        band = ""
        if drawn.low is not None and drawn.high is not None and at < len(drawn.mean):
            band = f" ({number(float(drawn.low[at]), curve)} to {number(float(drawn.high[at]), curve)})"
        name = f"{drawn.name} " if len(curve.lines) > 1 else ""
        said.append(f"{name}{number(value, curve)}{band}")
    return f"after {at + 1}: {', '.join(said)}"


def end_words(curve: Curve, width: int) -> str:
    """Return where the curve settles, and its reference: the end of its little line."""
    own = number(settled(curve.lines[0].mean), curve)
    if len(curve.lines) > 1:
        other = curve.lines[1]
        end = number(settled(other.mean), curve)
        return longest(width, f"{own} {curve.lines[0].name}, {end} {other.name}", f"{own}, true {end}", own)
    value, words = curve.references[0] if curve.references else (math.nan, "")
    return longest(width, f"{own}, {words} {number(value, curve)}", f"{own} of {number(value, curve)}", own)


@dataclass(frozen=True)
class Place:
    """What the small charts depend on, apart from what was measured."""

    large: str
    validation: float | None
    width: int
    height: int
    look: Look


class CurvesPanel(AskedPanel):
    """Shows (Exposure | Comparison | None, validation loss | None, When, the large curve, at, Standing | None)."""

    heading, key = "curves by position", "M"
    chips = ((("M",), "measure"), (("u", "U"), "curve"), (("←", "→"), "position"))
    summary = (
        "How the two runs come apart after n + 1 characters, as a mean over many prefixes with a band that holds 80% "
        "of them: the loss −ln p under forcing, the distance ‖h−h′‖/‖h‖ of the hidden states, the Jensen-Shannon "
        "divergence of the two next-character distributions, what an n-gram judge (and, on the built-in texts, the "
        "generator that wrote them) thinks of the model's own text, the excess error, and the AUC of a probe. A "
        "dashed line is the same figure for states on unrelated pieces of real text: a curve that has reached it has "
        "forgotten that both began alike. One curve is large; u changes which."
    )
    details = (
        "The Jensen-Shannon divergence is ½ KL(P‖M) + ½ KL(Q‖M) with M = ½ (P + Q): 0 where both predict the same, "
        "at most ln 2 = 0.69 nats. The judge's nats on true text are the price of text as it is; what its own text "
        "costs more than that is what goes wrong while it writes. Excess error after Arora et al. (2022): by how many "
        "percent the loss accumulated on its own contexts exceeds that on true ones, under the true distribution. "
        "The probe is a logistic regression on h, trained on some prefixes and scored on others: 0.5 means that it "
        "cannot tell the model's own states from those that true text leads to, so that no state gives it away. "
        "With scheduled sampling as a training option all of these can be seen to change. Before anything is measured "
        "the panel shows loss and distance of the one prefix of the live comparison."
    )

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._scales: dict[tuple[str, bool], tuple[float, float]] = {}  # as far as they have grown
        self._live = False  # one prefix is drawn, which jumps up and down more than a mean: it has axes of its own
        self._places: list[tuple[Region, str]] = []  # where the small ones are, counted from the first row of them
        self._top = 0  # that row
        self._kept: tuple[object, Place, list[Row]] | None = None

    def paint(self, width: int, height: int) -> Painted:
        """Draw one curve large, the others small."""
        event, validation, when, name, at, standing = self.inputs or (None, None, When(0), "loss", 0, None)
        known = validation if isinstance(validation, float) else None
        curves = curves_of(event, known)
        if not curves:
            return Painted(self.asking(standing, "measure over many prefixes", width, height), self.title())
        measured = when if isinstance(when, When) else When(0)
        at = at if isinstance(at, int) else 0
        chosen = str(name) if name in curves else next(iter(curves))
        self._live = not isinstance(event, Exposure)
        curve, others = curves[chosen], {key: one for key, one in curves.items() if key != chosen}
        faint = Style(fg=self.look.palette.faint)
        rows: list[Row] = [caption(width, faint, *curve.says)]
        below = self._kept_below(event, Place(chosen, known, width, height - 1, self.look), others)
        self._top = height - len(below)
        room = height - len(below) - 1
        if room >= 8:
            rows.append((Span(shorten(at_words(curve, at), width), Style(fg=self.look.palette.accent, bold=True)),))
        rows += self._chart(curve, width, height - len(below) - len(rows), at)
        return Painted([*rows, *below], *self._titles(event, curve, measured, width))

    def _titles(self, event: object, curve: Curve, when: When, width: int) -> tuple[Row, Row]:
        if isinstance(event, Exposure):
            over, temperature = f"{event.prefixes} prefixes", f"T {event.temperature:g}"
        else:
            over, temperature = "one prefix", "live"
        room = width - len(self.heading) - len(f"step {when.step:,}") - 10
        said = longest(room, f"{curve.name} · {over} · {temperature}", f"{curve.name} · {over}", curve.name)
        title = self.title(said)
        return title, self.age(when, title, width)

    def _scale(self, curve: Curve) -> tuple[float, float]:
        """Return the ends of a curve's axis, which only grow."""
        scale = self._scales.get((curve.name, self._live), curve.scale)
        if curve.grows:
            shown = [one for drawn in curve.lines for one in (drawn.mean, drawn.high) if one is not None]
            shown.append(np.array([value for value, _ in curve.references]))
            scale = grown(scale, np.concatenate(shown))
        self._scales[curve.name, self._live] = scale
        return scale

    def _chart(self, curve: Curve, width: int, height: int, at: int | None = None) -> list[Row]:
        from rnnscope.charts.lines import line_chart  # plotext: not before there is something to draw

        palette, large = self.look.palette, at is not None
        count = max((len(drawn.mean) for drawn in curve.lines), default=0)
        label = curve.unit if large else self._heading(curve, width)
        axes = Axes(
            x_label="characters" if large else "", y_label=label, x_range=(1.0, float(max(count, 2))),
            y_range=self._scale(curve), x_integer=True,
        )  # fmt: skip
        series: list[Series] = []
        for place, drawn in enumerate(curve.lines):
            x, colour = np.arange(1, len(drawn.mean) + 1, dtype=np.float64), palette.lines[2 * place]
            if drawn.low is not None and drawn.high is not None:
                series.append(Band(x, drawn.low, drawn.high, colour, label="10–90%" if large else ""))
            named = drawn.name if large or len(curve.lines) > 1 else ""
            series.append(Line(x, drawn.mean, colour, label=named, bold=large))
        if at is not None:
            series.append(VMark(at + 1.0, palette.faint))
        for value, words in curve.references:
            words = f"{words} {number(value, curve)}" if width >= 40 else words
            series.append(HLine(value, palette.lines[1], words if large else ""))
        return line_chart(series, axes, width, height, palette, self.look.mono)

    @staticmethod
    def _heading(curve: Curve, width: int) -> str:
        """Return what stands above a small chart: its name, unit, and what its dashed line is."""
        what = f"{curve.name}, {curve.unit}" if curve.unit else curve.name
        lines = [f" ╌ {words} {number(value, curve)}" for value, words in curve.references]
        room = width - 3 - sum(len(drawn.name) + 4 for drawn in curve.lines if len(curve.lines) > 1)
        return longest(room, what + "".join(lines), curve.name + "".join(lines), what, curve.name)

    def _kept_below(self, event: object, place: Place, others: dict[str, Curve]) -> list[Row]:
        """Return the other curves as they were drawn last, where only the cursor has moved since."""
        if self._kept is None or self._kept[0] is not event or self._kept[1] != place:
            self._kept = event, place, self._below(others, place.width, place.height)
        return self._kept[2]

    def _below(self, others: dict[str, Curve], width: int, height: int) -> list[Row]:
        """Return the other curves: small charts where there is room for them, else a little line each."""
        self._places = []
        if not others:
            return []
        across = min(max(width // (SMALL[0] + 1), 1), 2 if len(others) == 4 else 3, len(others))
        down = math.ceil(len(others) / across)
        tall = (height - max(LARGE, height * 2 // 5)) // down
        if across >= 2 and tall >= SMALL[1]:
            return self._charts(others, width, across, min(tall, 12))
        count = min(len(others), max(height - LARGE, 0))
        self._places = [(Region(0, y, width, 1), key) for y, key in enumerate(list(others)[:count])]
        return [self._little(curve, width) for curve in list(others.values())[:count]]

    def _charts(self, others: dict[str, Curve], width: int, across: int, tall: int) -> list[Row]:
        rows: list[Row] = []
        names, wide = list(others), width // across
        for i, key in enumerate(names):
            self._places.append((Region(i % across * wide, i // across * tall, wide, tall), key))
        for first in range(0, len(names), across):
            charts = [self._chart(others[key], wide, tall) for key in names[first : first + across]]
            rows += [fit(tuple(span for row in line for span in row), width) for line in zip(*charts, strict=True)]
        return rows

    def _little(self, curve: Curve, width: int) -> Row:
        """Return a row: the curve's name, its line on its fixed scale, and where it settles."""
        palette = self.look.palette
        words = end_words(curve, max(width * 2 // 5, 14))
        size = max(width * 2 // 5, 14)
        line = sparkline(
            curve.lines[0].mean, max(width - NAME - size - 1, 1), *self._scale(curve), palette, palette.lines[0],
            self.look.mono,
        )  # fmt: skip
        name = Span(crop(printable(curve.name), NAME), Style(fg=palette.faint))
        return fit((name, *line, Span(" "), Span(words, Style(fg=palette.foreground))), width)

    async def clicked(self, event: events.Click) -> bool:
        """Draw the curve large that was clicked."""
        key = next((key for place, key in self._places if place.contains(event.x - 1, event.y - 1 - self._top)), "")
        if event.chain != 1 or not key:
            return False
        await self.run_action(f"screen.curve('{key}')")
        return True

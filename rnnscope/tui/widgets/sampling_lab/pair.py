"""Two panes, one prefix: teacher forcing and free running, aligned character by character."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from textual import events

from rnnscope.charts.axes import Axes
from rnnscope.charts.coloured_text import text_legend
from rnnscope.charts.paired_text import GUTTER, Marks, beside, paired_text
from rnnscope.charts.series import Line, Series, VMark
from rnnscope.charts.spans import Row, Span, Style, fit
from rnnscope.charts.spans import width as row_width
from rnnscope.charts.table import first_row
from rnnscope.charts.text import cell_width
from rnnscope.recording.events import Comparison
from rnnscope.tui.captions import caption, longest
from rnnscope.tui.pairs import NAMES, SCALES, Floats, Pair, lines_of, pair_of, seen_prefix
from rnnscope.tui.sampling_view import COLOURS, Colour
from rnnscope.tui.snapshot import When
from rnnscope.tui.widgets.asked import AskedPanel
from rnnscope.tui.widgets.panel import Painted
from rnnscope.tui.words import named as name

CHART = 8
"""Rows that a chart needs at least: it is drawn where the texts leave so much room."""
SPAN = 11
"""Characters that its lines are averaged over: single ones jump up and down."""
NOT_LIVE = "not measured live: M measures it"


def value_at(values: Floats, at: int) -> str:
    """Return a value in three figures, "–" where there is none."""
    value = float(values[at]) if at < len(values) else math.nan
    return "–" if math.isnan(value) else "∞" if math.isinf(value) else f"{value:.2g}" if value < 1 else f"{value:.2f}"


def smoothed(values: Floats) -> Floats:
    """Return the mean of what is finite within SPAN characters about each one; NaN where nothing is."""
    known = np.isfinite(values)
    window = np.ones(SPAN)
    total = np.convolve(np.where(known, values, 0.0), window)[SPAN // 2 : SPAN // 2 + len(values)]
    count = np.convolve(known.astype(np.float64), window)[SPAN // 2 : SPAN // 2 + len(values)]
    with np.errstate(invalid="ignore"):
        found: Floats = np.where(count > 0.5, total / np.maximum(count, 1.0), np.nan)
    return found


def readout(pair: Pair, at: int, width: int) -> str:
    """Return in words what the cursor is on, in both panes."""
    sides = []
    for side, text in enumerate((pair.truth, pair.free)):
        character = name(text[at : at + 1]) if at < len(text) else "nothing"
        found = {colour: value_at(both[side], at) for colour, both in pair.values.items()}
        sides.append((character, [f"{NAMES[colour][1]} {value}" for colour, value in found.items()]))
    (true, forced), (own, free) = sides
    same = " (the same)" if pair.truth[at : at + 1] == pair.free[at : at + 1] else ""
    return longest(
        width,
        f"character {at + 1}: the truth {true}, {', '.join(forced)} │ its own {own}{same}, {', '.join(free)}",
        f"{at + 1}: true {true} {', '.join(forced)} │ own {own} {', '.join(free)}",
        f"{at + 1}: true {true} {' '.join(forced[::2])} │ own {own} {' '.join(free[::2])}",
        f"{at + 1}: {true} {forced[0]} │ {own} {free[0]}",
    )


@dataclass(frozen=True)
class Placing:
    """Where the texts stand: rows above them, rows of them, rows of the chart below them, the lines shown, characters
    of the prefix shown.
    """

    top: int
    rows: int
    chart: int
    lines: list[tuple[int, int]]
    given: int


def placing(pair: Pair, at: int, width: int, height: int) -> Placing:
    """Return where the texts stand in a panel of that size, so that the line of the cursor is seen."""
    top, below = (1, 2) if height >= 8 else (0, 1)
    rows = max(height - top - below, 0)
    lines, given = lines_of(pair, width), len(seen_prefix(pair, width))
    here = next((i for i, (start, stop) in enumerate(lines) if start <= at + given < stop), 0)
    free = rows - len(lines) - 1
    chart = min(free, 2 * CHART) if free >= CHART else 0
    rows -= chart
    first = first_row(len(lines), rows, here)
    return Placing(top, rows, chart, lines[first : first + rows], given)


class PairPanel(AskedPanel):
    """Shows (Exposure | Comparison | None, When, colour, at, Standing | None)."""

    heading, key = "teacher forcing │ free running", "M"
    chips = ((("M",), "measure"), (("v",), "colour"), (("t", "T"), "temperature"), (("0",), "first difference"))
    summary = (
        "Both panes begin with the same true text (grey). Left the network goes on reading the truth, as it is trained "
        "(teacher forcing); right it reads what it draws itself from softmax(logits/T), as it is used (free running): "
        "character n stands at the same place of both. The colour is the probability p that it had given to the "
        "character, the surprise −ln p, or the entropy H = −Σ p ln p, how undecided it was; ≠ and the bright "
        "character mark where the two part."
    )
    details = (
        "A line ends where either text has a newline. All values are those at temperature 1, whatever T the "
        "characters were drawn with. From the first difference on the network reads words that no true text may ever "
        "have led it to, and every mistake is its next input (exposure bias): low probabilities on the right, given "
        "to its own characters, are the gambles that T allowed. The arrows or a click move the cursor, in both panes "
        "at once; the line below says what is under it. Until you measure, the panes show the comparison that "
        "training takes every now and then."
    )

    def paint(self, width: int, height: int) -> Painted:
        """Draw both texts, and under them what the cursor is on and what the colours mean."""
        event, when, colour, at, standing = self.inputs or (None, When(0), "probability", 0, None)
        pair = pair_of(event)
        if pair is None:
            rows = self.asking(standing, "read on from one prefix, forced and free", width, height)
            return Painted(rows, self.title())
        measured = when if isinstance(when, When) else When(0)
        chosen: Colour = next((c for c in COLOURS if c == colour), "probability")
        at = at if isinstance(at, int) else 0
        place = placing(pair, at, width, height)
        rows = self._head(pair, width) if place.top else []
        rows += self._texts(pair, chosen, at, width, place)
        if place.chart:
            rows += self._chart(pair, chosen, at, width, place.chart)
        rows.append((Span(readout(pair, at, width), Style(fg=self.look.palette.accent, bold=True)),))
        if place.top:
            rows.append(self._legend(pair, chosen, width))
        return self._titled(rows, measured, width, isinstance(event, Comparison))

    def _head(self, pair: Pair, width: int) -> list[Row]:
        """Return the line above both texts: what is read there."""
        half, faint = (width - 1) // 2, Style(fg=self.look.palette.faint)
        temperature = f"T {pair.temperature:g}"
        left = caption(half, faint, " reads the truth, as in training", " reads the truth", " truth")
        right = caption(width - 1 - half, faint, f" reads what it draws itself, at {temperature}",
                        f" reads its own, {temperature}", f" own, {temperature}")  # fmt: skip
        return beside([left], [right], width, Span("│", faint))

    def _texts(self, pair: Pair, colour: Colour, at: int, width: int, place: Placing) -> list[Row]:
        palette, given = self.look.palette, place.given
        prefix, half = seen_prefix(pair, width), (width - 1) // 2
        none: Floats = np.zeros(0)
        left, right = paired_text(
            (prefix + pair.truth, prefix + pair.free), pair.values.get(colour, (none, none)), place.lines,
            (half, width - 1 - half), place.rows, SCALES[colour],
            Marks(at + given, pair.divergence + given if pair.divergence >= 0 else None, given),
            palette=palette, mono=self.look.mono,
        )  # fmt: skip
        return beside(left, right, width, Span("│", Style(fg=palette.faint)))

    def _chart(self, pair: Pair, colour: Colour, at: int, width: int, height: int) -> list[Row]:
        """Draw what the colours mean over the position, for both texts."""
        from rnnscope.charts.lines import line_chart  # plotext: not before there is something to draw

        palette = self.look.palette
        axes = Axes(
            x_label="characters", y_label=f"{NAMES[colour][0]} · mean of {SPAN} characters",
            x_range=(1.0, float(max(pair.length, 2))), y_range=SCALES[colour], x_integer=True,
        )  # fmt: skip
        series: list[Series] = [VMark(at + 1.0, palette.faint)]
        if pair.divergence >= 0:
            series.append(VMark(pair.divergence + 1.0, palette.accent, "they part"))
        for given, line, label in zip(pair.values.get(colour, ()), palette.lines, ("forced", "free"), strict=False):
            series.append(Line(np.arange(1.0, len(given) + 1), smoothed(given), line, label=label, mark_bad=False))
        return line_chart(series, axes, width, height, palette, self.look.mono)

    def _legend(self, pair: Pair, colour: Colour, width: int) -> Row:
        """Return the colour bar, and where the two part."""
        palette = self.look.palette
        faint = Style(fg=palette.faint)
        full, brief = NAMES[colour]
        if colour not in pair.values:
            return caption(width, Style(fg=palette.warn), f"{full}: {NOT_LIVE}", f"{brief}: {NOT_LIVE}")
        size = min(46, max(width * 3 // 5, 12))
        label = full if size >= len(full) + 20 else brief
        bar = text_legend(*SCALES[colour], size, "sequential", palette=palette, mono=self.look.mono, label=label)
        parts = pair.divergence + 1
        said = ("they do not part", "no ≠") if not parts else (f"≠ they part at character {parts}", f"≠ at {parts}")
        return fit((*bar, Span(" "), Span(longest(max(width - row_width(bar) - 1, 0), *said), faint)), width)

    def _titled(self, rows: list[Row], when: When, width: int, live: bool) -> Painted:
        bold = Style(fg=self.look.palette.accent, bold=True)
        half = (width - 1) // 2
        left: Row = (Span(longest(half - 3, "teacher forcing", "forced"), bold),)
        right: Row = (Span(longest(width - half - 5, "free running", "free"), bold),)
        taken: Row = (Span(" " * (half - 1)), *right, Span("  "))
        more = "taken while training" if live else "validation text"
        return Painted(rows, left, self.age(when, taken, width, more), (half, right))

    async def clicked(self, event: events.Click) -> bool:
        """Put the cursor on the character that was clicked, in either pane."""
        at = self._at(event.x - 1, event.y - 1)
        if event.chain != 1 or at is None:
            return False
        await self.run_action(f"screen.point({at})")
        return True

    def _at(self, x: int, y: int) -> int | None:
        """Return the index of the character drawn at a cell of the inside, None where none is."""
        event, _, _, at, _ = self.inputs or (None, None, None, 0, None)
        pair = pair_of(event)
        width, height = self.size.width - 2, self.size.height - 2
        if pair is None or not isinstance(at, int):
            return None
        place, half = placing(pair, at, width, height), (width - 1) // 2
        column, line = (x if x < half else x - half - 1) - GUTTER, y - place.top
        if column < 0 or not 0 <= line < len(place.lines):
            return None
        prefix = seen_prefix(pair, width)
        for n in range(*place.lines[line]):
            both = (prefix + pair.truth)[n : n + 1] + (prefix + pair.free)[n : n + 1]
            column -= max(1, *(cell_width(c) for c in both))
            if column < 0:
                return n - place.given if n >= place.given else None
        return None

    async def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Move the cursor, and with it both panes, a line down."""
        await self.run_action("screen.view('down', 'pair')")

    async def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Move the cursor, and with it both panes, a line up."""
        await self.run_action("screen.view('up', 'pair')")

"""Teacher forcing beside free running: the same first characters, then the truth or the model's own guesses."""

from __future__ import annotations

import math
from itertools import zip_longest

import numpy as np

from rnnscope.charts.axes import Axes
from rnnscope.charts.coloured_text import coloured_text
from rnnscope.charts.heatmap import legend
from rnnscope.charts.series import HLine, Line, Series, VMark
from rnnscope.charts.spans import Row, Span, Style, fit
from rnnscope.charts.text import cells, wrap
from rnnscope.recording.events import Comparison, Floats
from rnnscope.tui.captions import caption, longest
from rnnscope.tui.ranges import round_up
from rnnscope.tui.snapshot import When
from rnnscope.tui.widgets.panel import Painted, Panel

NLL_TOP = 8.0  # nats: p = 0.0003; the axis grows in visible steps beyond it
WIDE = 40  # cells: from here on the lines in the charts carry their names
DISTANCE_TOP = 2.0  # relative: two unrelated states of equal length lie about sqrt(2) apart


def first_difference(truth: str, free: str) -> int | None:
    """Return the index of the first character where the two texts part, None if they never do."""
    for index, (a, b) in enumerate(zip_longest(truth, free)):
        if a != b:
            return index
    return None


def side_by_side(left: list[Row], right: list[Row], width: int, separator: Span) -> list[Row]:
    """Join two equally tall blocks into rows of `width` cells with `separator` between them."""
    half = (width - 1) // 2
    return [
        (*fit(a, half), separator, *fit(b, width - 1 - half))
        for a, b in zip_longest(left, right, fillvalue=())
    ]  # fmt: skip


class SamplingPanel(Panel):
    """Shows (Comparison | None, When)."""

    heading = "teacher forcing │ free running"
    chips = ((("t", "T"), "temperature"),)
    summary = (
        "Both sides begin with the same true text; then, left, the network goes on reading the truth (teacher forcing, "
        "as it is trained) and each character is coloured by the probability p that it had given it, while, right, it "
        "reads the characters that it draws itself (free running, as it is used), with probabilities softmax(logits/T) "
        "at temperature T. Lower left, the surprise at each true character: nll_t = −ln p(x_t). Lower right, how far "
        "the two memories have come apart, ‖h_t − h′_t‖ / ‖h_t‖; the dashed line is the same distance between "
        "unrelated pieces of text, so a curve that has reached it has forgotten that both began alike."
    )
    details = (
        "Where the two texts first differ is marked in both of them and by the upright line in the charts: up to "
        "there both memories are the same and their distance is 0. From then on the network may wander into states "
        "that no true text ever led it to, and every mistake is its next input (exposure bias). A low temperature "
        "makes it choose the likeliest characters, a high one lets it gamble; T = 1 is what it has learnt."
    )

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._nll_top, self._distance_top = NLL_TOP, DISTANCE_TOP

    def paint(self, width: int, height: int) -> Painted:
        """Draw both texts, and under them loss and distance by position."""
        comparison, when = self.inputs if self.inputs else (None, When(0))
        if not isinstance(comparison, Comparison):
            return Painted(self.waiting("waiting for the first comparison …", width, height), self.title())
        measured = when if isinstance(when, When) else When(0)
        palette = self.look.palette
        faint = Style(fg=palette.faint)
        parts = first_difference(comparison.truth, comparison.free)
        half = (width - 1) // 2
        other = width - 1 - half
        separator = Span("│", faint)
        has_legend = int(height >= 14)
        longest_text = max(comparison.truth, comparison.free, key=len)
        lines = len(wrap(self._shown(comparison.prefix, half) + longest_text, half))
        text_rows, below = share_rows(height - 1 - has_legend, lines)
        forced = self._text(comparison.prefix, comparison.truth, comparison.probability, half, text_rows, parts)
        free = self._text(comparison.prefix, comparison.free, comparison.free_probability, other, text_rows, parts)
        forced_head, free_head = self._heads(comparison.temperature, measured, half, other)
        rows = side_by_side([forced_head, *forced], [free_head, *free], width, separator)
        if below:
            left, right = self._charts(comparison, parts, half, other, below)
            rows += side_by_side(left, right, width, separator)
        if has_legend:
            bar = legend(0, 1, min(30, width), "sequential", palette=palette, mono=self.look.mono, label="p =")
            mark = Span("first difference marked" if parts is not None else "no difference", faint)
            rows.append(fit((*bar, Span("   "), mark), width))
        return self._titled(rows, measured, half, width)

    def _heads(self, temperature: float, when: When, left: int, right: int) -> tuple[Row, Row]:
        """Return the line above each text: what is read there, what the colours mean, or when it was measured."""
        faint = Style(fg=self.look.palette.faint)
        by = "bolder with p" if self.look.mono else "coloured by p"
        own, step = f"reads its own text, T {temperature:g}", f"step {when.step:,}"
        return (
            caption(left, faint, f"reads the truth, {by} given to it", f"truth, {by}", f"truth, {step}", "truth"),
            caption(right, faint, f"{own}, {by}", own, f"its own, T {temperature:g}"),
        )

    def _titled(self, rows: list[Row], when: When, half: int, width: int) -> Painted:
        """Put a title on each half, the right one where its half begins, and the step at the end."""
        bold = Style(fg=self.look.palette.accent, bold=True)
        left: Row = (Span(longest(half - 3, "teacher forcing", "forced"), bold),)
        right: Row = (Span(longest(width - half - 5, "free running", "free"), bold),)
        taken: Row = (Span(" " * (half - 1)), *right, Span("  "))
        return Painted(rows, left, self.age(when, taken, width, "validation text"), (half, right))

    @staticmethod
    def _shown(prefix: str, width: int) -> str:
        """Return as much of the prefix's end as is shown: a line, or 40 characters."""
        return prefix[-max(min(width, 40), 1) :]

    def _text(
        self, prefix: str, text: str, probability: Floats, width: int, height: int, parts: int | None
    ) -> list[Row]:
        """Draw the end of the prefix plain and the text after it coloured by probability, `parts` marked."""
        shown = self._shown(prefix, width)
        values = np.concatenate([np.full(len(shown), np.nan), np.asarray(probability, dtype=np.float64)])
        return coloured_text(
            shown + text, values, width, height, 0.0, 1.0, "sequential", palette=self.look.palette, mono=self.look.mono,
            cursor=None if parts is None else len(shown) + parts, tail=False, nan_is_missing=True,
        )  # fmt: skip

    def _charts(
        self, comparison: Comparison, parts: int | None, left: int, right: int, height: int
    ) -> tuple[list[Row], list[Row]]:
        from rnnscope.charts.lines import line_chart  # plotext: not before there is something to draw

        palette, mono = self.look.palette, self.look.mono
        faint = Style(fg=palette.faint)
        nll, distance = (np.asarray(a, dtype=np.float64) for a in (comparison.nll, comparison.distance))
        self._nll_top = grown(self._nll_top, nll)
        self._distance_top = grown(self._distance_top, np.append(distance, comparison.reference))
        end = float(max(len(nll), 2))

        def chart(values: Floats, top: float, width: int, *under: Series) -> list[Row]:
            name = "first difference" if width >= WIDE else ""
            mark = () if parts is None else (VMark(parts + 1, palette.accent, name),)
            place = np.arange(1, len(values) + 1, dtype=np.float64)
            ticks = np.linspace(0, top, 5 if height >= 12 else 3).tolist()
            axes = Axes(x_range=(1, end), y_range=(0, top), x_integer=True, y_ticks=ticks)
            return line_chart(
                [*mark, *under, Line(place, values, palette.lines[0])], axes, width, height, palette, mono
            )

        finite = nll[np.isfinite(nll)]
        mean = f"{finite.mean() if len(finite) else math.nan:.2f}"
        over = caption(
            left,
            faint,
            f"nll of the truth by position, nats · mean {mean}",
            f"nll in nats · mean {mean}",
            f"nll {mean}",
        )
        reference = HLine(comparison.reference, palette.lines[1], "unrelated" if right >= WIDE else "")
        distances = [self._distance_caption(comparison.reference, right)]
        distances += chart(distance, self._distance_top, right, reference)
        return [over, *chart(nll, self._nll_top, left)], distances

    def _distance_caption(self, reference: float, width: int) -> Row:
        """Return what the distance is, and the legend of the dashed line, in its colour."""
        ratio, value = "‖h−h′‖/‖h‖", f"{reference:.2f}"
        ways = (
            (f"distance of states {ratio}", f"╌ unrelated texts {value}"),
            (ratio, f"╌ unrelated {value}"),
            (ratio, f"╌ {value}"),
        )
        what, line = next((way for way in ways if sum(map(cells, way)) + 2 <= width), ways[-1])
        spans = (Span(f"{what}  ", Style(fg=self.look.palette.faint)), Span(line, Style(fg=self.look.palette.lines[1])))
        return fit(spans, width)


def share_rows(room: int, lines: int) -> tuple[int, int]:
    """Share `room` rows between `lines` lines of text and the charts with their headings; (text, charts)."""
    if room < 7:
        return room, 0
    text = min(lines, max(room * 3 // 5, room - 16))
    text = min(text, room - 4)
    return text, room - text - 1


def grown(top: float, values: Floats) -> float:
    """Return `top`, or the next of 1, 2, 5, 10, ... that holds every finite value."""
    finite = values[np.isfinite(values)]
    largest = float(finite.max()) if len(finite) else 0.0
    return top if largest <= top else round_up(largest)

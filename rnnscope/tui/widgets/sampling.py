"""Teacher forcing beside free running: the same first characters, then the truth or the model's own guesses."""

from __future__ import annotations

from itertools import zip_longest
from typing import ClassVar

import numpy as np

from rnnscope.charts.axes import Axes
from rnnscope.charts.coloured_text import coloured_text
from rnnscope.charts.heatmap import legend
from rnnscope.charts.series import HLine, Line, Series, VMark
from rnnscope.charts.spans import Row, Span, Style, fit
from rnnscope.charts.text import wrap
from rnnscope.recording.events import Comparison, Floats
from rnnscope.tui.captions import caption, longest
from rnnscope.tui.ranges import round_up
from rnnscope.tui.widgets.panel import Painted, Panel

NLL_TOP = 8.0  # nats: p = 0.0003; the axis grows in visible steps beyond it
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
    """Shows (Comparison | None, step compared at)."""

    heading: ClassVar[str] = "teacher forcing │ free running"

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._nll_top, self._distance_top = NLL_TOP, DISTANCE_TOP

    def paint(self, width: int, height: int) -> Painted:
        """Draw both texts, and under them loss and distance by position."""
        comparison, step = self.inputs if self.inputs else (None, 0)
        if not isinstance(comparison, Comparison):
            return Painted(self.waiting("waiting for the first comparison …", width, height), self.title())
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
        heads = [caption(half, faint, "reads the truth, coloured by p given to it", "truth, coloured by p", "truth")]
        own = f"reads its own text, T {comparison.temperature:g}"
        free_heads = [caption(other, faint, f"{own}, coloured by p", own, f"its own, T {comparison.temperature:g}")]
        forced = self._text(comparison.prefix, comparison.truth, comparison.probability, half, text_rows, parts)
        free = self._text(comparison.prefix, comparison.free, comparison.free_probability, other, text_rows, parts)
        rows = side_by_side(heads + forced, free_heads + free, width, separator)
        if below:
            left, right = self._charts(comparison, parts, half, other, below)
            rows += side_by_side(left, right, width, separator)
        if has_legend:
            bar = legend(0, 1, min(30, width), "sequential", palette=palette, mono=self.look.mono, label="p =")
            mark = "first difference marked" if parts is not None else "no difference"
            rows.append(fit((*bar, Span("   " + mark, faint)), width))
        note = longest(width - len(self.heading) - 8, f"step {step:,} · validation text", f"step {step:,}")
        return Painted(rows, self.title(), (Span(note, faint),) if note else ())

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
        position = np.arange(1, len(nll) + 1, dtype=np.float64)
        self._nll_top = grown(self._nll_top, nll)
        self._distance_top = grown(self._distance_top, np.append(distance, comparison.reference))
        mark: list[Series] = [] if parts is None else [VMark(parts + 1, palette.accent)]
        finite = nll[np.isfinite(nll)]
        mean = float(finite.mean()) if len(finite) else float("nan")
        end = float(max(len(nll), 2))
        losses = line_chart(
            [*mark, Line(position, nll, palette.lines[0])],
            Axes(x_range=(1, end), y_range=(0, self._nll_top), x_integer=True), left, height, palette, mono,
        )  # fmt: skip
        place = np.arange(1, len(distance) + 1, dtype=np.float64)
        reference = HLine(comparison.reference, palette.lines[1], "unrelated" if right >= 30 else "")
        distances = line_chart(
            [*mark, reference, Line(place, distance, palette.lines[0])],
            Axes(x_range=(1, end), y_range=(0, self._distance_top), x_integer=True), right, height, palette, mono,
        )  # fmt: skip
        value, ref, ratio = f"{mean:.2f}", f"{comparison.reference:.2f}", "‖h−h′‖/‖h‖"
        over = caption(
            left, faint, f"nll of the truth by position, nats · mean {value}", f"nll in nats · mean {value}",
            f"nll {value}",
        )  # fmt: skip
        also = caption(
            right, faint, f"distance of states {ratio} · unrelated texts {ref}", f"{ratio} · unrelated {ref}",
            f"{ratio} {ref}", ratio,
        )  # fmt: skip
        return [over, *losses], [also, *distances]


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

"""The parameters: one row a tensor, sortable; a row opens its history over training and its histograms."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from textual import events

from rnnscope.charts.axes import Axes
from rnnscope.charts.counts import count_chart
from rnnscope.charts.palette import Palette
from rnnscope.charts.series import HLine, Line, Series, VMark
from rnnscope.charts.spans import Row, Span, Style
from rnnscope.charts.table import Column, first_row, table
from rnnscope.charts.text import printable
from rnnscope.recording.events import Floats
from rnnscope.recording.lab_events import Parameters
from rnnscope.tui import ranges
from rnnscope.tui.captions import caption, due, longest
from rnnscope.tui.lab_history import ParameterHistory
from rnnscope.tui.snapshot import When
from rnnscope.tui.widgets.panel import Painted, Panel

TITLES = {
    "model": "tensor",
    "gradient": "‖gradient‖",
    "weight": "‖weight‖",
    "update": "update/weight",
    "idle": "idle units",
}
USUAL = (1e-4, 1e-2)
"""Update over weight that is usually healthy; outside of it the number is written in another colour."""
Marks = tuple[tuple[int, str], ...]


def values(event: Parameters, column: str) -> Floats:
    """Return the numbers of a column, (P,)."""
    given = {"gradient": event.gradient_norm, "weight": event.weight_norm, "update": event.update_ratio}
    return np.asarray(given.get(column, event.idle), np.float64)


def order(event: Parameters, sort: str) -> list[int]:
    """Return the rows in the order chosen: as in the model, or the largest first, with what is no number on top."""
    count = range(len(event.names))
    if sort == "model":
        return list(count)
    numbers = values(event, sort)
    # NaN of a gradient is what one looks for; NaN of idle units is only "not applicable".
    unknown = -math.inf if sort == "idle" else math.inf
    key = np.where(np.isnan(numbers), unknown, numbers)
    return sorted(count, key=lambda i: -key[i])


def number(value: float) -> str:
    """Return a norm or ratio in three figures."""
    if not math.isfinite(value):
        return "✗ nan" if math.isnan(value) else "✗ inf"
    if value != 0 and not 1e-3 <= abs(value) < 1e4:
        return f"{value:.1e}"
    return f"{value:.3g}"


def cells_of(event: Parameters, index: int, palette: Palette) -> list[Span]:
    """Return the row of one tensor."""
    spans = [Span(event.names[index], Style(fg=palette.foreground))]
    for column in ("gradient", "weight", "update"):
        value = float(values(event, column)[index])
        odd = column == "update" and not USUAL[0] <= value <= USUAL[1]
        colour = palette.bad if not math.isfinite(value) else palette.warn if odd else palette.foreground
        spans.append(Span(number(value), Style(fg=colour)))
    idle = float(event.idle[index])
    text = "–" if math.isnan(idle) else f"{idle:.0%}"
    spans.append(Span(text, Style(fg=palette.warn if idle > 0.5 else palette.foreground)))
    return spans


class ParametersPanel(Panel):
    """Shows (Parameters | None, When, ParameterHistory | None, marks, sort, row, opened, every)."""

    heading = "parameters"
    chips = ((("↑", "↓"), "row"), (("enter",), "open"), (("O",), "sort"))
    summary = (
        "One row for each tensor of weights W, around one update: the length of its gradient ‖∂L/∂W‖, its own "
        "length ‖W‖, and the ratio ‖ΔW‖/‖W‖ of the update to the weight, which is about 10⁻³ where learning goes "
        "well: much more is unstable, much less stands still. Idle is the share of the layer's units that do "
        "nothing: dead ReLUs (always 0), or tanh and gates stuck at a bound. Enter opens a row: its history over "
        "training and the histograms of log₁₀|w| and log₁₀|∂L/∂w|."
    )
    details = (
        "The gradient is that of the mean loss before clipping. A ratio below 10⁻⁴ or above 10⁻² stands out in "
        "colour. Saturated means within 0.05 of a bound on 95% of the window. In the histograms what is smaller "
        "than 10⁻¹², zero too, counts in the first bin. O changes the order."
    )

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._first = 0
        self._table = False

    def paint(self, width: int, height: int) -> Painted:
        """Draw the table, or one row of it in full."""
        event, when, history, marks, sort, row, opened, every = self.inputs or (
            None, When(0), None, (), "model", 0, False, 0,
        )  # fmt: skip
        measured = when if isinstance(when, When) else When(0)
        title = self.title("around one update")
        if not isinstance(event, Parameters):
            return Painted(self.waiting(due("look at the parameters", every), width, height), title)
        ordered = order(event, str(sort))
        row = min(row if isinstance(row, int) else 0, max(len(ordered) - 1, 0))
        self._table = not opened
        if opened and ordered:
            index = ordered[row]
            found = history if isinstance(history, ParameterHistory) and history.names == event.names else None
            lines = marks if isinstance(marks, tuple) else ()
            rows = self._open(event, index, found, lines, width, height)
            title = self.title(longest(width - 30, printable(event.names[index])))
            return Painted(rows, title, self.age(measured, title, width))
        palette = self.look.palette
        columns = [Column(TITLES[name] + (" ▾" if name == sort else ""), name != "model") for name in TITLES]
        spans = [cells_of(event, index, palette) for index in ordered]
        self._first = first_row(len(ordered), height - 2, row)
        rows = table(columns, spans, width, height - 1, palette, self.look.mono, selected=row)
        said = (
            "‖gradient‖ of the mean loss before clipping · update/weight: 1e-3 is usual, outside 1e-4 … 1e-2 in colour"
        )
        rows.append(
            caption(width, Style(fg=palette.faint), said, "‖gradient‖ before clipping · update/weight: 1e-3 is usual")
        )
        title = self.title(
            f"{len(ordered)} tensors · by {TITLES[str(sort)] if sort != 'model' else 'place in the model'}"
        )
        return Painted(rows, title, self.age(measured, title, width))

    def _open(
        self, event: Parameters, index: int, history: ParameterHistory | None, marks: Marks, width: int, height: int
    ) -> list[Row]:
        """Draw the history of one tensor above its two histograms."""
        above = height - max(height * 2 // 5, 6)
        rows = self._history(history, index, marks, width, above)
        left = width // 2
        halves = [
            self._histogram(event.edges, counts[index], words, left if side else width - left, height - above, colour)
            for side, (counts, words, colour) in enumerate(
                (
                    (event.weight_histogram, "weights w", self.look.palette.lines[0]),
                    (event.gradient_histogram, "gradients ∂L/∂w", self.look.palette.lines[1]),
                )
            )
        ]
        return rows + [one + other for one, other in zip(*halves, strict=True)]

    def _history(
        self, history: ParameterHistory | None, index: int, marks: Marks, width: int, height: int
    ) -> list[Row]:
        from rnnscope.charts.lines import line_chart  # plotext: not before there is something to draw

        palette = self.look.palette
        if history is None:
            return self.waiting("no history yet", width, height) + [()] * (height - (height - 1) // 2 - 1)
        given = {
            "‖gradient‖": history.gradient_norm, "‖weight‖": history.weight_norm, "update/weight": history.update_ratio,
        }  # fmt: skip
        with np.errstate(divide="ignore", invalid="ignore"):
            logs = {name: np.log10(array[:, index]) for name, array in given.items()}
        axes = Axes(
            x_label="training step", y_label="log₁₀", x_range=(0.0, ranges.steps_end(int(history.step[-1]))),
            y_range=ranges.log_range(np.concatenate(list(logs.values()))), x_integer=True, y_integer=True,
        )  # fmt: skip
        series: list[Series] = [VMark(step, palette.faint, words) for step, words in marks]
        series.append(HLine(-3.0, palette.faint, "usual update/weight 10⁻³"))
        for place, (name, line) in enumerate(logs.items()):
            series.append(Line(history.step, line, palette.lines[place], label=name, bold=True))
        return line_chart(series, axes, width, height, palette, self.look.mono)

    def _histogram(
        self,
        edges: Floats,
        counts: NDArray[np.integer],
        words: str,
        width: int,
        height: int,
        colour: tuple[int, int, int],
    ) -> list[Row]:
        bounds = np.asarray(edges, np.float64)
        axes = Axes(
            x_label=f"log₁₀ |{words.split()[-1]}|", y_label=f"{words}, {int(counts.sum()):,}",
            x_range=(float(bounds[0]), float(bounds[-1])), y_range=(0.0, ranges.round_up(float(max(counts.max(), 1)))),
            x_integer=True, y_integer=True,
        )  # fmt: skip
        return count_chart(bounds, counts, axes, width, height, self.look.palette, colour, self.look.mono)

    async def clicked(self, event: events.Click) -> bool:
        """Select the row that was clicked; open it on a second click."""
        if not self._table or event.y < 2 or event.chain > 2:
            return False
        row = self._first + event.y - 2
        await self.run_action(f"screen.select({row})" if event.chain == 1 else "screen.view('open')")
        return True

"""When a unit learnt what it knows: the unit on one text at each checkpoint, with its score and the loss over steps."""

from __future__ import annotations

import numpy as np
from textual import events

from rnnscope.charts.axes import Axes, Frame, make_frame
from rnnscope.charts.coloured_text import coloured_text
from rnnscope.charts.series import Dots, Line, Series, VMark
from rnnscope.charts.spans import Row, Style
from rnnscope.charts.text import printable
from rnnscope.recording.neuron_events import Birth
from rnnscope.tui import ranges
from rnnscope.tui.captions import caption, longest
from rnnscope.tui.snapshot import When
from rnnscope.tui.widgets.asked import AskedPanel
from rnnscope.tui.widgets.neurons.concepts import MEASURES, number
from rnnscope.tui.widgets.neurons.page import lines_of
from rnnscope.tui.widgets.panel import Painted
from rnnscope.tui.widgets.units import NAMES, scale, unit_legend


def checkpoint_words(event: Birth, at: int, width: int) -> str:
    """Return in words which checkpoint is shown, and how well the unit did then."""
    step, loss = int(event.steps[at]), float(event.losses[at])
    score = ""
    if event.concept and len(event.scores):
        measure = MEASURES.get(event.measure, event.measure)
        score = f" · {printable(event.concept)}: {measure} {number(float(event.scores[at]))}"
    count = len(event.steps)
    return longest(
        width,
        f"checkpoint {at + 1} of {count}: step {step:,} · validation {loss:.3f} nats{score}",
        f"step {step:,} ({at + 1}/{count}) · loss {loss:.2f}{score}",
        f"step {step:,} ({at + 1}/{count})",
    )


class BirthPanel(AskedPanel):
    """Shows (Birth | None, When, checkpoint), or (None, Standing)."""

    heading = "birth"
    key = "M"
    chips = ((("←", "→"), "checkpoint"), (("M",), "measure"), (("u", "U"), "unit"))
    summary = (
        "The same unit on the same text, with the weights of every checkpoint that the run has kept: go through them "
        "with the arrows and see when h_t begins to follow what it follows now. Below, over the training steps, the "
        "validation loss and, if a concept was chosen in the table of concepts, how well the unit tells it. A unit is "
        "often born in a few hundred steps, and the loss falls a little when it is."
    )
    details = (
        "The scale of the colours is fixed, so a faint text is a unit that does not yet do anything. The score is "
        "counted on a longer text than the one shown: AUC for yes/no concepts, R² for counts. How many checkpoints "
        "there are is a matter of --checkpoint-every; the newest and the best are always kept, older ones thinned. A "
        "click on the chart goes to the checkpoint nearest to it."
    )

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._chart_at = 0  # first row of the charts
        self._frame: Frame | None = None  # of the charts: their steps lie below each other

    def paint(self, width: int, height: int) -> Painted:
        """Draw the text at a checkpoint, and the curves over all of them."""
        event, when, checkpoint = self.inputs if len(self.inputs) == 3 else (None, None, 0)
        if not isinstance(event, Birth) or not isinstance(when, When) or not len(event.steps):
            standing = self.inputs[1] if len(self.inputs) > 1 else None
            rows = self.asking(standing, "read the text with every checkpoint", width, height)
            return Painted(rows, self.title())
        at = min(max(checkpoint if isinstance(checkpoint, int) else 0, 0), len(event.steps) - 1)
        palette, mono = self.look.palette, self.look.mono
        low, high, ramp = scale(event.field)
        values = np.asarray(event.values[at], np.float32)
        below = max(min(height // 2, 14), 0) if height >= 10 else 0
        room = height - 2 - below
        text = min(len(lines_of(event.text, width)), room)
        rows = [caption(width, Style(fg=palette.accent, bold=True), checkpoint_words(event, at, width))]
        rows += coloured_text(
            event.text, values, width, text, low, high, ramp, palette=palette, mono=mono, tail=False
        )  # fmt: skip
        rows.append(unit_legend(values, event.field, width, self.look))
        self._chart_at, self._frame = len(rows), None
        if below:
            rows += self._curves(event, at, width, height - len(rows))
        what = f"layer {event.layer + 1} · {NAMES.get(event.field, event.field)} · unit {event.unit}"
        title = self.title(longest(width - 30, what, f"L{event.layer + 1} {event.field} {event.unit}"))
        return Painted(rows, title, self.age(when, title, width))

    def _curves(self, event: Birth, at: int, width: int, height: int) -> list[Row]:
        """Draw score and loss, a chart for each, above each other where both are there."""
        from rnnscope.charts.lines import line_chart  # plotext: not before there is something to draw

        palette = self.look.palette
        steps = np.asarray(event.steps, np.float64)
        mark = VMark(float(steps[at]), palette.accent, f"step {int(steps[at]):,}")
        end = ranges.steps_end(int(steps[-1]))
        losses = np.asarray(event.losses, np.float64)
        charts: list[tuple[str, tuple[float, float], np.ndarray, int]] = []
        if event.concept and len(event.scores):
            measure = MEASURES.get(event.measure, event.measure)
            span = (0.5, 1.0) if event.measure == "AUC" else (0.0, 1.0)
            name = f"{measure}: {printable(event.concept)}"
            charts.append((name, span, np.asarray(event.scores, np.float64), 1))
        charts.append(("validation nats/char", ranges.close_up(losses, 0.5), losses, 0))
        rows: list[Row] = []
        if len(charts) * 5 > height:
            charts = charts[:1]
        for place, (name, span, values, colour) in enumerate(charts):
            tall = height // len(charts) if place else height - height // len(charts) * (len(charts) - 1)
            axes = Axes(
                x_label="training step" if place == len(charts) - 1 else "", y_label=name, x_range=(0.0, end),
                y_range=span, x_integer=True,
            )  # fmt: skip
            self._frame = make_frame(axes, width, tall, header=True)
            series: list[Series] = [mark, Line(steps, values, palette.lines[colour], bold=True)]
            series.append(Dots(steps, values, palette.lines[colour]))
            rows += line_chart(series, axes, width, tall, palette, self.look.mono)
        return rows

    async def clicked(self, event: events.Click) -> bool:
        """Go to the checkpoint nearest to a click on the charts."""
        shown, frame = (self.inputs[0] if self.inputs else None), self._frame
        below = event.y - 1 >= self._chart_at
        if not isinstance(shown, Birth) or frame is None or not below or event.chain != 1:
            return False
        share = (event.x - 1 - frame.left + 0.5) / max(frame.x.cells, 1)
        step = frame.x.low + share * (frame.x.high - frame.x.low)
        nearest = int(np.abs(np.asarray(shown.steps, np.float64) - step).argmin())
        await self.run_action(f"screen.checkpoint({nearest})")
        return True

"""The black box: what broke an update first, and what can be done about it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rnnscope.charts.axes import Axes
from rnnscope.charts.coloured_text import coloured_text, visible_lines
from rnnscope.charts.series import Line, Series, VMark
from rnnscope.charts.spans import Row, Span, Style
from rnnscope.charts.text import printable
from rnnscope.recording.lab_events import Incident, tensor_words
from rnnscope.tui import ranges
from rnnscope.tui.captions import caption, paragraph
from rnnscope.tui.widgets.panel import Painted, Panel

REASONS = {"spike": "the loss jumped", "nan": "NaN", "inf": "infinity"}
PHASES = {
    "forward": "in the forward pass (reading)", "backward": "in the backward pass (back-propagation through time)",
    "update": "in the update of the weights",
}  # fmt: skip
CHOICES = (
    ("E", "and go on with a tenth of the learning rate"), ("C", "and go on with clipping, or a tenth of its threshold"),
    ("A", "and go on as it was: the same happens again, exactly"),
)  # fmt: skip
QUIET = (
    "Nothing has gone wrong (since the last rewind).",
    "The last updates are kept so that they can be replayed exactly: weights, optimiser and random state.",
    "On NaN, infinity or a spike of the loss training stops, and here stands the first quantity that was wrong.",
)


def headline(event: Incident, step: int) -> str:
    """Return what happened, in one line."""
    what = REASONS.get(event.reason, event.reason)
    if event.reason == "spike":
        return f"step {step:,}: {what} to {event.loss:.4g} nats/char"
    return f"step {step:,}: {what}, first in {printable(event.quantity)} = {printable(event.value)}"


def place(event: Incident) -> str:
    """Return where it was."""
    parts = [PHASES.get(event.phase, event.phase)]
    if event.layer is not None:
        parts.append(f"layer {event.layer + 1}")
    if event.t is not None:
        parts.append(f"time step {event.t + 1} of {len(event.text)}")
    if event.parameter and event.parameter not in event.explanation:
        parts.append(printable(tensor_words(event.parameter)))
    parts.append(f"sequence {event.row + 1} of the batch")
    return " · ".join(parts)


class BlackBoxPanel(Panel):
    """Shows (Incident | None, its step)."""

    heading = "black box"
    chips = ((("E",), "rewind, lr ÷10"), (("C",), "rewind + clip"), (("A",), "as it was"))
    summary = (
        "When the loss jumps, or becomes NaN or infinite, training stops, the last updates are replayed exactly, "
        "and the first quantity that was wrong is found in causal order: weights, forward in time, loss, then "
        "backward in time, then the gradients of the parameters. Below it the text that was being read, with the "
        "character at that time step marked, and the gradient ‖∂L/∂h_t‖ of that very batch, which shows an "
        "explosion as a line that rises to the left: ‖∂L/∂h_t‖ ≈ ‖∂L/∂h_T‖ · e^(λ(T−t)). From here one can rewind "
        "to before it."
    )
    details = (
        "A full snapshot is taken every few dozen updates, with optimiser, random state and place in the text; the "
        "updates between are run again. As it was reproduces the blow-up exactly. With clipping uses the threshold "
        "of before, or 1; where it clipped already, a tenth. A rewind is a new segment of the same run: nothing "
        "recorded is lost. Checkpoints of the steps left behind go, but for those saved by hand (w), which are moved "
        "to the folder left-behind. A run that has trained on since asks for the key a second time."
    )

    def paint(self, width: int, height: int) -> Painted:
        """Draw the finding, the text, the gradient of that batch, and the choices."""
        event, step = self.inputs or (None, 0)
        if not isinstance(event, Incident):
            return Painted(self._quiet(width, height), self.title("the last updates, replayed"))
        palette = self.look.palette
        at = step if isinstance(step, int) else 0
        bad, faint = Style(fg=palette.bad, bold=True), Style(fg=palette.faint)
        plain = Style(fg=palette.foreground)
        said = ((headline(event, at), bad), (place(event), replace(plain, bold=True)), (event.explanation, plain))
        rows: list[Row] = [(Span(line, style),) for text, style in said for line in paragraph(text, width)[:3]]
        rows.append(
            (Span(f"step {at:,}: loss {event.loss:.4g} nats/char · norm of the gradient {event.grad_norm:.4g}", faint),)
        )
        choices = self._choices(event, width)
        room = height - len(rows) - len(choices)
        lines = min(max(room // 4, 1), 5, -(-len(event.text) // width) + event.text.count("\n"))
        if room >= 2:
            rows.append(caption(width, faint, "the text being read, the character at that time step marked:"))
            rows += self._text(event, width, lines)
            room -= lines + 1
        if room >= 5:
            rows += self._gradient(event, width, room)
        title = self.title("what broke it first")
        return Painted([*rows, *choices], title, (Span(f"step {at:,}", bad),))

    def _quiet(self, width: int, height: int) -> list[Row]:
        faint = Style(fg=self.look.palette.faint)
        lines = [line for text in QUIET for line in paragraph(text, width)]
        return [()] * max((height - len(lines)) // 2, 0) + [(Span(line, faint),) for line in lines]

    def _choices(self, event: Incident, width: int) -> list[Row]:
        palette = self.look.palette
        key_style = Style(fg=palette.accent, bold=True)
        steps = (event.rewind_to, event.rewind_to, event.again_from)
        return [
            (Span(f"  {key}  ", key_style), Span(f"rewind to step {step:,} {words}"))
            for (key, words), step in zip(CHOICES, steps, strict=True)
        ]

    def _text(self, event: Incident, width: int, height: int) -> list[Row]:
        palette = self.look.palette
        at = event.t if event.t is not None else None
        lines = visible_lines(event.text, width, len(event.text) + 1, tail=False)
        marked = next((row for row, line in enumerate(lines) if any(one.at == at for one in line)), 0)
        first = max(0, min(marked - height // 2, len(lines) - height))  # the line of the mark in the middle
        start = next((line[0].at for line in lines[first:] if line), 0)
        return coloured_text(
            event.text[start:], np.zeros(0), width, height, 0, 1,
            palette=palette, mono=self.look.mono, cursor=None if at is None else at - start, tail=False,
        )  # fmt: skip

    def _gradient(self, event: Incident, width: int, height: int) -> list[Row]:
        from rnnscope.charts.lines import line_chart  # plotext: not before there is something to draw

        palette = self.look.palette
        total = np.asarray(event.total, np.float64)
        steps = total.shape[1] if total.ndim == 2 else 0
        if not steps:
            return self.waiting("no gradient of that batch", width, height)
        x = np.arange(1, steps + 1, dtype=np.float64)
        axes = Axes(
            x_label="t in characters", y_label="log₁₀ ‖∂L/∂h_t‖ of that batch", x_range=(1.0, float(max(steps, 2))),
            y_range=ranges.log_range(total), x_integer=True, y_integer=True,
        )  # fmt: skip
        series: list[Series] = []
        if event.t is not None:
            series.append(VMark(event.t + 1, palette.bad, f"t = {event.t + 1}"))
        for layer in range(total.shape[0]):
            colour = palette.lines[layer % len(palette.lines)]
            series.append(Line(x, total[layer], colour, label=f"layer {layer + 1}", bold=True))
        return line_chart(series, axes, width, height, palette, self.look.mono)

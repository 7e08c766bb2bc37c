"""The gradient panel: how long dL/dh_t is, by layer and time step, as a power of ten."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from rnnscope.charts.axes import Axes
from rnnscope.charts.palette import Palette
from rnnscope.charts.series import Band, Dots, HLine, Line, Series
from rnnscope.charts.spans import Row, Span, Style
from rnnscope.recording.events import Floats, Gradients
from rnnscope.tui import ranges
from rnnscope.tui.captions import caption, longest
from rnnscope.tui.snapshot import ClipData
from rnnscope.tui.widgets.panel import Painted, Panel

NARROW = 44  # cells inside: below it the frame has room for the shortest words only
_HOW = "nats, per sample, before clipping"
_MEAN = "mean of log₁₀ over the batch, band 10–90%"
CAPTIONS: dict[str, tuple[str, ...]] = {
    "reach": (
        f"reach: L_T = loss of the window's last character only · {_HOW} · {_MEAN}",
        f"reach: L_T = last character's loss · {_HOW} · band 10–90%",
        f"reach: last loss only · {_HOW}",
        "reach: last loss · nats/sample, unclipped",
        "reach · nats/sample, unclipped",
    ),
    "total": (
        f"total: L = sum of all losses of the window · {_HOW} · {_MEAN}",
        f"total: L = all losses of the window · {_HOW} · band 10–90%",
        f"total: all losses · {_HOW}",
        "total: all losses · nats/sample, unclipped",
        "total · nats/sample, unclipped",
    ),
}
"""What exactly is drawn, in the room there is: which loss, its unit and reduction, before clipping."""


def chart_series(
    mean: Floats, low: Floats, high: Floats, floor: Floats, bad: Floats, x: Floats, y_range: tuple[float, float],
    palette: Palette,
) -> list[Series]:  # fmt: skip
    """Return bands, lines, the floor and the bad points of all layers; arrays are (L, T), x is (T,)."""
    colours = [palette.lines[layer % len(palette.lines)] for layer in range(len(mean))]
    series: list[Series] = [Band(x, low[i], high[i], colour) for i, colour in enumerate(colours)]
    if (floor > 0).any():
        series.append(HLine(y_range[0], palette.floor, "floor: 0 or underflow"))
    for layer, colour in enumerate(colours):
        series.append(Line(x, mean[layer], colour, label=f"layer {layer + 1}", bold=True, mark_bad=False))
        at_floor = floor[layer] > 0
        if at_floor.any():
            series.append(Dots(x[at_floor], np.full(int(at_floor.sum()), y_range[0]), colour, glyph="▁"))
        is_bad = bad[layer] > 0
        if is_bad.any():
            name = "NaN or inf"
            series.append(Dots(x[is_bad], np.full(int(is_bad.sum()), y_range[1]), palette.bad, label=name, glyph="✗"))
    return series


class GradientPanel(Panel):
    """Shows (Gradients | None, step measured at, "reach" | "total"), and ClipData on its frame."""

    heading: ClassVar[str] = "gradient through time"

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._ranges: dict[str, tuple[float, float]] = {}

    def paint(self, width: int, height: int) -> Painted:
        """Draw the curves of the kind chosen."""
        gradients, step, kind = self.inputs if self.inputs else (None, 0, "reach")
        kind = str(kind)
        norm = "‖∂L_T/∂h_t‖" if kind == "reach" else "‖∂L/∂h_t‖"
        room = width - 6 - (8 if width < NARROW else 14)  # what `note` needs
        heading = longest(room - len(norm) - 6, self.heading, "gradient", "grad")
        details = longest(room - len(heading) - 1, f"{kind} · log₁₀ {norm}", f"log₁₀{norm}", norm)
        title = self.title(details, heading=heading)
        if not isinstance(gradients, Gradients):
            rows = self.waiting("waiting for the first measurement of the gradient …", width, height)
            return Painted(rows, title)
        rows = self._chart(gradients, kind, width, height - 1)
        style = Style(fg=self.look.palette.faint)
        at = f" · at step {step:,}"
        rows.append(caption(width, style, *(text + end for text in CAPTIONS[kind] for end in (at, ""))))
        return Painted(rows, title)

    def _chart(self, gradients: Gradients, kind: str, width: int, height: int) -> list[Row]:
        from rnnscope.charts.lines import line_chart  # plotext: not before there is something to draw

        mean, low, high, floor, bad = (
            np.asarray(getattr(gradients, kind + suffix), dtype=np.float64)
            for suffix in ("", "_low", "_high", "_floor", "_bad")
        )
        steps = mean.shape[1]
        y_range = ranges.log_range(np.stack([mean, low, high]), self._ranges.get(kind))
        self._ranges[kind] = y_range
        if kind == "reach":  # index T-1 is lag 0: from the newest state back in time
            mean, low, high, floor, bad = (array[:, ::-1] for array in (mean, low, high, floor, bad))
            x = np.arange(steps, dtype=np.float64)
        else:
            x = np.arange(1, steps + 1, dtype=np.float64)
        axes = Axes(
            x_label="lag T−t in characters" if kind == "reach" else "t in characters",
            x_range=(float(x[0]), float(max(x[-1], x[0] + 1))),
            y_range=y_range,
            x_integer=True,
            y_integer=True,
        )
        palette = self.look.palette
        series = chart_series(mean, low, high, floor, bad, x, y_range, palette)
        return line_chart(series, axes, width, height, palette, self.look.mono)

    def note(self, width: int) -> Row:
        """Return how often, and by how much, the last steps were clipped."""
        clip = self.aside
        if not isinstance(clip, ClipData):
            return ()
        text = f"{clip.rate:.0%} ×{clip.scale:.2f}".replace("×0.", "×.") if clip.rate > 0 else "0%"
        if clip.off:
            text = "off"
        if width >= NARROW or len(text) < 5:
            text = f"clip {text}"
        return (Span(text, Style(fg=self.look.palette.warn if clip.rate > 0 else None)),)

"""The gradient panel: how long dL/dh_t is, by layer and time step, as a power of ten."""

from __future__ import annotations

import numpy as np

from rnnscope.charts.axes import Axes
from rnnscope.charts.palette import Palette
from rnnscope.charts.series import Band, Dots, HLine, Line, Series
from rnnscope.charts.spans import Row, Span, Style
from rnnscope.recording.events import Floats, Gradients
from rnnscope.tui import ranges
from rnnscope.tui.captions import caption, longest
from rnnscope.tui.others import gradient_lines
from rnnscope.tui.snapshot import ClipData, When
from rnnscope.tui.widgets.panel import BESIDE, Painted, Panel

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
    """Shows (Gradients | None, When, "reach" | "total", others beside it), and ClipData on its frame."""

    heading = "gradient through time"
    chips = ((("r",), "reach/total"),)
    summary = (
        "How strongly the loss of the last character, L_T, still depends on the memory h_t that the network had T−t "
        "characters before it: the length ‖∂L_T/∂h_t‖ of that gradient as a power of ten, so that −3 means 0.001. By "
        "the chain rule it is a product with one factor for each character in between, ∂L_T/∂h_t = ∂L_T/∂h_T · "
        "∂h_T/∂h_(T−1) · … · ∂h_(t+1)/∂h_t, and a product of many factors shrinks or grows exponentially. A line that "
        "falls is a vanishing gradient: the network cannot learn that something so long ago mattered; a line that "
        "rises is an exploding one."
    )
    details = (
        "One line for each layer: the mean of the logarithm over the sequences of the batch; the band holds 80% of "
        "them. Reach looks at the loss of the last character only, over the lag. Total looks at the losses of all "
        "characters of the window together, over t: this curve is nearly flat even where the reach fades, because "
        "every state has losses close to it. Both are measured before clipping. What is exactly zero, or too small "
        "for the computer's numbers, lies on the line marked as floor. On the frame: how many of the last steps had a "
        "gradient longer than the clipping threshold, and to what share of its length it was then cut on average."
    )

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._ranges: dict[str, tuple[float, float]] = {}

    def paint(self, width: int, height: int) -> Painted:
        """Draw the curves of the kind chosen."""
        gradients, when, kind, beside = self.inputs if self.inputs else (None, When(0), "reach", ())
        kind = str(kind)
        measured = when if isinstance(when, When) else When(0)
        norm = "‖∂L_T/∂h_t‖" if kind == "reach" else "‖∂L/∂h_t‖"
        room = width - BESIDE - len(f"step {measured.step:,}")
        heading = longest(room - len(norm) - 6, self.heading, "gradient", "grad")
        details = longest(room - len(heading) - 1, f"{kind} · log₁₀ {norm}", f"log₁₀{norm}", norm)
        title = self.title(details, heading=heading)
        if not isinstance(gradients, Gradients):
            rows = self.waiting("waiting for the first measurement of the gradient …", width, height)
            return Painted(rows, title)
        rows = self._chart(gradients, kind, beside, width, height - 1)
        rows.append(caption(width, Style(fg=self.look.palette.faint), *CAPTIONS[kind]))
        return Painted(rows, title, self.age(measured, title, width))

    def _chart(self, gradients: Gradients, kind: str, beside: object, width: int, height: int) -> list[Row]:
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
        series = gradient_lines(beside, kind, palette)
        series += chart_series(mean, low, high, floor, bad, x, y_range, palette)
        return line_chart(series, axes, width, height, palette, self.look.mono)

    def note(self, width: int) -> Row:
        """Return how often, and by how much, the last steps were clipped."""
        clip = self.aside
        if not isinstance(clip, ClipData):
            return ()
        rate, to = f"{clip.rate:.0%}", f"to ×{clip.scale:.2f} on average"
        steps = f"{clip.steps} steps" if clip.steps != 1 else "step"
        texts: tuple[str, ...]
        if clip.off:
            texts = ("clipping off",)
        elif clip.rate > 0:
            texts = (
                f"clipped {rate} of the last {steps}, {to}",
                f"clip {rate} of {steps}, ×{clip.scale:.2f}",
            )
        else:
            texts = (f"clipped none of the last {steps}", f"clip 0% of {steps}")
        colour = self.look.palette.warn if clip.rate > 0 else self.look.palette.faint
        return (Span(longest(width - 4, *texts), Style(fg=colour)),)

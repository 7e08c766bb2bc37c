"""The reach over training: how far back gradients get as the network learns."""

from __future__ import annotations

from rnnscope.charts.axes import Axes
from rnnscope.charts.heatmap import legend
from rnnscope.charts.raster import raster
from rnnscope.charts.series import VMark
from rnnscope.charts.spans import Row, Span, Style, fit
from rnnscope.charts.spans import width as row_width
from rnnscope.tui import ranges
from rnnscope.tui.captions import longest
from rnnscope.tui.lab_history import Reaches
from rnnscope.tui.widgets.panel import Painted, Panel

SCALE = (-12.0, 1.0)
"""Of the colours, in powers of ten: fixed, so that pictures of different runs and moments can be compared."""


class WaterfallPanel(Panel):
    """Shows (Reaches | None, layer, marks)."""

    heading = "over training"
    chips = ((("y",), "layer"),)
    summary = (
        "The reach ‖∂L_T/∂h_T−k‖ of one layer as a colour: lag k upwards, training step to the right, one column "
        "for each measurement. The scale is logarithmic and never changes, log₁₀ from −12 to 1, so that a region of "
        "large values that grows upwards is a network that learns to look further back. Dashed lines are the "
        "moments at which somebody changed how it learns."
    )
    details = (
        "The mean of the logarithm over the batch, before clipping. The lowest colour: 10⁻¹² or less, also exact "
        "zeros and what is too small for the computer's numbers; ✗ or the warning colour: not a finite number. A "
        "measurement is held until the next one; of a long run 256 are kept, evenly spaced. The layer is changed "
        "with y."
    )

    def paint(self, width: int, height: int) -> Painted:
        """Draw the field and its legend."""
        reaches, layer, marks = self.inputs or (None, 0, ())
        if not isinstance(reaches, Reaches):
            rows = self.waiting("waiting for the first measurement of the gradient …", width, height)
            return Painted(rows, self.title("lag × training step"))
        palette, mono = self.look.palette, self.look.mono
        layers = reaches.reach.shape[1]
        shown = (layer if isinstance(layer, int) else 0) % layers
        lags = reaches.reach.shape[2]
        axes = Axes(
            x_label="training step", x_range=(0.0, ranges.steps_end(int(reaches.step[-1]))),
            y_range=(0.0, float(max(lags - 1, 1))), x_integer=True, y_integer=True,
        )  # fmt: skip
        lines = [VMark(step, palette.foreground, words) for step, words in marks] if isinstance(marks, tuple) else []
        rows = raster(
            reaches.step,
            reaches.reach[:, shown].T,
            axes,
            width,
            height - 1,
            *SCALE,
            palette=palette,
            mono=mono,
            marks=lines,
        )
        rows.append(self._legend(width))
        count = len(reaches.step)
        title = self.title(longest(width - len(self.heading) - 20, f"layer {shown + 1}/{layers} · reach by lag T−t",
                                   f"layer {shown + 1}/{layers}"))  # fmt: skip
        return Painted(rows, title, (Span(f"{count} measured", Style(fg=palette.faint)),))

    def _legend(self, width: int) -> Row:
        palette = self.look.palette
        words = " · lag upwards"
        row = legend(
            *SCALE, min(width, 46), "sequential", palette=palette, mono=self.look.mono, label="log₁₀ ‖∂L_T/∂h_t‖"
        )
        rest = width - row_width(row)
        more = longest(max(rest, 0), words + ", in characters · below −12, and 0, as −12", words, "")
        return fit((*row, Span(more, Style(fg=palette.faint))), width)

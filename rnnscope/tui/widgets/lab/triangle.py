"""Who taught whom: how strongly the loss at each t reaches the state at each earlier s."""

from __future__ import annotations

import math

import numpy as np
from textual import events

from rnnscope.charts.axes import Axes
from rnnscope.charts.heatmap import legend
from rnnscope.charts.series import Line, Series
from rnnscope.charts.spans import Row, Span, Style, fit
from rnnscope.charts.text import cell_width, printable
from rnnscope.charts.triangle import Viewport, triangle, viewport
from rnnscope.recording.events import Floats
from rnnscope.recording.lab_events import Triangle
from rnnscope.tui.captions import caption, due, longest
from rnnscope.tui.snapshot import When
from rnnscope.tui.widgets.panel import Painted, Panel
from rnnscope.tui.words import named

SCALE = (-8.0, 1.0)
"""Of the colours, in powers of ten: fixed."""
SIDE = 36  # cells: with so much room beside the square the row of the cursor is drawn as a curve as well


def by_lag(norms: Floats) -> Floats:
    """Return the mean of what is finite on each diagonal of a square (T, T), by lag (T,); NaN where nothing is."""
    found = np.full(len(norms), np.nan)
    for lag in range(len(norms)):
        diagonal = np.diagonal(norms, -lag).astype(np.float64)
        known = diagonal[np.isfinite(diagonal)]
        if len(known):
            found[lag] = known.mean()
    return found


def readout(event: Triangle, layer: int, t: int, s: int, width: int) -> str:
    """Return in words what the cursor is on."""
    value = float(event.norms[layer, t, s])
    said = "0 (or underflow)" if value == -math.inf else "not finite" if not math.isfinite(value) else f"10^{value:.2f}"
    wrong, read = named(event.targets[t : t + 1]), named(event.text[s : s + 1])
    return longest(
        width,
        f"the error at t = {t + 1}, predicting {wrong}, reaches the state at s = {s + 1}, which had just read {read}, "
        f"{t - s} steps back: ‖∂loss_t/∂h_s‖ = {said}",
        f"error at t = {t + 1} (next: {wrong}) → state at s = {s + 1} (read {read}), lag {t - s}: {said}",
        f"t {t + 1} {wrong} → s {s + 1} {read}, lag {t - s}: {said}",
    )


class TrianglePanel(Panel):
    """Shows (Triangle | None, When, layer, t, s, every)."""

    heading = "who taught whom"
    chips = ((("↑", "↓"), "loss t"), (("←", "→"), "state s"), (("y",), "layer"))
    summary = (
        "A row for each loss, a column for each earlier state: the colour is ‖∂loss_t/∂h_s‖, how much the error at "
        "character t (on the left: the character to be predicted) reaches the memory at s (above: the character "
        "just read), as a power of ten on a fixed scale. By the chain rule ∂loss_t/∂h_s = ∂loss_t/∂h_t · J_t · … · "
        "J_s+1, so along a row it fades to the left, and nothing is above the diagonal: the future teaches the "
        "past, never the other way round. Strong places far to the left are long-range lessons: a quotation mark, a "
        "name, the start of a line."
    )
    details = (
        "One sequence of the batch. A column summed over t as vectors is the total gradient ∂L/∂h_s; the lengths "
        "drawn here do not add up to its length. All T adjoints are carried in one scan backwards. The arrows, or a "
        "click, move the ring, and the line below says what it is on; y changes the layer."
    )

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._view: Viewport | None = None

    def paint(self, width: int, height: int) -> Painted:
        """Draw the square, the readout and the legend."""
        event, when, layer, t, s, every = self.inputs or (None, When(0), 0, 0, 0, 0)
        measured = when if isinstance(when, When) else When(0)
        title = self.title("log₁₀ ‖∂loss_t/∂h_s‖")
        if not isinstance(event, Triangle):
            return Painted(self.waiting(due("triangle", every), width, height), title)
        layer, t, s = (int(v) if isinstance(v, int) else 0 for v in (layer, t, s))
        palette, mono = self.look.palette, self.look.mono
        wide = any(cell_width(c) == 2 for c in printable(event.text + event.targets))
        notes = 3 if height >= 10 else 1
        room = height - notes
        self._view = viewport(event.norms.shape[1], width, room, (t, s), wide=wide, mono=mono)
        used = min(self._view.left + self._view.columns * self._view.size, width)
        if width - used - 2 < SIDE:
            used = width
        norms = event.norms[layer]
        rows = triangle(norms, event.targets, event.text, used, room, *SCALE, (t, s), palette=palette, mono=mono)
        if used < width:
            beside = self._profile(norms, t, width - used - 2, room)
            rows = [(*row, Span("  "), *other) for row, other in zip(rows, beside, strict=True)]
        rows.append((Span(readout(event, layer, t, s, width), Style(fg=palette.accent, bold=True)),))
        if notes > 1:
            rows.append(self._legend(width))
            faint = Style(fg=palette.faint)
            rows.append(caption(width, faint, "norms do not add: ∂L/∂h_s = Σ_t ∂loss_t/∂h_s holds for the vectors"))
        layers = event.norms.shape[0]
        words = f"layer {layer + 1}/{layers} · rows: loss at t · columns: state at s"
        brief = f"layer {layer + 1}/{layers} · rows t, columns s"
        title = self.title(longest(width - len(self.heading) - 20, f"log₁₀ ‖∂loss_t/∂h_s‖ · {words}", words, brief))
        return Painted(rows, title, self.age(measured, title, width))

    def _profile(self, norms: Floats, t: int, width: int, height: int) -> list[Row]:
        """Draw the row of the cursor, and the mean of all rows, over the lag."""
        from rnnscope.charts.lines import line_chart  # plotext: not before there is something to draw

        palette = self.look.palette
        axes = Axes(
            x_label="lag t−s in characters", y_label="log₁₀ ‖∂loss_t/∂h_s‖",
            x_range=(0.0, float(max(len(norms) - 1, 1))), y_range=SCALE, x_integer=True, y_integer=True,
        )  # fmt: skip
        row = np.asarray(norms[t, : t + 1][::-1], np.float64)
        mean = by_lag(norms)
        series: list[Series] = [
            Line(np.arange(len(mean)), mean, palette.faint, label="mean over t", mark_bad=False),
            Line(np.arange(len(row)), row, palette.lines[0], label=f"t = {t + 1}", bold=True),
        ]
        return line_chart(series, axes, width, height, palette, self.look.mono)

    def _legend(self, width: int) -> Row:
        palette = self.look.palette
        row = legend(*SCALE, min(width, 48), "sequential", palette=palette, mono=self.look.mono, label="log₁₀ norm")
        return fit((*row, Span("  lowest: 10⁻⁸ or less, or 0", Style(fg=palette.faint))), width)

    async def clicked(self, event: events.Click) -> bool:
        """Put the cursor there."""
        place = self._view.at(event.x - 1, event.y - 1) if self._view else None
        if place is None or event.chain != 1 or place[1] > place[0]:
            return False
        await self.run_action(f"screen.point({place[0]}, {place[1]})")
        return True

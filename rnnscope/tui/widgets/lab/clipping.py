"""Clipping truth: what it did over the last steps, and which layer and time step made the gradient large."""

from __future__ import annotations

import math

import numpy as np

from rnnscope.charts.axes import Axes
from rnnscope.charts.counts import count_chart
from rnnscope.charts.series import Dots, Line, Series, VMark
from rnnscope.charts.spans import Row, Span, Style
from rnnscope.recording.events import Floats
from rnnscope.recording.lab_events import Clipping
from rnnscope.tui import ranges
from rnnscope.tui.captions import due, longest
from rnnscope.tui.snapshot import When
from rnnscope.tui.widgets.panel import Painted, Panel

BINS_A_DECADE = 10
LEAST_DECADES = 2


def decades(values: Floats, before: tuple[int, int] | None = None) -> tuple[int, int]:
    """Return whole decades (powers of ten) that hold every positive finite value, and those shown `before`."""
    known = values[np.isfinite(values) & (values > 0)]
    low = math.floor(float(np.log10(known.min()))) if len(known) else -1
    high = math.ceil(float(np.log10(known.max()))) if len(known) else 1
    high = max(high, low + LEAST_DECADES)
    return (low, high) if before is None else (min(low, before[0]), max(high, before[1]))


def norms_line(event: Clipping, width: int) -> str:
    """Return what clipping did, in numbers."""
    before, after = (float(a[-1]) if len(a) else math.nan for a in (event.before, event.after))
    last = f"‖g‖ {before:.3g} → {after:.3g}"
    if event.threshold is None:
        return longest(width, f"last step {last} · clipping is off, nothing is cut", f"{last} · clipping off")
    fired = f"fired on {event.fired:.0%} of {len(event.before)} steps"
    return longest(
        width,
        f"last step {last} · {fired}, scale ×{event.scale:.2f} on average · by {event.by} at {event.threshold:g}",
        f"last {last} · {fired}, ×{event.scale:.2f} · by {event.by}",
        f"{last} · {event.fired:.0%} clipped ×{event.scale:.2f}",
        f"{event.fired:.0%} ×{event.scale:.2f}",
    )


def dominant_line(event: Clipping, width: int) -> str:
    """Return which layer and time step made the gradient large."""
    if event.layer < 0 or event.t < 0:
        return longest(width, "no time step's part is a finite number", "no finite part")
    steps = event.contributions.shape[1]
    part = 10.0 ** float(event.contributions[event.layer, event.t])
    return longest(
        width,
        f"largest part of ∂L/∂W_hh: layer {event.layer + 1}, time step {event.t + 1} of {steps} (norm {part:.2g})",
        f"largest part: layer {event.layer + 1}, t = {event.t + 1} of {steps} ({part:.2g})",
        f"largest: layer {event.layer + 1}, t {event.t + 1}/{steps}",
    )


class ClippingPanel(Panel):
    """Shows (Clipping | None, When, every)."""

    heading = "clipping"
    chips = ((("c",), "off/on"), (("[", "]"), "threshold"), (("V",), "norm/value"))
    summary = (
        "Clipping cuts a gradient that is too long: g ← g · min(1, θ/‖g‖) with the threshold θ, which keeps its "
        "direction (by value instead each number is cut to ±θ, which does not). The histogram shows the length ‖g‖ "
        "of the whole gradient before clipping at each of the last steps, with θ drawn in: what lies to the right "
        "of it was cut. Below it, how much each time step t contributed to the gradient of W_hh: ∂L/∂W_hh is a sum "
        "over t, and the largest part says which layer and which character made it long."
    )
    details = (
        "If clipping fires on nearly every step, the learning rate means little: every step has the same length. "
        "The scale is the mean of after/before over the steps at which it fired. The parts add up to the gradient "
        "as matrices, their norms do not add up to its norm. All norms are of the gradient of the mean loss."
    )

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._decades: tuple[int, int] | None = None
        self._parts_decades: tuple[int, int] | None = None

    def paint(self, width: int, height: int) -> Painted:
        """Draw numbers, histogram and contributions."""
        event, when, every = self.inputs or (None, When(0), 0)
        measured = when if isinstance(when, When) else When(0)
        title = self.title("‖g‖ before clipping")
        if not isinstance(event, Clipping):
            return Painted(self.waiting(due("look at clipping", every), width, height), title)
        plain = Style(fg=self.look.palette.foreground)
        rows: list[Row] = [(Span(norms_line(event, width), plain),)]
        room = height - 2
        below = min(room // 2, 14) if room >= 10 else 0
        rows += self._histogram(event, width, room - below)
        rows.append((Span(dominant_line(event, width), plain),))
        if below:
            rows += self._parts(event, width, below)
        return Painted(rows, title, self.age(measured, title, width))

    def _histogram(self, event: Clipping, width: int, height: int) -> list[Row]:
        palette = self.look.palette
        before = np.asarray(event.before, np.float64)
        shown = before if event.threshold is None else np.append(before, event.threshold)
        low, high = self._decades = decades(shown, self._decades)
        edges = np.logspace(low, high, (high - low) * BINS_A_DECADE + 1)
        known = before[np.isfinite(before)]
        counts = np.histogram(np.clip(known, edges[0], edges[-1]), edges)[0]
        lost = len(before) - len(known)
        most = ranges.round_up(float(max(counts.max(initial=0), 1)))
        unit = f"steps of the last {len(before)}" + (f", {lost} not finite" if lost else "")
        axes = Axes(
            x_label="norm of the gradient", y_label=unit, x_range=(10.0**low, 10.0**high), y_range=(0.0, most),
            log_x=True, y_integer=True,
        )  # fmt: skip
        marks, beyond = [], None
        if event.threshold is not None:
            marks = [VMark(event.threshold, palette.warn, f"threshold {event.threshold:g}")]
            beyond = (event.threshold, palette.warn) if event.by == "norm" else None
        return count_chart(
            edges, counts, axes, width, height, palette, palette.lines[0], self.look.mono, marks=marks, beyond=beyond
        )

    def _parts(self, event: Clipping, width: int, height: int) -> list[Row]:
        from rnnscope.charts.lines import line_chart  # plotext: not before there is something to draw

        palette = self.look.palette
        parts = np.asarray(event.contributions, np.float64)  # (L, T)
        layers, steps = parts.shape
        x = np.arange(1, steps + 1, dtype=np.float64)
        known = parts[np.isfinite(parts)]
        self._parts_decades = decades(10.0**known, self._parts_decades)
        axes = Axes(
            x_label="t in characters", y_label="log₁₀ of the part of ∂L/∂W_hh", x_range=(1.0, float(max(steps, 2))),
            y_range=self._parts_decades, x_integer=True, y_integer=True,
        )  # fmt: skip
        series: list[Series] = [
            Line(x, parts[layer], palette.lines[layer % len(palette.lines)], label=f"layer {layer + 1}", bold=True)
            for layer in range(layers)
        ]
        if event.layer >= 0 and event.t >= 0:
            largest = parts[event.layer, event.t]
            series.append(Dots([event.t + 1], [largest], palette.accent, label="largest", glyph="◆"))
        return line_chart(series, axes, width, height, palette, self.look.mono)

"""The memory horizon: how far back learning reaches, beside how far back the model uses what it read."""

from __future__ import annotations

import math

import numpy as np

from rnnscope.charts.axes import Axes
from rnnscope.charts.counts import count_chart
from rnnscope.charts.series import Dots, HLine, Line, Series, VMark
from rnnscope.charts.spans import Row, Span, Style
from rnnscope.recording.lab_events import Horizon
from rnnscope.tui import ranges
from rnnscope.tui.captions import due, longest
from rnnscope.tui.snapshot import When
from rnnscope.tui.widgets.panel import Painted, Panel

GATES = {"f": "forget gate f", "z": "update gate z"}
LIVES = (0.1, 1000.0)
"""Steps, the axis of gate half-lives: beyond it counts at its ends."""
BINS_A_DECADE = 8
WORTH = 0.01
"""Nats a character that more context must bring to count as used."""


def lives(value: float) -> str:
    """Return a half-life in words."""
    if math.isnan(value):
        return "unknown"
    return "longer than the window" if math.isinf(value) else f"{value:.1f} steps"


def use_words(event: Horizon) -> tuple[str, ...]:
    """Return what the curve says: how far back more text still makes the prediction better."""
    gain = np.asarray(event.loss, np.float64) - event.full_loss
    enough = [int(k) for k, more in zip(event.contexts, gain, strict=True) if more <= WORTH]
    most = int(event.contexts[-1]) if len(event.contexts) else 0
    far = f"text older than {min(enough)} no longer helps" if enough else f"even text older than {most} still helps"
    return (
        f"USE (curve): validation loss with the state reset k characters back, {event.chars:,} predictions: {far} (by "
        f"{WORTH} nats)",
        f"USE (curve): loss with the state reset k characters back: {far}",
        f"USE (curve): {far}",
    )


def reach_words(event: Horizon) -> tuple[str, ...]:
    """Return what the upright lines say."""
    each = " · ".join(f"layer {i + 1} {lives(float(v))}" for i, v in enumerate(event.half_life))
    return (
        f"LEARNING (upright lines): lags after which half of the last loss's gradient is gone: {each}",
        f"LEARNING (lines): half of the gradient is gone after: {each}",
        f"LEARNING (lines): halved after {each}",
        f"halved: {each}",
    )


class HorizonPanel(Panel):
    """Shows (Horizon | None, When, every)."""

    heading = "memory horizon"
    chips = ((("m",), "who taught whom"), (("j",), "Jacobian"))
    summary = (
        "Two things that are easily confused, on one axis of characters back. USE (curve): the validation loss when "
        "the state is set to zero k characters before the one to be predicted; where the curve becomes flat, older "
        "text no longer helps. LEARNING (upright lines): the half-life of the reach, the lag k at which "
        "‖∂L_T/∂h_T−k‖ has fallen to half; a network can use what it could hardly have learnt from one window, and "
        "the other way round."
    )
    details = (
        "The dashed line across is the loss with the state carried on from the beginning. Below, for LSTM and GRU: "
        "how long each unit's gate alone would keep what it holds, ln 2 / −ln(mean gate) steps, as a histogram over "
        "the units: f of the LSTM, z of the GRU. Elman cells have no such gate."
    )

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._range: tuple[float, float] | None = None

    def paint(self, width: int, height: int) -> Painted:
        """Draw the curve with the half-lives, and the distribution of gate half-lives."""
        event, when, every = self.inputs or (None, When(0), 0)
        measured = when if isinstance(when, When) else When(0)
        title = self.title("how far back it uses, and how far back it learns")
        if not isinstance(event, Horizon):
            return Painted(self.waiting(due("look at the memory horizon", every), width, height), title)
        palette = self.look.palette
        use, learn = Style(fg=palette.lines[0], bold=True), Style(fg=palette.lines[1], bold=True)
        rows: list[Row] = [(Span(longest(width, *use_words(event)), use),)]
        rows.append((Span(longest(width, *reach_words(event)), learn),))
        room = height - len(rows)
        below = room * 2 // 5 if event.gate_half_lives.size and room >= 14 else 0
        rows += self._curve(event, width, room - below)
        if below:
            rows += self._gates(event, width, below)
        elif not event.gate_half_lives.size and room > 14:
            rows[-1] = (
                Span("gate half-lives: not applicable, this cell has no gate that keeps", Style(fg=palette.faint)),
            )
        return Painted(rows, title, self.age(measured, title, width))

    def _curve(self, event: Horizon, width: int, height: int) -> list[Row]:
        from rnnscope.charts.lines import line_chart  # plotext: not before there is something to draw

        palette = self.look.palette
        contexts, loss = np.asarray(event.contexts, np.float64), np.asarray(event.loss, np.float64)
        now = ranges.close_up(np.append(loss, event.full_loss), 0.5)
        before = self._range or now
        self._range = (min(now[0], before[0]), max(now[1], before[1]))
        far = max(float(contexts[-1]) if len(contexts) else 1.0, 100.0)
        axes = Axes(
            x_label="characters back (k, lag)", y_label="nats/char", x_range=(1.0, far), y_range=self._range,
            log_x=True, x_ticks=tuple(contexts.tolist()),
        )  # fmt: skip
        series: list[Series] = [HLine(event.full_loss, palette.faint, f"state carried {event.full_loss:.3f}")]
        for layer, value in enumerate(np.asarray(event.half_life, np.float64).tolist()):
            if math.isfinite(value):
                series.append(
                    VMark(
                        max(value, 1.0),
                        palette.lines[1],
                        f"½ reach, layer {layer + 1}" if width >= 100 else f"½ L{layer + 1}",
                    )
                )
        series.append(Line(contexts, loss, palette.lines[0], label="loss by context", bold=True))
        series.append(Dots(contexts, loss, palette.lines[0]))
        return line_chart(series, axes, width, height, palette, self.look.mono)

    def _gates(self, event: Horizon, width: int, height: int) -> list[Row]:
        palette = self.look.palette
        layers = len(event.gate_half_lives)
        low, high = (math.log10(end) for end in LIVES)
        edges = np.logspace(low, high, round(high - low) * BINS_A_DECADE + 1)
        rows: list[Row] = []
        named = {f"layer {layer + 1}": values for layer, values in enumerate(event.gate_half_lives)}
        if height < 5 * layers:
            named = {"all layers": event.gate_half_lives.ravel()}
        each = height // len(named)
        for layer, (name, given) in enumerate(named.items()):
            values = np.asarray(given, np.float64)
            known = np.where(np.isinf(values), LIVES[1], values)
            known = np.clip(known[~np.isnan(known)], *LIVES)
            counts = np.histogram(known, edges)[0]
            middle = float(np.median(known)) if len(known) else math.nan
            axes = Axes(
                x_label="half-life in steps",
                y_label=f"{name}: units by half-life of the {GATES.get(event.gate, event.gate)}",
                x_range=LIVES, y_range=(0.0, ranges.round_up(float(max(counts.max(initial=0), 1)))), log_x=True,
                y_integer=True,
            )  # fmt: skip
            marks = [VMark(middle, palette.foreground, f"median {middle:.1f}")] if math.isfinite(middle) else []
            colour = palette.lines[layer % len(palette.lines)]
            rows += count_chart(edges, counts, axes, width, each, palette, colour, self.look.mono, marks=marks)
        return rows

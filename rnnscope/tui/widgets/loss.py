"""The loss panel: raw, smoothed and validation loss over training steps, in nats and in bits a character."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from textual import events

from rnnscope.charts.axes import Axes
from rnnscope.charts.palette import Palette
from rnnscope.charts.series import Dots, HLine, Line, Series, VMark
from rnnscope.charts.spans import Row, Span, Style
from rnnscope.recording.series import smooth
from rnnscope.tui import ranges, rivals
from rnnscope.tui.captions import longest
from rnnscope.tui.others import loss_lines
from rnnscope.tui.snapshot import LossData
from rnnscope.tui.view import LossView
from rnnscope.tui.widgets.panel import BESIDE, Painted, Panel

Floats = NDArray[np.float64]

YOUTH = 8  # the smoothed line averages over at most an eighth of the steps so far
REST_OF_LEGEND = len(" ─ train  ━   ● validation")  # cells
RIVALS = 2  # number of their colour
NUMBERED = 50  # cells from which on the dashed lines of n-grams say their losses
ROOM_FOR_NUMBER = 22  # cells of the title: the heading, and the newest loss in its shortest form


def x_range(view: LossView, last: int) -> tuple[float, float]:
    """Return the first and last step shown."""
    if view.span is None:
        return 0.0, ranges.steps_end(last)
    end = view.end if view.end is not None else max(last, view.span)
    return float(end - view.span), float(end)


def spans(step: NDArray[np.int64], tau: int) -> Floats:
    """Return the time constant of the smoothed loss at each step (N,): `tau`, but at most an eighth of the steps.

    With `tau` from the start the mean, though unbiased, lags behind a loss that falls fast: 0.4 nats at step 20.
    """
    return np.minimum(float(tau), np.maximum(step, 1) / YOUTH)


def smoothed_loss(data: LossData, tau: int) -> Floats:
    """Return the smoothed loss at each step or bucket, (N,)."""
    return smooth(data.step, data.loss, spans(data.step, tau), data.count)


def smoothing_labels(tau: int) -> tuple[str, ...]:
    """Return the ways to say in the legend how the loss is smoothed, longest first."""
    return (
        f"smoothed: exponential mean, τ = min({tau}, step/{YOUTH}) steps",
        f"smoothed, τ = min({tau}, step/{YOUTH}) steps",
        f"smoothed, τ = min({tau}, step/{YOUTH})",
        f"smoothed, τ ≤ {tau}",
        f"smooth τ≤{tau}",
        f"mean τ≤{tau}",
    )


def y_range(view: LossView, data: LossData, smoothed: Floats, shown: tuple[float, float]) -> tuple[float, float]:
    """Return the ends of the loss axis for the axis that was chosen."""
    finite = data.high[np.isfinite(data.high)]
    top = ranges.loss_top(data.vocabulary, float(finite.max()) if len(finite) else math.nan)
    validation = np.array(data.validation_loss, dtype=np.float64)
    low = np.concatenate([data.low, validation])
    low = low[np.isfinite(low)]
    smallest = float(low.min()) if len(low) else math.nan
    if view.axis == "linear":
        return ranges.linear_bottom(top, smallest), top
    if view.axis == "log":
        return ranges.loss_bottom(smallest), top
    inside = (data.step >= shown[0]) & (data.step <= shown[1])
    steps = np.array(data.validation_step, dtype=np.float64)
    seen = validation[(steps >= shown[0]) & (steps <= shown[1])] if len(steps) else validation
    return ranges.close_up(np.concatenate([smoothed[inside], seen]))


def chart_series(data: LossData, smoothed: Floats, label: str, palette: Palette, wide: bool) -> list[Series]:
    """Return what is drawn, from back to front; `wide`: there is room for the losses of the n-grams in their names."""
    raw, bold, dots = palette.lines[0], palette.lines[0], palette.lines[1]
    guess = math.log(data.vocabulary) if data.vocabulary else None
    series: list[Series] = []
    if guess is not None:
        series.append(HLine(guess, palette.faint, f"blind guess ln {data.vocabulary}"))
    series += [HLine(nats, palette.lines[RIVALS], name) for nats, name in rivals.lines(data.rivals, wide)]
    series += [VMark(step, palette.faint, label) for step, label in data.marks]
    if data.diverged is not None:
        series.append(VMark(data.diverged[0], palette.bad, data.diverged[1]))
    if (data.high > data.low).any():  # buckets of several steps: their whole spread, as two faint outlines
        series.append(Line(data.step, data.high, raw, faint=True, mark_bad=False))
        series.append(Line(data.step, data.low, raw, faint=True, mark_bad=False))
    bad_as_nan = np.where(data.bad > 0, np.nan, data.loss)
    series.append(Line(data.step, bad_as_nan, raw, label="train", faint=True))
    series.append(Line(data.step, smoothed, bold, label=label, bold=True, mark_bad=False))
    if data.validation_step:
        series.append(Dots(data.validation_step, data.validation_loss, dots, label="validation"))
    return series


class LossPanel(Panel):
    """Shows (LossData | None, LossView, others beside it)."""

    heading = "loss"
    chips = (
        (("i", "o"), "zoom"), (("<", ">"), "move"), (("0",), "reset"), (("L",), "axis"), (("k", "K"), "smooth"),
    )  # fmt: skip
    summary = (
        "How surprised the network is by the next character: L = −(1/N) Σ ln p(true next character), the mean over N "
        "characters, in nats (1 nat = 1.44 bits). Whoever guesses blindly among V characters has ln V, whoever knows "
        "the text by heart has 0. The faint line is the training text, the bold one the same smoothed, and the dots "
        "are the validation text, which is never trained on: when they stop falling while the line goes on down, the "
        "network has begun to memorise (overfitting)."
    )
    details = (
        "Faint: the loss of each training step, on the batch of characters it has just seen. Bold: the mean of "
        "all steps so far, the weight of a step that lies d steps back being exp(−d/τ); τ is fixed in steps, only in "
        "the first steps it is smaller, an eighth of the steps so far, so that the line does not lag. Thin upright "
        "marks: moments when somebody changed a setting. The axis is fixed: it begins at 1 nat, or at 0 as soon as "
        "any loss was lower, and ends above ln V; its ends are written in the title. The "
        "n-gram lines, once that rival was measured (screen 4): the loss on the validation text of models that only "
        "count what followed the last n − 1 characters in the training text (Kneser-Ney). The lower edge says "
        "which of them the newest validation loss beats: whoever beats the 4-gram has learned more than what follows "
        "three characters."
    )

    def paint(self, width: int, height: int) -> Painted:
        """Draw the loss over the steps chosen."""
        data, view, beside = self.inputs if self.inputs else (None, LossView(), ())
        if not isinstance(data, LossData) or not isinstance(view, LossView):
            return Painted(self.waiting("waiting for the first training step …", width, height), self.title())
        from rnnscope.charts.lines import line_chart  # plotext: not before there is something to draw

        palette = self.look.palette
        smoothed = smoothed_loss(data, view.tau)
        last = int(data.step[-1]) if len(data.step) else 0
        shown = x_range(view, last)
        ends = y_range(view, data, smoothed, shown)
        axes = Axes(x_label="step", x_range=shown, y_range=ends, log_y=view.axis == "log", x_integer=True)
        label = longest(width - REST_OF_LEGEND, *smoothing_labels(view.tau))
        series = loss_lines(beside, lambda other: smoothed_loss(other, view.tau), palette)
        series += chart_series(data, smoothed, label, palette, wide=width >= NUMBERED)
        rows = line_chart(series, axes, width, height, palette, self.look.mono)
        scale = {"linear": "nats/char", "log": "nats/char, log", "close": "nats/char, close-up"}[view.axis]
        zoom = f" · zoom {view.span:,} steps" if view.span is not None else ""
        low, high = f"{ends[0]:g}", f"{ends[1]:g}"
        ways = (f"{scale}, {low} to {high}{zoom}", f"{scale}, {low}–{high}{zoom}", f"{scale}{zoom}")
        text = longest(width - ROOM_FOR_NUMBER, *ways)
        number = self._number(data, smoothed, width - 12 - len(text))
        return Painted(rows, self.title(text), number)

    def _number(self, data: LossData, smoothed: Floats, room: int) -> Row:
        """Return the most important number: the newest validation loss, before there is one the smoothed loss."""
        palette = self.look.palette
        known = bool(data.validation_loss)
        value = data.validation_loss[-1] if known else (float(smoothed[-1]) if len(smoothed) else math.nan)
        name = "val" if known else "train"
        bits = value / math.log(2)
        full, brief = f"{name} {value:.3f} nats = {bits:.2f} bits", f"{name} {value:.3f} = {bits:.2f} bits"
        text = longest(room, full, brief, f"{name} {value:.2f}")
        colour = palette.bad if not math.isfinite(value) else palette.lines[1] if known else palette.lines[0]
        return (Span(text, Style(fg=colour, bold=True)),)

    def note(self, width: int) -> Row:
        """Return which n-grams the newest validation loss beats, for the lower edge."""
        ways = self.aside if isinstance(self.aside, tuple) else ()
        text = next((way for way in ways if len(way) + BESIDE <= width), "")
        return (Span(text, Style(fg=self.look.palette.lines[RIVALS])),) if text else ()

    async def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Zoom in."""
        await self.run_action("screen.view('zoom_in')")

    async def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Zoom out."""
        await self.run_action("screen.view('zoom_out')")

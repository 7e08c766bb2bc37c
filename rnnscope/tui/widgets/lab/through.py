"""Gradient through time in full: which loss, which part of it, of h or of c, and what retain_grad would show."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from rnnscope.charts.axes import Axes
from rnnscope.charts.palette import Palette
from rnnscope.charts.series import Dots, Line, Series
from rnnscope.charts.spans import Row, Style
from rnnscope.recording.events import Floats, Gradients
from rnnscope.recording.lab_events import Lyapunov
from rnnscope.tui import ranges
from rnnscope.tui.captions import caption, longest
from rnnscope.tui.others import gradient_lines
from rnnscope.tui.slopes import decay, predicted
from rnnscope.tui.snapshot import When
from rnnscope.tui.widgets.gradient import CAPTIONS, chart_series
from rnnscope.tui.widgets.panel import BESIDE, Painted, Panel

PART_CAPTIONS: dict[str, tuple[str, ...]] = {
    "direct": (
        "direct part: what comes from above at the same t (the output, or the next layer), nothing through time",
        "direct part: from above at the same t, not through time",
        "direct part: from above only",
    ),
    "recurrent": (
        "recurrent part: what comes back through time, from t+1: total = direct + recurrent as vectors, not as norms",
        "recurrent part: from t+1; the vectors add, the norms do not",
        "recurrent part: from t+1 only",
    ),
}
LIE: tuple[str, ...] = (
    "retain_grad lies: it keeps the direct part only. Of the last loss that is 0 at every earlier t, which is no "
    "vanishing gradient: nothing else was ever asked for",
    "retain_grad lies: it keeps the direct part only, which for the last loss is 0 at every earlier t",
    "retain_grad lies: direct part only, 0 at every earlier t",
    "retain_grad: direct part only",
)


@dataclass(frozen=True, eq=False)
class Curves:
    """What is drawn, each (L, T): mean log10 norm, its 10% and 90% (None: not recorded), fractions at floor and bad."""

    mean: Floats
    low: Floats | None
    high: Floats | None
    floor: Floats
    bad: Floats


def curves(gradients: Gradients, kind: str, part: str, state: str) -> Curves | None:
    """Return the curves chosen; None where the recording does not hold them.

    Of a part, as of c, no fractions are recorded: what has no finite mean counts as floor where the whole has no bad
    sample, and as bad where it has.
    """
    floor, bad = (np.asarray(getattr(gradients, f"{kind}_{name}"), np.float64) for name in ("floor", "bad"))
    if part == "all" and state == "h":
        mean, low, high = (np.asarray(getattr(gradients, kind + end), np.float64) for end in ("", "_low", "_high"))
        return Curves(mean, low, high, floor, bad)
    name = f"cell_{kind}" if state == "c" else f"{kind}_{part}"
    mean = np.asarray(getattr(gradients, name), np.float64)
    if not mean.size:
        return None
    missing = ~np.isfinite(mean)
    bands: list[Floats | None] = [None, None]
    if state == "c" and gradients.cell_reach_low.size:
        bands = [np.asarray(getattr(gradients, name + end), np.float64) for end in ("_low", "_high")]
    return Curves(mean, bands[0], bands[1], np.where(missing & (bad == 0), 1.0, 0.0), np.where(missing, bad, 0.0))


class ThroughPanel(Panel):
    """Shows (Gradients | None, When, kind, part, state, retain, Lyapunov | None, its When, others)."""

    heading = "gradient through time"
    chips = ((("r",), "reach/total"), (("e",), "part"), (("S",), "h/c"), (("R",), "retain_grad"))
    summary = (
        "The length ‖∂L/∂h_t‖ of the gradient at each time step t, as a power of ten, for each layer: how much the "
        "loss would change if the memory at t were a little different. By the chain rule ∂L/∂h_t = ∂L_t/∂h_t + "
        "∂L/∂h_t+1 · ∂h_t+1/∂h_t: a direct part from the output at t, and a recurrent part that has come back "
        "through time. A straight line that falls (rises) by a decades a step is a product of Jacobians that "
        "shrinks (grows) by 10^a a step: the vanishing (exploding) gradient."
    )
    details = (
        "Reach takes the loss of the window's last character only and looks back over the lag; total takes all "
        "losses. For an LSTM the same can be seen of the cell c_t, whose gradient has a path that is only "
        "multiplied by the forget gate. The parts add up as vectors; their lengths do not. What PyTorch's "
        "retain_grad shows on a layer's output is the direct part alone, because the recurrent one flows inside the "
        "layer: for the last loss it is exactly zero at every earlier t, which is often taught as vanishing and is "
        "none. The dotted line is the slope that the leading Lyapunov exponent predicts, λ₁ / ln 10 decades a step, "
        "through the start of the fitted line of layer 1 (see the Jacobian). The mean is over the batch, of the "
        "logarithm; the band holds 80% of it."
    )

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._ranges: dict[str, tuple[float, float]] = {}

    def paint(self, width: int, height: int) -> Painted:
        """Draw the curves chosen."""
        gradients, when, kind, part, state, retain, lyapunov, taken, beside = self.inputs or (
            None, When(0), "reach", "all", "h", False, None, When(0), (),
        )  # fmt: skip
        measured = when if isinstance(when, When) else When(0)
        kind, part, state = str(kind), str(part), str(state)
        norm = f"‖∂L{'_T' if kind == 'reach' else ''}/∂{state}_t‖"
        named = "" if part == "all" or state == "c" else f" · {part}"
        room = width - BESIDE - len(f"step {measured.step:,}")
        heading = longest(room - len(norm) - len(named) - 9, self.heading, "gradient")
        title = self.title(longest(room - len(heading) - 1, f"{kind}{named} · log₁₀ {norm}", f"{kind}{named} {norm}"),
                           heading=heading)  # fmt: skip
        if not isinstance(gradients, Gradients):
            return Painted(self.waiting("waiting for the first measurement of the gradient …", width, height), title)
        found = curves(gradients, kind, part, state)
        age = self.age(measured, title, width)
        if found is None:
            why = f"this recording does not hold the {part} part" if state == "h" else "this cell has no c"
            return Painted(self.waiting(why, width, height), title, age)
        exponents = lyapunov.exponents if isinstance(lyapunov, Lyapunov) and not lyapunov.zero_input else np.zeros(0)
        since = f" (step {taken.step:,})" if isinstance(taken, When) and taken.old else ""
        theory = predicted(exponents), since
        whole = part == "all" or state == "c"
        runs = gradient_lines(beside, kind, self.look.palette) if part == "all" and state == "h" else []
        rows = self._chart(gradients, found, kind, bool(retain), theory, runs, (width, height - 1))
        said = LIE if retain else CAPTIONS[kind] if whole else PART_CAPTIONS[part]
        style = Style(fg=self.look.palette.warn if retain else self.look.palette.faint)
        return Painted([*rows, caption(width, style, *said)], title, age)

    def _chart(
        self,
        gradients: Gradients,
        found: Curves,
        kind: str,
        retain: bool,
        theory: tuple[float, str],
        beside: list[Series],
        size: tuple[int, int],
    ) -> list[Row]:
        from rnnscope.charts.lines import line_chart  # plotext: not before there is something to draw

        back = kind == "reach"  # index T-1 is lag 0: from the newest state back in time
        steps, palette = found.mean.shape[1], self.look.palette
        bands = [band for band in (found.low, found.high) if band is not None]
        y_range = ranges.log_range(np.stack([found.mean, *bands]), self._ranges.get(kind))
        self._ranges[kind] = y_range
        x = np.arange(steps, dtype=np.float64) + (0.0 if back else 1.0)
        axes = Axes(
            x_label="lag T−t in characters" if back else "t in characters",
            x_range=(float(x[0]), float(max(x[-1], x[0] + 1))),
            y_range=y_range, x_integer=True, y_integer=True,
        )  # fmt: skip
        turn = slice(None, None, -1 if back else 1)
        empty = np.full_like(found.mean, np.nan)
        low, high = (empty if band is None else band for band in (found.low, found.high))
        series = beside + chart_series(
            found.mean[:, turn],
            low[:, turn],
            high[:, turn],
            found.floor[:, turn],
            found.bad[:, turn],
            x,
            y_range,
            palette,
        )
        if back and math.isfinite(theory[0]):
            series += self._prediction(found.mean[0, turn], x, *theory)
        if retain:
            series += self._retained(gradients, kind, turn, x, y_range, palette)
        return line_chart(series, axes, *size, palette, self.look.mono)

    def _prediction(self, lowest: Floats, x: Floats, slope: float, since: str) -> list[Series]:
        fitted = decay(lowest)
        if fitted is None:
            return []
        places = np.arange(0, len(x), max(len(x) // 25, 1))
        name = f"λ₁/ln 10 = {slope:+.3f} a step{since}"
        return [Dots(x[places], fitted[1] + slope * x[places], self.look.palette.foreground, label=name, glyph="·")]

    def _retained(
        self, gradients: Gradients, kind: str, turn: slice, x: Floats, y_range: tuple[float, float], palette: Palette
    ) -> list[Series]:
        direct = np.asarray(getattr(gradients, f"{kind}_direct"), np.float64)
        if not direct.size:
            return []
        top = direct[-1, turn]
        at_floor = ~np.isfinite(top)
        series: list[Series] = [Line(x, top, palette.bad, label="retain_grad", mark_bad=False)]
        shown = np.where(at_floor, y_range[0], top)
        series.append(Dots(x, shown, palette.bad, glyph="×"))
        return series

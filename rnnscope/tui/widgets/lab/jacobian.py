"""The Jacobian's side: what the recurrence's own matrices say of the gradient, beside what is measured."""

from __future__ import annotations

import math

import numpy as np

from rnnscope.charts.axes import Axes
from rnnscope.charts.series import Line, Series
from rnnscope.charts.spans import Row, Span, Style
from rnnscope.recording.events import Gradients
from rnnscope.recording.lab_events import Jacobian, Lyapunov
from rnnscope.tui import ranges
from rnnscope.tui.captions import due, longest
from rnnscope.tui.lab_history import log_reach
from rnnscope.tui.slopes import decay, predicted
from rnnscope.tui.snapshot import When
from rnnscope.tui.widgets.panel import Painted, Panel

SHOWN = 6  # exponents written out at most
NOTHING = -1e3
"""Where a singular value of exactly zero is drawn: marked as below every chart."""


def matrix_line(jacobian: Jacobian, width: int) -> str:
    """Return what is known of W_hh beside the bound of Pascanu et al., or that it does not apply."""
    if jacobian.bound is None or not np.isfinite(jacobian.largest_singular).any():
        return longest(
            width,
            "W_hh: ρ, σ₁ and the bound 1/γ: not applicable, gates are part of the recurrence",
            "W_hh: ρ, σ₁, bound: not applicable (gated cell)",
            "W_hh: not applicable (gated)",
        )
    radius, largest = (
        " ".join(f"{value:.3g}" for value in values) for values in (jacobian.spectral_radius, jacobian.largest_singular)
    )
    top = float(np.nanmax(jacobian.largest_singular))
    verdict = "must vanish" if top < jacobian.bound else "can explode" if top > jacobian.bound else "at the bound"
    bound = f"bound 1/γ = {jacobian.bound:g}"
    sign = "<" if top < jacobian.bound else ">" if top > jacobian.bound else "="
    return longest(
        width,
        f"W_hh by layer: spectral radius ρ {radius} · largest singular value σ₁ {largest} {sign} {bound}: {verdict}",
        f"W_hh: ρ {radius} · σ₁ {largest} {sign} {bound}: {verdict}",
        f"W_hh: ρ {radius} · σ₁ {largest} {sign} 1/γ = {jacobian.bound:g}: {verdict}",
        f"W_hh: ρ {radius} · σ₁ {largest} {sign} 1/γ = {jacobian.bound:g}",
        f"ρ {radius} · σ₁ {largest} · 1/γ {jacobian.bound:g}",
    )


def exponents_line(lyapunov: Lyapunov, when: When, width: int) -> str:
    """Return the leading exponents, and when they were measured if that is long ago."""
    old = f" (old: step {when.step:,})" if when.old else ""
    values = " ".join(f"{value:+.3f}" for value in lyapunov.exponents[:SHOWN])
    few = " ".join(f"{value:+.3f}" for value in lyapunov.exponents[:3])
    more = " …" if len(lyapunov.exponents) > SHOWN else ""
    driven = "no input" if lyapunov.zero_input else "along the text"
    return longest(
        width,
        f"Lyapunov exponents λ in nats a step, {driven}, over {lyapunov.steps} steps{old}: {values}{more}",
        f"Lyapunov λ, nats a step, {driven}{old}: {values}{more}",
        f"Lyapunov λ, nats/step{old}: {few} …",
        f"λ{old}: {few} …",
        f"λ {few} …",
    )


def slope_line(gradients: Gradients | None, lyapunov: Lyapunov | None, width: int) -> str:
    """Return the slope of the measured reach beside the predicted one, in decades a step."""
    fitted = decay(log_reach(gradients)[0]) if gradients is not None else None
    theory = predicted(lyapunov.exponents) if lyapunov is not None else math.nan
    measured = f"{fitted[0]:+.3f}" if fitted else "not enough of it yet"
    expected = f"{theory:+.3f}" if math.isfinite(theory) else "not measured yet"
    return longest(
        width,
        f"the reach changes by {measured} decades a step (measured, layer 1) · predicted by λ₁/ln 10: {expected}",
        f"slope of the reach, decades a step: {measured} measured · {expected} = λ₁/ln 10",
        f"slope: {measured} measured · {expected} = λ₁/ln 10",
        f"slope {measured} · λ₁/ln 10 {expected}",
    )


class JacobianPanel(Panel):
    """Shows (Jacobian | None, Lyapunov | None, its When, Gradients | None, When, every)."""

    heading = "Jacobian"
    chips = ((("m",), "who taught whom"), (("h",), "horizon"))
    summary = (
        "The gradient goes back in time through the Jacobian J_t = ∂s_t/∂s_t−1 of the state, so after k steps "
        "through the product J_t · … · J_t−k+1, whose singular values σ_i(k) are drawn as powers of ten over k. "
        "They grow or shrink like e^(λ_i k): λ_i are the Lyapunov exponents, and a gradient can only survive if λ₁ "
        "is about 0. For Elman cells σ₁(W_hh) < 1/γ (γ the largest slope of the activation) makes it vanish for "
        "certain, while a larger one is necessary, but not sufficient, for exploding (Pascanu et al. 2013)."
    )
    details = (
        "ρ is the spectral radius of W_hh, its largest eigenvalue in magnitude; at the very beginning, with states "
        "near zero, the decay of a tanh network follows ln ρ. In LSTM and GRU W_hh is not the whole recurrence, "
        "therefore these numbers do not apply to them; the singular values and exponents do, of the whole state of "
        "all layers. λ₁ / ln 10 is the slope that the reach should have in decades a step; both slopes stand side "
        "by side, and the predicted one is laid over the measured curves in the first panel. The exponents are "
        "found by QR decomposition (Vogt et al. 2020; Engelken et al. 2023)."
    )

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._range: tuple[float, float] | None = None

    def paint(self, width: int, height: int) -> Painted:
        """Draw numbers and singular values."""
        jacobian, lyapunov, taken, gradients, when, every = self.inputs or (
            None, None, When(0), None, When(0), 0,
        )  # fmt: skip
        asked = taken if isinstance(taken, When) else When(0)
        measured = when if isinstance(when, When) else When(0)
        title = self.title("log₁₀ of the singular values of k steps")
        if not isinstance(jacobian, Jacobian) and not isinstance(lyapunov, Lyapunov):
            return Painted(self.waiting(due("Jacobian", every), width, height), title)
        known = lyapunov if isinstance(lyapunov, Lyapunov) else None
        plain, faint = Style(fg=self.look.palette.foreground), Style(fg=self.look.palette.faint)
        rows: list[Row] = []
        if isinstance(jacobian, Jacobian):
            rows.append((Span(matrix_line(jacobian, width), plain),))
        text = exponents_line(known, asked, width) if known else "waiting for the first Lyapunov exponents …"
        rows.append((Span(longest(width, text), plain if known else faint),))
        rows.append((Span(slope_line(gradients if isinstance(gradients, Gradients) else None, known, width), plain),))
        rows = rows[: max(height, 0)]
        if isinstance(jacobian, Jacobian) and height - len(rows) >= 4:
            rows += self._chart(jacobian, known, width, height - len(rows))
        return Painted(rows, title, self.age(measured, title, width))

    def _chart(self, jacobian: Jacobian, lyapunov: Lyapunov | None, width: int, height: int) -> list[Row]:
        from rnnscope.charts.lines import line_chart  # plotext: not before there is something to draw

        palette = self.look.palette
        singular = np.asarray(jacobian.singular, np.float64)  # (K, M)
        singular = np.where(np.isneginf(singular), NOTHING, singular)
        spans = np.asarray(jacobian.spans, np.float64)
        self._range = ranges.log_range(np.where(singular == NOTHING, np.nan, singular), self._range)
        axes = Axes(
            x_label="k steps", x_range=(0.0, float(spans[-1]) if len(spans) else 1.0), y_range=self._range,
            x_integer=True, y_integer=True,
        )  # fmt: skip
        series: list[Series] = []
        for index in range(singular.shape[1] - 1, 0, -1):
            label = f"σ₂ … σ_{singular.shape[1]}" if index == 1 else ""
            series.append(Line(spans, singular[:, index], palette.lines[0], label=label, faint=True))
        series.append(Line(spans, singular[:, 0], palette.lines[0], label="σ₁(k)", bold=True))
        slope = predicted(lyapunov.exponents) if lyapunov else math.nan
        if math.isfinite(slope):
            x = np.concatenate([[0.0], spans])
            series.append(Line(x, slope * x, palette.lines[1], label="e^(λ₁k)"))
        return line_chart(series, axes, width, height, palette, self.look.mono)

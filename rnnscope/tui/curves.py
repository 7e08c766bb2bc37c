"""The curves by position: what each is called, its scale, its references, and its lines, of whatever was measured."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rnnscope.recording.events import Comparison
from rnnscope.recording.reading_events import Exposure
from rnnscope.tui.ranges import round_up

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Drawn:
    """One line of a chart: name, values (N,), and the 10% and 90% quantiles about it, where there are any."""

    name: str
    mean: Floats
    low: Floats | None = None
    high: Floats | None = None


@dataclass(frozen=True, eq=False)
class Curve:
    """Everything about one chart over the position.

    name: in a word or two; unit: of y; says: what it is, longest first. scale: its fixed ends; the upper one grows in
    visible steps where `grows`. references: (value, words) of dashed lines.
    """

    name: str
    unit: str
    says: tuple[str, ...]
    scale: tuple[float, float]
    lines: tuple[Drawn, ...]
    references: tuple[tuple[float, str], ...] = ()
    grows: bool = True


def with_band(name: str, curve: ArrayLike) -> Drawn:
    """Return the line of a curve (3, N): mean, 10% and 90% quantile."""
    mean, low, high = np.asarray(curve, np.float64)
    return Drawn(name, mean, low, high)


def line(name: str, values: ArrayLike) -> Drawn:
    """Return the line of a curve (N,)."""
    return Drawn(name, np.asarray(values, np.float64))


def settled(values: Floats) -> float:
    """Return the mean of what is finite in the last quarter, NaN where nothing is."""
    last = values[len(values) * 3 // 4 :]
    last = last[np.isfinite(last)]
    return float(last.mean()) if len(last) else math.nan


def grown(scale: tuple[float, float], values: Floats) -> tuple[float, float]:
    """Return the scale with its upper end at the next of 1, 2, 5, 10, ..., and its lower end likewise below zero,
    where a finite value lies beyond them.
    """
    finite = values[np.isfinite(values)]
    low, high = scale
    if len(finite) and float(finite.max()) > high:
        high = round_up(float(finite.max()))
    if len(finite) and float(finite.min()) < low:
        low = -round_up(-float(finite.min())) if float(finite.min()) < 0 else 0.0
    return low, high


def curves_of(event: object, validation: float | None = None) -> dict[str, Curve]:
    """Return the curves that a measurement holds, by their names (see CURVES), empty of anything else.

    validation: the run's own validation loss, as the reference of the loss.
    """
    if isinstance(event, Exposure):
        return _measured(event, validation)
    if isinstance(event, Comparison):
        found = {
            "loss": _loss(line("the truth", event.nll), validation),
            "distance": _distance(line("distance", event.distance), event.reference),
        }
        return {name: replace(curve, says=(f"{curve.says[0]}, one prefix", curve.says[-1])) for name, curve in
                found.items()}  # fmt: skip
    return {}


def _loss(drawn: Drawn, validation: float | None) -> Curve:
    known = validation is not None and math.isfinite(validation)
    return Curve(
        "loss", "nats/char",
        ("loss at each true character, under teacher forcing", "loss under teacher forcing", "loss, forced"),
        (0.0, 6.0), (drawn,), ((float(validation or 0.0), "validation loss"),) if known else (),
    )  # fmt: skip


def _distance(drawn: Drawn, reference: float) -> Curve:
    return Curve(
        "distance", "‖h−h′‖/‖h‖",
        ("distance of the hidden states, forced and free, relative to their length", "distance of the hidden states",
         "state distance"),
        (0.0, 2.0), (drawn,), ((float(reference), "unrelated"),),
    )  # fmt: skip


def _measured(event: Exposure, validation: float | None) -> dict[str, Curve]:
    found = {
        "loss": _loss(with_band("forced", event.nll), validation),
        "distance": _distance(with_band("distance", event.distance), event.distance_reference),
        "shannon": Curve(
            "Jensen-Sh.", "nats",
            ("Jensen-Shannon divergence of the two next-character distributions (at most ln 2)",
             "Jensen-Shannon divergence, at most ln 2", "Jensen-Shannon"),
            (0.0, 0.7), (with_band("divergence", event.jensen_shannon),),
            ((event.shannon_reference, "unrelated"),),
        ),
    }  # fmt: skip
    if event.judge and np.size(event.judge_free):
        found["judge"] = Curve(
            "judge", "nats/char",
            (f"what the judge, {event.judge}, thinks of the model's own text and of the true one",
             f"judge, {event.judge}: own text, true text", f"judge: {event.judge}"),
            (0.0, 6.0), (line("own", event.judge_free), line("true", event.judge_true)),
        )  # fmt: skip
    if event.oracle and np.size(event.oracle_free):
        found["oracle"] = Curve(
            "oracle", "nats/char",
            (f"the true distribution, of the generator {event.oracle}, on the model's own text and on the true one",
             f"generator {event.oracle}: own text, true text", f"oracle: {event.oracle}"),
            (0.0, 6.0), (line("own", event.oracle_free), line("true", event.oracle_true)),
        )  # fmt: skip
    if np.size(event.excess):
        found["excess"] = Curve(
            "excess error", "%",
            ("accumulated excess error (Arora et al. 2022): 0 if its own text costs it nothing",
             "accumulated excess error (Arora et al. 2022)", "excess error"),
            (0.0, 50.0), (line("excess", event.excess),), ((0.0, "no bias"),),
        )  # fmt: skip
    if np.size(event.auc):
        found["auc"] = Curve(
            "probe AUC", "",
            ("can a linear probe tell forced from free states? AUC on prefixes held out", "probe: forced or free? AUC",
             "probe AUC"),
            (0.0, 1.0), (line("AUC", event.auc),), ((0.5, "chance"),), grows=False,
        )  # fmt: skip
    return found

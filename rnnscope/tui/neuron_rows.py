"""What the neuron lab's events say, as rows: units that know a concept, units that bear the load, orders of units."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rnnscope.recording.neuron_events import Activations, Interventions, Units
from rnnscope.tui.view import Reading

Order: TypeAlias = Literal["index", "variance", "concept", "clustering"]
ORDERS: tuple[Order, ...] = ("index", "variance", "concept", "clustering")

Sort: TypeAlias = Literal["margin", "concept", "score", "unit"]
SORTS: tuple[Sort, ...] = ("margin", "concept", "score", "unit")
"""margin: the best unit of each concept, by how far it is above its null; the others: all units found."""


@dataclass(frozen=True)
class Found:
    """One unit that tells a concept, as far as its score (AUC or R2, see `Units`) goes."""

    concept: str
    measure: str
    layer: int
    unit: int
    sign: int
    score: float
    null: float
    probe: float
    share: float

    @property
    def scored(self) -> bool:
        """Whether the text had anything to score: a concept that never (or always) holds has no score."""
        return math.isfinite(self.score)

    @property
    def known(self) -> bool:
        """Whether the score is above what chance finds among so many units."""
        return self.score > self.null

    @property
    def margin(self) -> float:
        """How much of the way from chance to perfect the unit goes; NaN counts as nothing."""
        part = (self.score - self.null) / max(1 - self.null, 1e-9)
        return -math.inf if math.isnan(part) else part


def found(event: Units) -> list[Found]:
    """Return every unit of the event, concept by concept, the best first."""
    return [
        Found(
            concept, event.measures[c], int(event.layers[c, k]), int(event.units[c, k]), int(event.signs[c, k]),
            float(event.scores[c, k]), float(event.nulls[c]), float(event.probes[c]), float(event.shares[c]),
        )
        for c, concept in enumerate(event.concepts)
        for k in range(event.units.shape[1])
    ]  # fmt: skip


def ranked(event: Units, sort: Sort) -> list[Found]:
    """Return the rows of the table in the order chosen."""
    rows = found(event)
    if sort == "margin":
        best = rows[:: event.units.shape[1]] if event.units.shape[1] else []
        return sorted(best, key=lambda row: -row.margin)
    if sort == "score":
        return sorted(rows, key=lambda row: -row.score if row.scored else math.inf)
    if sort == "unit":
        return sorted(rows, key=lambda row: (row.layer, row.unit, -row.margin))
    return rows


@dataclass(frozen=True)
class Load:
    """What the validation loss gains, in nats per character, where a unit is held at its mean."""

    layer: int
    unit: int
    nats: float


def loads(event: Interventions) -> list[Load]:
    """Return the units that were ablated, those that bear most first; none where that was not asked for."""
    measured = np.argwhere(np.isfinite(event.load)).tolist()
    rows = [Load(layer, unit, float(event.load[layer, unit])) for layer, unit in measured]
    return sorted(rows, key=lambda row: -row.nats)


def possible_orders(reading: Reading, units: Units | None) -> tuple[Order, ...]:
    """Return the orders that there are data for."""
    there = {"concept": units is not None, "clustering": _clustered(reading) is not None}
    return tuple(order for order in ORDERS if there.get(order, True))


def _clustered(reading: Reading) -> NDArray[np.integer] | None:
    """Return the order by clustering (L, H); None where the reading has none."""
    if not isinstance(reading, Activations) or reading.order.shape != reading.units.shape[1::2]:
        return None
    return reading.order


def order_of(
    reading: Reading, layer: int, field: str, how: Order, units: Units | None, concept: str
) -> NDArray[np.int64]:
    """Return the units of a layer (H,) in the order chosen, by index where there are no data for it.

    variance: of the field over the text, the largest first. concept: those that the search found for it first.
    """
    hidden = reading.units.shape[3]
    plain = np.arange(hidden)
    clustered = _clustered(reading)
    if how == "clustering" and clustered is not None:
        return np.asarray(clustered[layer], np.int64)
    if how == "variance":
        with np.errstate(invalid="ignore", over="ignore"):
            spread = reading.units[reading.fields.index(field), layer].astype(np.float32).std(axis=0)
        return np.argsort(-np.nan_to_num(spread, nan=-1.0, posinf=-1.0), kind="stable")
    if how == "concept" and units is not None:
        best = [row.unit for row in found(units) if row.concept == concept and row.layer == layer and row.unit < hidden]
        first = list(dict.fromkeys(best))
        return np.array(first + [unit for unit in plain.tolist() if unit not in set(first)], np.int64)
    return plain

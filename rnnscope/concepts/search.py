"""Concept search: which unit knows what, and how well the best unit would seem to know it by chance.

Units are ranked on the first half of the text and scored on the second, so that the best of many is not merely the
luckiest. The null is found the same way on labels that were shifted around the text: they keep their own pace, and a
slow unit finds as much to agree with in them as in any other slow thing; labels shuffled character by character change
all the time, and would let every slow unit pass. L layers, H units, N characters, C concepts, K units kept, S shifts.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from rnnscope.concepts import scoring
from rnnscope.concepts.scoring import Single
from rnnscope.recording.lab_events import Floats, Ints

KEPT = 10
QUANTILE = 0.95
NEAREST = 200
"""Characters that labels are shifted by at least (of a short text an eighth): nearer they look like themselves."""

RIDGE = 1e-3
"""Of the linear probe: a factor of the number of characters, on units of variance 1."""


class Found(NamedTuple):
    """What `search` found: (C, K) each, units best first by the first half, and nulls (C,)."""

    layers: Ints
    units: Ints
    scores: Floats
    signs: Ints
    nulls: Floats


class _Picked(NamedTuple):
    """Units that the first half chose of one concept, (P,), P = K + S.

    units: counted over all layers. rows: the labels that each was chosen for, 0 the true ones, 1 to S the shifted.
    signs: 0 for what is no unit's.
    """

    units: Ints
    rows: Ints
    signs: Ints


class _Labels:
    """One concept's labels as they are (row 0) and shifted around the text (rows 1 to S)."""

    def __init__(self, labels: Floats, count: bool, shifts: Ints) -> None:
        self.count = count
        self._twice = np.concatenate([labels, labels]).astype(np.float32)
        self._centred = self._twice - np.float32(labels.mean()) if count else self._twice
        self._begins = len(labels) - np.concatenate([[0], shifts])

    def rows(self, start: int, stop: int) -> Single:
        """Return labels (1 + S, stop - start)."""
        return np.stack([self._centred[begin + start : begin + stop] for begin in self._begins])

    def sizes(self, start: int, stop: int) -> Floats:
        """Return what a product with each row is to be divided by, (1 + S,)."""
        return scoring.sizes(self._twice, self._begins + start, stop - start, self.count)


def _no_report(share: float) -> None:
    """Report to nobody."""


def shifts_of(count: int, characters: int) -> Ints:
    """Return `count` shifts, evenly spread over the text and not near 0."""
    least = min(NEAREST, characters // 8)
    shifts: Ints = np.linspace(least, characters - least, count).round().astype(np.int64)
    return shifts


def search(
    layers: Sequence[Single],
    labels: Floats,
    counts: Sequence[bool],
    shifts: Ints,
    *,
    kept: int = KEPT,
    report: Callable[[float], None] = _no_report,
) -> Found:
    """Score every unit against every concept.

    Args:
        layers: of each, values (H, N) float32. A unit with a NaN takes no part, nor for counts one with an infinity.
        labels: (C, N). counts: of each concept, whether it is a count.
        shifts: (S,), of the null. kept: K, at most the number of units.
        report: called with the share done.

    Returns:
        The AUC of the second half with the sign that the first half has (so below 0.5 where it turned out the other
        way), or its R² (0 where it did). NaN where labels are constant in a half, and for units that take no part.
    """
    tables = [_Labels(row, count, shifts) for row, count in zip(labels, counts, strict=True)]
    begins = np.cumsum([0] + [len(layer) for layer in layers])
    kept = min(kept, int(begins[-1]))
    half, steps = labels.shape[1] // 2, len(layers) * (len(tables) + 1)
    first = np.empty((len(tables), begins[-1], 1 + len(shifts)), np.float32)
    for index, layer in enumerate(layers):
        _first_half(layer[:, :half], tables, first[:, begins[index] : begins[index + 1]], index, steps, report)
    picked = [_pick(one, kept) for one in first]
    second = np.full((len(tables), len(picked[0].units)), np.nan)
    for index, layer in enumerate(layers):
        done = steps - len(layers) + index
        working = functools.partial(report, done / steps)
        _second_half(layer[:, half:], int(begins[index]), half, tables, picked, second, working)
        report((done + 1) / steps)
    units = np.array([one.units[:kept] for one in picked])
    where = np.searchsorted(begins, units, side="right") - 1
    return Found(
        layers=where,
        units=units - begins[where],
        scores=second[:, :kept],
        signs=np.array([one.signs[:kept] for one in picked]),
        nulls=np.array([_quantile(row[kept:]) for row in second]),
    )


def _first_half(
    values: Single,
    tables: Sequence[_Labels],
    first: Floats,
    index: int,
    steps: int,
    report: Callable[[float], None],
) -> None:
    """Fill in how far each unit of a layer is from knowing nothing of each row of labels, (C, H, 1 + S)."""
    half = values.shape[1]
    working = functools.partial(report, index * len(tables) / steps)
    made = {count: scoring.prepared(values, count, working=working) for count in {table.count for table in tables}}
    for c, table in enumerate(tables):
        units, bad = made[table.count]
        np.matmul(units, table.rows(0, half).T, out=first[c])
        first[c] /= table.sizes(0, half)
        first[c][bad] = np.nan
        report((index * len(tables) + c + 1) / steps)


def _pick(first: Floats, kept: int) -> _Picked:
    """Choose by the first half (U, 1 + S): the `kept` best for the true labels, and the best for each shift."""
    merit = np.where(np.isnan(first), -1, np.abs(first))
    units = np.concatenate([np.argsort(-merit[:, 0], kind="stable")[:kept], merit[:, 1:].argmax(0)])
    rows = np.concatenate([np.zeros(kept, np.int64), np.arange(1, first.shape[1])])
    signs = np.where(merit[units, rows] < 0, 0, np.where(first[units, rows] < 0, -1, 1))
    return _Picked(units, rows, signs)


def _second_half(
    values: Single,
    begin: int,
    half: int,
    tables: Sequence[_Labels],
    picked: Sequence[_Picked],
    second: Floats,
    working: Callable[[], None],
) -> None:
    """Fill in the scores (C, P) of those picked that are units of this layer, whose first is number `begin`."""
    mine = [(one.units >= begin) & (one.units < begin + len(values)) & (one.signs != 0) for one in picked]
    for count in {table.count for table in tables}:
        chosen = [c for c, table in enumerate(tables) if table.count == count]
        needed = np.unique(np.concatenate([picked[c].units[mine[c]] for c in chosen])) - begin
        units, bad = scoring.prepared(values[needed], count, working=working)
        for c in chosen:
            which, stop = mine[c], half + values.shape[1]
            place = np.searchsorted(needed, picked[c].units[which] - begin)
            rows = picked[c].rows[which]
            labels = tables[c].rows(half, stop)[rows]
            far = np.matmul(units[place][:, None], labels[:, :, None])[:, 0, 0] / tables[c].sizes(half, stop)[rows]
            far[bad[place]] = np.nan
            far *= picked[c].signs[which]
            second[c, which] = np.square(np.maximum(far, 0)) if count else 0.5 + far


def _quantile(scores: Floats) -> float:
    """Return the null's quantile over the shifts (S,); NaN where most of them have no score."""
    known = scores[~np.isnan(scores)]
    return float(np.quantile(known, QUANTILE)) if 2 * len(known) > len(scores) else float("nan")


def linear_probes(
    layers: Sequence[Single],
    labels: Floats,
    counts: Sequence[bool],
    *,
    report: Callable[[float], None] = _no_report,
) -> Floats:
    """Return how well a linear probe on a whole layer tells each concept, (C,): AUC, or squared correlation.

    Ridge regression of the labels (C, N) on the layer's units (H, N; each brought to variance 1), fitted on the first
    half of the text; of all layers the one that fits that half best; scored on the second. Units that are not finite
    are left out. NaN where labels are constant in a half. report: called with the share done.
    """
    best = np.full(len(labels), -1.0)
    found = np.full(len(labels), np.nan)
    for index, layer in enumerate(layers):
        working = functools.partial(report, index / len(layers))
        for c, predicted in enumerate(_predicted(layer, labels, working)):
            working()
            half = len(predicted) // 2
            fitted, told = (
                float(scoring.deviations(predicted[None, part], labels[c, part], counts[c])[0])
                for part in (slice(None, half), slice(half, None))
            )
            if fitted > best[c]:
                best[c], found[c] = fitted, told**2 if counts[c] else 0.5 + told
    return found


def _predicted(layer: Single, labels: Floats, working: Callable[[], None]) -> Floats:
    """Return what probes fitted on the first half say of the whole text, (C, N), but for a constant."""
    half = labels.shape[1] // 2
    units, _ = scoring.prepared(layer, count=True, working=working)
    first, known = units[:, :half], labels[:, :half]
    mean = first.mean(-1, dtype=np.float64)
    gram = (first @ first.T).astype(np.float64) - half * np.outer(mean, mean) + RIDGE * half * np.eye(len(first))
    working()
    centred = (known - known.mean(-1, keepdims=True)).astype(np.float32)
    weights = np.linalg.solve(gram, (first @ centred.T).astype(np.float64))
    predicted: Floats = weights.T.astype(np.float32) @ units
    return predicted

"""What the labs draw over training steps: read once when a run is opened, then grown by what is polled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from rnnscope.recording.events import Gradients
from rnnscope.recording.lab_events import Parameters
from rnnscope.recording.neuron_events import Saturation
from rnnscope.recording.reader import Reader
from rnnscope.recording.records import Recorded, Reset, Seen

KEPT = 256
"""Measurements kept of each kind, as evenly over the steps as they came."""

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Reaches:
    """The reach over training: step (N,), and log10 of it (N, L, lags), lag 0 first.

    NaN where a window was shorter than the longest; -inf zero or underflowed; +inf where nothing was finite.
    """

    step: Ints
    reach: Floats


@dataclass(frozen=True, eq=False)
class ParameterHistory:
    """Rows of the table of parameters over training: step (N,), and each column (N, P); names (P,)."""

    names: tuple[str, ...]
    step: Ints
    gradient_norm: Floats
    weight_norm: Floats
    update_ratio: Floats
    idle: Floats


@dataclass(frozen=True)
class History:
    """All of it, each the same object until there is more of it; None (or ()) while there is nothing.

    saturations: (step, measurement), oldest first.
    """

    reaches: Reaches | None = None
    parameters: ParameterHistory | None = None
    saturations: tuple[tuple[int, Saturation], ...] = ()


def thinned(rows: list[tuple[int, T]], limit: int = KEPT) -> list[tuple[int, T]]:
    """Return at most `limit` of (step, what) rows, first and last among them: those nearest to their neighbours go."""
    kept = list(rows)
    while len(kept) > max(limit, 2):
        steps = np.array([step for step, _ in kept])
        del kept[1 + int(np.argmin(steps[2:] - steps[:-2]))]
    return kept


def log_reach(event: Gradients) -> Floats:
    """Return the batch mean of log10 ||dL_T/dh_t|| by lag (L, T), with -inf for zero and +inf for what is no number."""
    mean = event.reach.astype(np.float64)
    filled = np.where(np.isnan(mean) & (event.reach_floor > 0), -np.inf, mean)
    filled = np.where(np.isnan(mean) & (event.reach_bad > 0), np.inf, filled)
    return filled[:, ::-1]


class HistoryReader:
    """Keeps the history of one run. Lives on the thread that reads."""

    def __init__(self) -> None:
        self._reaches: list[tuple[int, Floats]] = []
        self._parameters: list[tuple[int, Parameters]] = []
        self._begun = False
        self.history = History()

    def update(self, reader: Reader, recorded: Sequence[Seen]) -> History:
        """Take what was polled; at first, and after a resume or rewind, read what there is.

        Raises:
            UserError: the recording cannot be read.
        """
        if not self._begun or any(isinstance(one.event, Reset) for one in recorded):
            self._begun = True
            self._reaches = [
                (one.step, log_reach(one.event))
                for one in reader.history("gradients", KEPT)
                if isinstance(one.event, Gradients)
            ]
            self._parameters = [
                (one.step, one.event) for one in reader.history("parameters", KEPT) if isinstance(one.event, Parameters)
            ]
            saturations = tuple(
                (one.step, one.event) for one in reader.history("saturation", KEPT) if isinstance(one.event, Saturation)
            )
            self.history = History(reaches(self._reaches), parameters(self._parameters), saturations)
            return self.history
        self._extend(recorded)
        return self.history

    def _extend(self, recorded: Sequence[Seen]) -> None:
        new, more = _newer(self._reaches, recorded, Gradients), _newer(self._parameters, recorded, Parameters)
        if new:
            self._reaches = thinned(self._reaches + [(one.step, log_reach(one.event)) for one in new])
        if more:
            self._parameters = thinned(self._parameters + [(one.step, one.event) for one in more])
        again = [(one.step, one.event) for one in recorded if isinstance(one.event, Saturation)]
        if new or more or again:
            known = self.history.saturations
            self.history = History(
                reaches(self._reaches) if new else self.history.reaches,
                parameters(self._parameters) if more else self.history.parameters,
                tuple(thinned([*known, *again])) if again else known,
            )


def _newer(rows: Sequence[tuple[int, object]], recorded: Sequence[Seen], kind: type[T]) -> list[Recorded[T]]:
    """Return the events of one kind that lie after the last row."""
    last = rows[-1][0] if rows else -1
    return [one for one in recorded if isinstance(one.event, kind) and one.step > last]  # type: ignore[misc]


def reaches(rows: Sequence[tuple[int, Floats]]) -> Reaches | None:
    """Return the rows as one array, padded to the longest window and the most layers; None of none."""
    if not rows:
        return None
    layers, lags = (max(row.shape[axis] for _, row in rows) for axis in (0, 1))
    made = np.full((len(rows), layers, lags), np.nan)
    for index, (_, row) in enumerate(rows):
        made[index, : row.shape[0], : row.shape[1]] = row
    return Reaches(np.array([step for step, _ in rows]), made)


def parameters(rows: Sequence[tuple[int, Parameters]]) -> ParameterHistory | None:
    """Return the rows that name the same tensors as the newest one, as columns; None of none."""
    if not rows:
        return None
    names = rows[-1][1].names
    same = [(step, event) for step, event in rows if event.names == names]
    norm, weight, ratio, idle = (
        np.array([getattr(event, name) for _, event in same], np.float64)
        for name in ("gradient_norm", "weight_norm", "update_ratio", "idle")
    )
    return ParameterHistory(names, np.array([step for step, _ in same]), norm, weight, ratio, idle)

"""The fold from events to a run's state: immutable, and everything a screen shows but the series of scalars."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

from rnnscope.config import Config
from rnnscope.recording.events import (
    PAUSED,
    STARTING,
    TRAINING,
    Checkpoint,
    Comparison,
    Cost,
    Diverged,
    Gradients,
    Intervention,
    Sample,
    Settings,
    Started,
    Status,
    Validation,
)
from rnnscope.recording.lab_events import LabEvent
from rnnscope.recording.neuron_events import NeuronEvent
from rnnscope.recording.reading_events import Asked, ReadingEvent
from rnnscope.recording.records import Recorded, Reset, Seen

LabEvents: TypeAlias = LabEvent | NeuronEvent | ReadingEvent

INTERRUPTED = "interrupted"
"""The state shown of a run whose last status is one of work under way, but which no worker holds: it was killed."""


@dataclass(frozen=True)
class RunState:
    """A run as far as its events have been read. Each measurement comes with its step (`Recorded`).

    live: a worker holds the run; set by whoever reads (`with_live`), all else by `fold`.
    """

    config: Config
    meta: Mapping[str, Any]
    live: bool = False
    started: Recorded[Started] | None = None
    status: Recorded[Status] | None = None
    settings: Recorded[Settings] | None = None
    validation: Recorded[Validation] | None = None
    best: Recorded[Validation] | None = None
    validations: tuple[tuple[int, float], ...] = ()  # (step, nats per character), oldest first
    gradients: Recorded[Gradients] | None = None
    sample: Recorded[Sample] | None = None
    comparison: Recorded[Comparison] | None = None
    cost: Recorded[Cost] | None = None
    diverged: Recorded[Diverged] | None = None  # the first
    # The newest of each kind, and of Asked the newest of each probe as well (`asked_key`).
    lab: Mapping[str, Recorded[LabEvents]] = dataclasses.field(default_factory=dict)
    interventions: tuple[Recorded[Intervention], ...] = ()
    checkpoints: tuple[Recorded[Checkpoint], ...] = ()

    @property
    def state(self) -> str:
        """The run's state in the word shown to people (constants of events.py, or INTERRUPTED)."""
        return shown_state(self.status.event.state if self.status else STARTING, self.live)

    @property
    def detail(self) -> str:
        """One line beside the state: why it stopped, what diverged, what to do."""
        return self.status.event.detail if self.status else ""


def asked_key(probe: str) -> str:
    """Return under which key of `RunState.lab` it says how it stands with a probe that was asked for."""
    return f"{Asked.kind} {probe}"


def shown_state(state: str, live: bool) -> str:
    """Return the recorded state, or INTERRUPTED where it speaks of work that no worker does."""
    return INTERRUPTED if not live and state in (STARTING, TRAINING, PAUSED) else state


def with_live(state: RunState, live: bool) -> RunState:
    """Return the state with `live` set; the very same object when nothing changes."""
    return state if state.live == live else dataclasses.replace(state, live=live)


def fold(state: RunState, recorded: Seen) -> RunState:
    """Return the state after one more event. Pure: the same events always give the same state."""
    event = recorded.event
    new = dataclasses.replace
    match event:
        case Reset():
            return RunState(event.config, event.meta, live=state.live)
        case Started():
            return new(state, started=cast("Recorded[Started]", recorded))
        case Status():
            return new(state, status=cast("Recorded[Status]", recorded))
        case Settings():
            return new(state, settings=cast("Recorded[Settings]", recorded))
        case Validation():
            validation = cast("Recorded[Validation]", recorded)
            best = validation if event.best else state.best
            measured = (*state.validations, (recorded.step, event.loss))
            return new(state, validation=validation, best=best, validations=measured)
        case Gradients():
            return new(state, gradients=cast("Recorded[Gradients]", recorded))
        case Sample():
            return new(state, sample=cast("Recorded[Sample]", recorded))
        case Comparison():
            return new(state, comparison=cast("Recorded[Comparison]", recorded))
        case Cost():
            return new(state, cost=cast("Recorded[Cost]", recorded))
        case Diverged():
            return new(state, diverged=state.diverged or cast("Recorded[Diverged]", recorded))
        case Intervention():
            return new(state, interventions=(*state.interventions, cast("Recorded[Intervention]", recorded)))
        case Checkpoint():
            return new(state, checkpoints=(*state.checkpoints, cast("Recorded[Checkpoint]", recorded)))
        case _:  # the measurements of the three labs
            found = cast("Recorded[LabEvents]", recorded)
            of_probe = {asked_key(event.probe): found} if isinstance(event, Asked) else {}
            return new(state, lab={**state.lab, event.kind: found, **of_probe})


def fold_all(state: RunState, recorded: Iterable[Seen]) -> RunState:
    """Return the state after all of `recorded`, in order; the very same object when there are none."""
    for one in recorded:
        state = fold(state, one)
    return state

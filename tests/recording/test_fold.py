"""The fold from events to a run's state."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnscope.config import Config
from rnnscope.recording.events import (
    DIVERGED,
    EVENTS,
    FINISHED,
    TRAINING,
    Checkpoint,
    Cost,
    Diverged,
    Event,
    Intervention,
    Settings,
    Status,
    Validation,
)
from rnnscope.recording.reader import Reader
from rnnscope.recording.records import Recorded, Reset, Seen
from rnnscope.recording.state import INTERRUPTED, RunState, fold, fold_all, with_live
from tests import fakes
from tests.lab_fakes import fake_incident, lab_events
from tests.neuron_fakes import QUOTED, neuron_events
from tests.reading_fakes import reading_events

START = RunState(Config(), {"a": 1}, live=True)


def at(step: int, event: Event | Reset) -> Seen:
    return Recorded(step, 1, step, float(step), event)


def one_of_each() -> list[Event]:
    config, rng = fakes.fake_config(), np.random.default_rng(0)
    return [
        fakes.fake_started(), Status(TRAINING), Validation(2.0, 9, 0.1, True), fakes.fake_gradients(config, rng),
        fakes.fake_sample(config, rng), fakes.fake_comparison(config, rng), Cost(0.1, 0.2, 3),
        Diverged("loss", "nan"), Checkpoint("x", "last"), Intervention("pause", "{}", True), Settings(1.0, None, 0.8),
        *lab_events(config, fakes.TEXT, rng), fake_incident(config, fakes.TEXT), *reading_events(fakes.TEXT, rng),
        *neuron_events(config, QUOTED, rng),
    ]  # fmt: skip


def test_every_kind_leaves_its_trace() -> None:
    events = one_of_each()
    assert {event.kind for event in events} == set(EVENTS)
    for step, event in enumerate(events, start=1):
        state = fold(START, at(step, event))
        changed = [f.name for f in dataclasses.fields(state) if getattr(state, f.name) is not getattr(START, f.name)]
        in_lab = event.kind in state.lab
        assert "lab" in changed if in_lab else event.kind in changed or event.kind + "s" in changed
        kept: Any = getattr(state, event.kind, None) or state.lab.get(event.kind)
        kept = kept or getattr(state, event.kind + "s")[-1]
        assert (kept.step, kept.event) == (step, event)


def test_fold_is_pure() -> None:
    before = dataclasses.replace(START)
    events = [at(step, event) for step, event in enumerate(one_of_each())]
    first, second = fold_all(START, events), fold_all(START, events)
    assert before == START
    assert all(getattr(first, f.name) is getattr(second, f.name) or getattr(first, f.name) == getattr(second, f.name)
               for f in dataclasses.fields(first) if f.name not in ("gradients", "sample", "comparison"))  # fmt: skip
    with pytest.raises(dataclasses.FrozenInstanceError):
        first.live = False  # type: ignore[misc]


def test_nothing_new_is_the_same_object() -> None:
    assert fold_all(START, []) is START
    assert with_live(START, True) is START
    assert with_live(START, False) == dataclasses.replace(START, live=False)


def test_validations_best_and_last() -> None:
    losses = [(100, 2.0, True), (200, 1.5, True), (300, 1.7, False), (400, float("inf"), False)]
    state = fold_all(START, [at(step, Validation(loss, 9, 0.1, best)) for step, loss, best in losses])
    assert state.validations == tuple((step, loss) for step, loss, _ in losses)
    assert state.best is not None
    assert state.validation is not None
    assert (state.best.step, state.validation.step) == (200, 400)


def test_the_first_divergence_counts() -> None:
    state = fold_all(START, [at(5, Diverged("loss", "nan")), at(6, Diverged("gradient", "inf"))])
    assert state.diverged is not None
    assert state.diverged.step == 5


@pytest.mark.parametrize(
    ("recorded", "live", "shown"),
    [
        (TRAINING, True, TRAINING),
        (TRAINING, False, INTERRUPTED),
        ("paused", False, INTERRUPTED),
        (None, True, "starting"),
        (None, False, INTERRUPTED),
        (FINISHED, False, FINISHED),
        (FINISHED, True, FINISHED),
        (DIVERGED, False, DIVERGED),
        ("failed", False, "failed"),
    ],
)
def test_the_state_shown(recorded: str | None, live: bool, shown: str) -> None:
    state = with_live(START, live)
    if recorded:
        state = fold(state, at(1, Status(recorded, "why")))
        assert state.detail == "why"
    assert state.state == shown


def test_a_reset_starts_over() -> None:
    state = fold_all(START, [at(1, Status(TRAINING)), at(2, Diverged("loss", "nan"))])
    config = Config(texts=("other",))
    assert fold(state, at(1, Reset(2, 1, config, {"b": 2}))) == RunState(config, {"b": 2}, live=True)


def test_a_rewound_run_folds_to_its_lineage(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with fakes.make_fake_run(folder, steps=300, live=True) as writer, Reader(folder) as reader:
        state = fold_all(RunState(reader.config, reader.meta), reader.poll())
        assert [step for step, _ in state.validations] == [100, 200, 300]
        writer.begin_segment(150)
        fakes.add_fake_steps(writer, 150, 60)
        state = fold_all(state, reader.poll())
        assert [step for step, _ in state.validations] == [100, 200]
        assert state.sample is not None
        assert (state.sample.step, state.sample.segment) == (200, 2)
        with Reader(folder) as fresh:
            again = fold_all(RunState(fresh.config, fresh.meta), fresh.poll())
        assert again.validations == state.validations
        assert again.status == state.status

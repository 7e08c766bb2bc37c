"""What the worker measures: it changes nothing, is there from the first step to the last, and is true."""

from __future__ import annotations

import math
import os
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from rnnscope.config import Config
from rnnscope.errors import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_OK
from rnnscope.loading import load_run
from rnnscope.measuring import HURRY, measure, warm_up
from rnnscope.probes import gradients, sample
from rnnscope.probes.schedule import Schedule
from rnnscope.recording import commands as c
from rnnscope.recording import events as e
from rnnscope.recording.mailbox import Sender
from rnnscope.recording.writer import Writer
from rnnscope.registry import CELLS
from rnnscope.worker import Session
from tests.sessions import Recorder, config, run

LIVE = {"gradients": e.Gradients, "sample": e.Sample, "comparison": e.Comparison}
RARE = {"gradients_every": 1000, "sample_every": 1000, "compare_every": 1000}
"""Cadences under which the first step is measured and, in a short run, none after it."""


def steps_of(heard: Recorder) -> dict[str, tuple[int, ...]]:
    """The steps at which each of what the live screen shows was measured."""
    return {name: tuple(step for step, one in heard.events if isinstance(one, kind)) for name, kind in LIVE.items()}


def test_probes_do_not_change_what_is_learned(tmp_path: Path) -> None:
    _, probed = run(tmp_path / "a", config(probes={"gradients_every": 1, "sample_every": 1, "probe_budget": 1.0}))
    off = {"gradients_every": 0, "sample_every": 0, "compare_every": 0}
    _, bare = run(tmp_path / "b", config(probes=off, training={"validate_every": 0}))
    assert len(probed.of(e.Gradients)) == 24
    assert not bare.of(e.Gradients)
    assert probed.losses == bare.losses


def test_the_first_of_every_measurement_comes_at_the_first_step(tmp_path: Path) -> None:
    _, heard = run(tmp_path / "run", config(training={"steps": 2}))
    first = {type(event).__name__ for step, event in heard.events if step == 1}
    assert {"Gradients", "Sample", "Comparison", "Validation"} <= first


def test_the_recorded_units_are_those_of_the_plain_step(tmp_path: Path) -> None:
    _, heard = run(tmp_path / "run", config(training={"steps": 3}, probes={"sample_every": 3, "probe_budget": 1.0}))
    sample = heard.of(e.Sample)[-1]
    loaded = load_run(tmp_path / "run")
    state = loaded.model.initial_state(1)
    ids = torch.from_numpy(loaded.vocabulary.encode(sample.text))
    for n, symbol in enumerate(ids):
        logits, state = loaded.model.step(symbol[None], state)
        for layer in range(2):
            for field, value in zip(("h", "c"), state[layer], strict=True):
                recorded = sample.units[sample.fields.index(field), layer, n]
                assert np.allclose(recorded, value[0].numpy(), rtol=5e-4, atol=1e-4)  # half precision
        if n + 1 < len(ids):
            expected = torch.softmax(logits[0], -1)[ids[n + 1]]
            assert sample.probability[n + 1] == pytest.approx(float(expected), abs=1e-4)


# -- the end -------------------------------------------------------------------------------------------------------


def test_the_last_step_is_measured(tmp_path: Path) -> None:
    """Against the saved weights, read back into a model of its own, on the last window."""
    _, heard = run(tmp_path / "run", config(probes=RARE))
    assert steps_of(heard) == dict.fromkeys(LIVE, (1, 24))
    loaded, window = load_run(tmp_path / "run"), heard.session.measuring.window
    assert window is not None
    again = gradients.measure(loaded.model, window.x, window.y, window.state, loaded.vocabulary.decode)
    seen = heard.of(e.Gradients)[-1]
    np.testing.assert_allclose(seen.reach, again.reach, rtol=1e-4)
    np.testing.assert_allclose(seen.total, again.total, rtol=1e-4)
    assert seen.text == again.text
    assert [type(event) for _, event in heard.events][-2:] == [e.Cost, e.Status]
    assert heard.of(e.Cost)[-1].probes > 0


def test_the_last_step_is_not_measured_twice(tmp_path: Path) -> None:
    every = {"gradients_every": 24, "sample_every": 24, "compare_every": 24, "probe_budget": 1.0}
    _, heard = run(tmp_path / "run", config(probes=every))
    assert steps_of(heard) == dict.fromkeys(LIVE, (1, 24))


def test_what_is_switched_off_is_not_measured_at_the_end_either(tmp_path: Path) -> None:
    _, heard = run(tmp_path / "run", config(probes={**RARE, "sample_every": 0}))
    assert steps_of(heard) == {"gradients": (1, 24), "sample": (), "comparison": (1, 24)}


@pytest.mark.parametrize("way", ["signal", "command"])
@pytest.mark.parametrize(("usual", "measured"), [(HURRY / 4, True), (HURRY / 2, False), (None, False)])
def test_a_stop_measures_the_last_step_only_where_that_is_quick(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str, usual: float | None, measured: bool
) -> None:
    monkeypatch.setattr(Schedule, "cost", lambda self, name: usual)
    folder = tmp_path / "run"

    def stop() -> None:
        if way == "signal":
            os.kill(os.getpid(), signal.SIGINT)
        else:
            Sender(folder).send(c.Stop())

    code, heard = run(folder, config(probes=RARE), {9: stop})
    assert code == (EXIT_INTERRUPTED if way == "signal" else EXIT_OK)
    assert steps_of(heard) == dict.fromkeys(LIVE, (1, 9) if measured else (1,))
    assert heard.of(e.Status)[-1].state == e.STOPPED


def test_a_signal_while_the_end_is_measured_is_obeyed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(name: str, *arguments: Any, **options: Any) -> e.Event:
        if heard.rows[-1:] and heard.rows[-1].step == 24:
            os.kill(os.getpid(), signal.SIGINT)
        return measure(name, *arguments, **options)

    heard = Recorder()
    monkeypatch.setattr("rnnscope.measuring.measure", interrupted)
    Writer.create(tmp_path / "run", config(probes=RARE), {}).close()
    assert Session(tmp_path / "run", observer=heard).run() == EXIT_INTERRUPTED
    assert steps_of(heard) == {"gradients": (1, 24), "sample": (1,), "comparison": (1,)}


@pytest.mark.parametrize("policy", ["halt", "continue"])
@pytest.mark.parametrize("cell", ["lstm", "relu"])
def test_weights_that_are_no_numbers_end_like_any_others(tmp_path: Path, policy: str, cell: str) -> None:
    def spoil() -> None:
        with torch.no_grad():
            for parameter in heard.session.trainer.model.parameters():
                parameter.fill_(math.nan)

    settings: Config = config(model={"cell": cell}, training={"on_divergence": policy}, probes=RARE)
    heard = Recorder({5: spoil})
    Writer.create(tmp_path / "run", settings, {}).close()
    heard.session = Session(tmp_path / "run", observer=heard)
    assert heard.session.run() == (EXIT_FAILED if policy == "halt" else EXIT_OK)
    last = 6 if policy == "halt" else 24
    assert steps_of(heard) == dict.fromkeys(LIVE, (1, last))
    assert (heard.of(e.Gradients)[-1].reach_bad == 1).all()


# -- the beginning -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cell", CELLS)
def test_warming_up_leaves_no_trace(tmp_path: Path, cell: str) -> None:
    _, heard = run(tmp_path / "run", config(model={"cell": cell, "recurrent_dropout": 0.1}, training={"steps": 2}))
    trainer = heard.session.trainer
    before = [parameter.clone() for parameter in trainer.model.parameters()]
    gradient = [None if p.grad is None else p.grad.clone() for p in trainer.model.parameters()]
    random, state = torch.get_rng_state(), [s.clone() for layer in trainer.state for s in layer]
    warm_up(trainer)
    assert torch.equal(torch.get_rng_state(), random)
    assert all(torch.equal(a, b) for a, b in zip(before, trainer.model.parameters(), strict=True))
    assert all(torch.equal(a, b) for a, b in zip(state, [s for layer in trainer.state for s in layer], strict=True))
    for old, parameter in zip(gradient, trainer.model.parameters(), strict=True):
        assert (old is None) == (parameter.grad is None)
        assert old is None or torch.equal(old, parameter.grad)


@pytest.mark.parametrize("name", ["horizon", "lyapunov"])
def test_a_stop_breaks_off_a_slow_probe(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command comes in the middle of the measurement, of which nothing is then recorded."""
    others = {f"{probe}_every": 0 for probe in ("horizon", "lyapunov", "jacobian", "triangle") if probe != name}
    settings = config(probes={**RARE, **others, f"{name}_every": 1, "probe_budget": 1.0})
    folder, looks = tmp_path / "run", []
    told = Session._told_to_stop

    def told_in_the_middle(session: Session) -> bool:
        looks.append((session.trainer.step, session.trainer.model.training))
        if len(looks) == 3:
            Sender(folder).send(c.Stop())
        return told(session)

    monkeypatch.setattr(Session, "_told_to_stop", told_in_the_middle)
    monkeypatch.setattr(Session, "_validate", lambda self, trainer: None)
    code, heard = run(folder, settings)
    assert code == EXIT_OK
    assert looks == [(2, name == "lyapunov")] * 3  # the horizon is measured without dropout
    assert not heard.of(e.EVENTS[name])
    assert len(heard.losses) == 2
    assert heard.session.trainer.model.training
    assert heard.of(e.Status)[-1].state == e.STOPPED


def test_what_is_asked_for_in_the_middle_of_a_slow_probe_is_not_booked_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a clock that runs while a sample is drawn and at no other time."""
    others = {f"{probe}_every": 0 for probe in ("lyapunov", "jacobian", "triangle")}
    settings = config(probes={**RARE, **others, "horizon_every": 1, "probe_budget": 1.0})
    folder, clock, looks, booked = tmp_path / "run", [0.0], [0], []
    told, took, draw = Session._told_to_stop, Schedule.took, sample.measure

    def told_in_the_middle(session: Session) -> bool:
        looks[0] += 1
        if looks[0] == 3:
            Sender(folder).send(c.SetTemperature(0.5))
        return told(session)

    def slowly(*args: Any, **options: Any) -> e.Sample:
        clock[0] += 2.0
        return draw(*args, **options)

    def book(schedule: Schedule, name: str, seconds: float, now: float, asked: bool = False) -> None:
        booked.append((name, seconds, asked))
        took(schedule, name, seconds, now, asked)

    monkeypatch.setattr(Session, "_told_to_stop", told_in_the_middle)
    monkeypatch.setattr(sample, "measure", slowly)
    monkeypatch.setattr(Schedule, "took", book)
    monkeypatch.setattr("rnnscope.measuring.time", SimpleNamespace(perf_counter=lambda: clock[0]))
    code, _ = run(folder, settings)
    assert code == EXIT_OK
    names = [name for name, _, _ in booked]
    nested = names.index("horizon")  # the first one, in the middle of which the temperature changes
    assert ("sample", 2.0, True) in booked[:nested]
    assert {seconds for name, seconds, _ in booked if name == "horizon"} == {0.0}
    assert {seconds for name, seconds, _ in booked if name == "sample"} == {2.0}

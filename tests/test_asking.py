"""Probes that somebody asks a training session for: taken between steps, answered, broken off, and never felt."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rnnscope.errors import EXIT_OK
from rnnscope.recording import commands as c
from rnnscope.recording import events as e
from rnnscope.recording.mailbox import Sender
from rnnscope.recording.neuron_events import Saturation
from rnnscope.recording.reader import Reader
from rnnscope.recording.reading_events import Asked, Decoding
from rnnscope.recording.writer import Writer
from rnnscope.registry import ASKED
from rnnscope.training import checkpoint
from rnnscope.worker import Session
from tests.sessions import SMALL, Recorder, config, run, wait_for


@pytest.fixture(autouse=True)
def fake(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("activations", "saturation", "decoding"):
        monkeypatch.setitem(ASKED, name, ("tests.fake_probe", "a probe for tests"))


def ask(prompt: str = "", probe: str = "activations", **more: Any) -> c.Measure:
    return c.Measure(probe, json.dumps({"prompt": prompt, **more}))


def send(folder: Path, *commands: c.Command) -> Callable[[], None]:
    return lambda: [Sender(folder).send(command) for command in commands] and None


def asked(heard: Recorder, probe: str = "activations") -> list[Asked]:
    return [event for event in heard.of(Asked) if event.probe == probe]


@pytest.mark.parametrize("behaviour", ["well", "rude", "rude_and_wrong", "broken"])
def test_training_is_bit_for_bit_the_same(tmp_path: Path, behaviour: str, capsys: pytest.CaptureFixture[str]) -> None:
    settings = config(model={"dropout": 0.3, "recurrent_dropout": 0.1})
    _, plain = run(tmp_path / "plain", settings)
    folder = tmp_path / "probed"
    _, probed = run(folder, settings, {step: send(folder, ask(behaviour, seed=step)) for step in (1, 5, 6, 17)})
    assert probed.losses == plain.losses
    assert [row.grad_norm for row in probed.rows] == [row.grad_norm for row in plain.rows]
    name = checkpoint.weights_name(24)
    assert (folder / name).read_bytes() == (tmp_path / "plain" / name).read_bytes()
    good = behaviour in ("well", "rude")
    assert [(step, event.chars) for step, event in probed.events if isinstance(event, Saturation)] == (
        [(1, 1), (5, 5), (6, 6), (17, 17)] if good else []
    )
    assert [event.share for event in asked(probed)].count(1.0) == 4
    errors = [event.error for event in asked(probed) if event.error]
    assert len(errors) == (0 if good else 4)
    assert ("ZeroDivisionError: one by nought" in capsys.readouterr().err) == (behaviour == "broken")


def test_what_it_finds_is_recorded_with_its_step_and_how_far_it_came(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    run(folder, SMALL, {5: send(folder, ask("well"))})
    with Reader(folder) as reader:
        seen = [one for one in reader.poll() if one.event.kind in ("saturation", "asked", "intervention")]
    assert {one.step for one in seen} == {5}
    kinds = [(one.event.kind, getattr(one.event, "share", None)) for one in seen]
    assert kinds == [("intervention", None), ("asked", 0.0), ("saturation", None), ("asked", 1.0)]
    assert isinstance(seen[2].event, Saturation)
    assert seen[2].event.left.tolist() == [[[5.0]]]


def test_the_newest_request_of_each_probe_is_taken_once(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    commands = [ask(seed=1), ask(probe="saturation", seed=9), ask(seed=2), ask(seed=3)]
    _, heard = run(folder, SMALL, {5: send(folder, *commands)})
    assert [(step, event.chars) for step, event in heard.events if isinstance(event, Saturation)] == [(5, 3), (6, 9)]


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (c.Measure("colour"), "there is no probe 'colour'"),
        (c.Measure("activations", "{"), "not JSON"),
        (c.Measure("activations", "[1]"), "must be a JSON object"),
        (c.Measure("activations", '{"colour": 1}'), "must be a JSON object of: source, prompt"),
        (c.Measure("activations", '{"length": "long"}'), "length = 'long' does not fit"),
        (c.Measure("activations", '{"length": 1.5}'), "length = 1.5 does not fit"),
        (c.Measure("activations", '{"length": true}'), "length = True does not fit"),
        (c.Measure("activations", '{"source": "air"}'), "source = 'air' does not fit"),
        (c.Measure("decoding", '{"temperatures": [1, "2"]}'), "does not fit"),
        (c.Measure("decoding", '{"temperatures": 1}'), "does not fit"),
        (c.Measure("decoding", '{"temperatures": [1, 1, 1, 1, 1]}'), "at most 4"),
        (c.Measure("decoding", '{"temperatures": []}'), "give one at least"),
        (c.Measure("decoding", '{"temperatures": [{"float": "nan"}]}'), "must be between 0 and"),
        (c.Measure("activations", '{"span": [1, 2, 3]}'), "does not fit"),
        (c.Measure("activations", '{"length": 0}'), "--length 0: must be between 1 and 10,000"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_in_one_line(tmp_path: Path, command: c.Measure, why: str) -> None:
    folder = tmp_path / "run"
    _, heard = run(folder, config(training={"steps": 2}), {1: send(folder, command)})
    (intervention,) = heard_interventions(folder)
    assert not intervention.done
    assert why in intervention.reason
    assert "\n" not in intervention.reason
    assert not heard.of(Asked)


def heard_interventions(folder: Path) -> list[e.Intervention]:
    with Reader(folder) as reader:
        return [one.event for one in reader.poll() if isinstance(one.event, e.Intervention)]


def driven(folder: Path, drive: Callable[[Recorder], None], **sections: dict[str, Any]) -> Recorder:
    """Train for ever while `drive` sends commands from another thread, which must end with Stop."""
    Writer.create(folder, config(training={"steps": 10**9, "validate_every": 0}, **sections), {}).close()
    heard = Recorder()
    failed: list[BaseException] = []

    def guarded() -> None:
        try:
            drive(heard)
        except BaseException as error:
            failed.append(error)
            Sender(folder).send(c.Stop())

    thread = threading.Thread(target=guarded)
    heard.act = {3: thread.start}
    heard.session = Session(folder, observer=heard)
    assert heard.session.run() == EXIT_OK
    thread.join()
    if failed:
        raise failed[0]
    return heard


def test_cancelling(tmp_path: Path) -> None:
    sender = Sender(tmp_path / "run")

    def drive(heard: Recorder) -> None:
        sender.send(ask("patient"))
        wait_for(lambda: any(0 < event.share < 1 for event in asked(heard)))
        sender.send(ask(probe="saturation"))
        sender.send(c.ScaleLearningRate(0.5))  # must wait: it changes how training goes on
        wait_for(lambda: len(heard_interventions(tmp_path / "run")) == 2)
        waiting = len(heard.rows)
        assert not any(event.command == "scale_lr" for event in heard_interventions(tmp_path / "run"))
        sender.send(c.Cancel())
        wait_for(lambda: len(heard.rows) > waiting)
        sender.send(c.Stop())

    heard = driven(tmp_path / "run", drive)
    assert [event.what for event in asked(heard) if event.share == 1.0] == ["cancelled"]
    assert not heard.of(Saturation)
    told = [(event.share, event.what) for event in asked(heard, "saturation")]
    assert told == [(0.0, "waits its turn"), (1.0, "cancelled")]  # it was forgotten while it waited
    commands = [event.command for event in heard_interventions(tmp_path / "run")]
    assert commands == ["measure", "measure", "cancel", "scale_lr", "stop"]
    assert heard.of(e.Settings)[-1].lr_scale == 0.5


def test_stopping_does_not_wait_for_a_probe(tmp_path: Path) -> None:
    ended: list[float] = []

    def drive(heard: Recorder) -> None:
        sender = Sender(tmp_path / "run")
        sender.send(ask("patient"))
        wait_for(lambda: any(0 < event.share < 1 for event in asked(heard)))
        sender.send(ask(probe="saturation"))
        sender.send(c.Stop())
        ended.append(time.monotonic())

    heard = driven(tmp_path / "run", drive)
    assert time.monotonic() - ended[0] < 5  # of 30
    assert heard.of(e.Status)[-1].state == e.STOPPED
    assert [event.what for event in asked(heard) if event.share == 1.0] == ["cancelled"]
    assert "ended before" in asked(heard, "saturation")[-1].error


def test_while_paused_and_meanwhile_other_commands_are_obeyed(tmp_path: Path) -> None:
    def drive(heard: Recorder) -> None:
        sender = Sender(tmp_path / "run")
        sender.send(c.Pause())
        wait_for(lambda: any(status.state == e.PAUSED for status in heard.of(e.Status)))
        rows = len(heard.rows)
        sender.send(ask("well"))
        wait_for(lambda: heard.of(Saturation))
        sender.send(ask("patient"))
        wait_for(lambda: any(0 < event.share < 1 for event in asked(heard)))
        sender.send(c.SetTemperature(0.25))
        wait_for(lambda: any(sample.temperature == 0.25 for sample in heard.of(e.Sample)))
        assert len(heard.rows) == rows
        sender.send(c.Cancel())
        sender.send(c.Stop())

    heard = driven(tmp_path / "run", drive)
    assert len(heard.of(Saturation)) == 1


def test_it_tells_how_far_it_is_about_four_times_a_second(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    _, heard = run(folder, SMALL, {5: send(folder, ask("chatty"))})
    between = [event for event in asked(heard) if event.share == pytest.approx(0.1)]
    assert 1 <= len(between) <= 3  # in 0.6 s
    assert {event.what for event in between} == {"again"}


def test_drafts_are_recorded_while_it_goes_on(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    _, heard = run(folder, SMALL, {5: send(folder, ask("drafting", "decoding"))})
    drafts = heard.of(Decoding)
    assert 2 <= len(drafts) <= 6
    assert not any(draft.done for draft in drafts)


def test_its_time_is_shown_and_not_charged(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    off = {"gradients_every": 0, "sample_every": 0, "compare_every": 0}
    settings = config(training={"steps": 8, "validate_every": 0}, probes=off)
    _, heard = run(folder, settings, {4: send(folder, ask("chatty"))})
    assert len(heard.of(Saturation)) == 1
    now, schedule = heard.session.clock.seconds, heard.session.measuring.schedule
    assert now < 0.6  # of training, of which the measurement is no part
    assert schedule._all.seconds(now) >= 0.6
    assert schedule._early.charged.seconds(now) + schedule._late.charged.seconds(now) == 0


def test_a_run_that_diverged_can_be_asked(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    wild = config(
        model={"cell": "relu", "init": "gaussian", "gain": 1e30, "dropout": 0.0},
        training={"clip": "none", "on_divergence": "continue", "steps": 4},
    )
    _, heard = run(folder, wild, {2: send(folder, ask("rude"))})
    assert [step for step, event in heard.events if isinstance(event, Saturation)] == [2]

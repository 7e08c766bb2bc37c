"""Commands: obeyed between steps, recorded, answered once, and refused with a reason."""

from __future__ import annotations

import math
import threading
from pathlib import Path

import pytest

from rnnscope.errors import EXIT_OK
from rnnscope.obey import HANDLERS, obey
from rnnscope.recording import commands as c
from rnnscope.recording import events as e
from rnnscope.recording.mailbox import Sender
from rnnscope.recording.reader import Reader
from rnnscope.recording.writer import Writer
from rnnscope.worker import Session
from tests.sessions import Recorder, config, run, wait_for


def test_commands_are_obeyed_between_steps_and_recorded(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    sent: list[int] = []

    def send() -> None:
        wanted = (c.ScaleLearningRate(0.5), c.SetClip(None), c.SetTemperature(0.3), c.Save(), c.SetClip(-1.0))
        sent.extend(Sender(folder).send(command) for command in wanted)

    _, heard = run(folder, config(probes={"sample_every": 0}), {5: send})
    assert [row.lr for row in heard.rows[4:7]] == [5e-3, 2.5e-3, 2.5e-3]
    assert [s.clip for s in heard.of(e.Settings)][-1] is None
    assert heard.of(e.Sample)[-1].temperature == 0.3
    assert [event.name for step, event in heard.events if isinstance(event, e.Checkpoint) and event.why == "asked"] == [
        "step-5.safetensors"
    ]
    answers = [Sender(folder).answer(number) for number in sent]
    assert [answer is not None and answer.done for answer in answers] == [True, True, True, True, False]
    assert answers[-1] is not None
    assert "positive" in answers[-1].reason
    with Reader(folder) as reader:
        interventions = [seen for seen in reader.poll() if isinstance(seen.event, e.Intervention)]
    assert {seen.step for seen in interventions} == {5}


def test_pause_step_resume_stop(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    settings = config(training={"steps": 100_000})
    paused_at: list[int] = []

    def drive(heard: Recorder) -> None:
        sender = Sender(folder)
        sender.send(c.Pause())
        wait_for(lambda: any(s.state == e.PAUSED for s in heard.of(e.Status)))
        paused_at.append(len(heard.rows))
        sender.send(c.Advance(2))
        wait_for(lambda: len(heard.rows) == paused_at[0] + 2)
        wait_for(lambda: [s.state for s in heard.of(e.Status)].count(e.PAUSED) == 2)
        paused_at.append(len(heard.rows))
        sender.send(c.Resume())
        wait_for(lambda: len(heard.rows) > paused_at[1] + 3)
        sender.send(c.Stop())

    Writer.create(folder, settings, {}).close()
    heard = Recorder()
    threads = []

    def begin() -> None:
        threads.append(threading.Thread(target=drive, args=(heard,)))
        threads[0].start()

    heard.act = {3: begin}
    assert Session(folder, observer=heard).run() == EXIT_OK
    threads[0].join()
    assert paused_at[1] == paused_at[0] + 2
    assert heard.of(e.Status)[-1].state == e.STOPPED
    probed = [step for step, event in heard.events if isinstance(event, e.Gradients)]
    assert {paused_at[0] + 1, paused_at[0] + 2} <= set(probed)  # a single step is measured whatever the cadence


def test_what_was_changed_while_training_survives_a_resume(tmp_path: Path) -> None:
    folder = tmp_path / "run"

    def send() -> None:
        for command in (c.ScaleLearningRate(0.5), c.SetClip(0.7), c.SetTemperature(0.3)):
            Sender(folder).send(command)

    run(folder, config(training={"steps": 8}), {3: send})
    _, same = run(folder, config(training={"steps": 10}))
    first = same.of(e.Settings)[0]
    assert (first.lr_scale, first.clip, first.temperature) == (0.5, 0.7, 0.3)
    _, other = run(folder, config(training={"steps": 12, "clip": 2.0, "lr": 1e-3}, probes={"temperature": 1.1}))
    first = other.of(e.Settings)[0]
    assert (first.lr_scale, first.clip, first.temperature) == (1.0, 2.0, 1.1)


def test_every_command_has_a_handler() -> None:
    assert set(HANDLERS) == set(c.COMMANDS.values())


@pytest.mark.parametrize(
    "command",
    [
        c.Advance(0), c.Advance(-1), c.ScaleLearningRate(0.0), c.ScaleLearningRate(math.nan),
        c.ScaleLearningRate(math.inf), c.SetClip(0.0), c.SetClip(-math.inf), c.SetClip(math.nan),
        c.SetClip(1.0, "weight"), c.SetTemperature(-0.1), c.SetTemperature(math.nan), c.SetTemperature(math.inf),
    ],
)  # fmt: skip
def test_nonsense_is_refused_with_a_reason_and_changes_nothing(tmp_path: Path, command: c.Command) -> None:
    refused: list[tuple[bool, str]] = []

    def ask() -> None:
        session = heard.session
        before = session.trainer.lr_scale, session.trainer.clip, session.temperature, session.paused, session.allowance
        refused.append(obey(session, command))
        after = session.trainer.lr_scale, session.trainer.clip, session.temperature, session.paused, session.allowance
        assert after == before

    folder = tmp_path / "run"
    Writer.create(folder, config(training={"steps": 2}), {}).close()
    heard = Recorder({1: ask})
    heard.session = Session(folder, observer=heard)
    assert heard.session.run() == EXIT_OK
    ((done, reason),) = refused
    assert not done
    assert reason
    assert len(heard.of(e.Settings)) == 1  # that of the beginning


def test_what_a_new_temperature_shows_at_once_is_not_charged_to_the_budget(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    booked: list[tuple[str, bool]] = []

    def send() -> None:
        took = heard.session.measuring.schedule.took

        def listen(name: str, seconds: float, now: float, asked: bool = False) -> None:
            booked.append((name, asked))
            took(name, seconds, now, asked)

        heard.session.measuring.schedule.took = listen  # type: ignore[method-assign]
        Sender(folder).send(c.SetTemperature(0.3))

    Writer.create(folder, config(training={"steps": 4}, probes={"sample_every": 90, "compare_every": 90}), {}).close()
    heard = Recorder({3: send})
    heard.session = Session(folder, observer=heard)
    heard.session.run()
    assert booked[:2] == [("sample", True), ("comparison", True)]
    assert [sample.temperature for sample in heard.of(e.Sample)] == [0.8, 0.3, 0.3]  # the first, asked for, the last
    assert heard.of(e.Cost)[-1].probes > 0

"""A viewer of a run that nobody trains: an inspector is started when it is needed, and what it finds is shown."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rnnscope.recording.commands import Cancel, Measure, Pause, SetTemperature
from rnnscope.recording.events import PAUSED, STOPPED, Settings, Status
from rnnscope.recording.lock import live
from rnnscope.recording.neuron_events import Saturation
from rnnscope.recording.reader import Reader
from rnnscope.recording.reading_events import Asked
from rnnscope.recording.sessions import session_folder
from rnnscope.recording.writer import Writer
from rnnscope.tui.asking import measure, standing
from rnnscope.tui.inspection import ABOVE, Weights
from rnnscope.tui.snapshot import Answered, Snapshot
from rnnscope.tui.source import Source
from tests.fakes import TEXT, fake_comparison, fake_config, fake_sample
from tests.lab_fakes import lab_events
from tests.reading_fakes import fake_ngram

np = pytest.importorskip("numpy")
MEASURE = measure("saturation", chars=500)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RNNSCOPE_CACHE", str(tmp_path / "cache"))


class FakeInspector:
    """What an inspector does, in this process: takes the session's lock, says that it is ready, answers."""

    def __init__(self, run: Path) -> None:
        self.session = session_of(run)
        self.process = subprocess.Popen(["sleep", "60"])
        self.writer: Writer | None = None

    def starts(self) -> Writer:
        self.writer = writer = (
            Writer.open(self.session) if self.session.exists() else Writer.create(self.session, fake_config())
        )
        writer.begin_segment(300)
        writer.event(300, Status("starting", "reading the text"))
        writer.flush(force=True)
        return writer

    def is_ready(self) -> None:
        assert self.writer is not None
        self.writer.event(300, Status(PAUSED))
        self.writer.flush(force=True)

    def ends(self, code: int = 0) -> None:
        if self.writer is not None:
            self.writer.event(300, Status(STOPPED))
            self.writer.close()
            self.writer = None
        self.process.kill()
        self.process.wait()
        self.process.returncode = code


def session_of(run: Path) -> Path:
    with Reader(run) as reader:
        return session_folder(run, reader.meta["created"], None)


@pytest.fixture
def fake(finished: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    inspector = FakeInspector(finished)
    monkeypatch.setattr("rnnscope.tui.inspection.spawn_inspector", lambda *words: inspector.process)
    yield inspector
    inspector.ends()


def saturation(seed: int = 1) -> Saturation:
    one = np.zeros((1, 1, 1), np.float32)
    return Saturation(("h",), one[0, 0], one[0, 0], one, one, seed, 0.0)


def lab(snapshot: Snapshot, kind: str) -> Any:
    found = snapshot.state.lab.get(kind)
    return found.event if found else None


def test_what_is_asked_waits_until_the_inspector_is_ready(finished: Path, fake: FakeInspector) -> None:
    source = Source(finished)
    before = source.poll()
    assert not before.inspected
    source.send(MEASURE)
    assert source.poll().inspected
    assert standing(source.poll(), "saturation").ways[-1] == "0%"
    assert lab(source.poll(), "asked").what == "opening the weights"
    writer = fake.starts()
    assert lab(source.poll(), "asked").what == "reading the text"
    assert writer.commands() == []
    fake.is_ready()
    source.poll()
    ((number, command),) = writer.commands()
    assert command == MEASURE
    assert source.answers() == []
    writer.answer(number, 300, True)
    writer.event(300, Asked("saturation", 0.0))
    writer.event(300, Asked("saturation", 0.5, "reading"))
    writer.flush(force=True)
    assert source.answers() == [Answered(MEASURE, True, 300, "")]
    assert standing(source.poll(), "saturation").share == 0.5
    writer.event(300, saturation())
    writer.event(300, Asked("saturation", 1.0))
    writer.flush(force=True)
    after = source.poll()
    assert lab(after, "saturation").chars == 1
    assert standing(after, "saturation").ways == ()
    assert after.notice == ()
    assert source.poll().state is after.state
    source.send(Cancel())  # at once, now that it is there
    assert [command for _, command in writer.commands()] == [Cancel()]
    source.close()
    assert fake.process.returncode == -15  # who started it ends it


def test_only_the_newest_of_each_waits(finished: Path, fake: FakeInspector) -> None:
    source = Source(finished)
    first, second, other = measure("units"), measure("units", field="c"), measure("contexts")
    for command in (first, other, second, SetTemperature(0.5), SetTemperature(0.6)):
        source.send(command)
    assert [(answer.command, answer.done) for answer in source.answers()] == [
        (first, True),
        (SetTemperature(0.5), True),
    ]
    writer = fake.starts()
    fake.is_ready()
    source.poll()
    assert [command for _, command in writer.commands()] == [other, second, SetTemperature(0.6)]
    source.close()


def test_cancelling_before_it_began(finished: Path, fake: FakeInspector) -> None:
    source = Source(finished)
    source.send(MEASURE)
    source.send(Cancel())
    assert [(answer.command, answer.done) for answer in source.answers()] == [(MEASURE, True), (Cancel(), True)]
    assert lab(source.poll(), "asked") is None
    fake.starts()
    fake.is_ready()
    source.poll()
    assert fake.writer is not None
    assert fake.writer.commands() == []
    source.close()


def test_the_newest_of_each_kind_is_shown(finished: Path, fake: FakeInspector) -> None:
    """The session's over the run's own, and its temperature, but no other setting."""
    source, rng = Source(finished), np.random.default_rng(1)
    before = source.poll()
    writer = fake.starts()
    (event,) = [event for event in lab_events(fake_config(), TEXT, rng) if event.kind == "triangle"]
    for found in (event, saturation(), fake_sample(fake_config(), rng), fake_comparison(fake_config(), rng)):
        writer.event(300, found)
    writer.event(300, Settings(3.0, None, 0.3))
    fake.is_ready()
    after = source.poll()
    assert after.state.lab["triangle"].id > ABOVE
    assert after.state.lab["jacobian"] is before.state.lab["jacobian"]
    assert after.state.sample is not before.state.sample
    assert after.state.comparison is not before.state.comparison
    assert (after.controls.temperature, after.controls.clip, after.controls.lr_scale) == (0.3, 5.0, 1.0)
    assert after.state.gradients is before.state.gradients
    assert after.word == "finished"


def test_rivals_measured_by_an_inspector_are_lines_in_the_loss_chart(finished: Path, fake: FakeInspector) -> None:
    source = Source(finished)
    before = source.poll().loss
    assert before is not None
    assert before.rivals == ()
    fake.starts().event(300, fake_ngram(TEXT))
    fake.is_ready()
    loss = source.poll().loss
    assert loss is not None
    assert len(loss.rivals) > 2
    assert loss.step is before.step
    assert source.poll().loss is loss  # drawn once


def test_an_earlier_session_is_shown_and_an_unfinished_measurement_is_not(finished: Path, fake: FakeInspector) -> None:
    writer = fake.starts()
    writer.event(300, saturation(7))
    writer.event(300, Asked("units", 0.5))
    fake.ends()
    snapshot = Source(finished).poll()
    assert lab(snapshot, "saturation").chars == 7
    assert lab(snapshot, "asked") is None
    assert not snapshot.inspected


def test_a_dead_inspector_is_told_with_the_end_of_its_log(finished: Path, fake: FakeInspector) -> None:
    source = Source(finished)
    source.send(MEASURE)
    log = fake.session.with_name(f"{fake.session.name}.log")
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text("Traceback:\nrnnscope: the text is gone\n")
    fake.ends(code=1)
    snapshot = source.poll()
    assert snapshot.notice == ("the inspector has ended: the text is gone", "Traceback:", "rnnscope: the text is gone")
    assert standing(snapshot, "saturation").ways == ("error: the text is gone",)
    assert source.answers() == [Answered(MEASURE, False, None, "the text is gone")]
    fake.process = subprocess.Popen(["sleep", "60"])
    source.send(MEASURE)  # a new one
    assert source.poll().notice == ()
    assert standing(source.poll(), "saturation").share == 0
    source.close()


def test_one_that_dies_while_it_measures(finished: Path, fake: FakeInspector) -> None:
    source = Source(finished)
    source.send(MEASURE)
    writer = fake.starts()
    fake.is_ready()
    source.poll()
    writer.event(300, Asked("saturation", 0.5))
    writer.flush(force=True)
    source.poll()
    fake.ends(code=-9)
    assert standing(source.poll(), "saturation").ways == ("error: it ended with exit status -9",)
    source.close()


def test_one_that_had_nothing_to_do_ends_in_silence_and_another_follows(finished: Path, fake: FakeInspector) -> None:
    source = Source(finished)
    source.send(MEASURE)
    fake.starts()
    fake.is_ready()
    source.poll()
    fake.ends()
    assert source.poll().notice == ()
    fake.process = subprocess.Popen(["sleep", "60"])
    source.send(MEASURE)
    writer = fake.starts()  # the session's old Status says "ready"; this one has not
    source.poll()
    assert writer.commands() == []
    fake.is_ready()
    source.poll()
    assert [command for _, command in writer.commands()] == [MEASURE]
    source.close()


def test_a_live_run_is_asked_itself(training: Writer) -> None:
    source = Source(training.folder)
    source.send(MEASURE)
    assert [command for _, command in training.commands()] == [MEASURE]
    assert source.poll().inspected is False
    source.close()
    training.close()


def test_a_checkpoint_of_a_live_run_is_inspected(training: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    spawned: list[Any] = []

    def spawn(*words: Any) -> subprocess.Popen[bytes]:
        spawned.append(words)
        return subprocess.Popen(["sleep", "60"])

    monkeypatch.setattr("rnnscope.tui.inspection.spawn_inspector", spawn)
    source = Source(training.folder, weights=Weights(5, "cuda"))
    source.send(MEASURE)
    source.send(Pause())  # of the training
    assert [command for _, command in training.commands()] == [Pause()]
    ((run, session, *others),) = spawned
    assert (run, others) == (training.folder, [5, "cuda"])
    assert session != session_of(training.folder)
    source.close()
    training.close()


def wait_for(source: Source, condition: Callable[[Snapshot], bool], seconds: float = 90.0) -> Snapshot:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        snapshot = source.poll()
        if condition(snapshot):
            return snapshot
        time.sleep(0.02)
    raise AssertionError(f"waited in vain: {snapshot.state.lab.get('asked')}, {snapshot.notice}")


def test_a_true_inspector(tmp_path: Path) -> None:
    """Started, asked, asked again once its weights are damaged, and ended with the viewer."""
    pytest.importorskip("torch")
    from tests.probed import STEPS, make_run, state_of

    run = make_run(tmp_path / "run")
    before = state_of(run)
    source = Source(run)
    source.poll()
    source.send(Measure("activations", '{"length": 30}'))
    found = wait_for(source, lambda snapshot: "activations" in snapshot.state.lab)
    assert len(lab(found, "activations").text) == 31
    assert found.state.lab["activations"].step == STEPS
    assert [answer.done for answer in source.answers()] == [True]
    assert state_of(run) == before
    session = session_of(run)
    assert live(session)
    source.close()
    assert not live(session)
    os.truncate(run / f"step-{STEPS}.safetensors", 100)
    again = Source(run)
    assert "activations" in again.poll().state.lab
    again.send(Measure("activations"))
    dead = wait_for(again, lambda snapshot: snapshot.notice[0].startswith("the inspector"))
    assert "corrupt or truncated" in dead.notice[0]
    again.close()

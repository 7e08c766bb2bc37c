"""From the recording to a snapshot."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from rnnscope.errors import UserError
from rnnscope.recording.commands import Rewind, ScaleLearningRate, SetClip, SetTemperature
from rnnscope.recording.events import FINISHED, Diverged, Settings, Status, StepRow, Validation
from rnnscope.recording.mailbox import Answer, Sender
from rnnscope.recording.writer import Writer
from rnnscope.tui.logs import LOG_LINES
from rnnscope.tui.source import Source, log_tail, text_name, vocabulary_size
from tests.fakes import TEXT, add_fake_steps, make_fake_run


def test_a_finished_run(tmp_path: Path) -> None:
    make_fake_run(tmp_path / "run", steps=300)
    snapshot = Source(tmp_path / "run").poll()
    assert (snapshot.word, snapshot.live, snapshot.notice) == ("finished", False, ())
    assert (snapshot.name, snapshot.text) == ("run", "shakespeare.txt")
    assert snapshot.loss is not None
    assert snapshot.loss.step.tolist() == list(range(1, 301))
    assert snapshot.loss.validation_step == (100, 200, 300)
    assert snapshot.loss.vocabulary == len(set(TEXT))
    assert snapshot.progress.step == 300
    assert snapshot.progress.share == pytest.approx(0.03)
    assert snapshot.clip is not None
    assert 0 < snapshot.clip.rate < 1


def test_what_did_not_change_is_the_same_object(tmp_path: Path) -> None:
    writer = make_fake_run(tmp_path / "run", steps=15, live=True)
    source = Source(tmp_path / "run")
    first, second = source.poll(), source.poll()
    assert second.loss is first.loss
    assert second.state is first.state
    add_fake_steps(writer, 15, 1)
    third = source.poll()
    assert third.loss is not first.loss
    assert third.state.sample is first.state.sample
    writer.close()


def test_rate_and_remaining_time(tmp_path: Path) -> None:
    writer = make_fake_run(tmp_path / "run", steps=300, live=True)
    progress = Source(tmp_path / "run").poll().progress
    assert progress.rate == pytest.approx(2500 / 0.04)
    assert progress.remaining == pytest.approx((10_000 - 300) * 0.04)
    assert progress.elapsed == pytest.approx(12.0)
    writer.close()


def test_a_dead_worker_is_told_with_the_end_of_its_log(tmp_path: Path) -> None:
    writer = make_fake_run(tmp_path / "run", steps=30, live=True)
    lines = [f"line {n}" for n in range(20)] + ["Killed"]
    (tmp_path / "run" / "worker.log").write_text("\n".join(lines) + "\n")
    source = Source(tmp_path / "run")
    assert source.poll().notice == ()
    writer._lock.release()  # what the kernel does when the process is killed
    snapshot = source.poll()
    assert snapshot.word == "interrupted"
    assert "--resume" in snapshot.notice[0]
    assert snapshot.notice[1:] == tuple(lines[-LOG_LINES:])
    assert snapshot.loss is not None
    assert len(snapshot.loss.step) == 30


def test_a_worker_that_has_not_taken_the_lock_yet_is_starting(tmp_path: Path) -> None:
    writer = make_fake_run(tmp_path / "run", steps=1, live=True)
    writer._lock.release()
    worker = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        source = Source(tmp_path / "run", worker)
        assert source.poll().word == "starting"
        worker.communicate(b"\n")
        assert source.poll().word == "interrupted"
    finally:
        worker.kill()
        worker.wait()


def test_divergence_and_failure_are_told(tmp_path: Path) -> None:
    writer = make_fake_run(tmp_path / "run", steps=10, live=True)
    writer.scalar(StepRow(11, float("nan"), 2e-3, float("inf"), float("nan"), 0.1, 0.44, 27_500))
    writer.event(11, Diverged("loss", "nan"))
    writer.event(11, Status("diverged", "loss is nan at step 11"))
    writer.flush(force=True)
    source = Source(tmp_path / "run")
    snapshot = source.poll()
    assert snapshot.notice == ("diverged: loss is nan at step 11",)
    assert snapshot.loss is not None
    assert snapshot.loss.diverged == (11, "loss nan")
    assert snapshot.loss.bad.sum() == 1
    writer.event(11, Status("failed", "disk full"))
    writer.close()
    assert source.poll().notice == ("failed: disk full",)


def test_commands_are_answered_and_mark_the_loss(tmp_path: Path) -> None:
    writer = make_fake_run(tmp_path / "run", steps=10, live=True)
    source = Source(tmp_path / "run")
    for command in (ScaleLearningRate(1.25), ScaleLearningRate(1.25), SetClip(None), SetTemperature(0.5)):
        source.send(command)
    assert source.answers() == []
    taken = writer.commands()
    for id, command in taken:
        done = not isinstance(command, SetClip)
        writer.answer(id, 10, done, "" if done else "no")
    writer.flush(force=True)
    answers = source.answers()
    assert [(a.command.kind, a.done, a.step, a.reason) for a in answers] == [
        ("scale_lr", True, 10, ""), ("scale_lr", True, 10, ""), ("set_clip", False, 10, "no"),
        ("set_temperature", True, 10, ""),
    ]  # fmt: skip
    assert source.answers() == []
    snapshot = source.poll()
    assert snapshot.loss is not None
    assert snapshot.loss.marks == ((10, "lr ×1.56"),)
    writer.close()


def test_controls_follow_the_recording(tmp_path: Path) -> None:
    writer = make_fake_run(tmp_path / "run", steps=10, live=True)
    source = Source(tmp_path / "run")
    assert source.poll().controls.clip == 5.0
    writer.event(10, Settings(lr_scale=1.25, clip=None, temperature=0.5))
    writer.event(10, Status("paused"))
    writer.flush(force=True)
    controls = source.poll().controls
    assert (controls.paused, controls.clip, controls.usual_clip, controls.temperature) == (True, None, 5.0, 0.5)
    writer.close()


def test_a_resumed_run_is_shown_from_its_own_lineage(tmp_path: Path) -> None:
    writer = make_fake_run(tmp_path / "run", steps=100, live=True)
    source = Source(tmp_path / "run")
    source.poll()
    writer.begin_segment(50)
    add_fake_steps(writer, 50, 10)
    snapshot = source.poll()
    assert snapshot.loss is not None
    assert snapshot.loss.step.tolist() == list(range(1, 61))
    assert snapshot.progress.step == 60
    writer.close()


def test_no_run_is_a_user_error(tmp_path: Path) -> None:
    with pytest.raises(UserError):
        Source(tmp_path / "nothing").poll()


def test_sending_to_a_finished_run_is_a_user_error(tmp_path: Path) -> None:
    make_fake_run(tmp_path / "run", steps=3)
    with pytest.raises(UserError, match="not running"):
        Source(tmp_path / "run").send(SetClip(None))


def test_log_tail_of_anything(tmp_path: Path) -> None:
    assert log_tail(tmp_path) == ()
    (tmp_path / "worker.log").write_bytes(b"\xff\xfe broken\n" + b"x" * 100_000 + b"\nlast\n\n")
    assert log_tail(tmp_path)[-1] == "last"


@pytest.mark.parametrize(
    ("meta", "name"),
    [({"text": "play"}, "play"), ({}, "b.txt"), ({"text": 3}, "b.txt")],
)
def test_text_name(meta: dict[str, object], name: str) -> None:
    assert text_name(meta, ("/a/b.txt",)) == name


def test_name_of_several_texts() -> None:
    assert text_name({}, ("a", "b")) == "2 texts"


@pytest.mark.parametrize(
    ("vocabulary", "size"),
    [('{"symbols": "abc", "bytes": false}', 3), (["a", "b"], 2), (None, None), ({"symbols": ""}, None)],
)
def test_vocabulary_size(vocabulary: object, size: int | None) -> None:
    assert vocabulary_size({"vocabulary": vocabulary}) == size


def test_long_runs_are_read_in_buckets_and_stay_quick(tmp_path: Path) -> None:
    writer = make_fake_run(tmp_path / "run", steps=1, live=True)
    rng = np.random.default_rng(0)
    for step in range(2, 60_001):
        writer.scalar(StepRow(step, float(rng.normal(2, 0.1)), 2e-3, 1.0, 1.0, step / 400, step * 0.01, step * 2500))
    writer.flush(force=True)
    source = Source(tmp_path / "run")
    snapshot = source.poll()
    assert snapshot.loss is not None
    assert int(snapshot.loss.count.sum()) == 60_000
    assert len(snapshot.loss.step) < 9000
    add_fake_steps(writer, 60_000, 500)
    source._loss_made_at -= 1.0
    began = time.perf_counter()
    newer = source.poll()
    assert time.perf_counter() - began < 0.5
    assert newer.loss is not None
    assert newer.loss.step[-1] == 60_500
    writer.close()


def test_the_loss_is_drawn_once_a_second(tmp_path: Path) -> None:
    """In between it stays the same one, unless there is more than steps to draw; everything else is new."""
    with make_fake_run(tmp_path / "run", steps=1_000, live=True) as writer:
        source = Source(tmp_path / "run")

        def last(steps: int, seconds_ago: float) -> int:
            add_fake_steps(writer, source.poll().progress.step, steps)
            source._loss_made_at = time.monotonic() - seconds_ago
            snapshot = source.poll()
            assert snapshot.loss is not None
            return int(snapshot.loss.step[-1])

        assert source.poll().loss is not None
        assert last(5, 0.7) == 1_000
        assert source.poll().progress.step == 1_005
        assert last(0, 1.1) == 1_005
        assert last(20, 0.2) == 1_005
        writer.event(1_026, Validation(2.0, 1000, 0.1, best=False))
        assert last(1, 0.0) == 1_026


def test_the_loss_of_a_run_that_has_ended_is_drawn_at_once(tmp_path: Path) -> None:
    with make_fake_run(tmp_path / "run", steps=100, live=True) as writer:
        source = Source(tmp_path / "run")
        assert source.poll().loss is not None
        add_fake_steps(writer, 100, 30)
        writer.event(130, Status(FINISHED, "130 steps"))
        writer.flush(force=True)
        source._loss_made_at = time.monotonic()
        snapshot = source.poll()
        assert snapshot.loss is not None
        assert snapshot.loss.step[-1] == 130


def test_the_first_steps_are_drawn_as_they_come(tmp_path: Path) -> None:
    with make_fake_run(tmp_path / "run", steps=1, live=True) as writer:
        source = Source(tmp_path / "run")
        for step in range(1, 10):
            snapshot = source.poll()
            assert snapshot.loss is not None
            assert snapshot.loss.step[-1] == step
            add_fake_steps(writer, step, 1)


def test_answers_survive_the_end_of_the_worker(tmp_path: Path) -> None:
    writer = make_fake_run(tmp_path / "run", steps=3, live=True)
    id = Sender(tmp_path / "run").send(SetClip(None))
    writer.close()
    answer = Sender(tmp_path / "run").answer(id)
    assert isinstance(answer, Answer)
    assert not answer.done


def test_a_second_rewind_waits_for_the_worker_that_the_first_one_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Process:
        code: int | None = None

        def poll(self) -> int | None:
            return self.code

    make_fake_run(tmp_path / "run", steps=3)
    started: list[Process] = []

    def spawn(folder: Path, command: Rewind) -> Process:
        started.append(Process())
        return started[-1]

    monkeypatch.setattr("rnnscope.tui.source.spawn_worker", spawn)
    ended = Process()  # the worker of the run that broke, which lets go of the run before its process is gone
    source = Source(tmp_path / "run", ended)  # type: ignore[arg-type]
    source.poll()
    source.send(Rewind(2))
    with pytest.raises(UserError, match="starting already"):
        source.send(Rewind(1))
    with Writer.open(tmp_path / "run"):
        source.poll()
    source.send(Rewind(1))  # that one has had its turn
    started[-1].code = 1
    source.send(Rewind(0))  # and this one could not begin
    assert len(started) == 3
    assert [answer.command for answer in source.answers()] == [Rewind(2), Rewind(1), Rewind(0)]

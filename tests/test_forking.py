"""Forks: a twin stays equal bit for bit; one changed setting is all that differs; live changes of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from rnnscope.errors import EXIT_OK, UserError
from rnnscope.forking import changed
from rnnscope.obey import obey
from rnnscope.recording import commands as c
from rnnscope.recording import events as e
from rnnscope.recording.mailbox import Sender
from rnnscope.recording.reader import Reader
from rnnscope.recording.writer import Writer
from rnnscope.worker import Session
from tests.test_worker import SMALL, Recorder, config


def acting(
    folder: Path, act: dict[int, list[c.Command]], settings: Any = SMALL
) -> tuple[Recorder, list[tuple[bool, str]]]:
    """Run a session that obeys commands after given steps; return what it told, and the answers."""
    Writer.create(folder, settings, {}).close()
    answers: list[tuple[bool, str]] = []
    recorder = Recorder()
    session = Session(folder, observer=recorder)
    step = session._step

    def stepping(trainer: Any) -> None:
        step(trainer)
        answers.extend(obey(session, command) for command in act.pop(trainer.step, []))

    session._step = stepping  # type: ignore[method-assign]
    assert session.run() == EXIT_OK
    return recorder, answers


@pytest.fixture
def no_spawn(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    started: list[Path] = []
    monkeypatch.setattr("rnnscope.obey.spawn_worker", lambda folder: started.append(folder))
    return started


@pytest.mark.parametrize("kernel", ["scan", "fused"])
@pytest.mark.parametrize("batches", ["stateful", "stateless"])
def test_an_unchanged_twin_equals_its_parent(tmp_path: Path, no_spawn: list[Path], kernel: str, batches: str) -> None:
    settings = config(run={"kernel": kernel}, text={"batches": batches})
    act = {9: [c.ScaleLearningRate(0.5), c.SetClip(0.3, "value")], 10: [c.Fork()]}
    parent, answers = acting(tmp_path / "parent", act, settings)
    assert all(done for done, _ in answers)
    (folder,) = no_spawn
    assert folder.name == "parent-fork-1"
    twin = Recorder()
    assert Session(folder, observer=twin).run() == EXIT_OK
    assert [row.step for row in twin.rows] == list(range(11, 25))
    assert [(row.loss, row.lr, row.grad_norm, row.grad_norm_clipped) for row in twin.rows] == [
        (row.loss, row.lr, row.grad_norm, row.grad_norm_clipped) for row in parent.rows[10:]
    ]
    with Reader(folder) as reader:
        assert reader.meta["parent"] == {"run": str(tmp_path / "parent"), "step": 10, "setting": ""}


def test_one_setting_differs(tmp_path: Path, no_spawn: list[Path]) -> None:
    act = {10: [c.Fork("slow", "lr", "0.001"), c.Fork("long", "bptt", "20"), c.Fork("unclipped", "clip", "none")]}
    parent, answers = acting(tmp_path / "parent", act)
    assert answers == [(True, "")] * 3
    assert [folder.name for folder in no_spawn] == ["slow", "long", "unclipped"]
    slow, long, unclipped = Recorder(), Recorder(), Recorder()
    for folder, recorder in zip(no_spawn, (slow, long, unclipped), strict=True):
        assert Session(folder, observer=recorder).run() == EXIT_OK
    assert slow.rows[0].loss == parent.rows[10].loss  # same weights, same window
    assert slow.rows[0].lr == pytest.approx(0.001)
    assert slow.rows[1].loss != parent.rows[11].loss
    assert long.rows[1].chars - long.rows[0].chars == 4 * 20
    assert unclipped.rows[0].grad_norm == unclipped.rows[0].grad_norm_clipped
    assert len(parent.rows) == 24  # it went on as it was


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (c.Fork("", "cell", "gru"), "a fork can change"),
        (c.Fork("", "lr", "fast"), "must be a number"),
        (c.Fork("", "lr", "-1"), "positive"),
        (c.Fork("", "clip_by", "hand"), "norm or value"),
        (c.Fork("../elsewhere"), "no name"),
        (c.Fork("parent"), "exists"),
        (c.SetBptt(0), "at least 1"),
        (c.SetBptt(10**7), "characters"),
        (c.ScaleRecurrent(0.0), "other than zero"),
        (c.ScaleRecurrent(float("nan")), "other than zero"),
        (c.ScaleRecurrent(2.0, 5), "layers 0 to 1"),
        (c.SetClip(1.0, "hand"), "by norm or by value"),
        (c.Rewind(99), "no step 99"),
        (c.Rewind(3, factor=0.0), "positive"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path: Path, no_spawn: list[Path], command: c.Command, words: str) -> None:
    recorder, answers = acting(tmp_path / "parent", {10: [command]})
    ((done, reason),) = answers
    assert not done
    assert words in reason
    assert len(recorder.rows) == 24
    assert no_spawn == []
    assert {path.name for path in tmp_path.iterdir()} == {"parent"}


def test_live_changes_take_effect_and_are_recorded(tmp_path: Path) -> None:
    act = {8: [c.SetBptt(30)], 12: [c.ScaleRecurrent(3.0, 0)], 14: [c.ResetState()], 16: [c.SetClip(1e-3, "value")]}
    changed_run, answers = acting(tmp_path / "changed", act)
    plain, _ = acting(tmp_path / "plain", {})
    assert answers == [(True, "")] * 4
    losses, others = changed_run.losses, plain.losses
    assert losses[:8] == others[:8]
    assert losses[8:] != others[8:]
    assert [b.chars - a.chars for a, b in zip(changed_run.rows[6:10], changed_run.rows[7:11], strict=True)] == [
        48, 120, 120, 120,
    ]  # fmt: skip
    assert [event.why for event in changed_run.of(e.Settings)][1:] == [
        "set_bptt", "scale_recurrent", "reset_state", "set_clip",
    ]  # fmt: skip
    newest = changed_run.of(e.Settings)[-1]
    assert (newest.clip, newest.clip_by, newest.bptt) == (1e-3, "value", 30)


def test_a_rewind_in_the_middle_goes_on_in_a_new_segment(tmp_path: Path) -> None:
    recorder, answers = acting(tmp_path / "run", {20: [c.Rewind(13)]})
    assert answers[0] == (True, "")
    steps = [row.step for row in recorder.rows]
    assert steps[:27] == [*range(1, 21), *range(14, 21)]
    assert [row.loss for row in recorder.rows[13:20]] == [row.loss for row in recorder.rows[20:27]]
    with Reader(tmp_path / "run") as reader:
        assert reader.scalars().step.tolist()[:13] == list(range(1, 14))


def test_settings_that_a_fork_can_change() -> None:
    assert changed(SMALL, "--clip", "none").training.clip == "none"
    assert changed(SMALL, "clip-by", "value").training.clip_by == "value"
    assert changed(SMALL, "steps", "99").training.steps == 99
    assert changed(SMALL, "scheduled-sampling", "linear").training.scheduled_sampling == "linear"
    assert changed(SMALL, "sampling_steps", "300").training.sampling_steps == 300
    with pytest.raises(UserError, match="none, linear, exponential or sigmoid"):
        changed(SMALL, "scheduled-sampling", "quadratic")
    with pytest.raises(UserError, match="whole number"):
        changed(SMALL, "bptt", "2.5")


def test_a_fork_to_what_was_configured_undoes_a_live_change(tmp_path: Path, no_spawn: list[Path]) -> None:
    live = [c.SetClip(None), c.ScaleLearningRate(0.1), c.SetBptt(20)]
    forks = [c.Fork("clipped", "clip", "5"), c.Fork("fast", "lr", "0.005"), c.Fork("short", "bptt", "12")]
    _, answers = acting(tmp_path / "parent", {8: live, 10: forks})
    assert answers == [(True, "")] * 6
    rows = {}
    for folder in no_spawn:
        recorder = Recorder()
        assert Session(folder, observer=recorder).run() == EXIT_OK
        rows[folder.name] = recorder
    assert rows["clipped"].of(e.Settings)[0].clip == 5.0
    assert rows["fast"].rows[0].lr == pytest.approx(0.005)
    assert rows["short"].rows[1].chars - rows["short"].rows[0].chars == 4 * 12


def test_a_fork_that_cannot_be_leaves_nothing(tmp_path: Path, no_spawn: list[Path]) -> None:
    _, answers = acting(tmp_path / "parent", {10: [c.Fork("long", "bptt", "1000000")]})
    ((done, _),) = answers
    assert not done
    assert not (tmp_path / "long").exists()


def test_a_rewind_from_a_file_forgets_the_other_future(tmp_path: Path) -> None:
    settings = config(training={"steps": 40})
    Writer.create(tmp_path / "run", settings, {}).close()
    session, seen = Session(tmp_path / "run", observer=Recorder()), []
    step = session._step

    def stepping(trainer: Any) -> None:
        session.incidents.box._every = 2
        step(trainer)
        if trainer.step == 30 and not seen:
            seen.append(obey(session, c.Rewind(21)))
            oldest = session.incidents.box.oldest()
            seen.append(oldest.step if oldest else None)
            seen.append(trainer.step)

    session._step = stepping  # type: ignore[method-assign]
    assert session.run() == EXIT_OK
    (done, _), oldest, reached = seen
    assert done
    assert reached == 21  # a checkpoint every 7 steps
    assert oldest == reached


def test_a_rewind_asked_for_during_a_validation_waits_for_its_end(tmp_path: Path) -> None:
    Writer.create(tmp_path / "run", SMALL, {}).close()
    session = Session(tmp_path / "run", observer=Recorder())
    validate, sent = session._validate, []

    def validating(trainer: Any) -> None:
        if trainer.step == 20 and not sent:
            sent.append(Sender(tmp_path / "run").send(c.Rewind(13)))
            before = [p.detach().clone() for p in trainer.model.parameters()]
            validate(trainer)
            sent.append(all(torch.equal(p, was) for p, was in zip(trainer.model.parameters(), before, strict=True)))
            sent.append(trainer.step)
        else:
            validate(trainer)

    session._validate = validating  # type: ignore[method-assign]
    assert session.run() == EXIT_OK
    assert sent[1:] == [True, 20]
    answer = Sender(tmp_path / "run").answer(sent[0])
    assert answer is not None
    assert (answer.done, answer.step) == (True, 13)

"""The worker: exact resume, divergence, signals, failures, and the checkpoints that it keeps."""

from __future__ import annotations

import dataclasses
import math
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from rnnscope import saved
from rnnscope.errors import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_OK, EXIT_TERMINATED, EXIT_USAGE
from rnnscope.recording import commands as c
from rnnscope.recording import events as e
from rnnscope.recording.mailbox import Sender
from rnnscope.recording.reader import Reader
from rnnscope.recording.state import RunState, fold_all
from rnnscope.recording.writer import Writer
from rnnscope.training import checkpoint
from rnnscope.training.loop import Trainer
from rnnscope.training.step import train_step
from rnnscope.worker import Session
from tests.sessions import SMALL, Recorder, config, run

MANY = {"checkpoint_every": 1}


@pytest.mark.parametrize("cell", ["tanh", "relu", "lstm", "gru", "lnrnn"])
@pytest.mark.parametrize("batches", ["stateful", "stateless"])
def test_a_resumed_run_is_bit_for_bit_the_uninterrupted_one(tmp_path: Path, cell: str, batches: str) -> None:
    settings = config(model={"cell": cell, "recurrent_dropout": 0.1}, text={"batches": batches})
    code, whole = run(tmp_path / "whole", settings)
    assert code == EXIT_OK
    first = dataclasses.replace(settings, training=dataclasses.replace(settings.training, steps=11))
    _, before = run(tmp_path / "parts", first)
    torch.manual_seed(99)  # a new process would not share the old one's random state either
    code, after = run(tmp_path / "parts", settings)
    assert code == EXIT_OK
    assert [row.step for row in after.rows] == list(range(12, 25))
    assert before.losses + after.losses == whole.losses
    names = checkpoint.weights_name(24)
    assert (tmp_path / "parts" / names).read_bytes() == (tmp_path / "whole" / names).read_bytes()


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "rmsprop", "sgd"])
def test_every_optimiser_resumes_exactly(tmp_path: Path, optimizer: str) -> None:
    extra = {"momentum": 0.9} if optimizer == "sgd" else {}
    settings = config(training={"optimizer": optimizer, "lr_decay": 0.5, "lr_decay_every": 5, **extra})
    _, whole = run(tmp_path / "whole", settings)
    run(tmp_path / "parts", dataclasses.replace(settings, training=dataclasses.replace(settings.training, steps=9)))
    _, after = run(tmp_path / "parts", settings)
    assert after.losses == whole.losses[9:]
    assert [row.lr for row in after.rows] == [row.lr for row in whole.rows[9:]]


KILLED = """
import os, signal, sys
sys.path.insert(0, {root!r})
from pathlib import Path
import torch._dynamo  # torch's optimisers do that, and it takes long
from rnnscope import saved
from rnnscope.worker import Session
from tests.sessions import Recorder

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def at_a_step():
    Session(Path("killed"), observer=Recorder({{17: die}})).run()

def while_thinning(left):
    saved.KEPT = 4
    unlink = Path.unlink
    def deadly(path, missing_ok=False):
        nonlocal left
        left -= 1
        if left < 0:
            die()
        unlink(path, missing_ok)
    Path.unlink = deadly
    Session(Path("thinned-%d" % left)).run()

for way in (at_a_step, lambda: while_thinning(0), lambda: while_thinning(21)):
    child = os.fork()  # a process of its own, that need not import everything again
    if not child:
        try:
            way()
        finally:
            os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of runs whose workers were killed; copy them (`copy_of`), don't touch them."""
    folder = tmp_path_factory.mktemp("killed")
    Writer.create(folder / "killed", SMALL, {}).close()
    for left in (0, 21):
        Writer.create(folder / f"thinned-{left}", config(run=MANY), {}).close()
    code = KILLED.format(root=str(Path(__file__).parents[1]))
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, check=True, stdout=subprocess.PIPE, text=True, timeout=120
    )
    assert done.stdout.split() == [str(-signal.SIGKILL)] * 3
    return folder


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Recorder:
    """Return what an uninterrupted run of SMALL tells."""
    return run(tmp_path_factory.mktemp("whole") / "run", SMALL)[1]


def test_a_killed_run_continues_from_its_last_checkpoint_exactly(tmp_path: Path, killed: Path, whole: Recorder) -> None:
    folder = Path(shutil.copytree(killed / "killed", tmp_path / "killed"))
    code, after = run(folder, SMALL)
    assert code == EXIT_OK
    assert after.rows[0].step == 15  # a checkpoint is written every 7 steps
    assert after.losses == whole.losses[14:]
    with Reader(folder) as reader:
        columns = reader.scalars()
    assert columns.step.tolist() == list(range(1, 25))
    assert columns.loss.tolist() == whole.losses


def test_zero_steps_only_creates_the_run(tmp_path: Path) -> None:
    code, heard = run(tmp_path / "run", config(training={"steps": 0}))
    assert code == EXIT_OK
    assert heard.rows == []
    assert checkpoint.saved_steps(tmp_path / "run") == [0]
    assert not heard.of(e.Validation)


@pytest.mark.parametrize(("clip_by", "norm"), [("norm", 0.1), ("value", None)])
def test_clipping_is_recorded_as_it_was_applied(tmp_path: Path, clip_by: str, norm: float | None) -> None:
    _, heard = run(tmp_path / "run", config(training={"clip": 0.1 if norm else 1e-3, "clip_by": clip_by}))
    for row in heard.rows:
        assert row.grad_norm_clipped <= row.grad_norm * (1 + 1e-6)
        if norm:  # torch adds 1e-6 to the norm
            assert row.grad_norm_clipped == pytest.approx(min(row.grad_norm, norm), rel=1e-4)


@pytest.mark.parametrize("policy", ["halt", "continue"])
def test_divergence_is_recorded_not_fatal(tmp_path: Path, policy: str) -> None:
    settings = config(
        model={"cell": "relu", "init": "gaussian", "gain": 1e30, "dropout": 0.0},
        training={"clip": "none", "on_divergence": policy, "steps": 4},
    )
    code, heard = run(tmp_path / "run", settings)
    found = heard.of(e.Diverged)
    assert len(found) == 1
    assert found[0].value in ("nan", "inf")
    with Reader(tmp_path / "run") as reader:
        columns = reader.scalars()
    if policy == "halt":
        assert code == EXIT_FAILED
        assert heard.of(e.Status)[-1].state == e.DIVERGED
        assert columns.step.tolist() == [1]
        assert not math.isfinite(heard.rows[0].grad_norm * heard.rows[0].loss)
    else:
        assert code == EXIT_OK
        assert columns.step.tolist() == [1, 2, 3, 4]


def test_a_state_that_is_not_finite_does_not_spoil_later_windows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def once(*arguments: Any) -> Any:
        result = train_step(*arguments)
        if len(heard.rows) != 3:
            return result
        state = tuple(tuple(tensor * math.nan for tensor in layer) for layer in result.state)
        return dataclasses.replace(result, loss=math.nan, state=state, applied=False)

    heard = Recorder()
    folder = tmp_path / "run"
    Writer.create(folder, config(training={"on_divergence": "continue"}), {}).close()
    monkeypatch.setattr("rnnscope.training.loop.train_step", once)
    assert Session(folder, observer=heard).run() == EXIT_OK
    assert [row.step for row in heard.rows if not math.isfinite(row.loss)] == [4]
    assert heard.of(e.Validation)[-1].loss > 0


def test_diverging_on_a_single_step_is_no_pause(tmp_path: Path) -> None:
    wild = config(
        model={"cell": "relu", "init": "gaussian", "gain": 1e30, "dropout": 0.0}, training={"clip": "none"},
    )  # fmt: skip
    folder = tmp_path / "run"
    Writer.create(folder, wild, {}).close()
    heard = Recorder()
    session = Session(folder, observer=heard)
    session.paused, session.allowance = True, 1
    assert session.run() == EXIT_FAILED
    assert heard.of(e.Status)[-1].state == e.DIVERGED


def test_a_resumed_run_keeps_its_kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "run"
    _, before = run(folder, config(training={"steps": 2}))
    other = {"scan": "fused", "fused": "scan"}[before.of(e.Started)[0].kernel]
    monkeypatch.setattr("rnnscope.building.resolve_kernel", lambda *_, **__: other)
    _, after = run(folder, config(training={"steps": 4}))
    assert after.of(e.Started)[0].kernel == before.of(e.Started)[0].kernel


def test_a_validation_is_broken_off_by_a_stop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "run"
    sent: list[int] = []
    validate = Trainer.validate

    def slowly(self: Trainer, stop: Any) -> Any:
        if self.step == 10:
            sent.append(Sender(folder).send(c.Stop()))
        return validate(self, window=1, stop=stop)

    monkeypatch.setattr(Trainer, "validate", slowly)
    code, heard = run(folder, SMALL)
    assert code == EXIT_OK
    assert [step for step, event in heard.events if isinstance(event, e.Validation)] == [1]
    assert heard.of(e.Status)[-1].state == e.STOPPED
    assert checkpoint.saved_steps(folder)[-1] == 10


@pytest.mark.parametrize("way", ["signal", "command"])
def test_reading_a_long_text_is_broken_off_by_a_stop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    folder = tmp_path / "run"

    def endless(texts: object, text: object, *, progress: Any) -> None:
        if way == "signal":
            signal.raise_signal(signal.SIGTERM)
        else:
            Sender(folder).send(c.Stop())
        progress("reading", 0.5)
        pytest.fail("reading went on")

    monkeypatch.setattr("rnnscope.worker.load", endless)
    code, heard = run(folder, SMALL)
    assert code == (EXIT_TERMINATED if way == "signal" else EXIT_OK)
    assert heard.of(e.Status)[-1].state == e.STOPPED
    monkeypatch.undo()
    assert run(folder, SMALL)[0] == EXIT_OK


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, EXIT_INTERRUPTED), (signal.SIGTERM, EXIT_TERMINATED)])
def test_signals_checkpoint_first(tmp_path: Path, number: int, code: int) -> None:
    found, heard = run(tmp_path / "run", SMALL, {9: lambda: os.kill(os.getpid(), number)})
    assert found == code
    assert len(heard.rows) == 9
    assert checkpoint.saved_steps(tmp_path / "run")[-1] == 9
    assert heard.of(e.Status)[-1].state == e.STOPPED


def test_out_of_memory_says_what_to_lower(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def explode(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    folder = tmp_path / "run"
    Writer.create(folder, SMALL, {}).close()
    session = Session(folder, observer=Recorder())
    monkeypatch.setattr("rnnscope.training.loop.train_step", explode)
    assert session.run() == EXIT_FAILED
    with Reader(folder) as reader:
        last = [seen.event for seen in reader.poll() if isinstance(seen.event, e.Status)][-1]
    assert last.state == e.FAILED
    assert "--batch" in last.detail


# -- checkpoints along the run -------------------------------------------------------------------------------------


def test_kept_checkpoints_stay_few_and_the_run_goes_on_exactly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: Recorder
) -> None:
    monkeypatch.setattr(saved, "KEPT", 4)
    folder = tmp_path / "thinned"

    def ask() -> None:
        Sender(folder).send(c.Save())

    _, before = run(folder, config(run=MANY, training={"steps": 17}), {9: ask})
    assert saved.weights_steps(folder) == [0, 8, 9, 16, 17]  # 9: asked for; 16 and 17: the newest
    assert saved.saved_steps(folder) == [9, 16, 17]
    _, after = run(folder, config(run=MANY))
    assert before.losses + after.losses == whole.losses
    assert saved.weights_steps(folder) == [0, 8, 9, 16, 23, 24]
    assert (folder / saved.BEST).exists()
    for step in (0, 8):
        checkpoint.load_weights(after.session.trainer.model, folder / saved.weights_name(step))


def test_events_of_checkpoints_that_are_gone_are_read_as_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saved, "KEPT", 4)
    folder = tmp_path / "run"
    run(folder, config(run=MANY))
    with Reader(folder) as reader:
        state = fold_all(RunState(reader.config, reader.meta), reader.poll())
    named = [seen.event.name for seen in state.checkpoints if seen.event.why == "every"]
    assert named == [saved.weights_name(step) for step in range(1, 25)]
    assert sum(not (folder / name).exists() for name in named) > 15


@pytest.mark.parametrize("left", [0, 21])
def test_a_worker_killed_while_it_removes_checkpoints_leaves_a_run_that_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed: Path, whole: Recorder, left: int
) -> None:
    folder, settings = Path(shutil.copytree(killed / f"thinned-{left}", tmp_path / "killed")), config(run=MANY)
    step = saved.saved_steps(folder)[-1]
    assert 2 <= step < 24
    (folder / ".step-3.state.safetensors.1234.tmp").write_bytes(b"half")
    monkeypatch.setattr(saved, "KEPT", 4)
    code, after = run(folder, settings)
    assert code == EXIT_OK
    assert after.losses == whole.losses[step:]
    assert saved.saved_steps(folder) == [23, 24]
    assert len(saved.weights_steps(folder)) <= 4 + 2
    assert not list(folder.glob(".*.tmp"))
    assert len(list(folder.glob("*.state.safetensors"))) == 2


def test_weights_without_any_training_state_are_not_trained_over(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    run(folder, config(training={"steps": 3}))
    for path in folder.glob("*.state.safetensors"):
        path.unlink()
    heard = Recorder()
    assert Session(folder, observer=heard).run() == EXIT_USAGE
    assert heard.rows == []
    assert "step-3.state.safetensors is missing" in heard.of(e.Status)[-1].detail

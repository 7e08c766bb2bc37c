"""The worker: exact resume, probes that change nothing, divergence, signals, commands, failures."""

from __future__ import annotations

import dataclasses
import math
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rnnscope.config import Config, ModelConfig, ProbeConfig, RunConfig, TextConfig, TrainingConfig
from rnnscope.errors import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_OK, EXIT_TERMINATED
from rnnscope.recording import commands as c
from rnnscope.recording import events as e
from rnnscope.recording.mailbox import Sender
from rnnscope.recording.reader import Reader
from rnnscope.recording.writer import Writer
from rnnscope.training import checkpoint
from rnnscope.training.loop import Trainer
from rnnscope.training.step import train_step
from rnnscope.worker import Session

SMALL = Config(
    texts=("play",),
    text=TextConfig(length=20_000),
    model=ModelConfig(hidden=16, embedding=8, dropout=0.2),
    training=TrainingConfig(batch=4, bptt=12, steps=24, validate_every=10, validation_chars=400, lr=5e-3),
    probes=ProbeConfig(gradients_every=5, sample_every=5, compare_every=5, sample_length=20, compare_length=20),
    run=RunConfig(checkpoint_every=7),
)


def config(**sections: dict[str, Any]) -> Config:
    changed = {name: dataclasses.replace(getattr(SMALL, name), **values) for name, values in sections.items()}
    return dataclasses.replace(SMALL, **changed)


class Recorder:
    """Keeps what a session tells; may act at a step."""

    def __init__(self, act: dict[int, Any] | None = None) -> None:
        self.rows: list[e.StepRow] = []
        self.events: list[tuple[int, e.Event]] = []
        self.act = act or {}

    def updated(self, row: e.StepRow) -> None:
        self.rows.append(row)
        if row.step in self.act:
            self.act.pop(row.step)()

    def recorded(self, step: int, event: e.Event) -> None:
        self.events.append((step, event))

    @property
    def losses(self) -> list[float]:
        return [row.loss for row in self.rows]

    def of(self, kind: type) -> list[Any]:
        return [event for _, event in self.events if isinstance(event, kind)]


def run(folder: Path, settings: Config, act: dict[int, Any] | None = None) -> tuple[int, Recorder]:
    """Create (or continue) a run in this process; return exit code and what happened."""
    if not folder.exists():
        Writer.create(folder, settings, {}).close()
    else:
        from rnnscope.launch import prepare_resume

        prepare_resume(folder, settings)
    recorder = Recorder(act)
    return Session(folder, observer=recorder).run(), recorder


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
sys.path.insert(0, {tests!r})
from pathlib import Path
from test_worker import Recorder, Session
act = {{17: lambda: os.kill(os.getpid(), signal.SIGKILL)}}
Session(Path({folder!r}), observer=Recorder(act)).run()
"""


def test_a_killed_run_continues_from_its_last_checkpoint_exactly(tmp_path: Path) -> None:
    _, whole = run(tmp_path / "whole", SMALL)
    folder = tmp_path / "killed"
    Writer.create(folder, SMALL, {}).close()
    code = KILLED.format(tests=str(Path(__file__).parent), folder=str(folder))
    died = subprocess.run([sys.executable, "-c", code], check=False, timeout=120)
    assert died.returncode == -signal.SIGKILL
    code, after = run(folder, SMALL)
    assert code == EXIT_OK
    assert after.rows[0].step == 15  # a checkpoint is written every 7 steps
    assert after.losses == whole.losses[14:]
    with Reader(folder) as reader:
        columns = reader.scalars()
    assert columns.step.tolist() == list(range(1, 25))
    assert columns.loss.tolist() == whole.losses


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


def test_a_resumed_run_keeps_its_kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "run"
    _, before = run(folder, config(training={"steps": 2}))
    other = {"scan": "fused", "fused": "scan"}[before.of(e.Started)[0].kernel]
    monkeypatch.setattr("rnnscope.worker.resolve_kernel", lambda *_, **__: other)
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


def wait_for(condition: Any, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)


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


def test_the_recorded_units_are_those_of_the_plain_step(tmp_path: Path) -> None:
    from rnnscope.loading import load_run

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
                assert np.allclose(recorded, value[0].numpy(), atol=2e-3)
        if n + 1 < len(ids):
            expected = torch.softmax(logits[0], -1)[ids[n + 1]]
            assert sample.probability[n + 1] == pytest.approx(float(expected), abs=1e-4)

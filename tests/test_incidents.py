"""The black box in a session: what broke an update is recorded, and what happened can happen again, or not."""

from __future__ import annotations

import dataclasses
import itertools
import math
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from rnnscope.config import Config
from rnnscope.errors import EXIT_FAILED, EXIT_OK
from rnnscope.obey import obey
from rnnscope.recording import commands as c
from rnnscope.recording import events as e
from rnnscope.recording.lab_events import Incident
from rnnscope.recording.mailbox import Sender
from rnnscope.recording.reader import Reader
from rnnscope.recording.writer import Writer
from rnnscope.saved import resumable_steps
from rnnscope.training.loop import Trainer
from rnnscope.worker import Session
from tests.test_worker import Recorder, config, run

EXPLODING: dict[str, Any] = {"optimizer": "sgd", "lr": 3e4, "clip": "none", "spike": 0.0, "steps": 60}


def exploding(**model: Any) -> Config:
    return config(training=EXPLODING, model={"cell": "relu", "hidden": 16, "init": "gaussian", "gain": 1.6, **model})


def resume(folder: Path, first: c.Command) -> tuple[int, Recorder]:
    recorder = Recorder()
    return Session(folder, observer=recorder, first=first).run(), recorder


def test_an_explosion_is_looked_into_and_happens_again_after_a_rewind(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    code, first = run(folder, exploding())
    assert code == EXIT_FAILED
    (found,) = first.of(Incident)
    bad = first.rows[-1]
    assert not (math.isfinite(bad.loss) and math.isfinite(bad.grad_norm))
    assert found.reason in ("inf", "nan")
    assert found.explanation
    assert len(found.text) == 12
    assert found.rewind_to in resumable_steps(folder)
    code, again = resume(folder, c.Rewind(found.rewind_to))
    assert code == EXIT_FAILED
    pairs = zip(again.rows, first.rows[found.rewind_to :], strict=True)
    assert all(a.step == b.step and (a.loss == b.loss or math.isnan(a.loss)) for a, b in pairs)
    (twice,) = again.of(Incident)
    assert (twice.quantity, twice.layer, twice.t, twice.phase) == (found.quantity, found.layer, found.t, found.phase)
    with Reader(folder) as reader:
        columns = reader.scalars()
    assert columns.step.tolist() == list(range(1, bad.step + 1))  # a new segment of the same run


def test_a_rewind_with_a_lower_rate_and_clipping_learns(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    _, first = run(folder, exploding())
    (found,) = first.of(Incident)
    code, after = resume(folder, c.Rewind(found.rewind_to, factor=1e-6, clip=1.0))
    assert code == EXIT_OK
    assert after.rows[-1].step == 60
    assert all(math.isfinite(row.loss) for row in after.rows)
    assert after.rows[0].lr == pytest.approx(3e-2)
    assert after.rows[0].grad_norm_clipped <= 1.0
    (settings, *_) = [event for event in after.of(e.Settings) if event.why == "rewind"]
    assert (settings.clip, settings.lr_scale) == (1.0, pytest.approx(1e-6))


def plant(monkeypatch: pytest.MonkeyPatch, step: int, change: Any) -> None:
    """Change the weights just before update number `step`, as a fault of the machine would."""
    update = Trainer.update

    def faulty(self: Trainer, *arguments: Any) -> Any:
        if self.step + 1 == step:
            with torch.no_grad():
                change(self.model)
        return update(self, *arguments)

    monkeypatch.setattr(Trainer, "update", faulty)


def nan_in_a_weight(model: Any) -> None:
    model.layers[1].weight_ih_l0[0, 0] = math.nan


def inf_in_the_embedding(model: Any) -> None:
    model.embedding.weight[:, 1] = math.inf  # of whatever is read


@pytest.mark.parametrize(
    ("change", "parameter", "layer"),
    [(nan_in_a_weight, "layers.1.weight_ih_l0", 1), (inf_in_the_embedding, "embedding.weight", None)],
)
def test_what_was_planted_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Any, parameter: str, layer: int | None
) -> None:
    trainer = exploding()
    settings = dataclasses.replace(trainer, training=dataclasses.replace(trainer.training, lr=1e-3))
    plant(monkeypatch, 9, change)
    code, told = run(tmp_path / "run", settings)
    assert code == EXIT_FAILED
    (found,) = told.of(Incident)
    assert (found.parameter, found.layer, found.phase) == (parameter, layer, "forward")
    assert told.rows[-1].step == 9


def test_one_incident_where_every_update_is_bad(tmp_path: Path) -> None:
    settings = exploding()
    going_on = dataclasses.replace(settings, training=dataclasses.replace(settings.training, on_divergence="continue"))
    code, told = run(tmp_path / "run", going_on)
    assert code == EXIT_OK
    assert len(told.of(Incident)) == 1


class Frozen:
    """A session without an observer, in a thread: it freezes at a spike and waits for someone."""

    def __init__(self, folder: Path, settings: Config) -> None:
        Writer.create(folder, settings, {}).close()
        self.folder, self.code = folder, -1
        self.session = Session(folder)
        self._signals = self.session._signals
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        self.code = self.session.run()

    def until(self, state: str) -> None:
        end = time.monotonic() + 60
        with Reader(self.folder) as reader:
            while time.monotonic() < end:
                newest = reader.newest("status")
                if newest is not None and isinstance(newest.event, e.Status) and newest.event.state == state:
                    return
                time.sleep(0.02)
        raise AssertionError(f"never {state}")

    def ask(self, command: c.Command) -> None:
        sender, end = Sender(self.folder), time.monotonic() + 30
        number = sender.send(command)
        while (answer := sender.answer(number)) is None and time.monotonic() < end:
            time.sleep(0.02)
        assert answer is not None
        assert answer.done, answer.reason


def test_a_spike_freezes_training_until_someone_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import contextlib

    monkeypatch.setattr(Session, "_signals", lambda self: contextlib.nullcontext())  # only a main thread has them
    settings = config(training={"spike": 2.0, "steps": 400, "validate_every": 0, "clip": 5.0}, model={"dropout": 0.0})
    frozen = Frozen(tmp_path / "run", settings)
    plant(monkeypatch, 40, lambda model: model.decoder.weight.mul_(300.0))
    frozen.thread.start()
    frozen.until(e.PAUSED)
    with Reader(frozen.folder) as reader:
        found = reader.newest("incident")
        before = reader.newest_step()
    assert found is not None
    assert before is not None
    assert isinstance(found.event, Incident)
    assert (found.event.reason, found.step, before.step) == ("spike", 40, 40)
    assert found.event.rewind_to == 0
    frozen.ask(c.Rewind(30))
    frozen.ask(c.Stop())
    frozen.thread.join(60)
    assert frozen.code == EXIT_OK
    with Reader(frozen.folder) as reader:
        assert reader.newest("settings") is not None
        kept = [one.event.why for one in reader.history("checkpoint") if isinstance(one.event, e.Checkpoint)]
    assert "last" in kept


def scaled(folder: Path, settings: Config, step: int, *factors: float) -> Recorder:
    """Train, W_hh scaled by hand after update `step`, once for each factor, an update apart; return what was told."""
    Writer.create(folder, settings, {}).close()
    told = Recorder()
    told.session = Session(folder, observer=told)

    def change(factor: float) -> None:
        assert obey(told.session, c.ScaleRecurrent(factor)) == (True, "")

    original = told.session._step

    def stepping(trainer: Trainer) -> None:
        original(trainer)
        if step <= trainer.step < step + len(factors):
            change(factors[trainer.step - step])

    told.session._step = stepping  # type: ignore[method-assign]
    told.session.run()
    return told


def test_as_it_was_begins_after_the_last_change_by_hand(tmp_path: Path) -> None:
    """W_hh was scaled at step 12 and that broke it: from there the same happens again, from before it not."""
    calm: dict[str, Any] = {"optimizer": "sgd", "lr": 1e-3, "clip": "none", "spike": 0.0, "steps": 40}
    folder = tmp_path / "run"
    first = scaled(folder, config(training=calm, model={"cell": "relu", "hidden": 16}), 12, 1e8)
    assert first.of(e.Status)[-1].state == e.DIVERGED
    (found,) = first.of(Incident)
    assert (found.rewind_to, found.again_from) == (0, 12)
    code, again = resume(folder, c.Rewind(found.again_from))
    assert code == EXIT_FAILED
    assert again.rows[-1].step == first.rows[-1].step
    (twice,) = again.of(Incident)
    assert (twice.quantity, twice.layer, twice.t) == (found.quantity, found.layer, found.t)
    pairs = zip(again.rows, first.rows[12:], strict=True)
    assert all(a.loss == b.loss and a.grad_norm == b.grad_norm for a, b in pairs if math.isfinite(b.grad_norm))
    assert (twice.rewind_to, twice.again_from) == (0, 12)  # the way back to before the change is still there
    code, mended = resume(folder, c.Rewind(twice.rewind_to))
    assert code == EXIT_OK
    assert [row.loss for row in mended.rows[:12]] == [row.loss for row in first.rows[:12]]


def test_a_spike_right_after_a_change_by_hand_is_looked_into_with_the_changed_weights(tmp_path: Path) -> None:
    calm: dict[str, Any] = {"optimizer": "sgd", "lr": 1e-3, "clip": "none", "spike": 3.0, "steps": 20}
    model = {"cell": "relu", "hidden": 16, "dropout": 0.0}
    told = scaled(tmp_path / "run", config(training=calm, model=model), 12, 20.0)
    step, found = next((step, event) for step, event in told.events if isinstance(event, Incident))
    assert (step, found.reason, found.again_from, found.rewind_to) == (13, "spike", 12, 0)
    assert found.explanation.startswith("the first update since something was changed by hand: ")
    assert found.loss == told.rows[12].loss
    # By the definition: the window's loss under the weights before update 13 is what the update found.
    box, trainer = told.session.incidents.box, told.session.trainer
    assert box.replay(12)
    window = trainer.next_window()
    assert trainer.corpus.vocabulary.decode(window.x[:, found.row].numpy()) == found.text
    logits, _ = trainer.model(window.x, window.state)
    loss = torch.nn.functional.cross_entropy(logits.detach().flatten(0, 1), window.y.flatten())
    assert float(loss) == pytest.approx(found.loss, rel=1e-5)


def test_snapshots_are_in_the_account_of_the_probes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each one, whether taken every 64 updates or at a change, with the time it took; the share shown holds them."""
    ticks = itertools.count(step=50.0)  # seconds between any two looks at the clock
    monkeypatch.setattr("rnnscope.incidents.time", SimpleNamespace(perf_counter=lambda: next(ticks)))
    settings = config(training={"steps": 70, "validate_every": 0}, run={"checkpoint_every": 0})
    told = scaled(tmp_path / "run", settings, 12, 1.0)
    assert told.session.measuring.schedule.booked == 2 * 50.0
    assert told.of(e.Cost)[-1].probes == 1.0


def test_what_is_looked_into_leaves_training_as_it_was(tmp_path: Path) -> None:
    """The spike is replayed from weights of earlier; the updates after it are those of a run that never looked."""
    settings = config(
        training={"optimizer": "sgd", "lr": 3.0, "clip": "none", "steps": 30, "validate_every": 0},
        model={"cell": "tanh", "init": "gaussian", "gain": 2.0, "hidden": 64, "dropout": 0.2},
    )
    _, looked = run(
        tmp_path / "a", dataclasses.replace(settings, training=dataclasses.replace(settings.training, spike=3.0))
    )
    _, blind = run(
        tmp_path / "b", dataclasses.replace(settings, training=dataclasses.replace(settings.training, spike=0.0))
    )
    assert looked.of(Incident)
    assert not blind.of(Incident)
    assert looked.losses == blind.losses


def test_a_spike_is_traced_to_the_update_that_made_its_weights(tmp_path: Path) -> None:
    settings = config(
        training={"optimizer": "sgd", "lr": 3.0, "clip": "none", "spike": 3.0, "steps": 30, "validate_every": 0},
        model={"cell": "tanh", "init": "gaussian", "gain": 2.0, "hidden": 64, "dropout": 0.0},
    )
    _, told = run(tmp_path / "run", settings)
    (step, found), *_ = [(step, event) for step, event in told.events if isinstance(event, Incident)]
    assert found.reason == "spike"
    assert found.loss == told.rows[step - 1].loss
    assert f"update {step - 1} made these weights" in found.explanation


def test_the_ways_back_are_those_of_the_newest_incident(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rnnscope.incidents.APART", 5)
    settings = exploding()
    going_on = {**EXPLODING, "on_divergence": "continue"}
    folder = tmp_path / "run"
    _, told = run(folder, dataclasses.replace(settings, training=dataclasses.replace(settings.training, **going_on)))
    incidents = told.of(Incident)
    assert len(incidents) > 5
    kept = resumable_steps(folder)
    assert {incidents[-1].rewind_to, incidents[-1].again_from} <= set(kept)
    assert len(kept) <= 4  # with the newest two

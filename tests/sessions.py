"""Short training sessions in the process of the test, and what they tell."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import Any

from rnnscope.config import Config, ModelConfig, ProbeConfig, RunConfig, TextConfig, TrainingConfig
from rnnscope.launch import prepare_resume
from rnnscope.recording import events as e
from rnnscope.recording.writer import Writer
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
    """Return SMALL with the given options changed, by section."""
    changed = {name: dataclasses.replace(getattr(SMALL, name), **values) for name, values in sections.items()}
    return dataclasses.replace(SMALL, **changed)


class Recorder:
    """Keeps what a session tells; may act at a step."""

    def __init__(self, act: dict[int, Any] | None = None) -> None:
        self.rows: list[e.StepRow] = []
        self.events: list[tuple[int, e.Event]] = []
        self.act = act or {}
        self.session: Session  # what it listens to, where `run` made it

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
        prepare_resume(folder, settings)
    recorder = Recorder(act)
    recorder.session = Session(folder, observer=recorder)
    return recorder.session.run(), recorder


def wait_for(condition: Any, seconds: float = 20.0) -> None:
    """Wait until `condition()` holds, or fail."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)

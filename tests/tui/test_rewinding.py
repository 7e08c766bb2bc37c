"""A run that has ended in an explosion is rewound from the screen: a worker is started with that command."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path

import pytest

from rnnscope.config import Config, ModelConfig, ProbeConfig, TextConfig, TrainingConfig
from rnnscope.recording.commands import Rewind
from rnnscope.recording.events import DIVERGED, FINISHED
from rnnscope.recording.writer import Writer
from rnnscope.tui.snapshot import Snapshot
from rnnscope.tui.source import Source

pytest.importorskip("torch")

EXPLODING = Config(
    texts=("play",),
    text=TextConfig(length=20_000),
    model=ModelConfig("relu", 1, 16, 8, init="gaussian", gain=1.6),
    training=TrainingConfig(
        batch=4, bptt=12, steps=40, validate_every=0, optimizer="sgd", lr=3e4, clip="none", spike=0.0
    ),
    probes=ProbeConfig(sample_length=20, compare_length=20),
)


def until(source: Source, word: str) -> Snapshot:
    end = time.monotonic() + 90
    while time.monotonic() < end:
        snapshot = source.poll()
        if snapshot.word == word and not snapshot.live:
            return snapshot
        time.sleep(0.05)
    raise AssertionError(f"never {word}: {source.poll().notice}")


def test_a_dead_run_is_rewound_and_learns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from rnnscope.spawning import spawn_worker

    folder = tmp_path / "run"
    Writer.create(folder, dataclasses.replace(EXPLODING), {}).close()
    started = [spawn_worker(folder)]
    monkeypatch.setattr(
        "rnnscope.tui.source.spawn_worker", lambda *words: started.append(spawn_worker(*words)) or started[-1]
    )
    source = Source(folder, started[0])
    broken = until(source, DIVERGED)
    assert "incident" in broken.state.lab
    assert broken.controls.rewind_to is not None
    command = Rewind(broken.controls.rewind_to, factor=1e-6, clip=1.0)
    source.send(command)
    (answer,) = source.answers()
    assert (answer.command, answer.done) == (command, True)
    healed = until(source, FINISHED)
    assert healed.progress.step == 40
    assert healed.loss is not None
    assert healed.loss.diverged is None
    assert "incident" not in healed.state.lab
    assert [words for _, words in healed.marks] == ["lr ×1e-06 rewind to step 0"]
    source.close()
    assert [process.wait(30) for process in started] == [1, 0]

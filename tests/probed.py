"""A small trained run to probe, and ways to ask for its probes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from rnnscope.building import build
from rnnscope.cli import main
from rnnscope.config import Config, ModelConfig, TextConfig, TrainingConfig
from rnnscope.corpus import load
from rnnscope.probes import gradients
from rnnscope.recording.events import StepRow
from rnnscope.recording.writer import Writer

STEPS = 4


def make_run(folder: Path, cell: str = "lstm", layers: int = 1, spoil: float | None = None) -> Path:
    """Train a few steps, with what a worker leaves; `spoil`: put this into a weight at the end."""
    config = Config(
        texts=("play",),
        text=TextConfig(length=20_000),
        model=ModelConfig(cell=cell, layers=layers, hidden=8, embedding=4),
        training=TrainingConfig(batch=4, bptt=12, clip=0.3, lr=0.02),
    )
    corpus = load(config.texts, config.text)
    trainer = build(config, corpus, {})
    meta = {"vocabulary": corpus.vocabulary.to_json(), "sha256": corpus.sha256}
    with Writer.create(folder, config, meta) as writer:
        trainer.save(folder)
        for step in range(1, STEPS + 1):
            window = trainer.next_window()
            event = gradients.measure(trainer.model, window.x, window.y, window.state, corpus.vocabulary.decode)
            writer.event(step, event)
            done = trainer.update(window)
            norms = done.grad_norm, done.grad_norm_clipped
            writer.scalar(StepRow(step, done.loss, done.lr, *norms, done.epoch, 0.1, done.chars))
        if spoil is not None:
            with torch.no_grad():
                trainer.model.layers[0].get_parameter("weight_hh_l0")[0, 0] = spoil
        trainer.save(folder)
    return folder


def state_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def asked_json(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    assert main(["probe", *words, "--json"]) == 0
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    found = json.loads(out, parse_constant=refuse)
    assert isinstance(found, dict)
    return found

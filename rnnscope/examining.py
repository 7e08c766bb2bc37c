"""A run as something to look at: one checkpoint's weights and the run's own text, on any device, never written to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from rnnscope.building import how
from rnnscope.config import Config
from rnnscope.corpus import Corpus, Vocabulary, load
from rnnscope.errors import UserError
from rnnscope.model import CharRNN
from rnnscope.probes.subject import Subject
from rnnscope.recording.reader import Reader
from rnnscope.saved import weights_name, weights_steps
from rnnscope.training.checkpoint import load_weights
from rnnscope.training.device import prepare

GIVEN_VOCABULARY = "given_vocabulary"
"""In a recording's meta: the vocabulary came with the weights (`rnnscope import`) and is not that of the text."""

ATTEMPTS = 5


def examine(
    folder: Path,
    *,
    checkpoint: int | None = None,
    device: torch.device | None = None,
    progress: Callable[[str, float | None], None] | None = None,
) -> Subject:
    """Return the newest weights of a run (or those of step `checkpoint`) with its text, in evaluation mode.

    Sets torch's process-wide switches as training does (device.py).
    device: the CPU by default. progress: see `corpus.load`.

    Raises:
        UserError: no checkpoint (of that step), the text is gone or another, or a file is damaged.
    """
    with Reader(folder) as reader:
        config, meta = reader.config, reader.meta
    choose(folder, checkpoint)  # before the text is read, which may take long
    corpus = read_text(config, meta, progress)
    device = device or torch.device("cpu")
    prepare(config.run, device)
    kernel, precision = how(config, device, meta.get("kernels", {}))
    with torch.random.fork_rng([]):  # weights are drawn before others take their place
        model = CharRNN(config.model, len(corpus.vocabulary.symbols), kernel=kernel, precision=precision)
    step = load_newest(model, folder, checkpoint)
    model.to(device).eval()
    return Subject(model, corpus, config, step, folder, config.run.seed)


def read_text(
    config: Config, meta: Mapping[str, Any], progress: Callable[[str, float | None], None] | None = None
) -> Corpus:
    """Read the text of a run.

    Raises:
        UserError: it is gone, or another than the run was trained on.
    """
    given = Vocabulary.from_json(meta["vocabulary"]) if meta.get(GIVEN_VOCABULARY) else None
    corpus = load(config.texts, config.text, progress=progress, vocabulary=given)
    if meta.get("sha256", corpus.sha256) != corpus.sha256:
        raise UserError(f"{corpus.name} is not the text this run was trained on; put that back to look at the run")
    return corpus


def choose(folder: Path, checkpoint: int | None) -> int:
    """Return the step of the newest weights, or `checkpoint` if there are weights of that step.

    Raises:
        UserError: there are none.
    """
    steps = weights_steps(folder)
    if checkpoint is None:
        if not steps:
            raise UserError(f"{folder} has no checkpoint yet; train it first")
        return steps[-1]
    if checkpoint not in steps:
        there = ", ".join(map(str, steps[-8:])) or "none"
        more = "..., " if len(steps) > 8 else ""
        raise UserError(f"--checkpoint {checkpoint}: {folder} has none of that step; there are: {more}{there}")
    return checkpoint


def load_newest(model: CharRNN, folder: Path, checkpoint: int | None = None) -> int:
    """Load the newest weights (or those of step `checkpoint`) into `model`; return their step.

    A worker that goes on meanwhile may remove what was there a moment ago: then the next newest are taken.

    Raises:
        UserError: there are none, or they are damaged or do not fit.
    """
    attempts = ATTEMPTS
    while True:
        step = choose(folder, checkpoint)
        weights = folder / weights_name(step)
        try:
            load_weights(model, weights)
            return step
        except UserError:
            attempts -= 1
            if weights.exists() or not attempts:
                raise

"""One probe on one checkpoint of any run, live or not. Nothing is written to the run."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rnnscope.building import build
from rnnscope.corpus import load
from rnnscope.errors import UserError
from rnnscope.measuring import measure
from rnnscope.options import Probe
from rnnscope.probe_report import Probed
from rnnscope.probes import clipping, horizon, lyapunov, parameters
from rnnscope.recording.events import Event, Gradients
from rnnscope.recording.reader import Reader
from rnnscope.saved import state_path, weights_name, weights_steps
from rnnscope.training.checkpoint import load_weights
from rnnscope.training.loop import Trainer

RECORDED = 1000
"""Rows of a waterfall at most, evenly chosen over the run."""

CONTEXTS = tuple(2**i for i in range(8))
"""Of the memory horizon here, where there is more time than in a training run: 1 to 128 characters ..."""
STREAMS = 256
"""... and eight times as many predictions."""

ATTEMPTS = 5


def take(folder: Path, asked: Probe) -> Probed:
    """Take the probe that was asked for, of the newest checkpoint or the one asked for.

    The window is the one that training would read next, with the state it would carry into it; where the training
    state was thinned away (saved.py), it is the first of the text, from a zero state.

    Raises:
        UserError: no checkpoint (of that step), the text is gone or another, or a file is damaged.
    """
    steps = weights_steps(folder)
    if asked.checkpoint is not None and asked.checkpoint not in steps:
        there = ", ".join(map(str, steps[-8:])) or "none"
        more = "..., " if len(steps) > 8 else ""
        raise UserError(f"--checkpoint {asked.checkpoint}: {folder} has none of that step; there are: {more}{there}")
    if asked.name == "waterfall":
        return _waterfall(folder, asked.checkpoint)
    if not steps:
        raise UserError(f"{folder} has no checkpoint yet; train it first")
    trainer = _trainer(folder)
    _load(trainer, folder, asked)
    return Probed(asked.name, trainer.step, fields(_measure(folder, trainer, asked)))


def fields(event: Event) -> dict[str, Any]:
    """Return an event's fields by name."""
    return {field.name: getattr(event, field.name) for field in dataclasses.fields(event)}


def _trainer(folder: Path) -> Trainer:
    """Return a trainer for the run, on the CPU, with the text it was trained on, at step 0."""
    with Reader(folder) as reader:
        config, meta = reader.config, reader.meta
    corpus = load(config.texts, config.text)
    if meta.get("sha256", corpus.sha256) != corpus.sha256:
        raise UserError(f"{corpus.name} is not the text this run was trained on; put that back to probe the run")
    config = dataclasses.replace(config, run=dataclasses.replace(config.run, device="cpu"))
    return build(config, corpus, meta.get("kernels", {}))


def _load(trainer: Trainer, folder: Path, asked: Probe) -> None:
    """Bring the trainer to the checkpoint: with its training state where that is still there, else the weights alone.

    A worker that goes on meanwhile may remove what was there a moment ago: then the next newest is taken.
    """
    for attempt in range(ATTEMPTS):
        step = weights_steps(folder)[-1] if asked.checkpoint is None else asked.checkpoint
        weights = folder / weights_name(step)
        whole = state_path(weights).exists()
        if not whole and asked.name == "parameters":
            raise UserError(
                f"parameters makes an update, and step {step} has no training state any more to make it from"
            )
        try:
            if whole:
                trainer.load(weights)
            else:
                load_weights(trainer.model, weights)
                trainer.step = step
            return
        except UserError:
            still = weights.exists() and state_path(weights).exists() == whole
            if still or attempt == ATTEMPTS - 1:
                raise


def _measure(folder: Path, trainer: Trainer, asked: Probe) -> Event:
    window, text = trainer.next_window(), trainer.corpus.validation
    model, config, step = trainer.model, trainer.config, trainer.step
    match asked.name:
        case "horizon":
            return horizon.measure(model, window.x, window.y, window.state, text, contexts=CONTEXTS, streams=STREAMS)
        case "lyapunov":
            return _lyapunov(trainer, asked)
        case "parameters":
            was: list[parameters.Before] = []
            trainer.update(window, lambda: was.append(parameters.before(model)))  # of this copy: nothing is saved
            return parameters.measure(model, was[0], window.x, window.state)
        case "clipping":
            with Reader(folder) as reader:
                rows = reader.last_steps(step, clipping.STEPS)
            norms = [(row.grad_norm, row.grad_norm_clipped) for row in rows]
            return measure(asked.name, trainer, config, 1.0, step, window, norms=norms)
    return measure(asked.name, trainer, config, 1.0, step, window)


def _lyapunov(trainer: Trainer, asked: Probe) -> Event:
    steps = lyapunov.STEPS if asked.steps is None else asked.steps
    burn_in = lyapunov.BURN_IN if asked.burn_in is None else asked.burn_in
    count = lyapunov.COUNT if asked.exponents is None else asked.exponents
    text = trainer.corpus.validation[: steps + 2 * burn_in].astype(np.int64)
    ids = None if asked.zero_input else torch.from_numpy(text)
    seed = trainer.config.run.seed
    return lyapunov.measure(trainer.model, ids, count=count, steps=steps, burn_in=burn_in, seed=seed)


def _waterfall(folder: Path, last: int | None) -> Probed:
    """Return the recorded mean reach over training: steps (N,), reach (N, L, T) log10, index T-1 is lag 0.

    Where T was changed while training, shorter rows are NaN at the lags that they lack.
    """
    with Reader(folder) as reader:
        layers, rows = reader.config.model.layers, reader.history(Gradients.kind, RECORDED)
    kept = [(row.step, row.event.reach) for row in rows if isinstance(row.event, Gradients)]
    kept = [(step, reach) for step, reach in kept if last is None or step <= last]
    steps = np.array([step for step, _ in kept], np.int64)
    reach = np.full((len(kept), layers, max((r.shape[1] for _, r in kept), default=0)), np.nan, np.float32)
    for row, (_, one) in zip(reach, kept, strict=True):
        row[:, row.shape[1] - one.shape[1] :] = one
    return Probed("waterfall", int(steps[-1]) if len(steps) else 0, {"steps": steps, "reach": reach})

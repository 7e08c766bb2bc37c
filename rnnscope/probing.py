"""One probe on one checkpoint of any run, live or not. Nothing is written to the run."""

from __future__ import annotations

import dataclasses
import functools
import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch

from rnnscope.building import build
from rnnscope.errors import UserError
from rnnscope.examining import choose, examine, read_text
from rnnscope.measuring import measure
from rnnscope.options import Probe
from rnnscope.probe_report import Probed
from rnnscope.probes import clipping, horizon, lyapunov, parameters
from rnnscope.recording.events import Event, Gradients
from rnnscope.recording.reader import Reader
from rnnscope.registry import ASKED
from rnnscope.requesting import check_fit
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

Progress: TypeAlias = Callable[[str, float | None], None]


def take(folder: Path, asked: Probe, progress: Progress | None = None) -> Probed:
    """Take the probe that was asked for, of the newest checkpoint or the one asked for.

    progress: called with what is being done and the share of it, by what may take long.
    The window is the one that training would read next, with the state it would carry into it; where the training
    state was thinned away (saved.py), it is the first of the text, from a zero state.

    Raises:
        UserError: no checkpoint (of that step), the text is gone or another, or a file is damaged.
    """
    if asked.name in ASKED:
        return _asked(folder, asked, progress)
    if asked.name != "waterfall" or asked.checkpoint is not None:
        choose(folder, asked.checkpoint)
    if asked.name == "waterfall":
        return _waterfall(folder, asked.checkpoint)
    trainer = _trainer(folder)
    _load(trainer, folder, asked)
    return Probed(asked.name, trainer.step, fields(_measure(folder, trainer, asked)))


def _asked(folder: Path, asked: Probe, progress: Progress | None) -> Probed:
    with Reader(folder) as reader:
        check_fit(asked.name, asked.request, reader.config.model)
    subject = examine(folder, checkpoint=asked.checkpoint, progress=progress)
    if progress is not None:
        subject = dataclasses.replace(subject, report=functools.partial(_report, progress, asked.name))
    module = importlib.import_module(ASKED[asked.name][0])
    return Probed(asked.name, subject.step, fields(module.measure(subject, asked.request)))


def _report(progress: Progress, probe: str, share: float, what: str = "") -> None:
    progress(f"{probe}: {what}" if what else probe, share)


def fields(event: Event) -> dict[str, Any]:
    """Return an event's fields by name."""
    return {field.name: getattr(event, field.name) for field in dataclasses.fields(event)}


def _trainer(folder: Path) -> Trainer:
    """Return a trainer for the run, on the CPU, with the text it was trained on, at step 0."""
    with Reader(folder) as reader:
        config, meta = reader.config, reader.meta
    corpus = read_text(config, meta)
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

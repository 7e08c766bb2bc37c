"""When a unit learned what it does: one unit on one text, over all checkpoints of the run."""

from __future__ import annotations

import copy
import functools
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from rnnscope.concepts.scoring import scores
from rnnscope.concepts.table import find, labels_of
from rnnscope.errors import UserError
from rnnscope.model import CharRNN
from rnnscope.probes.activations import half
from rnnscope.probes.reading import text_of
from rnnscope.probes.sampling import device_of
from rnnscope.probes.stretches import traced
from rnnscope.probes.subject import Subject
from rnnscope.recording.neuron_events import Birth
from rnnscope.recording.requests import Request
from rnnscope.saved import weights_name, weights_steps
from rnnscope.weights import load_weights

SCORED = 10_000
"""Characters of the validation part that give each checkpoint's loss and score: the same ones for all."""
STREAMS, WARM_UP = 16, 100
"""They are read in so many pieces side by side, each after so many characters that fill the state and do not count."""
LONGEST = 200_000
"""Characters of the validation part that they are spread over."""


class Pieces(NamedTuple):
    """B pieces of W + T characters of a text that are read side by side; the first W of each do not count.

    ids (W + T, B). counted (B * T,): where in the text those are that count, piece after piece. targets (T, B): what
    comes after them.
    """

    ids: NDArray[np.int64]
    counted: NDArray[np.int64]
    targets: NDArray[np.int64]


def measure(subject: Subject, request: Request) -> Birth:
    """Return the event for a unit on the text that `request` names, at each checkpoint that is left, and now.

    Loss and concept are those of the same characters, spread over the validation part.

    Raises:
        UserError: no such text or concept, more than one, or a checkpoint that is damaged.
    """
    started = time.perf_counter()
    if len(request.concept) > 1:
        raise UserError("--concept: birth follows one concept; give one")
    decode = subject.corpus.vocabulary.decode
    concept = find(request.concept[0]) if request.concept else None
    ids = text_of(subject, request).ids
    validation = subject.corpus.validation[:LONGEST].astype(np.int64)
    pieces = cut(validation, SCORED, STREAMS, WARM_UP)
    labels = labels_of((concept,), decode(validation))[0, pieces.counted] if concept else None
    steps, values, losses, found = [], [], [], []
    for share, step, model in checkpoints(subject):
        report = functools.partial(_still_at, subject, share, step)
        unit, _ = read(model, ids[:, None], request, report)
        steps.append(step)
        values.append(half(unit[:, 0]).cpu().numpy())
        unit, logits = read(model, pieces.ids, request, report)
        losses.append(_loss(logits, pieces.targets))
        if concept and labels is not None:
            counted = unit[-len(pieces.targets) :].t().reshape(1, -1).float().cpu().numpy()
            found.append(scores(counted, labels, concept.measure == "R2")[0])
    return Birth(
        field=request.field,
        layer=request.layer,
        unit=request.units[0],
        text=decode(ids),
        steps=np.array(steps, np.int64),
        values=np.stack(values),
        losses=np.array(losses),
        concept=concept.name if concept else "",
        measure=concept.measure if concept else "",
        scores=np.array(found),
        seconds=time.perf_counter() - started,
    )


def cut(text: NDArray[np.int64], count: int, streams: int, warm_up: int) -> Pieces:
    """Spread at most `streams` pieces evenly over a text of at least two characters; about `count` in all count.

    Each begins with `warm_up` characters, fewer in a short text, in which it may overlap with the one before. The
    text's last character is only predicted.
    """
    warm_up = min(warm_up, (len(text) - 1) // 4)
    countable = len(text) - 1 - warm_up
    streams = max(1, min(streams, countable // max(1, warm_up)))
    each = max(1, min(count, countable) // streams)
    starts = np.linspace(0, countable - each, streams).astype(np.int64)
    ids = text[starts + np.arange(warm_up + each)[:, None]]
    counted = (starts + np.arange(warm_up, len(ids))[:, None]).T
    return Pieces(ids, counted.ravel(), text[counted.T + 1])


def _still_at(subject: Subject, share: float, step: int, _: float) -> None:
    """Report that the checkpoint of `step` is being read."""
    subject.report(share, f"step {step:,}")


def checkpoints(subject: Subject) -> Iterator[tuple[float, int, CharRNN]]:
    """Yield the share that is done, the steps of all weights in the run's folder, and that of the subject's own, with
    a network that has them.

    Those that the run's worker thins away meanwhile are left out.

    Raises:
        UserError: a file is damaged.
    """
    twin = copy.deepcopy(subject.model)
    steps = sorted({*weights_steps(subject.folder), subject.step})
    for index, step in enumerate(steps):
        subject.report(index / len(steps), f"step {step:,}")
        if step == subject.step:
            yield index / len(steps), step, subject.model
            continue
        path = subject.folder / weights_name(step)
        try:
            load_weights(twin, path)
        except UserError:
            if path.exists():
                raise
            continue
        yield index / len(steps), step, twin


def read(
    model: CharRNN, ids: NDArray[np.int64], request: Request, report: Callable[[float], None]
) -> tuple[Tensor, Tensor]:
    """Return a unit's values (N, B) and the logits (N, B, V), for ids (N, B) from a zero state, without dropout."""
    parts = [
        (layers[request.layer][request.field][:, :, request.units[0]], logits)
        for logits, layers in traced(model, torch.from_numpy(ids).to(device_of(model)), report)
    ]
    values, logits = zip(*parts, strict=True)
    return torch.cat(values), torch.cat(logits)


def _loss(logits: Tensor, targets: NDArray[np.int64]) -> float:
    """Return the mean of -log p in nats of targets (T, B), by the last T of logits (N, B, V)."""
    after = logits[-len(targets) :].flatten(0, 1).float().cpu()
    return float(functional.cross_entropy(after, torch.from_numpy(targets).flatten(), reduction="none").double().mean())

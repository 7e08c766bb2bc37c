"""What every unit did while the model read a text: states and gates of all layers, and what the model expected next."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rnnscope.model import CharRNN
from rnnscope.probes.reading import text_of
from rnnscope.probes.sampling import device_of
from rnnscope.probes.stretches import traced
from rnnscope.probes.subject import Subject
from rnnscope.recording.lab_events import Floats, Ints
from rnnscope.recording.neuron_events import Activations
from rnnscope.recording.requests import Request
from rnnscope.registry import CELLS

TOP = 5
"""Most probable next characters that are kept."""

LARGEST = 40_000_000
"""Bytes of one event's units, about: of a text with more, its beginning is read."""


def measure(subject: Subject, request: Request) -> Activations:
    """Return the event for the text that `request` names, read by the scan from a zero state, without dropout.

    Raises:
        UserError: see `text_of`.
    """
    started = time.perf_counter()
    model = subject.model
    most = longest(model)
    ids, source, given = text_of(subject, dataclasses.replace(request, length=min(request.length, most)))
    shortened = request.source != "prompt" and request.length > most
    if len(ids) > most or (shortened and len(ids) == most):
        source += f", cut to {most:,} characters ({LARGEST // 1_000_000} MB of units)"
    ids = ids[:most]
    logits, fields, units = read(model, ids, lambda share: subject.report((1 + share) / 2, "reading the text"))
    before, top, top_probability = expected(logits, ids)
    decode = subject.corpus.vocabulary.decode
    return Activations(
        source=source,
        text=decode(ids),
        prompt=min(given, len(ids)),
        probability=before,
        top=tuple(decode(row) for row in top),
        top_probability=top_probability,
        fields=fields,
        units=half(units).cpu().numpy(),
        order=np.stack([order(layer.float().cpu().numpy()) for layer in units[fields.index("h")]]),
        seconds=time.perf_counter() - started,
    )


def longest(model: CharRNN) -> int:
    """Return the characters whose states and gates fill LARGEST bytes, at least 1."""
    config = model.config
    return max(1, LARGEST // (2 * len(CELLS[config.cell].shown) * config.layers * config.hidden))


@torch.no_grad()
def read(
    model: CharRNN, ids: NDArray[np.int64], report: Callable[[float], None]
) -> tuple[Tensor, tuple[str, ...], Tensor]:
    """Return logits (N, V), the names of the F fields, and units (F, L, N, H), for ids (N,) from a zero state."""
    given = torch.from_numpy(ids).to(device_of(model))[:, None]
    fields = CELLS[model.config.cell].shown
    parts = [
        (logits[:, 0], torch.stack([torch.stack([layer[name][:, 0] for layer in layers]) for name in fields]))
        for logits, layers in traced(model, given, report)
    ]
    logits, units = zip(*parts, strict=True)
    return torch.cat(logits), fields, torch.cat(units, 2)


def half(units: Tensor) -> Tensor:
    """Return float16; finite numbers beyond its range (ReLU states) become its largest, inf and NaN stay."""
    limit = torch.finfo(torch.float16).max
    return torch.where(units.isinf(), units, units.clamp(-limit, limit)).to(torch.float16)


def expected(logits: Tensor, ids: NDArray[np.int64]) -> tuple[Floats, Ints, Floats]:
    """Return what the model expected, from logits (N, V) after each of ids (N,).

    The probability of each character before it came (N,), NaN for the first; ids and probabilities of the K most
    probable characters after each, (K, N) both, K = TOP or V. A diverged model's are NaN.
    """
    after = torch.softmax(logits.float(), -1).cpu()
    coming = after[:-1].gather(1, torch.from_numpy(ids[1:, None]))[:, 0]
    probability = np.concatenate([[np.nan], coming.numpy()]).astype(np.float32)
    values, symbols = after.topk(min(TOP, after.shape[1]), dim=-1)
    return probability, symbols.t().numpy(), values.t().contiguous().numpy()


def order(states: NDArray[np.floating]) -> NDArray[np.int64]:
    """Return the H units such that those that behave alike are neighbours: states (N, H) of one layer over a text.

    Average linkage on the correlation of each pair of units over the text; where two groups are joined, that end of
    each comes to the inside that makes the two units who meet most alike. The same every time. Units that never move
    (or are not finite) are like nothing: they come last, by index.
    """
    x = states.astype(np.float64)
    finite = np.isfinite(x).all(0)
    x = np.where(finite, x, 0)
    x -= x.mean(0)
    size = np.sqrt((x**2).sum(0))
    moving = np.flatnonzero(size > 1e-6 * np.sqrt(len(x)))
    x = (x[:, moving] / size[moving]).astype(np.float32)
    still = np.setdiff1d(np.arange(states.shape[1]), moving)
    return np.concatenate([moving[linked(x.T @ x)], still])


def linked(alike: NDArray[np.floating]) -> NDArray[np.int64]:
    """Return the order of average linkage's leaves for similarities (H, H), symmetric."""
    count = len(alike)
    chains: list[list[int]] = [[unit] for unit in range(count)]
    between = alike.copy()  # mean similarity of two groups, -inf of a group with itself and of what is no more
    np.fill_diagonal(between, -np.inf)
    best = between.argmax(1) if count else np.zeros(0, np.int64)
    value = between[np.arange(count), best]
    for _ in range(count - 1):
        i = int(value.argmax())
        i, j = sorted((i, int(best[i])))
        mine, theirs = len(chains[i]), len(chains[j])
        merged = (mine * between[i] + theirs * between[j]) / (mine + theirs)
        chains[i], chains[j] = _joined(chains[i], chains[j], alike), []
        merged[[i, j]] = -np.inf
        between[i], between[:, i] = merged, merged
        between[j], between[:, j], value[j] = -np.inf, -np.inf, -np.inf
        # A mean of two is never more than the larger: only who preferred one of these two has to look again.
        stale = np.flatnonzero((best == i) | (best == j) | (np.arange(count) == i))
        stale = stale[value[stale] > -np.inf]
        best[stale] = between[stale].argmax(1)
        value[stale] = between[stale, best[stale]]
    return np.array(chains[0] if count else [], np.int64)


def _joined(a: list[int], b: list[int], alike: NDArray[np.floating]) -> list[int]:
    """Return two chains as one, turned so that the units that meet are as alike as can be."""
    ends = alike[np.ix_([a[-1], a[0]], [b[0], b[-1]])]
    turn_a, turn_b = divmod(int(ends.argmax()), 2)
    return (a[::-1] if turn_a else a) + (b[::-1] if turn_b else b)

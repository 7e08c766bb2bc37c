"""Gradient through time: dL/dh_t of every layer and time step, exactly, by explicit back-propagation through time.

L is the sum over t of nats per character, of each sample of the batch alone (not averaged), before any clipping.
"total": all losses of the window; "reach": the last step's loss alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rnnscope.cells import products
from rnnscope.cells.base import Backward, Forward
from rnnscope.model import CharRNN, State
from rnnscope.recording import events
from rnnscope.recording.neuron_events import nothing

Losses: TypeAlias = Literal["total", "reach"]
LOSSES: tuple[Losses, Losses] = ("reach", "total")
ROUNDING = 8.0
"""A recurrent part below so many roundings of the total is not told from zero."""


@torch.no_grad()
def hidden_gradients(
    model: CharRNN, ids: Tensor, targets: Tensor, state: State, losses: Losses
) -> list[dict[str, Tensor]]:
    """Return per layer {"h": dL/dh_t (T, B, H)} and, for the LSTM, {"c": dL/dc_t}: total derivatives.

    Measured without dropout and outside autograd: no parameter's .grad and no random state is touched.

    Args:
        model: the network, its kernel either of the two.
        ids: characters read (T, B). targets: characters to predict (T, B).
        state: before the window.
        losses: which losses L sums over, see the module.
    """
    logits, runs = model.runs(ids, state)
    return _backward(model, runs, state, direct_gradient(model, logits, targets, losses))


def direct_gradient(model: CharRNN, logits: Tensor, targets: Tensor, losses: Losses) -> Tensor:
    """Return the direct gradient (T, B, H) of L with respect to the last layer's outputs."""
    if losses == "reach":
        last = _logit_gradient(logits[-1], targets[-1])
        direct = last.new_zeros(*logits.shape[:2], model.config.hidden)
        direct[-1] = products.linear(last, model.decoder.weight.t(), None, model.precision)
        return direct
    return products.linear(_logit_gradient(logits, targets), model.decoder.weight.t(), None, model.precision)


def _logit_gradient(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the derivative of -log softmax(logits)[target]: softmax(logits) - onehot(target)."""
    gradient = torch.softmax(logits, -1)
    return gradient.scatter_add_(-1, targets.unsqueeze(-1), gradient.new_full((1,), -1.0).expand(*targets.shape, 1))


def scans(model: CharRNN, runs: list[Forward], state: State, direct: Tensor) -> list[Backward]:
    """Return what the backward scan of each layer leaves; `direct` (T, B, H) enters the last layer from above."""
    return [back for _, back in _descend(model, runs, state, direct)][::-1]


def _descend(model: CharRNN, runs: list[Forward], state: State, direct: Tensor) -> Iterator[tuple[Tensor, Backward]]:
    """Yield each layer's direct gradient (T, B, H) and what its backward scan leaves, the last layer first."""
    for index in range(len(runs) - 1, -1, -1):
        back = model.back_propagate(index, runs[index], state[index], direct)
        yield direct, back
        if index:
            weight = model.layers[index].get_parameter("weight_ih_l0")
            direct = products.linear(back.d, weight.t(), None, model.precision)


def _backward(model: CharRNN, runs: list[Forward], state: State, direct: Tensor) -> list[dict[str, Tensor]]:
    """Return the gradients of all layers' states by name."""
    return [dict(zip(model.cell.states, back.states, strict=True)) for back in scans(model, runs, state, direct)]


class Summary(NamedTuple):
    """Over the batch, each (..., T) float32: mean, 10%, 90% quantile of log10 norm; fractions at the floor and bad."""

    mean: events.Floats
    low: events.Floats
    high: events.Floats
    floor: events.Floats
    bad: events.Floats


def summarise(norms: NDArray[np.floating]) -> Summary:
    """Summarise norms (..., T, B) over the batch.

    Zero (or underflowed) norms count as floor, NaN and infinite ones as bad; both are left out of mean and quantiles,
    which are NaN where nothing is left.
    """
    bad = ~np.isfinite(norms)
    floor = norms == 0
    usable = ~bad & ~floor
    count = usable.sum(-1)
    logs = np.where(usable, np.log10(np.where(usable, norms, 1.0), dtype=np.float64), np.inf)
    logs.sort(-1)  # usable ones first
    with_any = np.maximum(count, 1)
    mean = np.where(np.isfinite(logs), logs, 0.0).sum(-1) / with_any
    results = [mean, *(_quantile(logs, with_any, q) for q in (0.1, 0.9))]
    results = [np.where(count > 0, result, np.nan) for result in results]
    return Summary(*(x.astype(np.float32) for x in (*results, floor.mean(-1), bad.mean(-1))))


def _quantile(ascending: NDArray[np.floating], count: NDArray[np.integer], q: float) -> NDArray[np.floating]:
    """Return the q quantile of the first `count` values along the last axis, linearly interpolated."""
    position = q * (count - 1)
    below = np.floor(position).astype(int)
    above = np.minimum(below + 1, count - 1)
    low, high = (np.take_along_axis(ascending, k[..., None], -1)[..., 0] for k in (below, above))
    finite = np.isfinite(low) & np.isfinite(high)
    low, high = np.where(finite, low, 0.0), np.where(finite, high, 0.0)
    result: NDArray[np.floating] = low + (high - low) * (position - below)
    return result


def hidden_norm(gradient: Tensor) -> Tensor:
    """Return the norms over H, (T, B), in float64 so that squares do not underflow."""
    if gradient.device.type == "mps":  # has no float64
        gradient = gradient.cpu()
    norms: Tensor = torch.linalg.vector_norm(gradient, dim=-1, dtype=torch.float64)
    return norms


def _parts(direct: Tensor, back: Backward) -> list[Tensor]:
    """Return (T, B) norms of one layer: the direct part of dL/dh_t, the recurrent part, then of every total state.

    The recurrent part is a difference: below a few roundings of the total it is nothing but rounding, and counts as
    zero. Overwrites `direct`, of which nothing else is left to be made.
    """
    total, above = hidden_norm(back.states[0]), hidden_norm(direct)
    through_time = hidden_norm(torch.sub(back.states[0], direct, out=direct))
    through_time[through_time <= ROUNDING * torch.finfo(direct.dtype).eps * total] = 0
    return [above, through_time, total, *(hidden_norm(gradient) for gradient in back.states[1:])]


def _norms(model: CharRNN, runs: list[Forward], state: State, direct: Tensor) -> NDArray[np.float64]:
    """Return the norms of all layers' `_parts`, (P, L, T, B)."""
    layers = [torch.stack(_parts(above, back)) for above, back in _descend(model, runs, state, direct)]
    norms: NDArray[np.float64] = torch.stack(layers[::-1], 1).cpu().numpy()
    return norms


@torch.no_grad()
def measure(
    model: CharRNN, ids: Tensor, targets: Tensor, state: State, decode: Callable[[NDArray[np.integer]], str]
) -> events.Gradients:
    """Return the event for one window: ids, targets (T, B), the state before it, and the vocabulary's `decode`."""
    start = time.perf_counter()
    logits, runs = model.runs(ids, state)
    fields: dict[str, events.Floats] = {}
    for losses in LOSSES:
        norms = _norms(model, runs, state, direct_gradient(model, logits, targets, losses))
        direct, recurrent, h, *cell = (Summary(*parts) for parts in zip(*summarise(norms), strict=True))
        fields |= {losses: h.mean, f"{losses}_direct": direct.mean, f"{losses}_recurrent": recurrent.mean}
        fields |= {f"{losses}_{name}": getattr(h, name) for name in ("low", "high", "floor", "bad")}
        c = cell[0] if cell else Summary(*(nothing() for _ in Summary._fields))
        fields |= {f"cell_{losses}": c.mean, f"cell_{losses}_low": c.low, f"cell_{losses}_high": c.high}
    text = decode(ids[:, 0].cpu().numpy())
    return events.Gradients(**fields, text=text, seconds=time.perf_counter() - start)

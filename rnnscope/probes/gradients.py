"""Gradient through time: dL/dh_t of every layer and time step, exactly, by explicit back-propagation through time.

L is the sum over t of nats per character, of each sample of the batch alone (not averaged), before any clipping.
"total": all losses of the window; "reach": the last step's loss alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rnnscope.cells import products
from rnnscope.cells.base import Backward, Forward
from rnnscope.model import CharRNN, State
from rnnscope.recording import events

Losses: TypeAlias = Literal["total", "reach"]
LOSSES: tuple[Losses, Losses] = ("reach", "total")


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
    found = []
    for index in range(len(runs) - 1, -1, -1):
        back = model.back_propagate(index, runs[index], state[index], direct)
        found.append(back)
        if index:
            weight = model.layers[index].get_parameter("weight_ih_l0")
            direct = products.linear(back.d, weight.t(), None, model.precision)
    return found[::-1]


def _backward(model: CharRNN, runs: list[Forward], state: State, direct: Tensor) -> list[dict[str, Tensor]]:
    """Return the gradients of all layers' states by name."""
    return [dict(zip(model.cell.states, back.states, strict=True)) for back in scans(model, runs, state, direct)]


class Summary(NamedTuple):
    """Over the batch, each (L, T) float32: mean, 10% and 90% quantile of log10 norm; fractions at the floor and bad."""

    mean: events.Floats
    low: events.Floats
    high: events.Floats
    floor: events.Floats
    bad: events.Floats


def summarise(norms: NDArray[np.floating]) -> Summary:
    """Summarise norms (L, T, B) over the batch.

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


def _norms(gradients: Iterable[dict[str, Tensor]], name: str) -> NDArray[np.floating]:
    """Return (L, T, B) norms over H of the gradients called `name`, in float64 so that squares do not underflow."""
    return np.stack([torch.linalg.vector_norm(g[name].cpu(), dim=-1, dtype=torch.float64).numpy() for g in gradients])


@torch.no_grad()
def measure(
    model: CharRNN, ids: Tensor, targets: Tensor, state: State, decode: Callable[[NDArray[np.integer]], str]
) -> events.Gradients:
    """Return the event for one window: ids, targets (T, B), the state before it, and the vocabulary's `decode`."""
    start = time.perf_counter()
    logits, runs = model.runs(ids, state)
    found = [_backward(model, runs, state, direct_gradient(model, logits, targets, losses)) for losses in LOSSES]
    reach, total = (summarise(_norms(gradients, "h")) for gradients in found)
    nothing = np.zeros((0, 0), np.float32)
    has_cell = "c" in model.cell.states
    cell_reach, cell_total = (summarise(_norms(gradients, "c")).mean if has_cell else nothing for gradients in found)
    return events.Gradients(
        reach=reach.mean, reach_low=reach.low, reach_high=reach.high, reach_floor=reach.floor, reach_bad=reach.bad,
        total=total.mean, total_low=total.low, total_high=total.high, total_floor=total.floor, total_bad=total.bad,
        cell_reach=cell_reach, cell_total=cell_total,
        text=decode(ids[:, 0].cpu().numpy()), seconds=time.perf_counter() - start,
    )  # fmt: skip

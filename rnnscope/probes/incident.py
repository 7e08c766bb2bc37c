"""What broke an update: the first bad quantity in causal order, found by making the update's pass once more.

Causal order is that of the computation: weights, then forward in time (a lower layer before a higher one at the same
time step), logits and loss; then backward in time (a higher layer before a lower one); then the gradients of the
parameters. The pass is made by the explicit scans, which hold every quantity on the way; it changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rnnscope.model import CharRNN, State
from rnnscope.probes.gradients import hidden_gradients
from rnnscope.recording.lab_events import Incident, tensor_words


@dataclass(frozen=True)
class Place:
    """Where a bad quantity is. layer, t, row: from 0, None where it belongs to none; parameter: a tensor's name."""

    phase: str
    quantity: str
    value: float
    layer: int | None = None
    t: int | None = None
    row: int | None = None
    parameter: str = ""


@torch.no_grad()
def first_bad(model: CharRNN, ids: Tensor, targets: Tensor, state: State) -> Place | None:
    """Return the first quantity that is NaN or infinite in the pass over one window, None where all are finite.

    Args:
        model: with the weights from before the update. ids, targets: (T, B). state: before the window.
    """
    searches = (_weights(model), _carried(state), _forward(model, ids, targets, state))
    for search in searches:
        for place in search:
            return place
    for place in _backward(model, ids, targets, state):
        return place
    return next(_parameter_gradients(model, ids, targets, state), None)


def _weights(model: CharRNN) -> Iterator[Place]:
    for name, tensor in model.named_parameters():
        index = _first(tensor)
        if index is not None:
            yield Place("forward", f"weight of {name}", float(tensor[index]), _layer_of(name), parameter=name)


def _carried(state: State) -> Iterator[Place]:
    for layer, states in enumerate(state):
        for name, tensor in zip("hc", states, strict=False):
            index = _first(tensor)
            if index is not None:
                yield Place("forward", f"{name} carried into the window", float(tensor[index]), layer, row=index[0])


def _forward(model: CharRNN, ids: Tensor, targets: Tensor, state: State) -> Iterator[Place]:
    logits, _, traced = model.trace(ids, state)
    # A layer's gates come before its states at the same time step: they are what the states are made of.
    found = [
        (index[0], layer, order, Place("forward", name, float(tensor[index]), layer, index[0], index[1]))
        for layer, tensors in enumerate(traced)
        for order, (name, tensor) in enumerate(reversed(tensors.items()))
        if (index := _first(tensor)) is not None
    ]
    if found:
        yield min(found, key=lambda one: one[:3])[3]
    losses = nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none").view(ids.shape)
    for name, tensor in (("logits", logits), ("loss", losses)):
        index = _first(tensor)
        if index is not None:
            yield Place("forward", name, float(tensor[index]), None, index[0], index[1])


def _backward(model: CharRNN, ids: Tensor, targets: Tensor, state: State) -> Iterator[Place]:
    found = []
    for layer, tensors in enumerate(hidden_gradients(model, ids, targets, state, "total")):
        for name, tensor in tensors.items():
            index = _first(tensor.flip(0))
            if index is not None:
                t = len(tensor) - 1 - index[0]
                value = float(tensor[t][index[1:]])
                found.append((-t, -layer, Place("backward", f"dL/d{name}", value, layer, t, index[1])))
    if found:
        yield min(found, key=lambda one: one[:2])[2]


def _parameter_gradients(model: CharRNN, ids: Tensor, targets: Tensor, state: State) -> Iterator[Place]:
    gradients = parameter_gradients(model, ids, targets, state)
    for name in reversed(gradients):  # the decoder first, the embedding last
        index = _first(gradients[name])
        if index is not None:
            value = float(gradients[name][index])
            yield Place("backward", f"gradient of {name}", value, _layer_of(name), parameter=name)
    norms = {name: float(torch.linalg.vector_norm(gradient.double())) for name, gradient in gradients.items()}
    total = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(g) for g in gradients.values()]))
    if gradients and not torch.isfinite(total):
        name = max(norms, key=lambda name: norms[name])
        yield Place("backward", "norm of all gradients", float(total), _layer_of(name), parameter=name)


def parameter_gradients(model: CharRNN, ids: Tensor, targets: Tensor, state: State) -> dict[str, Tensor]:
    """Return the gradient of the window's mean loss for every parameter, by autograd.

    No .grad and no random state is touched; dropout draws what an update made now would draw.
    """
    named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    devices = [ids.device] if ids.device.type == "cuda" else []
    with torch.enable_grad(), torch.random.fork_rng(devices):
        logits, _ = model(ids, state)
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
        found = torch.autograd.grad(loss, [p for _, p in named], allow_unused=True)
    return {name: g for (name, _), g in zip(named, found, strict=True) if g is not None}


def _first(tensor: Tensor) -> tuple[int, ...] | None:
    """Return the index of the first NaN or infinity, in the order of memory; None where all are finite."""
    bad = ~torch.isfinite(tensor)
    if not bool(bad.any()):
        return None
    return tuple(int(i) for i in bad.nonzero()[0])


def _layer_of(name: str) -> int | None:
    words = name.split(".")
    return int(words[1]) if words[0] == "layers" else None


@torch.no_grad()
def measure(
    model: CharRNN,
    ids: Tensor,
    targets: Tensor,
    state: State,
    *,
    loss: float,
    grad_norm: float,
    rewind_to: int,
    again_from: int,
    when: str = "",
    decode: Callable[[NDArray[np.integer]], str],
) -> Incident:
    """Return what happened at one update, from the weights, window (T, B) and state just before it.

    loss, grad_norm: what the update itself found. rewind_to, again_from: see the event.
    when: what the explanation begins with.
    """
    place = first_bad(model, ids, targets, state)
    norms = _total_norms(model, ids, targets, state)
    if place is None:
        reason = _reason(loss if np.isfinite(grad_norm) else grad_norm)
        place = _largest(model, ids, targets, state, norms, loss)
    else:
        reason = _reason(place.value)
    row = place.row if place.row is not None else 0
    usable = np.isfinite(norms) & (norms > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.where(usable, np.log10(norms), 0.0).sum(-1) / usable.sum(-1)  # NaN where nothing is finite
    return Incident(
        reason=reason, phase=place.phase, quantity=place.quantity, value=f"{place.value:g}", layer=place.layer,
        t=place.t, parameter=place.parameter, row=row, text=decode(ids[:, row].cpu().numpy()),
        total=logs.astype(np.float32), loss=loss, grad_norm=grad_norm, rewind_to=rewind_to,
        again_from=again_from, explanation=when + explain(place, logs, len(ids)),
    )  # fmt: skip


def _reason(value: float) -> str:
    return "nan" if np.isnan(value) else "inf" if np.isinf(value) else "spike"


def _total_norms(model: CharRNN, ids: Tensor, targets: Tensor, state: State) -> NDArray[np.float64]:
    """Return ||dL/dh_t|| of all losses, (L, T, B)."""
    found = hidden_gradients(model, ids, targets, state, "total")
    return np.stack([torch.linalg.vector_norm(g["h"].cpu().double(), dim=-1).numpy() for g in found])


def _largest(
    model: CharRNN, ids: Tensor, targets: Tensor, state: State, norms: NDArray[np.float64], loss: float
) -> Place:
    """Return where the gradient of a window whose numbers are all finite is largest."""
    layer, t, row = (int(i) for i in np.unravel_index(int(np.nanargmax(norms)), norms.shape))
    sizes = {
        name: float(torch.linalg.vector_norm(g.double()))
        for name, g in parameter_gradients(model, ids, targets, state).items()
    }
    return Place("update", "loss", loss, layer, t, row, max(sizes, key=lambda name: sizes[name]))


def explain(place: Place, logs: NDArray[np.floating], steps: int) -> str:
    """Return one sentence: what it was, where, and how the gradient grew on its way back in time.

    logs: (L, T) mean log10 ||dL/dh_t||.
    """
    where = "" if place.layer is None else f" in layer {place.layer + 1}"
    if place.t is not None:
        where += f" at time step {place.t + 1} of {steps}"
    if place.quantity == "loss" and place.phase == "update":
        text = f"all is finite; the gradient is largest{where}, and of all tensors in {tensor_words(place.parameter)}"
    else:
        text = f"{place.quantity} is {place.value:g}{where}: the first in causal order"
    growth = _growth(logs)
    if growth is not None and abs(growth) > 0.005:
        text += f"; back in time dL/dh_t changes by a factor of {10**growth:.3g} a step"
    return text


def _growth(logs: NDArray[np.floating]) -> float | None:
    """Return the slope of log10 ||dL/dh_t|| back in time, of the steepest layer; None without two points."""
    slopes = []
    for layer in logs:
        t = np.flatnonzero(np.isfinite(layer))
        if len(t) > 1:
            slopes.append(-float(np.polyfit(t, layer[t], 1)[0]))
    return max(slopes, key=abs) if slopes else None

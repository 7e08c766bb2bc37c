"""Every parameter tensor around one update: its gradient, its size, how far the update moved it, who is idle."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from rnnscope.model import CharRNN, State
from rnnscope.recording.events import Ints
from rnnscope.recording.lab_events import Parameters

EDGES = np.linspace(-12.0, 4.0, 33)
"""Of the histograms, in log10 |x|: two bins a decade."""

NEAR = 0.05
"""A saturated value is that close to a bound of its activation."""
MOSTLY = 0.95
"""... in that share of the window."""

SIGMOIDS = frozenset("ifrzo")
"""Gates between 0 and 1; everything else that saturates lies between -1 and 1."""

LAYER = re.compile(r"layers\.(\d+)\.")


class Before(NamedTuple):
    """A copy of the weights before an update, and of the gradients of the mean loss before clipping, by name."""

    weights: Mapping[str, Tensor]
    gradients: Mapping[str, Tensor]


@torch.no_grad()
def before(model: CharRNN) -> Before:
    """Copy both; to be called between the backward pass and clipping (`look` of training.step.train_step)."""
    weights, gradients = {}, {}
    for name, parameter in model.named_parameters():
        weights[name] = parameter.detach().clone()
        gradient = parameter.grad
        gradients[name] = torch.zeros_like(parameter) if gradient is None else gradient.detach().clone()
    return Before(weights, gradients)


def log_histogram(x: Tensor) -> Ints:
    """Return counts (E,) of log10 |x| between EDGES; what lies outside is in the first or last, NaN and inf nowhere."""
    magnitude = x[torch.isfinite(x)].abs()
    bins = len(EDGES) - 1
    place = (magnitude.log10() - EDGES[0]) * (bins / (EDGES[-1] - EDGES[0]))  # -inf for zero
    counts: Ints = torch.bincount(place.floor().clamp(0, bins - 1).long(), minlength=bins).cpu().numpy()
    return counts


@torch.no_grad()
def idle_shares(model: CharRNN, ids: Tensor, state: State) -> list[float]:
    """Return for each layer the share of its units that do nothing, or no longer change, on ids (T, B).

    ReLU: units that are 0 on the whole window. tanh: |h| > 0.95 on at least 95% of it. Gated cells: any of the unit's
    gates within 0.05 of a bound, on at least 95% of the window.
    """
    shares = []
    for layer in model.trace(ids, state)[2]:
        if model.cell.name == "relu":
            idle = (layer["h"] == 0).all(0).all(0)
        else:
            idle = torch.stack([_saturated(name, layer[name]) for name in model.cell.gates]).any(0)
        shares.append(float(idle.float().mean()))
    return shares


def _saturated(name: str, values: Tensor) -> Tensor:
    """Return (H,) whether a gate or state (T, B, H) is close to a bound on most of the window."""
    close = (values - 0.5).abs() > 0.5 - NEAR if name in SIGMOIDS else values.abs() > 1 - NEAR
    return close.float().mean((0, 1)) >= MOSTLY


def _norm(x: Tensor) -> float:
    """Return the Euclidean norm, in float64 so that squares neither underflow nor overflow."""
    return float(torch.linalg.vector_norm(x.cpu(), dtype=torch.float64))


@torch.no_grad()
def measure(model: CharRNN, was: Before, ids: Tensor, state: State) -> Parameters:
    """Return the event after an update; `was`: what `before` copied, ids (T, B) and state: the window it was made on.

    weight_norm and histograms are of the weights before the update; an update that was left out has ratio 0. The
    ratio is inf where all weights were 0, NaN where they stayed so.
    """
    started = time.perf_counter()
    after = {name: parameter.detach() for name, parameter in model.named_parameters()}
    layers = idle_shares(model, ids, state)
    found = [LAYER.match(name) for name in after]
    weight_norm = np.array([_norm(was.weights[name]) for name in after])
    moved = np.array([_norm(after[name] - was.weights[name]) for name in after])
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = moved / weight_norm
    return Parameters(
        names=tuple(after),
        gradient_norm=np.array([_norm(was.gradients[name]) for name in after]),
        weight_norm=weight_norm,
        update_ratio=ratio,
        idle=np.array([layers[int(match[1])] if match else np.nan for match in found]),
        edges=EDGES,
        weight_histogram=np.stack([log_histogram(was.weights[name]) for name in after]),
        gradient_histogram=np.stack([log_histogram(was.gradients[name]) for name in after]),
        seconds=time.perf_counter() - started,
    )

"""Who taught whom: the gradient of every single loss with respect to every earlier state of one text.

loss_t is in nats, that of predicting targets[t] alone. One backward scan a layer carries all T adjoints at once: the
adjoint of loss_t is sample t of its batch, which enters at time step t and is zero after it.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rnnscope.model import CharRNN, State
from rnnscope.probes.gradients import direct_gradient, hidden_norm, scans
from rnnscope.probes.linearised import for_rows
from rnnscope.recording.lab_events import Floats, Triangle

LONGEST = 100
"""Time steps of a window that are looked at: time and memory grow with their square."""


@torch.no_grad()
def adjoints(model: CharRNN, ids: Tensor, targets: Tensor, state: State) -> list[tuple[Tensor, ...]]:
    """Return per layer d loss_t / d h_s (and for the LSTM d loss_t / d c_s), each (T, T, H), indexed [s, t].

    The sum over t is the total gradient dL/dh_s of the window. Zero where s > t.

    Args:
        ids, targets: one text, (T, 1). state: before it, (1, H) each.
    """
    logits, runs = model.runs(ids, state)
    steps, each = len(ids), torch.arange(len(ids), device=ids.device)
    own = direct_gradient(model, logits, targets, "total")[:, 0]
    direct = own.new_zeros(steps, steps, own.shape[-1])
    direct[each, each] = own
    before = tuple(tuple(s.expand(steps, -1) for s in layer) for layer in state)
    return [back.states for back in scans(model, [for_rows(run, steps) for run in runs], before, direct)]


def log_norms(gradients: Tensor) -> Floats:
    """Return log10 of the norms over H of (S, T, H) gradients [s, t], as the event has them: (T, S) float32."""
    norms = hidden_norm(gradients).t().cpu().numpy()
    with np.errstate(divide="ignore"):
        logs = np.where(np.isfinite(norms), np.log10(norms, where=np.isfinite(norms), out=np.zeros_like(norms)), np.inf)
    logs[np.triu_indices(len(logs), 1)] = np.nan
    return logs.astype(np.float32)


@torch.no_grad()
def measure(
    model: CharRNN, ids: Tensor, targets: Tensor, state: State, decode: Callable[[NDArray[np.integer]], str]
) -> Triangle:
    """Return the event for the first sample of a window: ids, targets (T, B), the state before it.

    Of a window longer than `LONGEST`, its beginning. decode: the vocabulary's.
    """
    start = time.perf_counter()
    ids, targets = ids[:LONGEST, :1], targets[:LONGEST, :1]
    found = adjoints(model, ids, targets, tuple(tuple(s[:1] for s in layer) for layer in state))
    norms = np.stack([log_norms(states[0]) for states in found])
    text, predicted = (decode(x[:, 0].cpu().numpy()) for x in (ids, targets))
    return Triangle(norms, text, predicted, time.perf_counter() - start)

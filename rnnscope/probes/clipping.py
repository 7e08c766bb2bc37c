"""What clipping did over the last updates, and which layer and time step make the gradient large.

The gradient of W_hh is a sum over time: dL/dW_hh = sum_t D_t' H_{t-1}, D_t (B, G) the gradient of the recurrent
product at t and H_{t-1} (B, H) the state that went into it. The Frobenius norm of one part follows from two B x B
Gram matrices, without the (G, H) matrix itself:

    ||D' H||_F^2 = trace(D D' H H') = sum over b, b' of (D D')_{bb'} (H H')_{bb'}
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from rnnscope.model import CharRNN, State
from rnnscope.probes.gradients import direct_gradient, scans
from rnnscope.recording.events import Floats
from rnnscope.recording.lab_events import Clipping

STEPS = 200
"""Updates looked back on."""


@torch.no_grad()
def contributions(model: CharRNN, ids: Tensor, targets: Tensor, state: State) -> Floats:
    """Return ||part of dL/dW_hh that time step t adds||_F, (L, T) float64: L the mean loss of the window.

    ids, targets: (T, B); state: before the window. Measured without dropout, and before clipping. The gradient of the
    layer's weight_hh is the sum over t of these parts as matrices; their norms do not add up to its norm.
    """
    logits, runs = model.runs(ids, state)
    backs = scans(model, runs, state, direct_gradient(model, logits, targets, "total"))
    before = [torch.cat((start[0].unsqueeze(0), run.out[:-1])) for start, run in zip(state, runs, strict=True)]
    norms = [_frobenius(back.recurrent_d, h) for back, h in zip(backs, before, strict=True)]
    return np.stack(norms) / ids.numel()


def _frobenius(d: Tensor, h: Tensor) -> Floats:
    """Return ||d_t' h_t||_F for each t, (T,), of d (T, B, G) and h (T, B, H), in float64 on the CPU.

    One time step after another, so that no second copy of the window is held. The trace is that of a product of two
    positive semi-definite matrices: what rounding leaves below zero is zero.
    """
    squares = []
    for d_t, h_t in zip(d.cpu(), h.cpu(), strict=True):
        d_t, h_t = d_t.double(), h_t.double()
        squares.append(((d_t @ d_t.t()) * (h_t @ h_t.t())).sum())
    return torch.stack(squares).clamp_min(0).sqrt().numpy()


def measure(
    model: CharRNN,
    ids: Tensor,
    targets: Tensor,
    state: State,
    norms: Sequence[tuple[float, float]],
    *,
    threshold: float | None,
    by: str,
) -> Clipping:
    """Return the event for one window (ids, targets (T, B), the state before it) and the last updates' norms.

    Args:
        norms: global gradient norm (before, after) clipping of the last updates, oldest first; may be empty.
        threshold, by: what is set now; whether an update was clipped is told from its two norms.
    """
    started = time.perf_counter()
    before, after = np.array(norms, np.float64).reshape(-1, 2).T
    clipped = after < before
    with np.errstate(divide="ignore"):
        parts = np.log10(contributions(model, ids, targets, state)).astype(np.float32)
    finite = np.isfinite(parts)
    layer = t = -1
    if finite.any():
        layer, t = (int(i) for i in np.unravel_index(int(np.where(finite, parts, -np.inf).argmax()), parts.shape))
    return Clipping(
        before=before,
        after=after,
        threshold=threshold,
        by=by,
        fired=float(clipped.mean()) if len(clipped) else 0.0,
        scale=float((after[clipped] / before[clipped]).mean()) if clipped.any() else 1.0,
        contributions=parts,
        layer=layer,
        t=t,
        seconds=time.perf_counter() - started,
    )

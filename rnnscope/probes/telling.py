"""A held-out probe: can a line through the states tell where they come from?

Logistic regression with an L2 penalty on scaled states, fitted by Newton's method on its dual form (there are
fewer states than units), on one half of the pairs, and judged on the other by the area under the ROC curve; then the
other way round. A pair is never in both halves.
"""

from __future__ import annotations

import torch
from torch import Tensor

PENALTY = 1.0
"""On half the squared norm of the weights; losses are summed, and the D units scaled to a variance of 1 / D each among
states of one kind."""
ROUNDS = 12
"""Steps of Newton's method."""
FAINT = 1e-3
"""Part of the mean variance of all states that is added to each unit's: those that hardly move are not blown up."""


def held_out_auc(one: Tensor, other: Tensor) -> Tensor:
    """Return (N,), how well states one[n] and other[n] are told apart: AUC, 0.5 where they cannot be, averaged over
    the two halves; NaN for less than two pairs, and where a state is not finite.

    one, other: (N, P, D), P pairs at each of N positions.
    """
    pairs = one.shape[1]
    if pairs < 2:
        return one.new_full((len(one),), torch.nan)
    finite = torch.isfinite(one).all(-1).all(-1) & torch.isfinite(other).all(-1).all(-1)
    one, other = (torch.where(finite[:, None, None], x, torch.zeros_like(x)) for x in (one, other))
    halves = torch.arange(pairs, device=one.device) % 2 == 0
    found = []
    for half in (halves, ~halves):
        scores = _scores(one[:, half], other[:, half], one[:, ~half], other[:, ~half])
        found.append(auc(*scores))
    return torch.where(finite, (found[0] + found[1]) / 2, torch.nan)


def auc(negative: Tensor, positive: Tensor) -> Tensor:
    """Return (N,) the share of the pairs of scores negative (N, A) and positive (N, B) in which the positive one is
    the higher; a tie counts half (Mann-Whitney).
    """
    gap = positive[:, :, None] - negative[:, None, :]
    return ((gap > 0).double() + 0.5 * (gap == 0).double()).mean((1, 2))


def _scores(one: Tensor, other: Tensor, new_one: Tensor, new_other: Tensor) -> tuple[Tensor, Tensor]:
    """Fit on one, other (N, P, D); return the log odds (N, Q) of `other` for the new states (N, Q, D) of each kind."""
    x = torch.cat([one, other], 1)
    middle = x.mean(1, keepdim=True)
    within = (one.var(1, correction=0, keepdim=True) + other.var(1, correction=0, keepdim=True)) / 2
    faint = FAINT * x.var(1, correction=0, keepdim=True).mean(-1, keepdim=True) + torch.finfo(x.dtype).tiny
    scale = ((within + faint) * x.shape[-1]).rsqrt()
    x, new_one, new_other = ((states - middle) * scale for states in (x, new_one, new_other))
    kernel = (x @ x.mT).double()
    labels = torch.cat([torch.zeros(one.shape[:2]), torch.ones(other.shape[:2])], 1).to(kernel)
    identity = PENALTY * torch.eye(x.shape[1]).to(kernel)
    dual = torch.zeros_like(labels)
    for _ in range(ROUNDS):  # minimise sum log(1 + exp(-+f)) + penalty/2 dual K dual, f = K dual
        f = (kernel @ dual[..., None])[..., 0]
        p = torch.sigmoid(f)
        w = p * (1 - p)
        dual = torch.linalg.solve(w[..., None] * kernel + identity, w * f + labels - p)
    weights = dual[:, None, :].to(x.dtype) @ x
    return (weights @ new_one.mT)[:, 0], (weights @ new_other.mT)[:, 0]

"""A held-out probe: can a line through the states tell where they come from?

Logistic regression with an L2 penalty on scaled states, fitted by Newton's method on its dual form, on one half of the
pairs, and judged on the other by the area under the ROC curve; then the other way round. A pair is never in both
halves. Neighbouring positions share a probe, which sees more states so: of 32 alone it learns too little to tell what
differs a little.
"""

from __future__ import annotations

import torch
from torch import Tensor

PENALTY = 1.0
"""On half the squared norm of the weights; losses are summed, and the D units scaled to a variance of 1 / D each among
states of one kind."""
ROUNDS = 12
"""Steps of Newton's method at most."""
SETTLED = 1e-4
"""Change of the log odds of all states by one step below which it has arrived: it squares with every step."""
TOGETHER = 8
"""Positions that share a probe."""
FAINT = 1e-3
"""Part of the mean variance of all states that is added to each unit's: those that hardly move are not blown up."""


def held_out_auc(one: Tensor, other: Tensor) -> Tensor:
    """Return (N,), how well states one[n] and other[n] are told apart: AUC, 0.5 where they cannot be, averaged over
    the two halves; NaN for less than two pairs, and for positions together with one where a state is not finite.

    one, other: (N, P, D), P pairs at each of N positions; the first TOGETHER positions share a probe, and so on.
    """
    if one.shape[1] < 2:
        return one.new_full((len(one),), torch.nan)
    both = zip(torch.split(one, TOGETHER), torch.split(other, TOGETHER), strict=True)
    return torch.cat([_of_positions(*blocks) for blocks in both])


def _of_positions(one: Tensor, other: Tensor) -> Tensor:
    """Return (N,) for N positions that share a probe."""
    if not (torch.isfinite(one).all() and torch.isfinite(other).all()):
        return one.new_full((len(one),), torch.nan)
    half = torch.arange(one.shape[1], device=one.device) % 2 == 0
    found = [auc(*scores(one[:, h], other[:, h], one[:, ~h], other[:, ~h])) for h in (half, ~half)]
    return ((found[0] + found[1]) / 2).to(one.dtype)


def auc(negative: Tensor, positive: Tensor) -> Tensor:
    """Return (N,) the share of the pairs of scores negative (N, A) and positive (N, B) in which the positive one is
    the higher; a tie counts half (Mann-Whitney).
    """
    gap = positive[:, :, None] - negative[:, None, :]
    return ((gap > 0).to(gap.dtype) + 0.5 * (gap == 0).to(gap.dtype)).mean((1, 2))


def scores(one: Tensor, other: Tensor, new_one: Tensor, new_other: Tensor) -> tuple[Tensor, Tensor]:
    """Fit on one, other (N, P, D); return the log odds (N, Q) of `other` for the new states (N, Q, D) of each kind."""
    one, other = one.flatten(0, 1), other.flatten(0, 1)
    x = torch.cat([one, other])
    middle = x.mean(0)
    within = (one.var(0, correction=0) + other.var(0, correction=0)) / 2
    faint = FAINT * x.var(0, correction=0).mean() + torch.finfo(x.dtype).tiny
    scale = ((within + faint) * x.shape[1]).rsqrt()
    x, new_one, new_other = ((states - middle) * scale for states in (x, new_one, new_other))
    kernel = x @ x.T
    labels = torch.cat([x.new_zeros(len(one)), x.new_ones(len(other))])
    identity = PENALTY * torch.eye(len(x), dtype=x.dtype, device=x.device)
    dual, f = torch.zeros_like(labels), torch.zeros_like(labels)
    for _ in range(ROUNDS):  # minimise sum log(1 + exp(-+f)) + penalty/2 dual K dual, f = K dual
        p = torch.sigmoid(f)
        w = p * (1 - p)
        dual = torch.linalg.solve(w[:, None] * kernel + identity, w * f + labels - p)
        before, f = f, kernel @ dual
        if float((f - before).abs().max()) < SETTLED:
            break
    weights = dual @ x
    return new_one @ weights, new_other @ weights

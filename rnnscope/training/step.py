"""One training update: forward, loss, backward, clip, optimiser. The training loop and the bench both use it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from rnnscope.model import CharRNN, State


class Updates(Protocol):
    """An optimiser, of `optimisers.py` or of torch.optim."""

    def zero_grad(self) -> None:
        """Forget the gradients."""

    def step(self) -> Any:
        """Update the parameters by their gradients."""


@dataclass(frozen=True)
class StepResult:
    """What one update was.

    loss: mean nats per character of the window, before the update. grad_norm: global norm of all parameters'
    gradients of that mean, before clipping; grad_norm_clipped: after. state: after the window, detached.
    applied: False where loss or gradient was NaN or infinite and the update therefore left out.
    """

    loss: float
    grad_norm: float
    grad_norm_clipped: float
    state: State
    applied: bool


def train_step(
    model: CharRNN,
    optimizer: Updates,
    x: Tensor,
    y: Tensor,
    state: State,
    clip: float | None,
    clip_by: str = "norm",
    look: Callable[[], None] | None = None,
) -> StepResult:
    """Train on one window: x, y (T, B) ids, state before it (from which no gradient flows further back).

    look: called once every parameter's .grad is that of the mean loss, before clipping and update.
    """
    optimizer.zero_grad()
    logits, after = model(x, state)
    loss = nn.functional.cross_entropy(logits.flatten(0, 1), y.flatten())
    loss.backward()  # type: ignore[no-untyped-call]
    if look is not None:
        look()
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    norm = nn.utils.get_total_norm(gradients)
    loss_value, before = torch.stack((loss.detach(), norm)).tolist()
    detached = tuple(tuple(s.detach().clone() for s in layer) for layer in after)
    if not (math.isfinite(loss_value) and math.isfinite(before)):
        return StepResult(loss_value, before, before, detached, False)
    clipped = _clip(gradients, before, clip, clip_by)
    optimizer.step()
    return StepResult(loss_value, before, clipped, detached, True)


def _clip(gradients: list[Tensor], norm: float, clip: float | None, clip_by: str) -> float:
    """Clip in place; return the global norm afterwards."""
    if clip is None:
        return norm
    if clip_by == "value":
        for gradient in gradients:
            gradient.clamp_(-clip, clip)
        return float(nn.utils.get_total_norm(gradients))
    factor = clip / (norm + 1e-6)  # as torch.nn.utils.clip_grad_norm_
    if factor >= 1:
        return norm
    torch._foreach_mul_(gradients, factor)
    return norm * factor

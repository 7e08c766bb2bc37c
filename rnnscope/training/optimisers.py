"""The optimisers a run can choose from: torch's own update rules, without torch.optim's classes.

The first use of such a class imports torch's compiler, which nobody here asks for and every start of a run would wait
two seconds for. The rules themselves are functions, which the classes call too; what is kept between the updates has
the classes' names and layout, so that it can go back and forth.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.adam import adam
from torch.optim.rmsprop import rmsprop
from torch.optim.sgd import sgd

from rnnscope.config import TrainingConfig

BETAS, ALPHA, EPSILON = (0.9, 0.999), 0.99, 1e-8  # torch.optim's defaults
KEPT = {"adam": ("exp_avg", "exp_avg_sq"), "adamw": ("exp_avg", "exp_avg_sq"), "rmsprop": ("square_avg",)}


class Optimizer:
    """The optimiser that a configuration names, with its momentum and weight decay, over some parameters.

    Attributes:
        lr: learning rate of the next update.
        state: by the parameter's number, what is kept of it: {"step": (), "exp_avg": as the parameter, ...}; empty
            before the first update.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], training: TrainingConfig) -> None:
        self.parameters = list(parameters)
        self.training = training
        self.lr = training.lr
        self.state: dict[int, dict[str, Tensor]] = {}
        # One pass over each weight, three times as fast on a CPU; torch has it for adam, adamw and sgd.
        self.fused = all(p.device.type in ("cpu", "cuda") and p.is_floating_point() for p in self.parameters)

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for parameter in self.parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Update the parameters.

        Raises:
            ValueError: one of them has no gradient.
        """
        weights = [p.detach() for p in self.parameters]
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        if len(gradients) < len(weights):
            raise ValueError("a parameter has no gradient")
        if not self.state:
            fresh = enumerate(map(self._fresh, weights))
            self.state = {number: kept for number, kept in fresh if kept}
        name, decay = self.training.optimizer, self.training.weight_decay
        if name == "sgd":
            sgd(
                weights, gradients, self._kept("momentum_buffer") or [None for _ in weights], fused=self.fused,
                weight_decay=decay, momentum=self.training.momentum, lr=self.lr, dampening=0.0, nesterov=False,
                maximize=False,
            )  # fmt: skip
        elif name == "rmsprop":
            rmsprop(
                weights, gradients, self._kept("square_avg"), [], [], self._kept("step"),
                lr=self.lr, alpha=ALPHA, eps=EPSILON, weight_decay=decay, momentum=0.0, centered=False,
            )  # fmt: skip
        else:
            adam(
                weights, gradients, self._kept("exp_avg"), self._kept("exp_avg_sq"), [], self._kept("step"),
                fused=self.fused, decoupled_weight_decay=name == "adamw", amsgrad=False, beta1=BETAS[0],
                beta2=BETAS[1], lr=self.lr, weight_decay=decay, eps=EPSILON, maximize=False,
            )  # fmt: skip

    def load(self, state: dict[int, dict[str, Tensor]]) -> None:
        """Take over what an optimiser of this kind kept (`state`), on any device.

        Raises:
            KeyError, ValueError: it lacks something, or is that of other parameters.
        """
        if state and len(state) != len(self.parameters):
            raise ValueError(f"the optimiser's state is of {len(state)} parameters, not {len(self.parameters)}")
        taken = {number: dict(state[number]) for number in range(len(state))}
        for kept, parameter in zip(taken.values(), self.parameters, strict=False):
            for name, fresh in self._fresh(parameter.detach()).items():
                if kept[name].shape != fresh.shape:
                    raise ValueError(f"the optimiser's {name} is {list(kept[name].shape)}, not {list(fresh.shape)}")
                kept[name] = kept[name].to(fresh)
        self.state = taken

    def _fresh(self, weight: Tensor) -> dict[str, Tensor]:
        """Return what is kept of a weight before the first update: zeros."""
        if self.training.optimizer == "sgd":
            return {"momentum_buffer": torch.zeros_like(weight)} if self.training.momentum else {}
        fused = self.fused and self.training.optimizer != "rmsprop"
        step = torch.zeros((), dtype=torch.float32, device=weight.device if fused else "cpu")
        return {"step": step} | {name: torch.zeros_like(weight) for name in KEPT[self.training.optimizer]}

    def _kept(self, name: str) -> list[Any]:
        return [kept[name] for kept in self.state.values() if name in kept]

"""The optimisers a run can choose from."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

from rnnscope.config import TrainingConfig


def make_optimizer(parameters: Iterable[nn.Parameter], training: TrainingConfig) -> torch.optim.Optimizer:
    """Return the optimiser that `training` names, with its learning rate, momentum and weight decay."""
    lr, decay = training.lr, training.weight_decay
    if training.optimizer == "adam":
        return torch.optim.Adam(parameters, lr=lr, weight_decay=decay)
    if training.optimizer == "adamw":
        return torch.optim.AdamW(parameters, lr=lr, weight_decay=decay)
    if training.optimizer == "rmsprop":
        return torch.optim.RMSprop(parameters, lr=lr, weight_decay=decay)
    return torch.optim.SGD(parameters, lr=lr, momentum=training.momentum, weight_decay=decay)

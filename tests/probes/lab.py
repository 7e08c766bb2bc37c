"""Small networks in float64 and windows for them, for the tests of the lab's probes."""

from __future__ import annotations

import torch
from torch import Tensor

from rnnscope import registry
from rnnscope.config import ModelConfig
from rnnscope.model import CharRNN, State

CELLS = list(registry.CELLS)
B, T, V, H = 3, 7, 9, 5


def make(cell: str, layers: int = 2, kernel: str = "scan", **options: object) -> CharRNN:
    """Return a network with weights large enough that nothing is linear."""
    torch.manual_seed(0)
    values = {"hidden": H, "embedding": 4} | options
    model = CharRNN(ModelConfig(cell=cell, layers=layers, **values), V, kernel=kernel).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1.5)
    return model


def window(batch: int = B, steps: int = T) -> tuple[Tensor, Tensor]:
    """Return ids and targets (T, B)."""
    ids, targets = torch.randint(V, (2, steps, batch), generator=torch.Generator().manual_seed(1))
    return ids, targets


def random_state(model: CharRNN, batch: int = B) -> State:
    """Return a state that is not zero."""
    generator = torch.Generator().manual_seed(2)
    return tuple(
        tuple(torch.randn(s.shape, generator=generator, dtype=s.dtype) for s in layer)
        for layer in model.initial_state(batch)
    )

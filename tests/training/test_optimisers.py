"""The optimisers against torch.optim's classes, bit for bit, and that they leave torch's compiler alone."""

from __future__ import annotations

import copy
import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import nn

from rnnscope.config import TrainingConfig
from rnnscope.training.optimisers import Optimizer

CLASSES: dict[str, Any] = {
    "adam": lambda weights, decay: torch.optim.Adam(weights, lr=0.02, weight_decay=decay, fused=True),
    "adamw": lambda weights, decay: torch.optim.AdamW(weights, lr=0.02, weight_decay=decay, fused=True),
    "rmsprop": lambda weights, decay: torch.optim.RMSprop(weights, lr=0.02, weight_decay=decay),
    "sgd": lambda weights, decay: torch.optim.SGD(weights, lr=0.02, weight_decay=decay, fused=True),
    "momentum": lambda weights, decay: torch.optim.SGD(weights, lr=0.02, weight_decay=decay, momentum=0.9, fused=True),
}
KINDS = pytest.mark.parametrize("kind", CLASSES)


def settings(kind: str, decay: float = 0.1) -> TrainingConfig:
    if kind == "momentum":
        return TrainingConfig(optimizer="sgd", lr=0.02, momentum=0.9, weight_decay=decay)
    return TrainingConfig(optimizer=kind, lr=0.02, weight_decay=decay)  # type: ignore[arg-type]


def weights() -> list[nn.Parameter]:
    random = torch.Generator().manual_seed(0)
    return [nn.Parameter(torch.randn(shape, generator=random)) for shape in ((7, 5), (5,), (2, 3))]


def give_gradients(parameters: list[nn.Parameter], step: int) -> None:
    random = torch.Generator().manual_seed(100 + step)
    for parameter in parameters:
        parameter.grad = torch.randn(parameter.shape, generator=random)


def assert_same_bits(ours: Any, theirs: Any) -> None:
    if isinstance(theirs, dict):
        assert ours.keys() == theirs.keys()
        for key, value in theirs.items():
            assert_same_bits(ours[key], value)
    else:
        assert ours.dtype == theirs.dtype
        assert torch.equal(ours, theirs)


@KINDS
@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_updates_are_those_of_torchs_classes(kind: str, decay: float) -> None:
    ours, theirs = weights(), weights()
    mine, reference = Optimizer(ours, settings(kind, decay)), CLASSES[kind](theirs, decay)
    assert mine.state == reference.state_dict()["state"] == {}
    for step in range(5):
        mine.lr = reference.param_groups[0]["lr"] = 0.02 / (1 + step)
        for parameters, optimizer in ((ours, mine), (theirs, reference)):
            give_gradients(parameters, step)
            optimizer.step()
        for a, b in zip(ours, theirs, strict=True):
            assert torch.equal(a, b)
    assert_same_bits(mine.state, reference.state_dict()["state"])
    mine.zero_grad()
    assert all(parameter.grad is None for parameter in ours)


@KINDS
def test_what_torchs_class_kept_goes_on(kind: str) -> None:
    theirs = weights()
    reference = CLASSES[kind](theirs, 0.1)
    for step in range(3):
        give_gradients(theirs, step)
        reference.step()
    ours = [nn.Parameter(weight.detach().clone()) for weight in theirs]
    mine = Optimizer(ours, settings(kind))
    mine.load(copy.deepcopy(reference.state_dict()["state"]))
    for step in range(3, 6):
        for parameters, optimizer in ((ours, mine), (theirs, reference)):
            give_gradients(parameters, step)
            optimizer.step()
    for a, b in zip(ours, theirs, strict=True):
        assert torch.equal(a, b)


def test_another_optimisers_state_is_refused() -> None:
    other = Optimizer(weights(), settings("momentum"))
    give_gradients(other.parameters, 0)
    other.step()
    with pytest.raises(KeyError, match=r"square_avg|step"):
        Optimizer(weights(), settings("rmsprop")).load(other.state)
    fewer = Optimizer(weights()[:2], settings("momentum"))
    with pytest.raises(ValueError, match="3 parameters, not 2"):
        fewer.load(other.state)
    wider = Optimizer([nn.Parameter(torch.zeros(9, 5)), *weights()[1:]], settings("momentum"))
    with pytest.raises(ValueError, match=r"\[7, 5\], not \[9, 5\]"):
        wider.load(other.state)


def test_a_parameter_without_a_gradient_is_not_passed_over() -> None:
    for kind in CLASSES:
        optimizer = Optimizer(weights(), settings(kind))
        give_gradients(optimizer.parameters, 0)
        optimizer.parameters[1].grad = None
        with pytest.raises(ValueError, match="no gradient"):
            optimizer.step()


def test_training_imports_no_compiler() -> None:
    """An update by every optimiser, with torch's compiler (two seconds of a start) never imported."""
    code = """
import sys, torch
from rnnscope.config import ModelConfig, TrainingConfig
from rnnscope.model import CharRNN
from rnnscope.training.optimisers import Optimizer
from rnnscope.training.step import train_step
for name in ("adam", "adamw", "rmsprop", "sgd"):
    for cell in ("tanh", "relu", "lstm", "gru", "lnrnn"):
        model = CharRNN(ModelConfig(cell=cell, layers=2, hidden=8, embedding=4, dropout=0.1), 10)
        ids = torch.zeros(5, 2, dtype=torch.long)
        optimizer = Optimizer(model.parameters(), TrainingConfig(optimizer=name))
        assert train_step(model, optimizer, ids, ids, model.initial_state(2), 1.0).applied
print(*(m for m in sys.modules if m.startswith(("torch._dynamo", "torch._inductor", "sympy"))))
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert found.returncode == 0, found.stderr
    assert found.stdout.split() == []

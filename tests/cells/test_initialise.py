"""Initial weights have the statistics that their names promise."""

from __future__ import annotations

import math

import pytest
import torch

from rnnscope import registry
from rnnscope.config import ModelConfig
from rnnscope.errors import UserError
from rnnscope.model import CharRNN

H = 64


def layer(**options: object) -> torch.nn.Module:
    torch.manual_seed(0)
    return CharRNN(ModelConfig(layers=1, hidden=H, embedding=8, **options), 11).layers[0]


@pytest.mark.parametrize("cell", list(registry.CELLS))
def test_default_is_torchs(cell: str) -> None:
    for name, parameter in layer(cell=cell).named_parameters():
        if name.startswith("norm"):
            continue
        bound = 1 / math.sqrt(H)
        assert parameter.abs().max() <= bound
        assert parameter.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.15)


@pytest.mark.parametrize("cell", list(registry.CELLS))
def test_orthogonal(cell: str) -> None:
    weight = layer(cell=cell, init="orthogonal", gain=1.5).get_parameter("weight_hh_l0")
    for block in weight.split(H):
        torch.testing.assert_close(block @ block.t(), 2.25 * torch.eye(H), rtol=0, atol=1e-4)


def test_identity_of_le_et_al() -> None:
    irnn = layer(cell="relu", init="identity", gain=0.5)
    assert torch.equal(irnn.get_parameter("weight_hh_l0"), 0.5 * torch.eye(H))


def test_gaussian() -> None:
    weight = layer(cell="lstm", init="gaussian", gain=2.0).get_parameter("weight_hh_l0")
    assert weight.std().item() == pytest.approx(2 / math.sqrt(H), rel=0.03)
    assert abs(weight.mean().item()) < 0.01


@pytest.mark.parametrize("init", ["orthogonal", "identity", "gaussian"])
def test_biases_are_zero(init: str) -> None:
    for name, parameter in layer(cell="gru", init=init).named_parameters():
        assert ("bias" in name) == (not parameter.any())


def test_forget_bias_is_the_sum_of_both() -> None:
    lstm = layer(cell="lstm", forget_bias=3.0)
    total = lstm.get_parameter("bias_ih_l0") + lstm.get_parameter("bias_hh_l0")
    assert torch.equal(total[H : 2 * H], torch.full((H,), 3.0))
    assert total[:H].abs().max() < 1


def test_forget_bias_needs_a_forget_gate() -> None:
    with pytest.raises(UserError, match="--forget-bias is for --cell lstm"):
        layer(cell="gru", forget_bias=1.0)

"""Initial weights of a recurrent layer: the recurrent matrix by a named scheme, and the LSTM's forget bias."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from rnnscope.cells.base import Cell


def _fill(block: Tensor, scheme: str, gain: float) -> None:
    """Fill one (H, H) block of weight_hh in place."""
    if scheme == "orthogonal":
        nn.init.orthogonal_(block, gain)
    elif scheme == "identity":
        nn.init.eye_(block).mul_(gain)
    else:
        nn.init.normal_(block, std=gain / math.sqrt(block.shape[1]))


@torch.no_grad()
def initialise(cell: Cell, layer: nn.Module, scheme: str, gain: float, forget_bias: float | None) -> None:
    """Initialise weight_hh of `layer`, block by block (one (H, H) block a gate).

    Args:
        cell: the layer's cell.
        layer: its parameters, already as torch.nn initialises them (uniform in +-1/sqrt(H)).
        scheme: "default" leaves them; "orthogonal", "identity" (Le, Jaitly and Hinton 2015: gain * I) and
            "gaussian" (W_ij ~ N(0, gain^2 / H)) set weight_hh and zero the biases.
        gain: the factor of the three.
        forget_bias: sum of the LSTM's two forget biases; None keeps what is there.
    """
    if scheme != "default":
        weight = layer.get_parameter("weight_hh_l0")
        for block in weight.chunk(len(cell.gates)):
            _fill(block, scheme, gain)
        for name, parameter in layer.named_parameters():
            if name.startswith("bias_"):
                parameter.zero_()
    if forget_bias is not None:
        gate = cell.gates.index("f")
        for name, value in (("bias_ih_l0", forget_bias), ("bias_hh_l0", 0.0)):
            bias = layer.get_parameter(name)
            bias.view(len(cell.gates), -1)[gate].fill_(value)

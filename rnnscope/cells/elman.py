"""Elman network: h_t = f(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh), f = tanh or ReLU (torch.nn.RNN)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rnnscope.cells.base import Backward, Cell, Forward, LayerState
from rnnscope.cells.products import Product


class Elman(Cell):
    """The simple recurrent network of Elman (1990)."""

    states = ("h",)
    gates = ("h",)

    def __init__(self, name: str) -> None:
        self.name = name

    def layer(self, inputs: int, hidden: int) -> nn.Module:
        return nn.RNN(inputs, hidden, nonlinearity=self.name)

    def bias(self, layer: nn.Module) -> Tensor:
        return layer.get_parameter("bias_ih_l0") + layer.get_parameter("bias_hh_l0")

    def recurrent(self, layer: nn.Module) -> tuple[Tensor, ...]:
        return (layer.get_parameter("weight_hh_l0"),)

    def recur(self, p: Tensor, state: LayerState, recurrent: tuple[Tensor, ...]) -> LayerState:
        a = p + state[0] @ recurrent[0].t()
        return (torch.tanh(a) if self.name == "tanh" else torch.relu(a),)

    def forward(
        self, p: Tensor, state: LayerState, recurrent: tuple[Tensor, ...], product: Product, mask: Tensor | None
    ) -> Forward:
        (h,) = state
        multiply, activate = product.forward, torch.tanh_ if self.name == "tanh" else torch.relu_
        for a in p.unbind(0):
            multiply(a, h if mask is None else h * mask)
            h = activate(a)
        return Forward(p, (h,), ())

    def backward(
        self,
        run: Forward,
        state: LayerState,
        recurrent: tuple[Tensor, ...],
        product: Product,
        mask: Tensor | None,
        grad_out: Tensor,
        grad_final: tuple[Tensor | None, ...],
    ) -> Backward:
        dh = grad_out.clone(memory_format=torch.contiguous_format)
        if grad_final[0] is not None:
            dh[-1] += grad_final[0]
        if self.name == "tanh":
            d = torch.addcmul(torch.ones((), dtype=dh.dtype, device=dh.device), run.out, run.out, value=-1)
        else:
            d = (run.out > 0).to(dh.dtype)
        initial = torch.zeros_like(state[0])
        multiply = product.backward
        before = (initial, *dh.unbind(0)[:-1])
        for dh_t, d_t, dh_before in zip(reversed(dh.unbind(0)), reversed(d.unbind(0)), reversed(before), strict=True):
            d_t.mul_(dh_t)
            if mask is None:
                multiply(dh_before, d_t)
            else:
                through = torch.zeros_like(initial)
                multiply(through, d_t)
                dh_before.addcmul_(through, mask)
        return Backward(d, d, (dh,), (initial,))

    def recomputed(
        self, p: Tensor, out: Tensor, state: LayerState, recurrent: tuple[Tensor, ...], product: Product
    ) -> Forward:
        return Forward(out, (out[-1],), ())

    def shown(self, run: Forward) -> dict[str, Tensor]:
        return {"h": run.out}


def make(name: str) -> Cell:
    """Return the cell `name`, "tanh" or "relu"."""
    return Elman(name)

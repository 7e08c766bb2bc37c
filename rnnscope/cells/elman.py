"""Elman network: h_t = f(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh), f = tanh or ReLU (torch.nn.RNN)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rnnscope.cells.base import Backward, Cell, Forward, LayerState
from rnnscope.cells.memory import take_like
from rnnscope.cells.pointwise import direct_gradient, multiply_back
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
        multiply = product.forward
        tanh = self.name == "tanh"
        for p_t in p.unbind(0):
            multiply(p_t, h if mask is None else h * mask)
            h = p_t.tanh_() if tanh else p_t.relu_()
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
        dh = direct_gradient(grad_out, grad_final[0])
        if self.name == "tanh":
            d = torch.mul(run.out, run.out, out=take_like(dh)).neg_().add_(1)  # f'(a) = 1 - f(a)^2
        else:
            d = torch.gt(run.out, 0, out=take_like(dh))
        initial = torch.zeros_like(state[0])
        dh_all, d_all = dh.unbind(0), d.unbind(0)
        for t in range(len(d_all) - 1, -1, -1):
            d_t = d_all[t].mul_(dh_all[t])
            multiply_back(product.backward, dh_all[t - 1] if t else initial, d_t, mask)
        return Backward(d, d, (dh,), (initial,))

    def tangent(
        self,
        run: Forward,
        state: LayerState,
        recurrent: tuple[Tensor, ...],
        product: Product,
        dp: Tensor,
        change: LayerState,
    ) -> LayerState:
        h = run.out[0]
        return (product.forward(dp, change[0]).mul_(1 - h * h if self.name == "tanh" else h > 0),)

    def recomputed(
        self, p: Tensor, out: Tensor, state: LayerState, recurrent: tuple[Tensor, ...], product: Product
    ) -> Forward:
        return Forward(out, (out[-1],), ())

    def shown(self, run: Forward) -> dict[str, Tensor]:
        return {"h": run.out}


def make(name: str) -> Cell:
    """Return the cell `name`, "tanh" or "relu"."""
    return Elman(name)

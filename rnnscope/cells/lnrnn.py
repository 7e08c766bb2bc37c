"""Layer-normalised tanh network (Ba, Kiros and Hinton 2016, eq. 4): h_t = tanh(gain * norm(a_t) + bias).

a_t = W_ih x_t + W_hh h_{t-1};  norm(a) = (a - mean(a)) / sqrt(var(a) + 1e-5), over the H units.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from rnnscope.cells.base import Backward, Cell, Forward, LayerState
from rnnscope.cells.memory import take_like
from rnnscope.cells.pointwise import direct_gradient, multiply_back
from rnnscope.cells.products import Product

EPS = 1e-5  # torch.nn.LayerNorm's


class LayerNormRNN(nn.Module):
    """The parameters of one layer, named as in torch.nn; uniform in +-1/sqrt(H), gain 1, bias 0."""

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        bound = 1 / math.sqrt(hidden)
        self.weight_ih_l0 = nn.Parameter(torch.empty(hidden, inputs).uniform_(-bound, bound))
        self.weight_hh_l0 = nn.Parameter(torch.empty(hidden, hidden).uniform_(-bound, bound))
        self.norm_weight_l0 = nn.Parameter(torch.ones(hidden))
        self.norm_bias_l0 = nn.Parameter(torch.zeros(hidden))


class LNRNN(Cell):
    """Elman's network with layer normalisation before tanh."""

    name = "lnrnn"
    states = ("h",)
    gates = ("h",)

    def layer(self, inputs: int, hidden: int) -> nn.Module:
        return LayerNormRNN(inputs, hidden)

    def bias(self, layer: nn.Module) -> Tensor | None:
        return None

    def recurrent(self, layer: nn.Module) -> tuple[Tensor, ...]:
        return tuple(layer.get_parameter(f"{name}_l0") for name in ("weight_hh", "norm_weight", "norm_bias"))

    def recur(self, p: Tensor, state: LayerState, recurrent: tuple[Tensor, ...]) -> LayerState:
        weight_hh, gain, bias = recurrent
        a = p + state[0] @ weight_hh.t()
        return (torch.tanh(nn.functional.layer_norm(a, a.shape[-1:], gain, bias, EPS)),)

    def forward(
        self, p: Tensor, state: LayerState, recurrent: tuple[Tensor, ...], product: Product, mask: Tensor | None
    ) -> Forward:
        (h,) = state
        _, gain, bias = recurrent
        out = take_like(p)
        multiply = product.forward
        scales = []
        for p_t, h_t in zip(p.unbind(0), out.unbind(0), strict=True):
            multiply(p_t, h if mask is None else h * mask)
            a_hat, _, scale = torch.native_layer_norm(p_t, p_t.shape[-1:], None, None, EPS)
            p_t.copy_(a_hat)
            h = torch.tanh(torch.addcmul(bias, gain, a_hat, out=h_t), out=h_t)
            scales.append(scale)
        return Forward(out, (h,), (p, torch.stack(scales)))

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
        normal, scales = run.saved
        dh = direct_gradient(grad_out, grad_final[0])
        local = torch.mul(run.out, run.out).neg_().add_(1).mul_(recurrent[1])  # d(a_hat)/dh, per unit
        d = take_like(dh)
        initial = torch.zeros_like(state[0])
        for t in range(dh.shape[0] - 1, -1, -1):
            g = local[t] * dh[t]
            a_hat = normal[t]
            # Ba et al. 2016, through mean and variance: d = scale (g - mean(g) - a_hat mean(g a_hat))
            projected = (g * a_hat).mean(-1, keepdim=True)
            g.sub_(g.mean(-1, keepdim=True)).sub_(a_hat * projected)
            d_t = torch.mul(g, scales[t], out=d[t])
            multiply_back(product.backward, dh[t - 1] if t else initial, d_t, mask)
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
        h, a_hat, scale = run.out[0], run.saved[0][0], run.saved[1][0]
        da = product.forward(dp, change[0])
        da = da - da.mean(-1, keepdim=True)
        da.sub_(a_hat * (da * a_hat).mean(-1, keepdim=True))  # through mean and variance
        return (da.mul_((1 - h * h) * recurrent[1] * scale),)

    def extra_gradients(self, run: Forward, back: Backward) -> tuple[Tensor, ...]:
        before_tanh = torch.mul(run.out, run.out).neg_().add_(1).mul_(back.states[0])
        return (before_tanh * run.saved[0]).sum((0, 1)), before_tanh.sum((0, 1))

    def recomputed(
        self, p: Tensor, out: Tensor, state: LayerState, recurrent: tuple[Tensor, ...], product: Product
    ) -> Forward:
        steps, batch, hidden = out.shape
        before = torch.cat((state[0].unsqueeze(0), out[:-1]))
        a = product.forward(p.view(steps * batch, hidden), before.view(steps * batch, hidden)).view_as(p)
        a_hat, _, scale = torch.native_layer_norm(a, a.shape[-1:], None, None, EPS)
        return Forward(out, (out[-1],), (a_hat, scale))

    def shown(self, run: Forward) -> dict[str, Tensor]:
        return {"h": run.out}


def make(name: str) -> Cell:
    """Return the layer-normalised cell."""
    return LNRNN()

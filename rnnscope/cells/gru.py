"""Gated recurrent unit (Cho et al. 2014) in the form of torch.nn.GRU and cuDNN: the reset gate acts after W_hn.

r, z = sigmoid(p + W_hh h);  n = tanh(p_n + r (W_hn h + b_hn));  h_t = (1 - z) n + z h_{t-1}.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from rnnscope.cells.base import Backward, Cell, Forward, LayerState
from rnnscope.cells.memory import take, take_like
from rnnscope.cells.pointwise import (
    Squash,
    chunks,
    direct_gradient,
    multiply_back,
    sigmoid_backward,
    tanh_backward,
    values_before,
)
from rnnscope.cells.products import Product


class GRU(Cell):
    """torch.nn.GRU's cell."""

    name = "gru"
    states = ("h",)
    gates = ("r", "z", "n")

    def layer(self, inputs: int, hidden: int) -> nn.Module:
        return nn.GRU(inputs, hidden)

    def bias(self, layer: nn.Module) -> Tensor:
        bias_hh = layer.get_parameter("bias_hh_l0")
        outer = 2 * (bias_hh.numel() // 3)  # b_hn stays inside the loop, where r multiplies it
        return layer.get_parameter("bias_ih_l0") + functional.pad(bias_hh[:outer], (0, outer // 2))

    def recurrent(self, layer: nn.Module) -> tuple[Tensor, ...]:
        bias_hh = layer.get_parameter("bias_hh_l0")
        return layer.get_parameter("weight_hh_l0"), bias_hh[2 * (bias_hh.numel() // 3) :]

    def recur(self, p: Tensor, state: LayerState, recurrent: tuple[Tensor, ...]) -> LayerState:
        _, z, n = self.gate_values(p, state, recurrent)
        return ((1 - z) * n + z * state[0],)

    def gate_values(self, p: Tensor, state: LayerState, recurrent: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        weight_hh, b_hn = recurrent
        (p_r, p_z, p_n), (q_r, q_z, q_n) = p.chunk(3, -1), (state[0] @ weight_hh.t()).chunk(3, -1)
        r = torch.sigmoid(p_r + q_r)
        return r, torch.sigmoid(p_z + q_z), torch.tanh(p_n + r * (q_n + b_hn))

    def forward(
        self, p: Tensor, state: LayerState, recurrent: tuple[Tensor, ...], product: Product, mask: Tensor | None
    ) -> Forward:
        (h,) = state
        steps, batch, hidden = p.shape[0], *h.shape
        out = take((steps, batch, hidden), p)
        reset = take((steps, batch, hidden), p)  # r (W_hn h + b_hn)
        bias = functional.pad(recurrent[1], (2 * hidden, 0))
        blocks = p.view(steps, batch, 3, hidden)
        rz_all, r_all, z_all, n_all = (
            x.unbind(0) for x in (p[:, :, : 2 * hidden], blocks[:, :, 0], blocks[:, :, 1], blocks[:, :, 2])
        )
        affine, tanh = product.affine, Squash(p, (batch, hidden))
        for t, (h_t, reset_t) in enumerate(zip(out.unbind(0), reset.unbind(0), strict=True)):
            q = affine(h if mask is None else h * mask, bias)
            rz_all[t].add_(q[:, : 2 * hidden]).sigmoid_()
            torch.mul(q[:, 2 * hidden :], r_all[t], out=reset_t)
            n = n_all[t].add_(reset_t)
            h = torch.lerp(tanh(n, n), h, z_all[t], out=h_t)
        return Forward(out, (h,), (p, reset))

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
        gates = run.saved[0]
        steps, batch, hidden = run.out.shape
        z = gates.view(steps, batch, 3, hidden)[:, :, 1]
        dh = direct_gradient(grad_out, grad_final[0])
        d, recurrent_d = take_like(gates), take_like(gates)
        blocks, recurrent_blocks = d.view(steps, batch, 3, hidden), recurrent_d.view(steps, batch, 3, hidden)
        initial = torch.zeros_like(state[0])
        dh_all, z_all, d_all, blocks_all = (x.unbind(0) for x in (dh, z, recurrent_d, recurrent_blocks))
        dh_columns = dh.unsqueeze(2).unbind(0)
        for chunk in chunks(steps, batch * hidden):
            through_n = _local_factors(chunk, run, state[0], recurrent_blocks)
            for t in range(chunk.stop - 1, chunk.start - 1, -1):
                dh_t, dh_before = dh_all[t], dh_all[t - 1] if t else initial
                blocks_all[t].mul_(dh_columns[t])
                dh_before.addcmul_(dh_t, z_all[t])
                multiply_back(product.backward, dh_before, d_all[t], mask)
            blocks[chunk, :, :2] = recurrent_blocks[chunk, :, :2]
            torch.mul(through_n, dh[chunk], out=blocks[chunk, :, 2])
        return Backward(d, recurrent_d, (dh,), (initial,))

    def tangent(
        self,
        run: Forward,
        state: LayerState,
        recurrent: tuple[Tensor, ...],
        product: Product,
        dp: Tensor,
        change: LayerState,
    ) -> LayerState:
        (r, z, n), reset = run.saved[0][0].chunk(3, -1), run.saved[1][0]
        dq = product.forward(torch.zeros_like(dp), change[0])
        (dp_r, dp_z, dp_n), (dq_r, dq_z, dq_n) = dp.chunk(3, -1), dq.chunk(3, -1)
        da_n = dp_n.addcmul_(dq_n, r).addcmul_(dp_r.add_(dq_r), reset * (1 - r))
        dh = da_n.mul_((1 - z) * (1 - n * n)).addcmul_(dp_z.add_(dq_z), (state[0] - n) * z * (1 - z))
        return (dh.addcmul_(change[0], z),)

    def extra_gradients(self, run: Forward, back: Backward) -> tuple[Tensor, ...]:
        hidden = run.out.shape[-1]
        return (back.recurrent_d[:, :, 2 * hidden :].sum((0, 1)),)

    def recomputed(
        self, p: Tensor, out: Tensor, state: LayerState, recurrent: tuple[Tensor, ...], product: Product
    ) -> Forward:
        steps, batch, hidden = out.shape
        before = torch.cat((state[0].unsqueeze(0), out[:-1])).view(steps * batch, hidden)
        q = product.affine(before, functional.pad(recurrent[1], (2 * hidden, 0))).view(steps, batch, -1)
        p[:, :, : 2 * hidden].add_(q[:, :, : 2 * hidden]).sigmoid_()
        r, _, n = p.view(steps, batch, 3, hidden).unbind(2)
        reset = torch.mul(q[:, :, 2 * hidden :], r)
        n.add_(reset).tanh_()
        return Forward(out, (out[-1],), (p, reset))

    def shown(self, run: Forward) -> dict[str, Tensor]:
        steps, batch, hidden = run.out.shape
        blocks = run.saved[0].view(steps, batch, 3, hidden).unbind(2)
        return {"h": run.out} | dict(zip(self.gates, blocks, strict=True))


def _local_factors(chunk: slice, run: Forward, h_before: Tensor, blocks: Tensor) -> Tensor:
    """Fill blocks[chunk] (., B, 3, H) with the derivatives of h_t with respect to the recurrent product W_hh h_{t-1}.

    h_before: the state before the window. Returns d(h_t)/d(a_n) = (1 - z)(1 - n^2), (., B, H).
    """
    gates, reset = run.saved[0][chunk], run.saved[1][chunk]
    r, z, n = gates.view_as(blocks[chunk]).unbind(2)
    factor_r, factor_z, factor_n = blocks[chunk].unbind(2)
    through_n = tanh_backward(1 - z, n, take_like(n))
    torch.mul(through_n, r, out=factor_n)
    torch.addcmul(through_n, through_n, r, value=-1, out=factor_r).mul_(reset)  # r (1-r) (W_hn h + b_hn)
    sigmoid_backward(values_before(run.out, h_before, chunk) - n, z, factor_z)
    return through_n


def make(name: str) -> Cell:
    """Return the GRU cell."""
    return GRU()

"""Gated recurrent unit (Cho et al. 2014) in the form of torch.nn.GRU and cuDNN: the reset gate acts after W_hn.

r, z = sigmoid(p + W_hh h);  n = tanh(p_n + r (W_hn h + b_hn));  h_t = (1 - z) n + z h_{t-1}.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rnnscope.cells.base import Backward, Cell, Forward, LayerState
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
        return layer.get_parameter("bias_ih_l0") + nn.functional.pad(bias_hh[:outer], (0, outer // 2))

    def recurrent(self, layer: nn.Module) -> tuple[Tensor, ...]:
        bias_hh = layer.get_parameter("bias_hh_l0")
        return layer.get_parameter("weight_hh_l0"), bias_hh[2 * (bias_hh.numel() // 3) :]

    def recur(self, p: Tensor, state: LayerState, recurrent: tuple[Tensor, ...]) -> LayerState:
        (h,) = state
        weight_hh, b_hn = recurrent
        (p_r, p_z, p_n), (q_r, q_z, q_n) = p.chunk(3, -1), (h @ weight_hh.t()).chunk(3, -1)
        r, z = torch.sigmoid(p_r + q_r), torch.sigmoid(p_z + q_z)
        n = torch.tanh(p_n + r * (q_n + b_hn))
        return ((1 - z) * n + z * h,)

    def forward(
        self, p: Tensor, state: LayerState, recurrent: tuple[Tensor, ...], product: Product, mask: Tensor | None
    ) -> Forward:
        (h,) = state
        steps, batch, hidden = p.shape[0], *h.shape
        out = p.new_empty(steps, batch, hidden)
        inner = p.new_empty(steps, batch, hidden)  # W_hn h + b_hn
        start = torch.cat((torch.zeros_like(recurrent[0][: 2 * hidden, 0]), recurrent[1])).expand(batch, 3 * hidden)
        q = torch.empty_like(start, memory_format=torch.contiguous_format)
        q_rz, q_n = q[:, : 2 * hidden], q[:, 2 * hidden :]
        rz_all = p[:, :, : 2 * hidden].unbind(0)
        r_all, z_all, n_all = (block.unbind(0) for block in p.view(steps, batch, 3, hidden).unbind(2))
        multiply = product.forward
        for t, (h_t, inner_t) in enumerate(zip(out.unbind(0), inner.unbind(0), strict=True)):
            q.copy_(start)
            multiply(q, h if mask is None else h * mask)
            rz_all[t].add_(q_rz).sigmoid_()
            inner_t.copy_(q_n)
            n = n_all[t].addcmul_(r_all[t], inner_t).tanh_()
            h = torch.lerp(n, h, z_all[t], out=h_t)
        return Forward(out, (h,), (p, inner))

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
        gates, inner = run.saved
        steps, batch, hidden = run.out.shape
        r, z, n = gates.view(steps, batch, 3, hidden).unbind(2)
        dh = grad_out.clone(memory_format=torch.contiguous_format)
        if grad_final[0] is not None:
            dh[-1] += grad_final[0]
        # recurrent_d = dh * (local factors of r, z and r*n), so one multiplication a time step is left.
        recurrent_d = torch.empty_like(gates)
        blocks = recurrent_d.view(steps, batch, 3, hidden)
        factor_r, factor_z, factor_n = blocks.unbind(2)
        through_n = torch.mul(n, n).neg_().add_(1).mul_(1 - z)
        torch.mul(through_n, r, out=factor_n)
        torch.mul(factor_n, inner, out=factor_r).mul_(1 - r)
        factor_z[0].copy_(state[0])
        factor_z[1:].copy_(run.out[:-1])
        factor_z.sub_(n).mul_(z).mul_(1 - z)
        initial = torch.zeros_like(state[0])
        dh_all, z_all, d_all, blocks_all = (x.unbind(0) for x in (dh, z, recurrent_d, blocks))
        multiply = product.backward
        for t in range(steps - 1, -1, -1):
            dh_t, dh_before = dh_all[t], dh_all[t - 1] if t else initial
            blocks_all[t].mul_(dh_t.unsqueeze(1))
            dh_before.addcmul_(dh_t, z_all[t])
            if mask is None:
                multiply(dh_before, d_all[t])
            else:
                through = torch.zeros_like(initial)
                multiply(through, d_all[t])
                dh_before.addcmul_(through, mask)
        d = recurrent_d.clone()
        torch.mul(through_n, dh, out=d.view(steps, batch, 3, hidden)[:, :, 2])
        return Backward(d, recurrent_d, (dh,), (initial,))

    def extra_gradients(self, run: Forward, back: Backward) -> tuple[Tensor, ...]:
        hidden = run.out.shape[-1]
        return (back.recurrent_d[:, :, 2 * hidden :].sum((0, 1)),)

    def recomputed(
        self, p: Tensor, out: Tensor, state: LayerState, recurrent: tuple[Tensor, ...], product: Product
    ) -> Forward:
        steps, batch, hidden = out.shape
        before = torch.cat((state[0].unsqueeze(0), out[:-1])).view(steps * batch, hidden)
        q = p.new_zeros(steps * batch, 3 * hidden)
        product.forward(q, before)
        inner = (q[:, 2 * hidden :] + recurrent[1]).view(steps, batch, hidden)
        p[:, :, : 2 * hidden].add_(q.view(steps, batch, -1)[:, :, : 2 * hidden]).sigmoid_()
        r, _, n = p.view(steps, batch, 3, hidden).unbind(2)
        n.addcmul_(r, inner).tanh_()
        return Forward(out, (out[-1],), (p, inner))

    def shown(self, run: Forward) -> dict[str, Tensor]:
        steps, batch, hidden = run.out.shape
        blocks = run.saved[0].view(steps, batch, 3, hidden).unbind(2)
        return {"h": run.out} | dict(zip(self.gates, blocks, strict=True))


def make(name: str) -> Cell:
    """Return the GRU cell."""
    return GRU()

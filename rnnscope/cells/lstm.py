"""Long short-term memory (Hochreiter and Schmidhuber 1997, with forget gate), gates i, f, g, o as in torch.nn.LSTM.

c_t = f_t c_{t-1} + i_t g_t,  h_t = o_t tanh(c_t);  i, f, o = sigmoid(a), g = tanh(a), a = p_t + W_hh h_{t-1}.
"""

from __future__ import annotations

from typing import TypeAlias

import torch
from torch import Tensor, nn

from rnnscope.cells import onednn, products
from rnnscope.cells.base import Backward, Cell, Forward, LayerState, Record
from rnnscope.cells.memory import take, take_like
from rnnscope.cells.pointwise import (
    Squash,
    chunks,
    direct_gradient,
    multiply_back,
    sigmoid_backward,
    sigmoid_is_faster,
    tanh_backward,
    values_before,
)
from rnnscope.cells.products import Product


class LSTM(Cell):
    """torch.nn.LSTM's cell."""

    name = "lstm"
    states = ("h", "c")
    gates = ("i", "f", "g", "o")

    def layer(self, inputs: int, hidden: int) -> nn.Module:
        return nn.LSTM(inputs, hidden)

    def bias(self, layer: nn.Module) -> Tensor:
        return layer.get_parameter("bias_ih_l0") + layer.get_parameter("bias_hh_l0")

    def recurrent(self, layer: nn.Module) -> tuple[Tensor, ...]:
        return (layer.get_parameter("weight_hh_l0"),)

    def recur(self, p: Tensor, state: LayerState, recurrent: tuple[Tensor, ...]) -> LayerState:
        i, f, g, o = self.gate_values(p, state, recurrent)
        c = f * state[1] + i * g
        return o * torch.tanh(c), c

    def gate_values(self, p: Tensor, state: LayerState, recurrent: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        i, f, g, o = (p + state[0] @ recurrent[0].t()).chunk(4, dim=-1)
        return torch.sigmoid(i), torch.sigmoid(f), torch.tanh(g), torch.sigmoid(o)

    def forward(
        self, p: Tensor, state: LayerState, recurrent: tuple[Tensor, ...], product: Product, mask: Tensor | None
    ) -> Forward:
        steps, batch, hidden = p.shape[0], *state[0].shape
        out, cells, squashed = (take((steps, batch, hidden), p) for _ in range(3))
        i, f, g, o = p.view(steps, batch, 4, hidden).unbind(2)
        blocks = tuple(x.unbind(0) for x in (p, i, f, g, o, out, cells, squashed))
        if sigmoid_is_faster(p):
            doubled = recurrent[0].detach().clone()
            doubled[2 * hidden : 3 * hidden] *= 2
            g *= 2
            _forward_by_sigmoids(blocks, state, products.make(doubled, batch, product.precision), mask)
            cells *= 0.5
        else:
            _forward(blocks, state, product, mask)
        return Forward(out, (out[-1], cells[-1]), (p, cells, squashed))

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
        f = gates.view(steps, batch, 4, hidden)[:, :, 1]
        dh = direct_gradient(grad_out, grad_final[0])
        dc, d = take_like(dh), take_like(gates)
        blocks = d.view(steps, batch, 4, hidden)
        d_ifg, d_o, d_all, f_all = (x.unbind(0) for x in (blocks[:, :, :3], blocks[:, :, 3], d, f))
        dh_all, dc_all, dc_columns = dh.unbind(0), dc.unbind(0), dc.unsqueeze(2).unbind(0)
        initial = torch.zeros_like(state[0])
        dc_next = torch.zeros_like(state[1]) if grad_final[1] is None else grad_final[1]
        multiply = product.backward
        for chunk in chunks(steps, batch * hidden):
            through_h = _local_factors(chunk, run, state[1], blocks).unbind(0)
            for t in range(chunk.stop - 1, chunk.start - 1, -1):
                dh_t = dh_all[t]
                dc_t = torch.addcmul(dc_next, dh_t, through_h[t - chunk.start], out=dc_all[t])
                d_ifg[t].mul_(dc_columns[t])
                d_o[t].mul_(dh_t)
                dc_next = torch.mul(dc_t, f_all[t])
                multiply_back(multiply, dh_all[t - 1] if t else initial, d_all[t], mask)
        return Backward(d, d, (dh, dc), (initial, dc_next))

    def tangent(
        self,
        run: Forward,
        state: LayerState,
        recurrent: tuple[Tensor, ...],
        product: Product,
        dp: Tensor,
        change: LayerState,
    ) -> LayerState:
        (i, f, g, o), tanh_c = run.saved[0][0].chunk(4, -1), run.saved[2][0]
        da_i, da_f, da_g, da_o = product.forward(dp, change[0]).chunk(4, -1)
        dc = (change[1] * f).addcmul_(da_i, g * i * (1 - i)).addcmul_(da_f, state[1] * f * (1 - f))
        dc.addcmul_(da_g, i * (1 - g * g))
        return (da_o * (tanh_c * o * (1 - o))).addcmul_(dc, o * (1 - tanh_c * tanh_c)), dc

    def recomputed(
        self, p: Tensor, out: Tensor, state: LayerState, recurrent: tuple[Tensor, ...], product: Product
    ) -> Forward:
        steps, batch, hidden = out.shape
        before = torch.cat((state[0].unsqueeze(0), out[:-1]))
        a = product.forward(p.view(steps * batch, -1), before.view(steps * batch, hidden))
        i, f, g, o = a.view(steps, batch, 4, hidden).unbind(2)
        a.view(steps, batch, 4, hidden)[:, :, :2].sigmoid_()
        o.sigmoid_()
        Squash(a, (steps, batch, hidden))(g, g)
        cells = torch.mul(i, g, out=take_like(out))
        c = state[1]
        for c_t, f_t in zip(cells.unbind(0), f.unbind(0), strict=True):
            c = c_t.addcmul_(f_t, c)
        return Forward(
            out,
            (out[-1], c),
            (a.view(steps, batch, -1), cells, Squash(a, (steps, batch, hidden))(cells, take_like(cells))),
        )

    def fused(self, x: Tensor, state: LayerState, layer: nn.Module, record: Record) -> tuple[Tensor, LayerState] | None:
        if not torch.is_grad_enabled() or not onednn.readable(x, state[0].shape[1]):
            return None
        return onednn.layer(x, state, layer.parameters(), record)

    def by_fused(self, x: Tensor, state: LayerState, layer: nn.Module) -> Forward | None:
        if not onednn.readable(x, state[0].shape[1]):
            return None
        ran = onednn.run(x, state, layer.parameters())
        found = onednn.parts(ran, x.shape[2])
        saved = found.gates, onednn.cells(ran, found), onednn.squashed(ran, found)
        return Forward(ran.out, (ran.h, ran.c), saved)

    def shown(self, run: Forward) -> dict[str, Tensor]:
        gates, cells, _ = run.saved
        steps, batch, hidden = run.out.shape
        blocks = gates.view(steps, batch, 4, hidden).unbind(2)
        return {"h": run.out, "c": cells} | dict(zip(self.gates, blocks, strict=True))


Blocks: TypeAlias = tuple[tuple[Tensor, ...], ...]
"""By time step: p (B, 4H), its parts i, f, g, o (B, H), and what is filled: h, c, tanh(c) (B, H)."""


def _forward(blocks: Blocks, state: LayerState, product: Product, mask: Tensor | None) -> None:
    """Fill the blocks: the equations at the top of this file, time step by time step."""
    h, c = state
    hidden = h.shape[1]
    for p_t, i_t, f_t, g_t, o_t, h_t, c_t, tanh_c in zip(*blocks, strict=True):
        product.forward(p_t, h if mask is None else h * mask)
        p_t[:, : 2 * hidden].sigmoid_()
        g_t.tanh_()
        o_t.sigmoid_()
        c = torch.mul(f_t, c, out=c_t).addcmul_(i_t, g_t)
        h = torch.mul(o_t, torch.tanh(c, out=tanh_c), out=h_t)


def _forward_by_sigmoids(blocks: Blocks, state: LayerState, product: Product, mask: Tensor | None) -> None:
    """The same by tanh(x) = 2 sigmoid(2x) - 1 (see `Squash`), and c twice as large as it is.

    What enters g is doubled already, in p and in the product: so one sigmoid serves all four gates, and tanh(c) is
    another of 2c as it stands.
    """
    h, c = state[0], 2 * state[1]
    minus_one = h.new_full(h.shape, -1.0)
    multiply = product.forward
    for p_t, i_t, f_t, g_t, o_t, h_t, c_t, tanh_c in zip(*blocks, strict=True):
        multiply(p_t, h if mask is None else h * mask).sigmoid_()
        torch.add(minus_one, g_t, alpha=2, out=g_t)
        c = torch.mul(f_t, c, out=c_t).addcmul_(i_t, g_t, value=2)
        torch.sigmoid(c, out=tanh_c)
        torch.add(minus_one, tanh_c, alpha=2, out=tanh_c)
        h = torch.mul(o_t, tanh_c, out=h_t)


def _local_factors(chunk: slice, run: Forward, c_before: Tensor, blocks: Tensor) -> Tensor:
    """Fill blocks[chunk] (., B, 4, H) with d(c_t)/d(a_i), d(c_t)/d(a_f), d(c_t)/d(a_g), d(h_t)/d(a_o).

    c_before: the cell state before the window. Returns d(h_t)/d(c_t) = o (1 - tanh(c)^2), (., B, H).
    """
    gates, cells, squashed = run.saved
    i, f, g, o = gates[chunk].view_as(blocks[chunk]).unbind(2)
    tanh_c = squashed[chunk]
    factor_i, factor_f, factor_g, factor_o = blocks[chunk].unbind(2)
    sigmoid_backward(g, i, factor_i)
    sigmoid_backward(values_before(cells, c_before, chunk), f, factor_f)
    tanh_backward(i, g, factor_g)
    sigmoid_backward(tanh_c, o, factor_o)
    return tanh_backward(o, tanh_c, take_like(tanh_c))


def make(name: str) -> Cell:
    """Return the LSTM cell."""
    return LSTM()

"""Long short-term memory (Hochreiter and Schmidhuber 1997, with forget gate), gates i, f, g, o as in torch.nn.LSTM.

c_t = f_t c_{t-1} + i_t g_t,  h_t = o_t tanh(c_t);  i, f, o = sigmoid(a), g = tanh(a), a = p_t + W_hh h_{t-1}.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rnnscope.cells.base import Backward, Cell, Forward, LayerState
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
        h, c = state
        i, f, g, o = (p + h @ recurrent[0].t()).chunk(4, dim=-1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(c), c

    def forward(
        self, p: Tensor, state: LayerState, recurrent: tuple[Tensor, ...], product: Product, mask: Tensor | None
    ) -> Forward:
        h, c = state
        steps, batch, hidden = p.shape[0], *h.shape
        out, cells, squashed = (p.new_empty(steps, batch, hidden) for _ in range(3))
        i, f, g, o = (block.unbind(0) for block in p.view(steps, batch, 4, hidden).unbind(2))
        multiply = product.forward
        for t, (a, h_t, c_t, tanh_c) in enumerate(
            zip(p.unbind(0), out.unbind(0), cells.unbind(0), squashed.unbind(0), strict=True)
        ):
            multiply(a, h if mask is None else h * mask)
            a[:, : 2 * hidden].sigmoid_()
            g[t].tanh_()
            o[t].sigmoid_()
            torch.mul(f[t], c, out=c_t).addcmul_(i[t], g[t])
            torch.tanh(c_t, out=tanh_c)
            torch.mul(o[t], tanh_c, out=h_t)
            h, c = h_t, c_t
        return Forward(out, (h, c), (p, cells, squashed))

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
        gates, cells, squashed = run.saved
        steps, batch, hidden = run.out.shape
        i, f, g, o = gates.view(steps, batch, 4, hidden).unbind(2)
        dh = grad_out.clone(memory_format=torch.contiguous_format)
        if grad_final[0] is not None:
            dh[-1] += grad_final[0]
        # Local factors of all time steps first: d = dc * (those of i, f, g) and dh * (that of o).
        d = torch.empty_like(gates)
        factor_i, factor_f, factor_g, factor_o = d.view(steps, batch, 4, hidden).unbind(2)
        torch.addcmul(i, i, i, value=-1, out=factor_i).mul_(g)
        torch.addcmul(f, f, f, value=-1, out=factor_f)
        factor_f[0].mul_(state[1])
        factor_f[1:].mul_(cells[:-1])
        torch.mul(g, g, out=factor_g).mul_(i).neg_().add_(i)
        torch.addcmul(o, o, o, value=-1, out=factor_o).mul_(squashed)
        through_h = torch.mul(squashed, squashed).mul_(o).neg_().add_(o)  # dc_t/dh_t = o (1 - tanh(c)^2)
        dc = torch.empty_like(dh)
        initial = (torch.zeros_like(state[0]), torch.empty_like(state[1]))
        d_ifg, d_o = d.view(steps, batch, 4, hidden)[:, :, :3].unbind(0), factor_o.unbind(0)
        dh_all, dc_all, f_all, d_all = (x.unbind(0) for x in (dh, dc, f, d))
        multiply = product.backward
        dc_next = grad_final[1] if grad_final[1] is not None else torch.zeros_like(initial[1])
        for t in range(steps - 1, -1, -1):
            dh_t = dh_all[t]
            dc_t = torch.addcmul(dc_next, dh_t, through_h[t], out=dc_all[t])
            d_ifg[t].mul_(dc_t.unsqueeze(1))
            d_o[t].mul_(dh_t)
            dc_next = torch.mul(dc_t, f_all[t])
            dh_before = dh_all[t - 1] if t else initial[0]
            if mask is None:
                multiply(dh_before, d_all[t])
            else:
                through = torch.zeros_like(initial[0])
                multiply(through, d_all[t])
                dh_before.addcmul_(through, mask)
        return Backward(d, d, (dh, dc), (initial[0], dc_next))

    def recomputed(
        self, p: Tensor, out: Tensor, state: LayerState, recurrent: tuple[Tensor, ...], product: Product
    ) -> Forward:
        steps, batch, hidden = out.shape
        before = torch.cat((state[0].unsqueeze(0), out[:-1]))
        product.forward(p.view(steps * batch, -1), before.view(steps * batch, hidden))
        i, f, g, o = p.view(steps, batch, 4, hidden).unbind(2)
        for gate in (i, f, o):
            gate.sigmoid_()
        g.tanh_()
        cells = torch.mul(i, g)
        c = state[1]
        for c_t, f_t in zip(cells.unbind(0), f.unbind(0), strict=True):
            c = c_t.addcmul_(f_t, c)
        return Forward(out, (out[-1], c), (p, cells, torch.tanh(cells)))

    def shown(self, run: Forward) -> dict[str, Tensor]:
        gates, cells, _ = run.saved
        steps, batch, hidden = run.out.shape
        blocks = gates.view(steps, batch, 4, hidden).unbind(2)
        return {"h": run.out, "c": cells} | dict(zip(self.gates, blocks, strict=True))


def make(name: str) -> Cell:
    """Return the LSTM cell."""
    return LSTM()

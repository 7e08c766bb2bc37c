"""A layer's scan over time as one differentiable function; its backward is back-propagation through time."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from rnnscope.cells import products
from rnnscope.cells.base import Cell, Forward, LayerState, Record
from rnnscope.cells.memory import take_like
from rnnscope.cells.products import Product


class _Scan(torch.autograd.Function):
    """p (T, B, G), mask, state, recurrent weights -> h_t (T, B, H) and what else the final state holds."""

    @staticmethod
    def forward(ctx: Any, cell: Cell, product: Product, record: Record | None, *tensors: Any) -> tuple[Tensor, ...]:
        p, mask = tensors[:2]
        state: LayerState = tensors[2 : 2 + len(cell.states)]
        recurrent = tensors[2 + len(cell.states) :]
        run = cell.forward(p, state, recurrent, product, mask)
        ctx.cell, ctx.product, ctx.record = cell, product, record
        ctx.save_for_backward(mask, *state, *recurrent, run.out, *run.saved)
        ctx.counts = len(state), len(recurrent)
        ctx.set_materialize_grads(False)
        if run.out is p:
            ctx.mark_dirty(p)
        return (run.out, *(x.clone() for x in run.final[1:]))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        cell: Cell = ctx.cell
        states, weights = ctx.counts
        mask, *rest = ctx.saved_tensors
        state, recurrent = tuple(rest[:states]), tuple(rest[states : states + weights])
        out, *saved = rest[states + weights :]
        run = Forward(out, (), tuple(saved))
        grad_out = grads[0] if grads[0] is not None else torch.zeros_like(out)
        back = cell.backward(run, state, recurrent, ctx.product, mask, grad_out, (None, *grads[1:]))
        if ctx.record is not None:
            ctx.record.take(cell.states, back.states)
        gradients = None, None, None, back.d, None, *back.initial
        if not ctx.needs_input_grad[len(gradients)]:  # nobody learns: a probe asks for the input's gradient
            return (*gradients, *(None for _ in recurrent))
        d = back.recurrent_d
        before = torch.cat((state[0].unsqueeze(0), out[:-1]), out=take_like(out))
        if mask is not None:
            before *= mask
        kind = products.kind_for(recurrent[0], d[:, :, 0].numel(), ctx.product.precision)
        weight_hh = products.weight_gradient(kind, d.flatten(0, 1), before.flatten(0, 1))
        return (*gradients, weight_hh, *cell.extra_gradients(run, back))


def scan(
    cell: Cell,
    p: Tensor,
    state: LayerState,
    recurrent: tuple[Tensor, ...],
    *,
    precision: str = "float32",
    mask: Tensor | None = None,
    record: Record | None = None,
) -> tuple[Tensor, LayerState]:
    """Run one layer over all T time steps.

    Args:
        cell: which recurrence.
        p: input product (T, B, G); its memory is taken over, so nothing else may read it afterwards.
        state: before the first step, each (B, H).
        recurrent: `cell.recurrent(layer)`.
        precision: "float32" (the dtype of the weights) or "bf16" (rounded operands of the products).
        mask: (B, H) recurrent-dropout mask, or None.
        record: filled by the backward pass.

    Returns:
        h_t (T, B, H) and the state after the last step. Every call has memory of its own, so scans may be
        back-propagated in any order.
    """
    product = products.make(recurrent[0], p.shape[1], precision)
    out, *others = _Scan.apply(cell, product, record, p, mask, *state, *recurrent)  # type: ignore[no-untyped-call]
    return out, (out[-1], *others)

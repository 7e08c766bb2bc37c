"""What torch's fused LSTM layer hides on a CPU, read from the memory that it keeps for its own backward pass.

On x86 that layer is oneDNN's: one call for all time steps, faster than a loop over them. It returns h_t alone. What
else there is lies in a workspace that torch hands on unseen, and in which the backward pass, itself a loop over time,
leaves the gradient that comes back through each step:

    part        numbers                     what it holds
    gates       T x B x row(4H)             i, f, g, o of every step, after their activation
    inputs      2(T + 1) x B x row(max)     max is the larger of I and H
    outputs     T x B x row(H)
    cells       2 x (T + 1) x B x H         c_0, c_1, ...: in the second half, the last one left out
    d_inputs    2(T + 1) x B x row(max)
    d_states    2 x (T + 1) x B x row(max)  what dL/dh_t gets through time, first half: t = 0 is the state before
    d_cells     2 x (T + 1) x B x H         what dL/dc_t gets through time, likewise

row(n) is n padded to whole cache lines, and by one line more where rows would lie a multiple of 1 KB apart and collide
in the cache; each part begins on a page. oneDNN promises none of this, so it is looked at before it is relied on: once
for each B, I and H, all that is read here is compared with what autograd makes of the definition.
"""

from __future__ import annotations

import functools
import platform
from collections.abc import Iterable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from rnnscope.cells.base import LayerState, Record
from rnnscope.cells.memory import take_like

LINE = 16  # numbers of a cache line, 64 bytes
COLLIDING = 256  # numbers of 1 KB
PAGE = 1024  # numbers of 4 KB
MODE = 2  # torch's number for this cell
TOLERANCE = 1e-5

AVAILABLE = (
    platform.machine() in ("x86_64", "AMD64")
    and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    and hasattr(torch.ops.aten, "mkldnn_rnn_layer")
)


class Parts(NamedTuple):
    """Views of a workspace. gates: (T, B, 4H). cells: c_t (T, B, H), the last one not filled.

    through_h, through_c: after a backward pass, what dL/dh_t and dL/dc_t got through time, (T, B, H) each.
    """

    gates: Tensor
    cells: Tensor
    through_h: Tensor
    through_c: Tensor


class Ran(NamedTuple):
    """What a layer leaves: h_t (T, B, H), h and c after the last step (B, H), and its workspace."""

    out: Tensor
    h: Tensor
    c: Tensor
    workspace: Tensor


def readable(x: Tensor, hidden: int) -> bool:
    """Whether what this module reads is there, for inputs x (T, B, I) of a layer of H units."""
    if not AVAILABLE or torch.is_inference_mode_enabled() or x.device.type != "cpu" or x.dtype != torch.float32:
        return False
    return _as_described(x.shape[1], x.shape[2], hidden)


def run(x: Tensor, state: LayerState, weights: Iterable[Tensor]) -> Ran:
    """Run an LSTM layer forward over x (T, B, I) from h and c (B, H); weights as torch.nn.LSTM orders them."""
    inputs = (tensor.clone() if tensor.is_inference() else tensor for tensor in (x, *state))
    x, h, c = (tensor.detach().contiguous() for tensor in inputs)  # (nothing of inference mode enters autograd)
    with torch.enable_grad():  # only then is there a workspace
        learned = [w.detach().requires_grad_() for w in weights]
        left = torch.ops.aten.mkldnn_rnn_layer(
            x, *learned, h, c, False, [], MODE, h.shape[1], 1, True, False, False, True
        )
    return Ran(*(tensor.detach() for tensor in left))


def parts(ran: Ran, inputs: int) -> Parts:
    """Return what lies in the workspace. Raises RuntimeError: it has another size."""
    steps, batch, hidden = ran.out.shape
    gates, wide, narrow = _row(4 * hidden), _row(max(inputs, hidden)), _row(hidden)
    states = 2 * (steps + 1) * batch
    sizes = [steps * batch * gates, states * wide, steps * batch * narrow, states * hidden]
    sizes += [states * wide, states * wide, states * hidden]
    blocks = ran.workspace.view(torch.float32).split_with_sizes([-(-size // PAGE) * PAGE for size in sizes])

    def found(block: Tensor, half: int, row: int) -> Tensor:
        return block[: states * row].view(2, steps + 1, batch, row)[half, 1:, :, :hidden]

    return Parts(
        blocks[0][: sizes[0]].view(steps, batch, gates)[:, :, : 4 * hidden],
        found(blocks[3], 1, hidden), found(blocks[5], 0, wide), found(blocks[6], 0, hidden),
    )  # fmt: skip


def cells(ran: Ran, found: Parts) -> Tensor:
    """Return c_t of all time steps (T, B, H)."""
    copied = take_like(ran.out)
    copied[:-1] = found.cells[:-1]
    copied[-1] = ran.c
    return copied


def squashed(ran: Ran, found: Parts) -> Tensor:
    """Return tanh(c_t) of all time steps (T, B, H): as h_t / o_t, in a third of the time that torch's tanh takes."""
    tanh_c = take_like(ran.out)
    # Where o is zero h is too: so 0 / tiny, not 0 / 0.
    torch.add(_output_gate(ran, found), torch.finfo(tanh_c.dtype).tiny, out=tanh_c)
    return torch.div(ran.out, tanh_c, out=tanh_c)


def _output_gate(ran: Ran, found: Parts) -> Tensor:
    return found.gates[:, :, -ran.out.shape[2] :]


def _row(numbers: int) -> int:
    row = -(-numbers // LINE) * LINE
    return row + LINE if row % COLLIDING == 0 else row


class _Layer(torch.autograd.Function):
    """x (T, B, I), state, weights -> h_t (T, B, H), h and c after the last step; its backward fills a record."""

    @staticmethod
    def forward(ctx: Any, record: Record, x: Tensor, h: Tensor, c: Tensor, *weights: Tensor) -> tuple[Tensor, ...]:
        ran = run(x, (h, c), weights)
        ctx.record = record
        ctx.save_for_backward(x, h, c, *weights, *ran)
        ctx.set_materialize_grads(False)
        return ran.out, ran.h, ran.c

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        x, h, c, *rest = ctx.saved_tensors
        weights, ran = rest[:-4], Ran(*rest[-4:])
        gradients = _back_propagate(x, (h, c), weights, ran, grads)
        ctx.record.take(("h", "c"), totals(ran, x.shape[2], grads[0]))
        return None, *gradients


def _back_propagate(
    x: Tensor, state: LayerState, weights: Iterable[Tensor], ran: Ran, grads: tuple[Tensor | None, ...]
) -> tuple[Tensor, ...]:
    """Return the gradients of x, h, c and the weights; leave what comes back through time in the workspace."""
    direct, *last = (None if grad is None else grad.contiguous() for grad in grads)
    direct = torch.zeros_like(ran.out) if direct is None else direct
    dx, *d_weights, dh, dc = torch.ops.aten.mkldnn_rnn_layer_backward(
        x, *(w.detach() for w in weights), *state, ran.out, ran.h, ran.c, direct, *last,
        False, MODE, ran.h.shape[1], 1, True, True, False, [], False, ran.workspace,
    )  # fmt: skip
    return dx, dh, dc, *d_weights


def totals(ran: Ran, inputs: int, direct: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return the total dL/dh_t and dL/dc_t, (T, B, H) each, after a backward pass; direct: dL/dh_t from above."""
    found = parts(ran, inputs)
    dh, dc = take_like(ran.out), squashed(ran, found)
    torch.add(found.through_h, 0 if direct is None else direct, out=dh)
    torch.addcmul(_output_gate(ran, found), ran.out, dc, value=-1, out=dc)  # dh/dc of h = o tanh(c): o (1 - tanh(c)^2)
    torch.addcmul(found.through_c, dh, dc, out=dc)
    return dh, dc


def layer(x: Tensor, state: LayerState, weights: Iterable[Tensor], record: Record) -> tuple[Tensor, LayerState]:
    """Run an LSTM layer under autograd; its backward pass fills `record` with the norms of dL/dh_t and dL/dc_t.

    Args:
        x: (T, B, I), of a size that is `readable`. state: h and c (B, H).
        weights: weight_ih (4H, I), weight_hh (4H, H), bias_ih, bias_hh (4H,), as torch.nn.LSTM has them.

    Returns:
        h_t (T, B, H) and the state after the last step: bit for bit what torch.nn.LSTM gives.
    """
    x, h, c = (tensor.contiguous() for tensor in (x, *state))
    out, h, c = _Layer.apply(record, x, h, c, *weights)  # type: ignore[no-untyped-call]
    return out, (h, c)


@functools.cache
def _as_described(batch: int, inputs: int, hidden: int) -> bool:
    """Whether the workspace of a layer of this size is as the module says: three steps of it against autograd."""
    random, steps = torch.Generator().manual_seed(1), 3

    def make(*shape: int) -> Tensor:
        return torch.empty(shape).uniform_(-1, 1, generator=random)

    x, direct = make(steps, batch, inputs), make(steps, batch, hidden)
    state, last = (make(batch, hidden), make(batch, hidden)), (make(batch, hidden), make(batch, hidden))
    weights = [make(4 * hidden, n) / n**0.5 for n in (inputs, hidden)] + [make(4 * hidden), make(4 * hidden)]
    expected = _by_definition(x, state, weights, direct, last)
    try:
        ran = run(x, state, weights)
        found = parts(ran, inputs)
        _back_propagate(x, state, weights, ran, (direct, *last))
    except RuntimeError:  # a workspace of another size or kind
        return False
    shown = (found.gates, cells(ran, found), *totals(ran, inputs, direct))
    return all(torch.allclose(a, b, rtol=0, atol=TOLERANCE) for a, b in zip(shown, expected, strict=True))


@torch.enable_grad()
def _by_definition(
    x: Tensor, state: LayerState, weights: list[Tensor], direct: Tensor, last: LayerState
) -> tuple[Tensor, ...]:
    """Return gates, c_t, dL/dh_t and dL/dc_t by autograd, direct and last being the gradients of h_t and the state."""
    (h, c), visited = state, []
    for x_t in x.clone().requires_grad_():
        i, f, g, o = (x_t @ weights[0].t() + h @ weights[1].t() + weights[2] + weights[3]).chunk(4, -1)
        gates = (i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid())
        c = gates[1] * c + gates[0] * gates[2]
        h = gates[3] * torch.tanh(c)
        visited.append((torch.cat(gates, -1), h, c))
    all_gates, h_t, c_t = zip(*visited, strict=True)
    reached = torch.autograd.grad((torch.stack(h_t), h, c), (*h_t, *c_t), (direct, *last))
    return tuple(torch.stack(found) for found in (all_gates, c_t, reached[: len(x)], reached[len(x) :]))

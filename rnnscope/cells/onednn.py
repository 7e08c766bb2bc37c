"""What torch's fused LSTM layer hides on a CPU, read from the memory that it keeps for its own backward pass.

On x86 that layer is oneDNN's: one call for all time steps, faster than a loop over them. It returns h_t alone; the
gates, which its backward pass needs, lie in a workspace that torch hands on unseen. There they come first, (T, B, 4H)
after their activation, in the order i, f, g, o, each row padded to whole cache lines, and by one line more where rows
would lie a multiple of 1 KB apart and collide in the cache. oneDNN promises none of this, so it is looked at before it
is relied on: once for each size, a layer with random weights is compared with the definition.
"""

from __future__ import annotations

import functools
import platform
from collections.abc import Iterable

import torch
from torch import Tensor

LINE = 16  # numbers of a cache line, 64 bytes
COLLIDING = 256  # numbers of 1 KB
MODE = 2  # torch's number for this cell
TOLERANCE = 1e-5

AVAILABLE = (
    platform.machine() in ("x86_64", "AMD64")
    and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    and hasattr(torch.ops.aten, "mkldnn_rnn_layer")
)


def lstm(x: Tensor, h: Tensor, c: Tensor, weights: Iterable[Tensor]) -> tuple[Tensor, Tensor] | None:
    """Run an LSTM layer forward over x (T, B, I) from h and c (B, H).

    Args:
        x, h, c: float32 on a CPU for an answer other than None.
        weights: weight_ih (4H, I), weight_hh (4H, H), bias_ih, bias_hh (4H,), as torch.nn.LSTM has them.

    Returns:
        h_t (T, B, H) and the gates i, f, g, o after activation (T, B, 4H), rows apart; None where oneDNN has no such
        layer or its workspace is not as described above.
    """
    if not AVAILABLE or x.device.type != "cpu" or x.dtype != torch.float32:
        return None
    if not _readable(x.shape[1], x.shape[2], h.shape[1]):
        return None
    return _run(x, h, c, weights)


def _run(x: Tensor, h: Tensor, c: Tensor, weights: Iterable[Tensor]) -> tuple[Tensor, Tensor]:
    (steps, batch, _), hidden = x.shape, h.shape[1]
    with torch.enable_grad():  # only then is there a workspace
        learned = [w.detach().requires_grad_() for w in weights]
        out, _, _, workspace = torch.ops.aten.mkldnn_rnn_layer(
            x, *learned, h, c, False, [], MODE, hidden, 1, True, False, False, True
        )
    row = -(-4 * hidden // LINE) * LINE
    row += LINE if row % COLLIDING == 0 else 0
    numbers = workspace.view(torch.float32)[: steps * batch * row]
    return out.detach(), numbers.view(steps, batch, row)[:, :, : 4 * hidden]


@functools.cache
def _readable(batch: int, inputs: int, hidden: int) -> bool:
    """Whether the workspace of a layer of this size holds what the module says."""
    random = torch.Generator().manual_seed(1)

    def make(*shape: int) -> Tensor:
        return torch.empty(shape).uniform_(-1, 1, generator=random)

    x, h, c = make(2, batch, inputs), make(batch, hidden), make(batch, hidden)
    weights = [make(4 * hidden, n) / n**0.5 for n in (inputs, hidden)] + [make(4 * hidden), make(4 * hidden)]
    try:
        out, gates = _run(x, h, c, weights)
    except RuntimeError:  # a workspace of another size or kind
        return False
    before = torch.stack((h, out[0]))
    i, f, g, o = (x @ weights[0].t() + before @ weights[1].t() + weights[2] + weights[3]).chunk(4, -1)
    expected = torch.cat((i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()), -1)
    return torch.allclose(gates, expected, rtol=0, atol=TOLERANCE)

"""The matrix products of the network: one weight used T times inside a scan, and products over all T at once.

Three kinds, chosen by size, device and precision, never by timing, so that a run is reproducible:
- plain: torch's own (on CPU its BLAS, MKL), for everything that the others do not serve;
- oneDNN: float32 on x86 CPUs. torch's CPU build links MKL, which on processors not made by Intel does not use
  AVX-512; oneDNN, also part of torch, does: two to four times as fast on those with full-width units (AMD's Zen 5).
  Without AVX-512 MKL is the faster (by 0.5 to 0.95, measured on Zen 3) but for a weight larger than the caches that
  is used T times, which oneDNN packs;
- bf16: operands rounded to bfloat16, sums in float32.
"""

from __future__ import annotations

import platform
import re
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from rnnscope.cells.memory import take

Kind: TypeAlias = Literal["plain", "onednn", "bf16"]

BLOCK = 131_072  # numbers of a product's result that are made at a time, 512 KB
NARROW = 70  # rows or columns below which a weight is narrow
SMALLEST = 1_000_000  # multiplications from which oneDNN's cost of a call (about 15 us) pays; measured
UNCACHED = 1 << 20  # numbers of a weight (4 MB) that no core's own cache holds
SCANNED = 256  # rows above which a product is not one of a scan's many, so that packing does not pay


def _onednn_available() -> bool:
    return (
        platform.machine() in ("x86_64", "AMD64")
        and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
        and hasattr(torch.ops.mkldnn, "_linear_pointwise")
        and hasattr(torch.ops.mkldnn, "_reorder_linear_weight")
    )


def _mkl_is_slow() -> bool:
    """Whether this is a CPU whose AVX-512 units MKL leaves idle: AMD from family 26 (Zen 5) on.

    (Zen 4 runs AVX-512 at AVX2's speed: there MKL's weight gradients took 0.6 to 0.95 of oneDNN's time.)
    """
    try:
        about = Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    family = re.search(r"^cpu family\s*: (\d+)", about, re.MULTILINE)
    return "AuthenticAMD" in about and family is not None and int(family[1]) >= 26


ONEDNN = _onednn_available()
AVX512 = "AVX512" in torch.backends.cpu.get_cpu_capability()
BF16 = AVX512  # oneDNN multiplies bfloat16 here; elsewhere torch's own loop does, five times as slow as float32
MKL_IS_SLOW = _mkl_is_slow()
_LINEAR: Any = torch.ops.mkldnn._linear_pointwise.default if ONEDNN else None


def kind_for(weight: Tensor, rows: int, precision: str) -> Kind:
    """Return how to multiply `rows` vectors with `weight` in `precision` ("float32": as the weight is; "bf16")."""
    if precision == "bf16":
        return "bf16"
    served = ONEDNN and weight.device.type == "cpu" and weight.dtype == torch.float32
    if not AVX512:
        return "onednn" if served and weight.numel() >= UNCACHED and rows <= SCANNED else "plain"
    # A narrow weight (a decoder to few symbols) pays later.
    smallest = SMALLEST if min(weight.shape) >= NARROW else NARROW * SMALLEST
    return "onednn" if served and rows * weight.numel() >= smallest else "plain"


def _onednn(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x (N, K) @ weight (M, K).T + bias (M,); weight may be packed, or the transposed view of a contiguous tensor.

    (Any other strides of the weight would take oneDNN's reference code, a thousand times slower.)
    """
    y: Tensor = _LINEAR(x, weight, bias, "none", [], "")
    return y


def _packed(weight: Tensor, rows: int) -> Tensor:
    """The weight in the layout that oneDNN wants for that many rows."""
    packed: Tensor = torch.ops.mkldnn._reorder_linear_weight(weight, rows)
    return packed


def weight_gradient(kind: Kind, d: Tensor, x: Tensor) -> Tensor:
    """Return d.T @ x, (M, K), for d (N, M) and x (N, K)."""
    if kind == "onednn" and MKL_IS_SLOW:
        # oneDNN wants its first operand row by row, so one of d.T, or x.T and the result, is copied: the smaller.
        (rows, m), k = d.shape, x.shape[1]
        if rows * m <= rows * k + m * k:
            return _onednn(take((m, rows), d).copy_(d.t()), x.t())
        return take((m, k), d).copy_(_onednn(take((k, rows), x).copy_(x.t()), d.t()).t())
    if kind == "bf16" and d.device.type == "cuda":
        return torch.mm(d.bfloat16().t(), x.bfloat16(), out_dtype=torch.float32)
    if kind == "bf16" and d.device.type == "cpu":
        # On a CPU a product with a float32 result takes float32 operands: oneDNN rounds them where it is faster (AMX).
        matmul = torch.backends.mkldnn.matmul  # type: ignore[attr-defined]
        before, matmul.fp32_precision = matmul.fp32_precision, "bf16"
        try:
            return d.t() @ x
        finally:
            matmul.fp32_precision = before
    return d.t() @ x


class Product(Protocol):
    """Products of one weight W (G, H) inside a scan."""

    kind: Kind
    precision: str

    def forward(self, p: Tensor, h: Tensor) -> Tensor:
        """p (B, G) += h (B, H) @ W.T, in place; return p."""

    def affine(self, h: Tensor, bias: Tensor) -> Tensor:
        """Return h (B, H) @ W.T + bias (G,)."""

    def backward(self, dh: Tensor, d: Tensor) -> None:
        """dh (B, H) += d (B, G) @ W, in place."""


class Plain:
    """Products in the dtype of the weight."""

    kind: Kind = "plain"
    precision = "float32"

    def __init__(self, weight: Tensor, rows: int) -> None:
        self.weight = weight.detach()
        transposed = self.weight.t()
        # For T products of a batch its own copy pays (by 3 to 10%); for single vectors it is as fast as it stands.
        self.transposed = transposed.contiguous() if rows > 1 else transposed

    def forward(self, p: Tensor, h: Tensor) -> Tensor:
        return p.addmm_(h, self.transposed)

    def affine(self, h: Tensor, bias: Tensor) -> Tensor:
        return torch.addmm(bias, h, self.transposed)

    def backward(self, dh: Tensor, d: Tensor) -> None:
        dh.addmm_(d, self.weight)


class OneDNN:
    """Products by oneDNN, float32 or with operands rounded to bfloat16; W is packed once for each direction used."""

    def __init__(self, weight: Tensor, rows: int, kind: Kind) -> None:
        self.kind: Kind = kind
        self.precision = "bf16" if kind == "bf16" else "float32"
        self.weight = weight.detach().bfloat16() if kind == "bf16" else weight.detach()
        self.dtype = self.weight.dtype
        self.rows = rows

    @cached_property
    def packed(self) -> Tensor:
        """W, for products forward in time."""
        return _packed(self.weight, self.rows)

    @cached_property
    def packed_transposed(self) -> Tensor:
        """W.T, for products back in time."""
        return _packed(self.weight.t(), self.rows)

    def forward(self, p: Tensor, h: Tensor) -> Tensor:
        return p.add_(_onednn(h.to(self.dtype), self.packed))

    def affine(self, h: Tensor, bias: Tensor) -> Tensor:
        if self.kind == "onednn":
            return _onednn(h, self.packed, bias)
        return _onednn(h.to(self.dtype), self.packed) + bias

    def backward(self, dh: Tensor, d: Tensor) -> None:
        dh.add_(_onednn(d.to(self.dtype), self.packed_transposed))


def _rounded(x: Tensor) -> Tensor:
    """Return x rounded to bfloat16: as such where its products are fast, else in float32, which can hold it exactly."""
    return x.bfloat16() if BF16 or x.device.type != "cpu" else x.bfloat16().float()


class Bfloat16:
    """Products of operands rounded to bfloat16 where oneDNN is not; the weight is rounded once, sums are float32."""

    kind: Kind = "bf16"
    precision = "bf16"

    def __init__(self, weight: Tensor) -> None:
        self.weight = _rounded(weight.detach())
        self.transposed = self.weight.t()

    def forward(self, p: Tensor, h: Tensor) -> Tensor:
        return p.add_(torch.mm(_rounded(h), self.transposed))

    def affine(self, h: Tensor, bias: Tensor) -> Tensor:
        return torch.mm(_rounded(h), self.transposed) + bias

    def backward(self, dh: Tensor, d: Tensor) -> None:
        dh.add_(torch.mm(_rounded(d), self.weight))


def make(weight: Tensor, rows: int, precision: str) -> Product:
    """Return the product for `rows` vectors at a time with `weight` (G, H); see `kind_for`."""
    kind = kind_for(weight, rows, precision)
    if kind == "onednn" or (kind == "bf16" and ONEDNN and BF16 and weight.device.type == "cpu"):
        return OneDNN(weight, rows, kind)
    return Bfloat16(weight) if kind == "bf16" else Plain(weight, rows)


def _multiply(kind: Kind, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Return x (..., K) @ weight (M, K).T + bias (M,), block by block into memory used before.

    (A large result of oneDNN's own would be fresh from the system, see memory.py.)
    """
    y = take((*x.shape[:-1], weight.shape[0]), x)
    rows = max(256, BLOCK // weight.shape[0])
    w = weight if kind == "onednn" else _rounded(weight).t()
    for x_block, y_block in zip(*(torch.split(v.flatten(0, -2), rows) for v in (x, y)), strict=True):
        if kind == "onednn":
            y_block.copy_(_onednn(x_block, w, bias))
        elif bias is None:
            y_block.copy_(torch.mm(_rounded(x_block), w))
        else:
            torch.add(torch.mm(_rounded(x_block), w), bias, out=y_block)
    return y


class _Linear(torch.autograd.Function):
    """x (..., K) @ weight (M, K).T + bias (M,), by `kind`."""

    @staticmethod
    def forward(ctx: Any, kind: Kind, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.kind = kind
        ctx.save_for_backward(x, weight)
        return _multiply(kind, x, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d: Tensor) -> tuple[None, Tensor | None, Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        d = d.contiguous()
        dx = _multiply(ctx.kind, d, weight.t(), None) if ctx.needs_input_grad[1] else None
        d = d.flatten(0, -2)
        dw = weight_gradient(ctx.kind, d, x.flatten(0, -2)) if ctx.needs_input_grad[2] else None
        return None, dx, dw, d.sum(0) if ctx.needs_input_grad[3] else None


class _Lookup(torch.autograd.Function):
    """Rows of table (V, G) at ids (T, B), as (T, B, G)."""

    @staticmethod
    def forward(ctx: Any, table: Tensor, ids: Tensor) -> Tensor:
        ctx.save_for_backward(ids)
        ctx.rows = table.shape[0]
        found = take((*ids.shape, table.shape[1]), table)
        torch.index_select(table, 0, ids.flatten(), out=found.view(ids.numel(), -1))
        return found

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d: Tensor) -> tuple[Tensor, None]:
        (ids,) = ctx.saved_tensors
        return torch.ops.aten.embedding_dense_backward(d, ids, ctx.rows, -1, False), None


def lookup(table: Tensor, ids: Tensor) -> Tensor:
    """Return the rows of table (V, G) at ids (T, B), as (T, B, G), differentiable once: one-hot input's product."""
    y: Tensor = _Lookup.apply(table, ids)  # type: ignore[no-untyped-call]
    return y


def linear(x: Tensor, weight: Tensor, bias: Tensor | None, precision: str) -> Tensor:
    """Return x (..., K) @ weight (M, K).T + bias (M,), differentiable once, by the kind that serves its size."""
    kind = kind_for(weight, x.numel() // max(x.shape[-1], 1), precision)
    if kind == "plain":
        return functional.linear(x, weight, bias)
    y: Tensor = _Linear.apply(kind, x.contiguous(), weight, bias)  # type: ignore[no-untyped-call]
    return y

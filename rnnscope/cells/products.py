"""The one matrix product inside a scan, in float32 (or float64) or with bfloat16 operands."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor


class Product(Protocol):
    """target += h @ W.T (forward) and target += d @ W (backward), for one weight W (G, H) used T times."""

    def forward(self, target: Tensor, h: Tensor) -> None:
        """target (B, G) += h (B, H) @ W.T."""

    def backward(self, target: Tensor, d: Tensor) -> None:
        """target (B, H) += d (B, G) @ W."""

    def weight_gradient(self, d: Tensor, h: Tensor) -> Tensor:
        """Return d.T @ h for d (N, G) and h (N, H), summed over N."""


class Plain:
    """Products in the dtype of the weights."""

    def __init__(self, weight: Tensor) -> None:
        self.weight = weight
        self.transposed = weight.t()

    def forward(self, target: Tensor, h: Tensor) -> None:
        target.addmm_(h, self.transposed)

    def backward(self, target: Tensor, d: Tensor) -> None:
        target.addmm_(d, self.weight)

    def weight_gradient(self, d: Tensor, h: Tensor) -> Tensor:
        return d.t() @ h


class Bfloat16:
    """Products of operands rounded to bfloat16; the weight is rounded once, sums are kept in float32."""

    def __init__(self, weight: Tensor) -> None:
        self.weight = weight.bfloat16()
        self.transposed = self.weight.t()

    def forward(self, target: Tensor, h: Tensor) -> None:
        target.add_(torch.mm(h.bfloat16(), self.transposed))

    def backward(self, target: Tensor, d: Tensor) -> None:
        target.add_(torch.mm(d.bfloat16(), self.weight))

    def weight_gradient(self, d: Tensor, h: Tensor) -> Tensor:
        return torch.mm(d.bfloat16().t(), h.bfloat16()).float()


def make(weight: Tensor, precision: str) -> Product:
    """Return the product with `weight` in `precision` ("float32": as the weight is; "bf16")."""
    return Bfloat16(weight) if precision == "bf16" else Plain(weight)


def linear(x: Tensor, weight: Tensor, bias: Tensor | None, precision: str) -> Tensor:
    """Return x (..., I) @ weight (O, I).T + bias (O,), differentiable, in `precision` as in `make`."""
    if precision != "bf16":
        return torch.nn.functional.linear(x, weight, bias)
    y = torch.nn.functional.linear(x.bfloat16(), weight.bfloat16()).float()
    return y if bias is None else y.add_(bias)

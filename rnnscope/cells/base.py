"""What every recurrent cell offers: a plain `step`, and an explicit scan over time, forward and backward.

Throughout, time-major: B batch, T time steps, I inputs, H hidden units, G = gates x H rows of `weight_hh`.
p_t is the part of the pre-activation that does not depend on the state, (x_t @ weight_ih.T + bias): one product
for all T before the loop. d_t = dL/dp_t. Gradients are those of a scalar L that the caller back-propagates.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor, nn

from rnnscope.cells.products import Product

LayerState: TypeAlias = tuple[Tensor, ...]  # (h,) or (h, c), each (B, H)


class Forward(NamedTuple):
    """What a forward scan leaves: outputs, and what its backward needs.

    out: h_t of all time steps (T, B, H). final: the state after the last one.
    saved: tensors of the cell's own, read by `backward` and `shown`.
    """

    out: Tensor
    final: LayerState
    saved: tuple[Tensor, ...]


class Backward(NamedTuple):
    """What a backward scan leaves.

    d: dL/dp_t (T, B, G). recurrent_d: gradient of the recurrent product h_{t-1} @ weight_hh.T (T, B, G); `d` itself
    except for the GRU. states: total dL/dh_t (and dL/dc_t), each (T, B, H). initial: gradient of the state
    before the first step.
    """

    d: Tensor
    recurrent_d: Tensor
    states: tuple[Tensor, ...]
    initial: LayerState


class Record:
    """Takes the by-product of one backward scan: norms over H of the total dL/dh_t (and dL/dc_t), each (T, B)."""

    def __init__(self) -> None:
        self.norms: dict[str, Tensor] = {}

    def take(self, names: tuple[str, ...], gradients: tuple[Tensor, ...]) -> None:
        """Keep the norms of one backward scan: of each state the total gradients, (T, B, H)."""
        self.norms = {name: torch.linalg.vector_norm(dx, dim=-1) for name, dx in zip(names, gradients, strict=True)}


class Cell(ABC):
    """A recurrent cell. It holds no weights: these live in a layer module with torch.nn's names and layout."""

    name: str
    states: tuple[str, ...]
    gates: tuple[str, ...]

    @abstractmethod
    def layer(self, inputs: int, hidden: int) -> nn.Module:
        """Return a module of one layer's parameters, initialised as torch.nn does."""

    @abstractmethod
    def bias(self, layer: nn.Module) -> Tensor | None:
        """Return the bias (G,) that is added to the input product before the loop."""

    @abstractmethod
    def recurrent(self, layer: nn.Module) -> tuple[Tensor, ...]:
        """Return the weights used inside the loop, `weight_hh` (G, H) first."""

    @abstractmethod
    def recur(self, p: Tensor, state: LayerState, recurrent: tuple[Tensor, ...]) -> LayerState:
        """Return the next state from p (B, G) and the state: the cell's definition, in plain torch."""

    @abstractmethod
    def forward(
        self, p: Tensor, state: LayerState, recurrent: tuple[Tensor, ...], product: Product, mask: Tensor | None
    ) -> Forward:
        """Scan forward over p (T, B, G), whose memory is taken over and overwritten.

        product: h -> h @ weight_hh.T. mask: (B, H) factor on h where it enters that product, or None.
        """

    @abstractmethod
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
        """Back-propagate through time: grad_out (T, B, H) is the direct dL/dh_t from above, left as it is.

        grad_final: gradient that enters the state after the last step, by state name; None for zero.
        """

    @abstractmethod
    def tangent(
        self,
        run: Forward,
        state: LayerState,
        recurrent: tuple[Tensor, ...],
        product: Product,
        dp: Tensor,
        change: LayerState,
    ) -> LayerState:
        """Return the first-order changes of the next state, (N, H) each: the derivative of `recur`, forward.

        run: what `forward` left of one sample and one time step, (1, 1, .). state: that sample's before it, (1, H).
        dp: small changes of p (N, G), whose memory is taken over. change: of the state before, (N, H) each.
        """

    @abstractmethod
    def recomputed(
        self, p: Tensor, out: Tensor, state: LayerState, recurrent: tuple[Tensor, ...], product: Product
    ) -> Forward:
        """Return what `forward` would have left, from the outputs (T, B, H) of a fused layer that hides the rest."""

    def fused(self, x: Tensor, state: LayerState, layer: nn.Module, record: Record) -> tuple[Tensor, LayerState] | None:
        """Run torch's fused layer over x (T, B, I) under autograd, its backward pass filling `record`.

        Return h_t (T, B, H) and the state after; None where that layer hides what a record holds.
        """
        return None

    def by_fused(self, x: Tensor, state: LayerState, layer: nn.Module) -> Forward | None:
        """Return what `forward` would have left, by torch's fused layer over x (T, B, I), without autograd.

        None where that layer hides it; `recomputed` finds it then.
        """
        return None

    @abstractmethod
    def shown(self, run: Forward) -> dict[str, Tensor]:
        """Return states and gates (after their activation) by name, each (T, B, H)."""

    def gate_values(self, p: Tensor, state: LayerState, recurrent: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Return the gates at one step after their activation, (B, H) each, in plain torch; () for a cell without."""
        return ()

    def extra_gradients(self, run: Forward, back: Backward) -> tuple[Tensor, ...]:
        """Return the gradients of `recurrent(layer)[1:]`."""
        return ()

    def step(self, x: Tensor, state: LayerState, layer: nn.Module) -> LayerState:
        """Return the next state from input x (B, I) and the state: the definition, for torch.func and oracles."""
        p = nn.functional.linear(x, layer.get_parameter("weight_ih_l0"), self.bias(layer))
        return self.recur(p, state, self.recurrent(layer))

"""The recurrence of the whole state, linearised along a trajectory: exact products of its Jacobians with vectors.

The state s_t (D,) is all of it: h, then c where there is one, of the first layer, then of the next. J_t is the
Jacobian d s_t / d s_{t-1} (D, D). On the CPU, for one sample; in float64 unless asked otherwise, whatever the network
trains in.
"""

from __future__ import annotations

import copy
from typing import TypeAlias

import torch
from torch import Tensor

from rnnscope.cells import products
from rnnscope.cells.base import Forward
from rnnscope.cells.products import Product
from rnnscope.model import CharRNN, State

Scaled: TypeAlias = tuple[Tensor, float]  # rows, and the log10 of the factor that was taken out of them

CHUNK = 8  # steps after which what is carried through many of them is brought back to size 1


class Trajectory:
    """A network that reads a text, as its state moves.

    Args:
        model: the network; a twin in `dtype` is made, and it is left as it is.
        ids: T characters (T,). state: before the first, for one sample: (h,) or (h, c) per layer, each (1, H).
        zero_input: read nothing instead: W_ih x of the first layer is zero, its bias stays.
        dtype: of all numbers, those given to `pull` and `push` too.

    Attributes:
        steps: T. size: D. dtype.
    """

    @torch.no_grad()
    def __init__(
        self,
        model: CharRNN,
        ids: Tensor,
        state: State,
        *,
        zero_input: bool = False,
        dtype: torch.dtype = torch.float64,
    ) -> None:
        twin = copy.deepcopy(model).to("cpu", dtype).requires_grad_(False)
        twin.kernel, twin.precision = "scan", "float32"  # which here is: as the weights are
        if zero_input:
            twin.layers[0].get_parameter("weight_ih_l0").zero_()
        self.model, self.steps, self.dtype = twin, len(ids), dtype
        self._products: dict[tuple[int, int], Product] = {}
        self._ids = ids.cpu()
        self._before: State = tuple(tuple(s.to("cpu", dtype) for s in layer) for layer in state)
        _, self._runs = twin.runs(self._ids.unsqueeze(1), self._before)
        visited = [[twin.cell.shown(run)[name] for name in twin.cell.states] for run in self._runs]
        self._visited = tuple(
            tuple(torch.cat((start.unsqueeze(0), after)) for start, after in zip(*layer, strict=True))
            for layer in zip(self._before, visited, strict=True)
        )  # per layer and state s_0 ... s_T, each (T+1, 1, H)
        self.size = sum(s.shape[-1] for layer in self._before for s in layer)

    def state(self, t: int) -> Tensor:
        """Return s_t (D,); s_0 is before the first character."""
        return torch.cat([s[t, 0] for layer in self._visited for s in layer])

    @torch.no_grad()
    def pull(self, rows: Tensor, start: int, stop: int) -> Tensor:
        """Return rows (N, D) @ J_stop ... J_{start+1}: gradients with respect to s_stop, taken back to s_start.

        By the cells' own backward scans, the rows as the batch.
        """
        model, n = self.model, len(rows)
        given = rows.view(n, len(self._runs), len(model.cell.states), -1).unbind(1)
        direct = rows.new_zeros(stop - start, n, model.config.hidden)
        found: list[tuple[Tensor, ...]] = []
        for index in range(len(self._runs) - 1, -1, -1):
            layer = model.layers[index]
            recurrent = model.cell.recurrent(layer)
            run = for_rows(self._runs[index], n, slice(start, stop))
            before = tuple(s[start].expand(n, -1) for s in self._visited[index])
            product = self._product(index, n)
            back = model.cell.backward(run, before, recurrent, product, None, direct, tuple(given[index].unbind(1)))
            found.append(back.initial)
            if index:
                direct = products.linear(back.d, layer.get_parameter("weight_ih_l0").t(), None, model.precision)
        return torch.cat([s for layer_state in reversed(found) for s in layer_state], 1)

    def push(self, rows: Tensor, start: int, stop: int) -> Tensor:
        """Return rows (N, D) @ (J_stop ... J_{start+1}).T: small changes of s_start, carried on to s_stop.

        By the cells' own derivatives of a step. (As the derivative of autograd's backward pass it took eight times as
        long, and by forward-mode autograd more: torch 2.13 copies the weight in every product.)
        """
        model, n = self.model, len(rows)
        given = rows.view(n, len(self._runs), len(model.cell.states), -1).unbind(1)
        changes = [tuple(layer.unbind(1)) for layer in given]
        for t in range(start, stop):
            dp = rows.new_zeros(n, len(model.layers[0].get_parameter("weight_hh_l0")))
            for index, layer in enumerate(model.layers):
                if index:
                    dp = changes[index - 1][0] @ layer.get_parameter("weight_ih_l0").t()
                run = for_rows(self._runs[index], 1, slice(t, t + 1))
                before, recurrent = tuple(s[t] for s in self._visited[index]), model.cell.recurrent(layer)
                product = self._product(index, n)
                changes[index] = model.cell.tangent(run, before, recurrent, product, dp, changes[index])
        return torch.cat([s for layer_state in changes for s in layer_state], 1)

    def _product(self, index: int, n: int) -> Product:
        """Return the recurrent product of a layer for n rows, made once: it packs or copies the weight."""
        if (index, n) not in self._products:
            weight = self.model.cell.recurrent(self.model.layers[index])[0]
            self._products[index, n] = products.make(weight, n, self.model.precision)
        return self._products[index, n]

    def pull_scaled(self, rows: Tensor, start: int, stop: int) -> Scaled:
        """Return `pull` without overflow and underflow on the way: rows of size 1, and log10 of the factor."""
        scale = 0.0
        for end in range(stop, start, -CHUNK):
            rows, factor = rescale(self.pull(rows, max(start, end - CHUNK), end))
            scale += factor
        return rows, scale

    def push_scaled(self, rows: Tensor, start: int, stop: int) -> Scaled:
        """Return `push` likewise."""
        scale = 0.0
        for begin in range(start, stop, CHUNK):
            rows, factor = rescale(self.push(rows, begin, min(stop, begin + CHUNK)))
            scale += factor
        return rows, scale


def rescale(rows: Tensor) -> Scaled:
    """Return rows divided by their largest number, and its log10: -inf for zero, NaN for what is not finite."""
    largest = rows.abs().max()
    if not torch.isfinite(largest):
        return torch.full_like(rows, torch.nan), float("nan")
    if largest == 0:
        return rows, -float("inf")
    return rows / largest, float(largest.log10())


def for_rows(run: Forward, n: int, steps: slice = slice(None)) -> Forward:
    """Return the part of one sample's forward scan, (T, 1, .), as if n samples had run alike: (steps, n, .), views."""
    out, *saved = (x[steps].expand(-1, n, -1) for x in (run.out, *run.saved))
    return Forward(out, (), tuple(saved))

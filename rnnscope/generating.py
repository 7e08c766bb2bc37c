"""Free running, fast: a model reads its own writing, one character at a time.

What stays the same from step to step is computed once: the input product of the first layer for every symbol, the
sums of the biases, and weights laid out as the products want them. The recurrence itself is the cell's definition.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from rnnscope.cells.base import LayerState
from rnnscope.model import CharRNN, State

Change: TypeAlias = Callable[[int, LayerState], LayerState]
"""Called with a layer (from 0) and its state after each step; what it returns goes on, to the layer above too."""

COLDEST = 1e-20
"""Lowest temperature that is divided by: no logit becomes infinite."""

BLOCK = 64
"""Steps for which random numbers are made at a time."""

OWN = 0x6672_6565
"""Mixed into the seed: places in a text that are drawn from the same seed have nothing to do with what is written."""

ALMOST_ONE = 1 - 2.0**-22
"""Factor on the random numbers, so that rounding never reaches past the last character that has a probability."""


class Stepper:
    """A model as it is now, made ready to be stepped: `CharRNN.step` with fewer operations, without dropout.

    Later changes of the weights are not seen. It returns inference tensors: autograd takes only clones of them.
    """

    def __init__(self, model: CharRNN) -> None:
        cell = model.cell
        self.cell = cell
        with torch.no_grad():
            self.recurrent = [tuple(_laid_out(weight) for weight in cell.recurrent(layer)) for layer in model.layers]
            weights = [_laid_out(layer.get_parameter("weight_ih_l0")) for layer in model.layers]
            biases = [cell.bias(layer) for layer in model.layers]
            self.table = functional.linear(_symbols(model), weights[0], biases[0])  # (V, G)
            self.inputs = list(zip(weights, biases, strict=True))
            self.decoder = _laid_out(model.decoder.weight), model.decoder.bias.clone()

    @torch.inference_mode()
    def __call__(self, ids: Tensor, state: State, change: Change | None = None) -> tuple[Tensor, State]:
        """Return logits (B, V) and the state after reading ids (B,) in `state`."""
        return self._above(0, self.table.index_select(0, ids), state, change)

    @torch.inference_mode()
    def above(self, first: int, p: Tensor, state: State, change: Change | None = None) -> tuple[Tensor, State]:
        """Return logits (B, V) and the state of the layers from `first` up, after one step of them.

        p (B, G): the input product of layer `first`, its bias in it; state: of the layers from `first` up.
        """
        return self._above(first, p, state, change)

    def _above(self, first: int, p: Tensor, state: State, change: Change | None) -> tuple[Tensor, State]:
        after: list[LayerState] = []
        for index, layer_state in enumerate(state, first):
            if after:
                p = functional.linear(after[-1][0], *self.inputs[index])
            layer_state = self.cell.recur(p, layer_state, self.recurrent[index])
            after.append(layer_state if change is None else change(index, layer_state))
        return functional.linear(after[-1][0], *self.decoder), tuple(after)

    def read(self, ids: Tensor, state: State, change: Change | None = None) -> tuple[Tensor, State]:
        """Return logits (B, V) and state after reading ids (T, B), T at least 1, one by one."""
        for row in ids:
            logits, state = self(row, state, change)
        return logits, state


def _laid_out(weight: Tensor) -> Tensor:
    """Return a copy of a weight (G, H) whose transpose is contiguous, as products of a few vectors like it best."""
    return weight.t().clone(memory_format=torch.contiguous_format).t() if weight.dim() == 2 else weight.clone()


def _symbols(model: CharRNN) -> Tensor:
    """Return what each symbol is to the first layer, (V, I)."""
    return model.embed(torch.arange(model.vocabulary_size, device=model.decoder.weight.device))


@dataclass(frozen=True)
class Strategy:
    """How the next character is chosen: temperature first, then top-k, then the nucleus of what is left.

    temperature: 0 takes the most probable character. top_k: only the k most probable (Fan et al. 2018); 0 for all.
    top_p: only the smallest set that holds at least this probability (nucleus, Holtzman et al. 2020); 1 for all.
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0

    def distribution(self, logits: Tensor) -> Tensor:
        """Return the probabilities (B, V) that a character is drawn with, from logits (B, V).

        A diverged model gives logits that are NaN or infinite: of those rows no distribution is left but the uniform.
        """
        wide = logits if logits.dtype == torch.float64 else logits.float()
        if self.temperature <= 0:
            return functional.one_hot(wide.argmax(-1), wide.shape[-1]).to(wide.dtype)
        probability = torch.softmax(wide / max(self.temperature, COLDEST), -1)
        if self.top_k or self.top_p < 1:
            probability = self._truncated(probability)
        return torch.nan_to_num(probability, nan=1 / wide.shape[-1])

    def _truncated(self, probability: Tensor) -> Tensor:
        ordered, places = probability.sort(dim=-1, descending=True, stable=True)
        if self.top_k:
            ordered = ordered.clone()
            ordered[..., self.top_k :] = 0
            ordered = ordered / ordered.sum(-1, keepdim=True)
        if self.top_p < 1:
            before = ordered.cumsum(-1) - ordered
            ordered = torch.where(before < self.top_p, ordered, torch.zeros_like(ordered))
            ordered = ordered / ordered.sum(-1, keepdim=True)
        return torch.empty_like(probability).scatter_(-1, places, ordered)

    @torch.inference_mode()
    def draw(self, logits: Tensor, uniform: Tensor) -> Tensor:
        """Return ids (B,), the inverse of the cumulative distribution at uniform (B,), for logits (B, V).

        The same distribution and the same number give the same character, and nearby ones mostly do: two runs on
        common random numbers differ because their models do.
        """
        if self.temperature <= 0:
            return logits.argmax(-1)
        cumulative = self.distribution(logits).cumsum(-1)
        return torch.searchsorted(cumulative, uniform[:, None] * cumulative[:, -1:], right=True)[:, 0]


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Have torch compute with one thread inside, on a CPU.

    One character's products are small: a second thread costs 10% with one row (LSTM 2x256), gains 15% with 64, and
    makes all of it ten times as slow once another program wants the second core.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def uniforms(seed: int, batch: int, device: torch.device) -> Iterator[Tensor]:
    """Yield for ever numbers (B,) in [0, 1), float32, one per stream and step, the same on every device.

    They come from a generator of their own: training's random state is never touched.
    """
    generator = np.random.default_rng((seed, OWN))
    while True:
        block = generator.random((BLOCK, batch), dtype=np.float32) * np.float32(ALMOST_ONE)
        yield from torch.from_numpy(block).to(device).unbind(0)


def free_run(
    stepper: Stepper,
    logits: Tensor,
    state: State,
    strategy: Strategy,
    numbers: Iterator[Tensor],
    change: Change | None = None,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield (ids (B,), logits (B, V)): the character drawn, and the prediction that it was drawn from.

    Starts from the prediction `logits` made in `state`; ends when `numbers` (of `uniforms`) do.
    """
    for uniform in numbers:
        ids = strategy.draw(logits, uniform)
        yield ids, logits
        with one_thread():
            logits, state = stepper(ids, state, change)


def go_on(model: CharRNN, given: Tensor, strategy: Strategy, seed: int) -> Iterator[Tensor]:
    """Yield for ever the ids (B,) that the model writes after given (T, B), T at least 1, read from a zero state."""
    logits, state, _ = model.outputs(given, model.initial_state(given.shape[1]))
    numbers = uniforms(seed, given.shape[1], given.device)
    return (ids for ids, _ in free_run(Stepper(model), logits[-1], state, strategy, numbers))


def log_probability_of(ids: Tensor, logits: Tensor) -> Tensor:
    """Return the log probability (...), at temperature 1, that logits (..., V) give to ids (...)."""
    wide = logits if logits.dtype == torch.float64 else logits.float()
    return torch.log_softmax(wide, -1).gather(-1, ids[..., None])[..., 0]

"""Scheduled sampling (Bengio et al. 2015): some inputs of a window are what the model itself would have written.

At each place after the first a coin falls to the true character with probability epsilon_i, which falls with the
number i of updates made, and else to one drawn from the model's own prediction there, given the inputs so far. What is
to be predicted stays the true text, and no gradient passes through the drawing.
"""

from __future__ import annotations

import functools
import math

import torch
from torch import Tensor

from rnnscope.config import TrainingConfig
from rnnscope.generating import ALMOST_ONE, Stepper, Strategy
from rnnscope.model import CharRNN, State


def truth_share(updates: int, training: TrainingConfig) -> float:
    """Return epsilon_i, the share of true inputs, for the update that follows i = `updates` others.

    The three decays of the paper, each with its constants such that half of the inputs are true after
    i = --sampling-steps: linear 1 - c i, exponential k^i, inverse sigmoid k / (k + exp(i / k)); never less than
    --sampling-floor. 1 where scheduled sampling is off.
    """
    half = training.sampling_steps
    match training.scheduled_sampling:
        case "linear":
            share = 1 - updates / (2 * half)
        case "exponential":
            share = 0.5 ** (updates / half)
        case "sigmoid":
            k = _sigmoid_constant(half)
            share = _sigmoid(math.log(k) - updates / k)
        case _:
            return 1.0
    return max(training.sampling_floor, share)


@functools.cache
def _sigmoid_constant(half: int) -> float:
    """Return k with k ln k = half (at least 1), where k / (k + exp(half / k)) is 1/2, by Newton's method."""
    k = max(float(half), math.e)
    for _ in range(60):
        k = (k + half) / (math.log(k) + 1)
    return k


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x > 0 else math.exp(x) / (1 + math.exp(x))


@torch.no_grad()
def own_inputs(model: CharRNN, x: Tensor, state: State, share: float, generator: torch.Generator) -> Tensor:
    """Return x (T, B) with each input after the first replaced, with probability 1 - share, by one of the model's own.

    It is read step by step from `state`, without dropout. generator: of the CPU; how much is drawn from it depends on
    the shape alone.
    """
    coins, numbers = torch.rand((2, len(x) - 1, x.shape[1]), generator=generator).to(x.device).unbind(0)
    numbers = numbers * ALMOST_ONE
    stepper, strategy, inputs = Stepper(model), Strategy(), [x[0]]
    for truth, coin, uniform in zip(x[1:], coins, numbers, strict=True):
        logits, state = stepper(inputs[-1], state)
        inputs.append(torch.where(coin < share, truth, strategy.draw(logits, uniform)))
    return torch.stack(inputs)

"""Free running: the model reads its own writing, one character at a time."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from rnnscope.corpus import Vocabulary
from rnnscope.model import CharRNN, State


def default_prompt(vocabulary: Vocabulary) -> str:
    """Return what a model reads first when nobody says: a newline, or the first symbol where there is none."""
    return "\n" if "\n" in vocabulary.symbols else vocabulary.symbols[0]


def device_of(model: CharRNN) -> torch.device:
    """Return the device that the model's parameters are on."""
    return next(model.parameters()).device


def generator_for(device: torch.device, *numbers: int) -> torch.Generator:
    """Return a generator of its own, seeded from `numbers`; training's random state is never touched."""
    seed = 0
    for number in numbers:
        seed = (seed * 1_000_003 + number + 1) % (2**63)
    return torch.Generator(device=device).manual_seed(seed)


def draw(logits: Tensor, temperature: float, generator: torch.Generator) -> Tensor:
    """Draw ids (B,) from softmax(logits / temperature), logits (B, V); temperature 0 takes the largest.

    A diverged model gives logits that are NaN or infinite; those rows draw uniformly, since no distribution is left.
    """
    if temperature <= 0:
        return logits.argmax(-1)
    probability = torch.softmax(logits.float() / temperature, -1)
    broken = ~torch.isfinite(probability).all(-1, keepdim=True)
    probability = torch.where(broken, torch.full_like(probability, 1 / probability.shape[-1]), probability)
    return torch.multinomial(probability, 1, generator=generator)[:, 0]


@torch.no_grad()
def free_run(
    model: CharRNN, logits: Tensor, state: State, temperature: float, generator: torch.Generator
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield for ever (ids, probability), each (B,): the character drawn, and the model's probability of it.

    Starts from the prediction `logits` (B, V) made in `state`. The probability is at temperature 1.
    """
    while True:
        ids = draw(logits, temperature, generator)
        probability = torch.softmax(logits.float(), -1).gather(1, ids[:, None])[:, 0]
        yield ids, probability
        logits, state = model.step(ids, state)

"""Teacher forcing beside free running: the same model, the same prefix, and two ways to go on.

Under teacher forcing the model reads the true text and only predicts; running free it reads what it wrote
itself. How far the hidden states of the two part is shown as a relative distance, which means something only
beside the distance between states on two unrelated pieces of real text: that is the reference.
"""

from __future__ import annotations

import time
from itertools import islice
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rnnscope.corpus import Vocabulary
from rnnscope.generating import Stepper, Strategy, free_run, log_probability_of, uniforms
from rnnscope.model import CharRNN
from rnnscope.probes.sampling import device_of
from rnnscope.recording.events import Comparison

PREFIX = 64
"""Characters that both read before they part, to fill the state."""
UNRELATED = 8
"""Pieces of real text whose states are compared for the reference distance."""


def relative_distance(reference: Tensor, other: Tensor) -> Tensor:
    """Return ||reference - other|| / ||reference|| over the last dimension; 0 where both are zero."""
    gap = (reference - other).norm(dim=-1)
    return torch.where(gap == 0, gap, gap / reference.norm(dim=-1))


@torch.no_grad()
def measure(
    model: CharRNN,
    vocabulary: Vocabulary,
    text: NDArray[Any],
    *,
    length: int,
    temperature: float,
    seed: int,
) -> Comparison:
    """Compare the two from a random place of `text` (ids; the validation part), `length` characters long.

    Random numbers come from a generator of the probe's own. A short text shortens prefix and comparison.
    """
    started = time.perf_counter()
    device = device_of(model)
    places = np.random.default_rng(seed)
    was_training = model.training
    model.eval()
    prefix = min(PREFIX, max(1, len(text) // 4))
    length = min(length, len(text) - prefix)
    starts = places.integers(0, len(text) - prefix - length + 1, size=1 + UNRELATED)
    pieces = np.stack([text[s : s + prefix + length] for s in starts], axis=1).astype(np.int64)
    ids = torch.from_numpy(pieces).to(device)

    logits, _, layers = model.outputs(ids, model.initial_state(ids.shape[1]))
    hidden = torch.cat(layers, -1)
    forced = hidden[prefix:, 0]
    truth = ids[prefix:, 0]
    log_p = torch.log_softmax(logits[prefix - 1 : -1, 0].float(), -1).gather(1, truth[:, None])[:, 0]
    unrelated = relative_distance(hidden[prefix:, 1:], hidden[prefix:, 1:].roll(1, dims=1))

    _, state, _ = model.outputs(ids[:prefix, :1], model.initial_state(1))
    going = free_run(Stepper(model), logits[prefix - 1, :1], state, Strategy(temperature), uniforms(seed, 1, device))
    written, before = (torch.stack(part) for part in zip(*islice(going, length), strict=True))
    _, _, layers = model.outputs(torch.cat([ids[:prefix, :1], written]), model.initial_state(1))
    distance = relative_distance(forced, torch.cat(layers, -1)[prefix:, 0])
    model.train(was_training)
    return Comparison(
        prefix=vocabulary.decode(pieces[:prefix, 0]),
        truth=vocabulary.decode(pieces[prefix:, 0]),
        free=vocabulary.decode(written[:, 0].cpu().numpy()),
        temperature=temperature,
        probability=log_p.exp().cpu().numpy(),
        nll=-log_p.cpu().numpy(),
        free_probability=log_probability_of(written, before)[:, 0].exp().cpu().numpy(),
        distance=distance.cpu().numpy(),
        reference=float(unrelated.mean()),
        seconds=time.perf_counter() - started,
    )

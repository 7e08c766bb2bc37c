"""A generated sample, with what every unit of every layer did while the model read and wrote it."""

from __future__ import annotations

import time
from itertools import islice

import numpy as np
import torch

from rnnscope.corpus import Vocabulary
from rnnscope.generating import Strategy, go_on
from rnnscope.model import CharRNN
from rnnscope.probes.sampling import default_prompt, device_of
from rnnscope.recording.events import Sample
from rnnscope.registry import CELLS


@torch.no_grad()
def measure(
    model: CharRNN, vocabulary: Vocabulary, *, length: int, temperature: float, seed: int, prompt: str = ""
) -> Sample:
    """Generate `length` characters after `prompt` (default: a newline, or the first symbol) from a zero state.

    The text is drawn step by step, then read once more by the scan, which gives states and gates of all
    layers. Random numbers come from a generator of the probe's own.

    Raises:
        UserError: the prompt holds characters that the vocabulary lacks.
    """
    started = time.perf_counter()
    device = device_of(model)
    was_training = model.training
    model.eval()
    start = prompt or default_prompt(vocabulary)
    given = torch.from_numpy(vocabulary.encode(start)).to(device)[:, None]
    drawn = list(islice(go_on(model, given, Strategy(temperature), seed), length))
    ids = torch.cat([given, torch.stack(drawn)]) if drawn else given
    logits, _, layers = model.trace(ids, model.initial_state(1))
    before = torch.log_softmax(logits[:-1, 0].float(), -1).gather(1, ids[1:])[:, 0].exp()
    probability = np.concatenate([[np.nan], before.cpu().numpy()]).astype(np.float32)
    fields = CELLS[model.config.cell].shown
    units = torch.stack([torch.stack([layer[field][:, 0] for layer in layers]) for field in fields])
    limit = torch.finfo(torch.float16).max  # ReLU states may exceed it; inf and NaN stay what they are
    units = torch.where(units.isinf(), units, units.clamp(-limit, limit)).to(torch.float16)
    model.train(was_training)
    return Sample(
        text=vocabulary.decode(ids[:, 0].cpu().numpy()),
        prompt=len(start),
        temperature=temperature,
        probability=probability,
        fields=fields,
        units=units.cpu().numpy(),
        seconds=time.perf_counter() - started,
    )

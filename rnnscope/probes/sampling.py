"""What the probes that have a model write share."""

from __future__ import annotations

import torch

from rnnscope.corpus import Vocabulary
from rnnscope.model import CharRNN


def default_prompt(vocabulary: Vocabulary) -> str:
    """Return what a model reads first when nobody says: a newline, or the first symbol where there is none."""
    return "\n" if "\n" in vocabulary.symbols else vocabulary.symbols[0]


def device_of(model: CharRNN) -> torch.device:
    """Return the device that the model's parameters are on."""
    return next(model.parameters()).device

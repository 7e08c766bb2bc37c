"""A small network and its text, for the tests of the neuron lab's probes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from rnnscope.config import Config, ModelConfig
from rnnscope.corpus import Corpus, Vocabulary
from rnnscope.model import CharRNN
from rnnscope.probes.subject import Subject

TEXT = 'Ann: "Is it (so) late?" she said.\nBob:\n    No, it\'s 12 [o\'clock]; "go on."\n\n'
"""Has a bit of everything that concepts label."""


def corpus(train: str = TEXT * 40, validation: str = TEXT * 20) -> Corpus:
    """Return a corpus of two texts; the vocabulary is the training part's."""
    vocabulary = Vocabulary(tuple(sorted(set(train))))
    parts = [vocabulary.encode(part).astype(np.uint8) for part in (train, validation)]
    return Corpus("tiny", vocabulary, parts[0], parts[1], np.empty(0, np.uint8), 0, "0")


def subject(
    cell: str = "lstm", layers: int = 2, hidden: int = 6, text: Corpus | None = None, **options: Any
) -> Subject:
    """Return a subject with an untrained network whose weights are large enough that nothing is linear."""
    text = text or corpus()
    torch.manual_seed(0)
    config = ModelConfig(cell=cell, layers=layers, hidden=hidden, embedding=4)
    model = CharRNN(config, len(text.vocabulary))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1.5)
    return Subject(model, text, Config(model=config), 7, Path(), **options)

"""What is recorded of how a run begins: sizes, device and the versions it was made with."""

from __future__ import annotations

import platform
from typing import Any

import numpy as np
import torch

from rnnscope import __version__
from rnnscope.corpus import Corpus
from rnnscope.recording import events as e
from rnnscope.training.device import device_name
from rnnscope.training.loop import Trainer


def started(trainer: Trainer, corpus: Corpus, kernel: str, precision: str) -> e.Started:
    """Describe a run that begins."""
    return e.Started(
        device=device_name(trainer.device),
        kernel=kernel,
        precision=precision,
        threads=torch.get_num_threads(),
        parameters=sum(p.numel() for p in trainer.model.parameters()),
        train_chars=len(corpus.train),
        validation_chars=len(corpus.validation),
        test_chars=len(corpus.test),
        unseen_chars=corpus.unseen,
        steps_per_epoch=trainer.batches.steps_per_epoch,
        total_steps=trainer.total_steps,
    )


def versions() -> dict[str, Any]:
    """Return the versions that a run was made with."""
    return {
        "rnnscope": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
    }

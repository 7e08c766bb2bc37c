"""A probe by its name, as the worker takes it: with the run's own lengths, and a seed from run and step."""

from __future__ import annotations

from rnnscope.config import Config
from rnnscope.probes import comparison, gradients, sample
from rnnscope.recording import events as e
from rnnscope.training.loop import Trainer, Window

SEEDS = 1_000_003  # probes draw from a generator of their own, seeded by run and step


def measure(
    name: str, trainer: Trainer, config: Config, temperature: float, step: int, window: Window | None = None
) -> e.Event:
    """Take the probe `name` of the registry; "gradients" needs the window that it is measured on.

    Raises:
        ValueError: no such probe, or no window where one is needed.
    """
    model, corpus, probes = trainer.model, trainer.corpus, config.probes
    vocabulary, seed = corpus.vocabulary, config.run.seed * SEEDS + step
    match name:
        case "gradients" if window is not None:
            return gradients.measure(model, window.x, window.y, window.state, vocabulary.decode)
        case "sample":
            return sample.measure(model, vocabulary, length=probes.sample_length, temperature=temperature, seed=seed)
        case "comparison":
            return comparison.measure(
                model, vocabulary, corpus.validation, length=probes.compare_length, temperature=temperature, seed=seed
            )
    raise ValueError(f"probe {name!r} is not known, or lacks its window")

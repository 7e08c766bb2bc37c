"""The learning rate as a function of the training step alone."""

from __future__ import annotations

from rnnscope.config import TrainingConfig


def scheduled_lr(step: int, training: TrainingConfig) -> float:
    """Return the learning rate of update number `step` (1, 2, ...): stepwise exponential decay.

    lr * lr_decay ** floor((step - 1) / lr_decay_every). It depends on nothing but the step, so that a resumed
    run and an uninterrupted one use the same rates.
    """
    return training.lr * training.lr_decay ** ((step - 1) // training.lr_decay_every)

"""What an n-gram model writes when it reads its own writing."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from rnnscope.ngrams.models import Model
from rnnscope.ngrams.table import Ints, advance, begin

OFTEN = 32
"""Symbols between two calls of `writing`."""


def _told_nobody(share: float) -> None:
    """Nobody wants to know."""


def write(
    model: Model,
    prompts: NDArray[np.integer],
    length: int,
    seed: int,
    *,
    writing: Callable[[float], None] = _told_nobody,
) -> Ints:
    """Return (..., length) symbols drawn one by one, at temperature 1, after prompts (..., any number of symbols).

    The same seed gives the same draws; all prompts share one generator.
    writing: called now and then with the share that is written; what it raises breaks off.
    """
    prompts = np.asarray(prompts)
    rows = prompts.reshape(math.prod(prompts.shape[:-1]), prompts.shape[-1])
    random = np.random.default_rng(seed)
    state = begin(model.table, rows, model.order)
    written = np.empty((len(rows), length), np.int64)
    for place in range(length):
        if place % OFTEN == 0:
            writing(place / length)
        running = np.cumsum(model.distribution(state), axis=1)
        draws = random.random(len(rows)) * running[:, -1]
        written[:, place] = (running <= draws[:, None]).sum(1)
        state = advance(model.table, state, written[:, place])
    return written.reshape(*prompts.shape[:-1], length)

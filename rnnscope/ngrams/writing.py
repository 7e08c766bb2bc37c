"""What an n-gram model writes when it reads its own writing."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from rnnscope.ngrams.models import Model
from rnnscope.ngrams.table import Ints, advance, begin


def write(model: Model, prompts: NDArray[np.integer], length: int, seed: int) -> Ints:
    """Return (..., length) symbols drawn one by one, at temperature 1, after prompts (..., any number of symbols).

    The same seed gives the same draws; all prompts share one generator.
    """
    prompts = np.asarray(prompts)
    rows = prompts.reshape(math.prod(prompts.shape[:-1]), prompts.shape[-1])
    random = np.random.default_rng(seed)
    state = begin(model.table, rows, model.order)
    written = np.empty((len(rows), length), np.int64)
    for place in range(length):
        running = np.cumsum(model.distribution(state), axis=1)
        draws = random.random(len(rows)) * running[:, -1]
        written[:, place] = (running <= draws[:, None]).sum(1)
        state = advance(model.table, state, written[:, place])
    return written.reshape(*prompts.shape[:-1], length)

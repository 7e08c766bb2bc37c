"""How long each unit's gates are shut and open (Karpathy, Johnson and Fei-Fei 2015, section 4.2, figure 2)."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from rnnscope.corpus import Corpus
from rnnscope.model import CharRNN
from rnnscope.probes.parameters import SIGMOIDS
from rnnscope.probes.streams import Streams, cut, held_out, read, streams_for
from rnnscope.probes.subject import Subject
from rnnscope.recording.neuron_events import Saturation
from rnnscope.recording.requests import Request
from rnnscope.registry import CELLS

SIGMOID, TANH = (0.1, 0.9), (-0.9, 0.9)
CELL_STATE = (-math.atanh(0.9), math.atanh(0.9))
"""Of the LSTM's c, which has no bounds: where tanh(c) passes those of tanh."""

RELU_QUANTILE = 0.999
SAMPLE = 2_000_000
"""Values from which that quantile is taken at most."""

LEARNING = Streams(32, 100, 50)
"""While the network learns only a little is read, quickly: streams, characters of each, and before they count."""


def measure(subject: Subject, request: Request) -> Saturation:
    """Return the event for `chars` characters that end with the held-out text (see `held_out`)."""
    ids = held_out(subject.corpus, request.chars)
    return _saturation(subject.model, ids, streams_for(subject.model, len(ids)), lambda x: subject.report(x, "reading"))


def while_learning(model: CharRNN, corpus: Corpus) -> Saturation:
    """Return the event for the first few thousand characters of the validation part, the same ones every time."""
    ids = held_out(corpus, LEARNING.chars)
    return _saturation(model, ids, _quickly(len(ids)), lambda share: None)


def _quickly(chars: int) -> Streams:
    return cut(chars, LEARNING.streams, LEARNING.length, LEARNING.warm_up)


def _saturation(model: CharRNN, ids: NDArray[np.int64], plan: Streams, report: Callable[[float], None]) -> Saturation:
    """Count, unit by unit; what is NaN counts as neither."""
    started = time.perf_counter()
    fields, layers = CELLS[model.config.cell].shown, range(model.config.layers)
    bounds = [_bounds(model, field, ids, plan) for field in fields]
    low, high = np.array(bounds, np.float32).T
    left, right = np.zeros((2, len(fields), model.config.layers, model.config.hidden), np.int64)
    for piece in read(model, ids, fields, layers, cut=plan, report=report):
        for layer, values in enumerate(piece.values):
            for index, field in enumerate(fields):
                left[index, layer] += (values[field] <= low[index]).sum((0, 1))
                right[index, layer] += (values[field] >= high[index]).sum((0, 1))
    return Saturation(
        fields=fields,
        low=low,
        high=high,
        left=(left / plan.chars).astype(np.float32),
        right=(right / plan.chars).astype(np.float32),
        chars=plan.chars,
        seconds=time.perf_counter() - started,
    )


def _bounds(model: CharRNN, field: str, ids: NDArray[np.int64], plan: Streams) -> tuple[float, float]:
    """Return at or below which value a quantity counts as shut, and from which on as open."""
    if field in SIGMOIDS:
        return SIGMOID
    if field == "c":
        return CELL_STATE
    return (0.0, _relu_bound(model, ids, plan)) if model.config.cell == "relu" else TANH


def _relu_bound(model: CharRNN, ids: NDArray[np.int64], plan: Streams) -> float:
    """Return what a thousandth of all values is above (of a part of them, evenly spread, where there are very many).

    Infinity of a network that is dead.
    """
    every = plan.chars * model.config.layers * model.config.hidden // SAMPLE | 1  # odd: not always the same units
    pieces = read(model, ids, ("h",), range(model.config.layers), cut=plan)
    values = np.concatenate([layer["h"].ravel()[::every] for piece in pieces for layer in piece.values])
    values = values[np.isfinite(values)]
    bound = float(np.quantile(values, RELU_QUANTILE)) if len(values) else 0.0
    return bound if bound > 0 else math.inf

"""Pieces of a text, read side by side; and a long text read piece after piece."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rnnscope.model import CharRNN

AT_ONCE = 512
"""Time steps between two reports: some tenths of a second of a large network."""


def evenly(size: int, count: int, length: int) -> NDArray[np.int64]:
    """Return the beginnings of at most `count` stretches spread evenly over a text of `size` characters, always the
    same. They overlap where the text is short; of one shorter than `length` there is one.
    """
    return np.unique(np.linspace(0, max(0, size - length), count).astype(np.int64))


def gather(text: NDArray[Any], starts: NDArray[np.int64], length: int, device: torch.device) -> Tensor:
    """Return ids (length, P) of the stretches of a text (N,) that begin at starts (P,); fewer of a short text."""
    length = min(length, len(text))
    return torch.from_numpy(text[starts + np.arange(length)[:, None]].astype(np.int64)).to(device)


def spread(text: NDArray[Any], count: int, length: int, device: torch.device) -> Tensor:
    """Return ids (length, P) of at most `count` stretches spread evenly over a text (N,)."""
    return gather(text, evenly(len(text), count, length), length, device)


def traced(
    model: CharRNN, ids: Tensor, report: Callable[[float], None]
) -> Iterator[tuple[Tensor, list[dict[str, Tensor]]]]:
    """Yield what `CharRNN.trace` gives for ids (T, B) from a zero state, logits (S, B, V) and fields of each layer, in
    pieces of S at most AT_ONCE time steps; report: called with the share done before each.
    """
    state = model.initial_state(ids.shape[1])
    for begin in range(0, len(ids), AT_ONCE):
        report(begin / len(ids))
        logits, state, layers = model.trace(ids[begin : begin + AT_ONCE], state)
        yield logits, layers

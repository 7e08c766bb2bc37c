"""Pieces of a text, read side by side."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


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

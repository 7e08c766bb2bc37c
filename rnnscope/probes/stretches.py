"""Pieces of a text, read side by side."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def spread(text: NDArray[Any], count: int, length: int, device: torch.device) -> Tensor:
    """Return ids (length, count) of stretches spread evenly over a text (N,), the same ones every time.

    They overlap where the text is short; of one shorter than `length` there is one, the whole.
    """
    length = min(length, len(text))
    starts = np.unique(np.linspace(0, len(text) - length, count).astype(np.int64))
    return torch.from_numpy(text[starts + np.arange(length)[:, None]].astype(np.int64)).to(device)

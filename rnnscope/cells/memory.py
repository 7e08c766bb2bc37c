"""Memory for the scans, used again from step to step.

A training step needs the same large blocks every time. Taken fresh from the system, their first touch costs a page
fault every 4 KiB (measured: 13 ms for the 26 MB of one LSTM layer's gates, 10% of that step). A block is free when
nobody but this module holds its storage: the count that PyTorch keeps for every storage covers views, tensors saved
for a backward pass and results in a caller's hands alike, so blocks of two graphs can never be mixed up.
"""

from __future__ import annotations

import math
import threading

import torch
from torch import Tensor

SMALLEST = 1 << 16  # bytes; smaller requests are left to the ordinary allocator
LARGEST = 1 << 31  # bytes kept in all; beyond that, free blocks are given back to the system

_COUNTED = hasattr(torch._C, "_storage_Use_Count")
_lock = threading.Lock()
_blocks: dict[tuple[int, torch.dtype], list[tuple[Tensor, int]]] = {}


def _count(address: int) -> int:
    return int(torch._C._storage_Use_Count(address))


def _on(block: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Return a tensor of its own on the block's storage: no view, so autograd sees no relation between two uses."""
    tensor = torch.empty(0, dtype=block.dtype)
    tensor.set_(block.untyped_storage(), 0, shape)  # type: ignore[call-overload]
    return tensor


def _idle() -> int:
    """Return the count of a storage that nobody but its block holds (in torch 2.13 two: Python's wrapper counts)."""
    block = torch.empty(1)
    address = block.untyped_storage()._cdata
    _on(block, (1,))
    return _count(address)


_IDLE = _idle() if _COUNTED else 0


def take(shape: tuple[int, ...], like: Tensor) -> Tensor:
    """Return an uninitialised contiguous tensor of dtype and device of `like`, its memory used before if possible."""
    size = math.prod(shape)
    if not _COUNTED or like.device.type != "cpu" or size * like.element_size() < SMALLEST:
        return like.new_empty(shape)
    with _lock:
        kept = _blocks.setdefault((size, like.dtype), [])
        for block, address in kept:
            if _count(address) == _IDLE:
                return _on(block, shape)
        if held() + size * like.element_size() > LARGEST:
            _drop_free()
            kept = _blocks.setdefault((size, like.dtype), [])
        block = torch.empty(size, dtype=like.dtype)
        kept.append((block, block.untyped_storage()._cdata))
        return _on(block, shape)


def take_like(like: Tensor) -> Tensor:
    """Return `take(like.shape, like)`."""
    return take(tuple(like.shape), like)


def held() -> int:
    """Return the bytes kept, in use or free."""
    return sum(size * dtype.itemsize * len(kept) for (size, dtype), kept in _blocks.items())


def _drop_free() -> None:
    for key, kept in list(_blocks.items()):
        _blocks[key] = [(block, address) for block, address in kept if _count(address) != _IDLE]

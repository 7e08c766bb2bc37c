"""Memory used again: never while anybody still holds it."""

from __future__ import annotations

import pytest
import torch

from rnnscope.cells import memory

LIKE = torch.zeros(1)


@pytest.fixture(autouse=True)
def pooled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "SMALLEST", 0)
    monkeypatch.setattr(memory, "_blocks", {})


def test_a_block_is_used_again_once_nobody_holds_it() -> None:
    first = memory.take((3, 4), LIKE)
    address = first.data_ptr()
    assert memory.take((12,), LIKE).data_ptr() != address
    del first
    assert memory.take((2, 6), LIKE).data_ptr() == address


def test_a_view_keeps_a_block() -> None:
    first = memory.take((3, 4), LIKE)
    address, row = first.data_ptr(), first[1]
    del first
    assert memory.take((3, 4), LIKE).data_ptr() != address
    del row
    assert address in {memory.take((3, 4), LIKE).data_ptr()}


def test_a_tensor_saved_for_backward_keeps_a_block() -> None:
    x = torch.ones(3, 4, requires_grad=True)
    block = memory.take((3, 4), LIKE).fill_(2)
    address, y = block.data_ptr(), (x * block).sum()
    del block
    memory.take((3, 4), LIKE).fill_(7)
    y.backward()
    assert x.grad is not None
    assert x.grad.eq(2).all()
    del y
    assert memory.take((3, 4), LIKE).data_ptr() == address


def test_another_dtype_is_another_block() -> None:
    first = memory.take((4,), LIKE)
    assert memory.take((4,), LIKE.double()).dtype == torch.float64
    assert first.dtype == torch.float32


def test_free_blocks_are_given_back_beyond_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "LARGEST", 100)
    kept = memory.take((20,), LIKE)
    memory.take((21,), LIKE)
    memory.take((22,), LIKE)
    assert memory.held() == 4 * (20 + 22)  # the one in use and the newest
    assert kept.shape == (20,)


def test_small_requests_are_ordinary(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "SMALLEST", 1000)
    assert memory.take((4,), LIKE).shape == (4,)
    assert memory.held() == 0

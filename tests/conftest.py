"""One thread for torch, here and in every program a test starts: the networks are small, and cores are shared."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.nice(19)  # a training worker makes way for others: here for nobody, or it would wait for the tests beside its own
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # else each program that a test starts compiles the package again


def pytest_xdist_auto_num_workers() -> int:
    """One process more than there are cores: many tests wait, for programs they have started, or for a screen."""
    return (os.cpu_count() or 1) + 1


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Look for garbage neither while all is imported, nor ever after among what was: nearly nothing of it is."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()
        gc.set_threshold(100_000)  # of what is made later, too: a twentieth of all the time


@pytest.fixture(autouse=True)
def no_politeness(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker or an inspector that is tried in this process must not leave all later tests behind other programs."""
    monkeypatch.setattr(os, "nice", lambda increment: 0)


@pytest.fixture(autouse=True)
def subnormal_numbers() -> Iterator[None]:
    """Undo what training sets for the whole process: others' numbers need the smallest ones (hypothesis refuses)."""
    yield
    if "torch" in sys.modules:
        sys.modules["torch"].set_flush_denormal(False)

"""One thread for torch, here and in every program a test starts: the networks are small, and cores are shared."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(autouse=True)
def subnormal_numbers() -> Iterator[None]:
    """Undo what training sets for the whole process: others' numbers need the smallest ones (hypothesis refuses)."""
    yield
    if "torch" in sys.modules:
        sys.modules["torch"].set_flush_denormal(False)

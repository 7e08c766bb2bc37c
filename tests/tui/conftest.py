"""The runs that tests of the screen look at."""

from __future__ import annotations

from pathlib import Path

import pytest

from rnnscope.recording.writer import Writer
from tests.fakes import make_fake_run


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    """A finished run of 300 steps."""
    make_fake_run(tmp_path / "run", steps=300)
    return tmp_path / "run"


@pytest.fixture
def training(tmp_path: Path) -> Writer:
    """A run of 300 steps that a worker holds."""
    return make_fake_run(tmp_path / "run", steps=300, live=True)

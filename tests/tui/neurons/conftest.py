"""The runs that tests of the neuron lab look at."""

from __future__ import annotations

from pathlib import Path

import pytest

from rnnscope.recording.writer import Writer
from tests.tui.neurons.neuron_screen import neuron_run


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    neuron_run(tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture
def training(tmp_path: Path) -> Writer:
    return neuron_run(tmp_path / "run", live=True)

"""A person's own random.py or torch.py, in the folder where they work, is not taken for the true one."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rnnscope import launch
from rnnscope.config import Config, ModelConfig, RunConfig, TextConfig, TrainingConfig
from rnnscope.recording.runs import run_info
from tests.e2e.conftest import ROOT, SMALL

PATIENCE = 120.0


@pytest.fixture
def spoilt(here: Path) -> Path:
    """Work where modules lie that are named as true ones, and fail when they are imported."""
    for name in ("random", "torch", "numpy", "json", "typing", "tyro", "safetensors"):
        (here / f"{name}.py").write_text("raise ImportError('a homework, not the module that was meant')\n")
    return here


def finished(*command: str) -> None:
    """Run a command and check that it ends well and finishes the run called run."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert (run_info(Path("run")).state, run_info(Path("run")).step) == ("finished", 2)


def test_the_homework_is_found_without_care(spoilt: Path) -> None:
    done = subprocess.run([sys.executable, "-c", "import random"], capture_output=True, text=True, check=False)
    assert "homework" in done.stderr


def test_training_headless(spoilt: Path) -> None:
    """`python -m` is the harder way to start: it puts the current folder first."""
    finished(sys.executable, "-m", "rnnscope", "train", "play", *SMALL, "--steps", "2", "--run", "run", "--headless")


def test_training_by_the_installed_command(spoilt: Path) -> None:
    command = shutil.which("rnnscope", path=Path(sys.executable).parent)
    if command is None:
        pytest.skip("rnnscope is not installed beside this Python")
    finished(command, "train", "play", *SMALL, "--steps", "2", "--run", "run", "--headless")


def test_the_detached_worker(spoilt: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTHONPATH")  # it finds this package without help
    config = Config(
        text=TextConfig(length=20_000), model=ModelConfig(hidden=8, embedding=4),
        training=TrainingConfig(batch=2, bptt=8, steps=2), run=RunConfig(run="run"),
    )  # fmt: skip
    folder = launch.prepare_new(config, headless=False)
    code = launch.spawn_worker(folder).wait(PATIENCE)
    assert (code, (folder / "worker.log").read_text()) == (0, "")
    assert (run_info(folder).state, run_info(folder).step) == ("finished", 2)


def test_the_question_for_a_device(spoilt: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "rnnscope", "train", "play", *SMALL, "--device", "cuda:99", "--run", "run"],
        capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "--device cuda:99: this machine has" in done.stderr


def test_a_program_of_its_own_has_this_very_package(here: Path) -> None:
    """Of two copies of rnnscope, the one that starts it: another may be installed, and know another schema."""
    shutil.copytree(ROOT / "rnnscope", here / "copy" / "rnnscope", ignore=shutil.ignore_patterns("__pycache__"))
    (here / "copy" / "random.py").write_text("raise ImportError('beside the package')\n")
    ask = "import random, rnnscope.config; print(rnnscope.config.__file__, *sys.argv[1:])"
    code = (
        "import subprocess, sys; sys.path.insert(0, 'copy'); import rnnscope; del sys.path[0]\n"
        "from rnnscope import launch\n"
        f"subprocess.run(launch.own_python({ask!r}, 'a b'), check=True)"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == f"{here / 'copy' / 'rnnscope' / 'config.py'} a b\n"

"""A folder to work in, a small trained run to damage, and no worker left behind."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from rnnscope.cli import main
from rnnscope.recording import lock

ROOT = Path(__file__).resolve().parents[2]
SMALL = [
    "--length", "20000", "--hidden", "16", "--embedding", "8", "--batch", "4", "--bptt", "12",
    "--validation-chars", "400", "--sample-length", "40", "--compare-length", "40",
]  # fmt: skip
"""A network and a text with which everything is quick."""


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the cache folder of all tests here."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def here(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Work in an empty folder; whatever still trains in it afterwards is ended."""
    monkeypatch.setenv("RNNSCOPE_CACHE", str(cache))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))  # for programs that a test starts, where rnnscope is not installed
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    yield folder
    end_workers(folder)


def end_workers(folder: Path) -> None:
    """End every worker that holds a run under `folder`: they are ours."""
    for run in {path.parent for path in folder.rglob(lock.NAME)}:
        named = re.match(r"pid (\d+) ", lock.holder(run))
        if named and lock.live(run) and int(named[1]) != os.getpid():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(named[1]), signal.SIGKILL)
            deadline = time.monotonic() + 30
            while lock.live(run) and time.monotonic() < deadline:
                time.sleep(0.01)


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Path:
    """Return a finished run of six steps; copy it (`run`), don't touch it."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RNNSCOPE_CACHE", str(cache))
        assert main(["train", "play", *SMALL, "--steps", "6", "--run", str(folder), "--headless"]) == 0
        assert main(["sample", str(folder), "--length", "3"]) == 0
    return folder


@pytest.fixture
def run(here: Path, trained: Path) -> Path:
    """Return a copy of the trained run in the folder to work in, as `run`."""
    shutil.copytree(trained, here / "run")
    return here / "run"

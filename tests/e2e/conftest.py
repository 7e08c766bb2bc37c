"""A folder to work in, a small trained run to damage, ways to be refused, and no worker left behind."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from rnnscope.cli import main
from rnnscope.recording import lock
from tests.e2e.refusals import Refuse, as_nobody, check_line, contents

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


@pytest.fixture(params=["headless", "screen"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    """Both ways to start: stdout a file, or a terminal (where no worker and no screen may start)."""
    if request.param == "screen":
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
        monkeypatch.setattr("rnnscope.launch.spawn_worker", lambda folder: pytest.fail("a worker was started"))
    return str(request.param)


@pytest.fixture
def refuse(here: Path, capsys: pytest.CaptureFixture[str]) -> Refuse:
    """Return a function that runs a command line and checks that it is refused; it returns the message."""

    def refused(*arguments: object, nobody: bool = False) -> str:
        before = contents(here)
        capsys.readouterr()
        with as_nobody() if nobody else contextlib.nullcontext():
            code = main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        assert code == 2, err
        assert out == ""
        assert contents(here) == before
        return check_line(err)

    return refused


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Return a folder that everybody may look into (pytest's own belong to one user)."""
    folder = Path(tempfile.mkdtemp(prefix="rnnscope-test-"))
    folder.chmod(0o755)
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)

"""Listing, finding, naming and stopping runs."""

from __future__ import annotations

import contextlib
import math
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from rnnscope.config import Config, ModelConfig
from rnnscope.errors import RunFailed, UserError
from rnnscope.recording import lock
from rnnscope.recording.commands import Stop
from rnnscope.recording.events import FINISHED, TRAINING, Status
from rnnscope.recording.lock import Lock
from rnnscope.recording.mailbox import Mailbox
from rnnscope.recording.runs import find_run, list_runs, next_name, request_stop
from rnnscope.recording.state import INTERRUPTED
from rnnscope.recording.writer import Writer
from tests import fakes


def test_the_list(tmp_path: Path) -> None:
    fakes.make_fake_run(tmp_path / "one", steps=200)
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "run.db").write_bytes(b"?" * 5000)
    (tmp_path / "no run").mkdir()
    (tmp_path / "file").write_text("x")
    with fakes.make_fake_run(tmp_path / "two", steps=10, cell="gru", live=True):
        found = {run.name: run for run in list_runs(tmp_path)}
    assert set(found) == {"one", "two", "damaged"}
    one, two, bad = found["one"], found["two"], found["damaged"]
    assert (one.state, one.live, one.step, one.model, one.text) == (
        FINISHED,
        False,
        200,
        "lstm 2x32",
        "shakespeare.txt",
    )
    assert one.epoch == pytest.approx(200 / 401.5)
    assert one.validation == pytest.approx(1.5 + 2.6 * math.exp(-200 / 300))
    assert 1 < one.loss < 5
    assert one.size == sum(path.stat().st_size for path in (tmp_path / "one").iterdir())
    assert (two.state, two.live, two.cell) == (TRAINING, True, "gru")
    assert math.isnan(two.validation)
    assert (bad.state, bad.live, bad.model) == ("unreadable", False, "")
    assert "damaged" in bad.detail
    assert [run.name for run in list_runs(tmp_path) if run.name != "damaged"] == ["two", "one"]  # newest first


def test_a_killed_run_is_interrupted(tmp_path: Path) -> None:
    """A child writes, and ends without a word (as kill -9 leaves it)."""
    code = (
        "import os, sys; from pathlib import Path; from tests.fakes import make_fake_run\n"
        "writer = make_fake_run(Path(sys.argv[1]), steps=30, live=True); os._exit(0)"
    )
    root = Path(__file__).resolve().parents[2]
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "run")], cwd=root, check=True)
    (run,) = list_runs(tmp_path)
    assert (run.state, run.live, run.step) == (INTERRUPTED, False, 30)


def test_an_empty_run(tmp_path: Path) -> None:
    with Writer.create(tmp_path / "run", Config()):
        (run,) = list_runs(tmp_path)
    assert (run.state, run.step, run.live) == ("starting", 0, True)
    assert math.isnan(run.loss)


def test_no_folder_no_runs(tmp_path: Path) -> None:
    assert list_runs(tmp_path / "none") == []


def test_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "checkpoints"
    for name in ("lstm-2x128-play-1", "lstm-2x128-play-2", "gru-1x32-code-1"):
        Writer.create(root / name, Config()).close()
    run = root / "lstm-2x128-play-1"
    assert find_run("lstm-2x128-play-1", root) == run
    assert find_run(str(run), root) == run
    assert find_run(run / "run.db", root) == run
    monkeypatch.chdir(root)
    assert find_run("gru-1x32-code-1", Path("elsewhere")) == Path("gru-1x32-code-1")
    with pytest.raises(UserError, match=r"did you mean lstm-2x128-play-2 or lstm-2x128-play-1\?"):
        find_run("lstm-2x128-pray-2", root)
    with pytest.raises(UserError, match="did you mean gru-1x32-code-1"):
        find_run("gru", root)
    with pytest.raises(UserError, match="`rnnscope runs` lists them"):
        find_run("zzzzz", root)
    with pytest.raises(UserError, match="no runs in"):
        find_run("any", tmp_path / "none")
    with pytest.raises(UserError, match="is not a run"):
        find_run(str(tmp_path), root)


def test_names(tmp_path: Path) -> None:
    config = Config(texts=("/data/Shakespeare's Works.txt", "b"), model=ModelConfig(cell="gru", layers=3, hidden=64))
    assert next_name(tmp_path / "none", config) == tmp_path / "none" / "gru-3x64-shakespeare-s-works-1"
    for name in ("gru-3x64-shakespeare-s-works-1", "gru-3x64-shakespeare-s-works-12", "gru-3x64-shakespeare-s-works-x"):
        (tmp_path / name).mkdir()
    assert next_name(tmp_path, config).name == "gru-3x64-shakespeare-s-works-13"
    assert next_name(tmp_path, Config()).name == "lstm-2x128-play-1"
    assert next_name(tmp_path, Config(texts=("한글.txt",))).name == "lstm-2x128-한글-1"
    assert next_name(tmp_path, Config(texts=("/",))).name == "lstm-2x128-text-1"


def test_stopping(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with pytest.raises(UserError, match="not running"):
        request_stop(folder)
    ready = threading.Event()

    def work() -> None:
        with Writer.create(folder, Config()) as writer:
            writer.event(0, Status(TRAINING))
            ready.set()
            pause = threading.Event()
            for _ in range(2000):
                for id, command in writer.commands():
                    if isinstance(command, Stop):
                        writer.answer(id, 0, True)
                        writer.event(0, Status("stopped"))
                        return
                pause.wait(0.005)

    worker = threading.Thread(target=work)
    worker.start()
    assert ready.wait(5)
    request_stop(folder, wait=5)
    assert not lock.live(folder)
    worker.join()
    assert list_runs(tmp_path)[0].state == "stopped"


def test_stopping_a_worker_that_only_begins(tmp_path: Path) -> None:
    """It holds the run but refuses what came before it had opened its mailbox: it is asked again."""
    folder = tmp_path / "run"
    Writer.create(folder, Config()).close()
    held = Lock.acquire(folder)
    asking = threading.Thread(target=request_stop, args=(folder, 20.0))
    asking.start()
    deadline = time.monotonic() + 10
    with contextlib.closing(sqlite3.connect(folder / "commands.db", isolation_level=None)) as connection:
        while not connection.execute("SELECT count(*) FROM commands").fetchone()[0]:
            assert time.monotonic() < deadline
    mailbox = Mailbox(folder)
    try:
        while not (taken := mailbox.take()):
            assert time.monotonic() < deadline
            time.sleep(0.005)
        assert isinstance(taken[0].command, Stop)
        mailbox.answer(taken[0].id, 0, True, "")
    finally:
        mailbox.close()
        held.release()
        asking.join(30)
    assert not asking.is_alive()


def test_a_worker_that_does_not_stop(tmp_path: Path) -> None:
    with Writer.create(tmp_path / "run", Config()) as writer:
        with pytest.raises(RunFailed, match=r"has not stopped after 0.1 s .*worker.log"):
            request_stop(tmp_path / "run", wait=0.1)
        ((id, _),) = writer.commands()
        writer.answer(id, 0, True)

"""Before the start: what a missing file that has a catalogue name leads to, and that the screen need not wait."""

from __future__ import annotations

import dataclasses
import functools
import http.server
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from rnnscope import launch
from rnnscope.config import Config, ModelConfig, RunConfig, TextConfig, TrainingConfig
from rnnscope.corpus import catalogue
from rnnscope.errors import RunFailed, UserError
from rnnscope.recording.lock import live
from rnnscope.recording.reader import Reader
from rnnscope.recording.runs import run_info


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """A local server of one text, in place of the catalogue's."""
    folder = tmp_path / "served"
    folder.mkdir()
    (folder / "sherlock.txt").write_text("It was a dark and stormy night.\n" * 17_000)
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=httpd.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{httpd.server_port}"
    httpd.shutdown()
    thread.join()
    httpd.server_close()


def config(tmp_path: Path, text: str) -> Config:
    return dataclasses.replace(Config(), texts=(text,), run=RunConfig(run=str(tmp_path / "run")))


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RNNSCOPE_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


def test_a_missing_file_with_a_catalogue_name_is_fetched_and_says_so(
    tmp_path: Path, server: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RNNSCOPE_TEXTS_URL", server)
    folder = launch.prepare_new(config(tmp_path, "sherlock.txt"), headless=True)
    assert "no file sherlock.txt here; took sherlock from the catalogue" in capfd.readouterr().err
    with Reader(folder) as reader:
        assert reader.config.texts == ("sherlock",)
    assert catalogue.is_cached("sherlock")


def test_offline_is_one_line_that_names_the_built_in_texts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RNNSCOPE_TEXTS_URL", "http://127.0.0.1:9")  # nobody listens there
    with pytest.raises(UserError, match="play, code and python") as found:
        launch.prepare_new(config(tmp_path, "sherlock.txt"), headless=True)
    assert "\n" not in str(found.value)
    assert capfd.readouterr().err == ""
    assert not (tmp_path / "run").exists()


def test_a_built_in_text_is_not_generated_before_the_screen_opens(tmp_path: Path) -> None:
    launch.prepare_new(config(tmp_path, "play"), headless=False)
    assert not (tmp_path / "cache").exists()


def trained(tmp_path: Path, **training: object) -> Config:
    """Train a small run for two steps; return its configuration."""
    from rnnscope.worker import Session

    settings = Config(
        text=TextConfig(length=20_000), model=ModelConfig(hidden=8, embedding=4),
        training=TrainingConfig(**{"batch": 2, "bptt": 8, "steps": 2, **training}),
        run=RunConfig(run=str(tmp_path / "run")),
    )  # fmt: skip
    assert Session(launch.prepare_new(settings, headless=True)).run() == 0
    with Reader(tmp_path / "run") as reader:
        return reader.config


def test_a_used_up_budget_is_told_on_resume(tmp_path: Path) -> None:
    settings = trained(tmp_path)
    with pytest.raises(UserError, match="has done its 2 steps; give a larger --steps"):
        launch.prepare_resume(tmp_path / "run", settings)
    short = dataclasses.replace(settings.training, steps=None, minutes=1e-9)
    with pytest.raises(UserError, match="minutes"):
        launch.prepare_resume(tmp_path / "run", dataclasses.replace(settings, training=short))


def test_a_new_budget_replaces_the_old_ones(tmp_path: Path) -> None:
    settings = trained(tmp_path, minutes=5.0)
    longer = dataclasses.replace(settings, training=dataclasses.replace(settings.training, steps=4))
    launch.prepare_resume(tmp_path / "run", longer)
    with Reader(tmp_path / "run") as reader:
        assert (reader.config.training.steps, reader.config.training.minutes) == (4, None)


def test_a_worker_that_generates_a_long_text_stops_when_told(tmp_path: Path) -> None:
    """Two minutes of work; to stop waits for 15 s at most."""
    settings = dataclasses.replace(config(tmp_path, "code"), text=TextConfig(length=500_000_000))
    folder = launch.prepare_new(settings, headless=False)
    worker = launch.spawn_worker(folder)
    try:
        deadline = time.monotonic() + 60
        while not live(folder):
            assert time.monotonic() < deadline, (folder / "worker.log").read_text()
            time.sleep(0.01)
        assert launch.stop(folder).startswith(f"stopped {folder}")
        assert worker.wait(15) == 0
    finally:
        worker.kill()
        worker.wait()
    assert run_info(folder).state == "stopped"
    assert "before it began" in run_info(folder).detail
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]


def test_a_worker_that_cannot_be_started_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "run" / "worker.log").mkdir(parents=True)
    with pytest.raises(RunFailed, match=r"cannot start the worker of .*run \(.*worker.log: Is a directory\)"):
        launch.spawn_worker(tmp_path / "run")


def test_a_preparation_is_shown_once_it_takes_long(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    line = launch.ProgressLine()
    line("reading notes.txt", 0.5)
    line.erase()
    assert capsys.readouterr().err == ""
    line("fetching notes", None)
    assert capsys.readouterr().err.endswith("fetching notes")
    monkeypatch.setattr(launch, "PATIENCE", -1.0)
    line = launch.ProgressLine()
    line("reading no\x1btes.txt", 0.5)
    shown = capsys.readouterr().err
    assert shown.endswith("reading no␛tes.txt  50%")
    line.erase()
    assert capsys.readouterr().err == "\r\x1b[K"


def test_what_is_refused_leaves_no_progress_on_the_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("RNNSCOPE_TEXTS_URL", "http://127.0.0.1:9")  # nobody listens there
    with pytest.raises(UserError):
        launch.prepare_new(config(tmp_path, "sherlock"), headless=True)
    shown = capsys.readouterr().err
    assert "fetching sherlock" in shown
    assert shown.endswith("\r\x1b[K")

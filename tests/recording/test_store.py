"""Writing a run and reading it back: live, finished, from a read-only folder."""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import sqlite3
import threading
from pathlib import Path

import numpy as np
import pytest

from rnnscope.config import Config
from rnnscope.errors import UserError
from rnnscope.recording.events import LARGE, Status, StepRow, Validation
from rnnscope.recording.reader import Reader
from rnnscope.recording.writer import Writer
from rnnscope.registry import ASKED
from tests import fakes
from tests.recording.written import NOBODY, kinds, write_steps

ROW = StepRow(1, 4.1, 2e-3, 7.0, 5.0, 0.1, 0.5, 2500)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    config = Config(texts=("a", "b"))
    with Writer.create(tmp_path / "run", config, {"vocabulary": ["a", "\n", "가"]}) as writer:
        writer.set_meta(sha256="abc", sizes={"train": 10, "ratio": math.inf})
        writer.scalar(ROW)
        writer.event(1, Validation(2.0, 100, 0.1, True))
    with Reader(tmp_path / "run") as reader:
        assert reader.config == config
        assert reader.meta["vocabulary"] == ["a", "\n", "가"]
        assert reader.meta["sizes"] == {"train": 10, "ratio": math.inf}
        (recorded,) = reader.poll()
        assert (recorded.segment, recorded.step, recorded.event) == (1, 1, Validation(2.0, 100, 0.1, True))
        scalars = reader.scalars()
        assert (scalars.newest, len(scalars), scalars.reset) == (ROW, 1, False)
        assert not reader.live()


def test_numbers_of_numpy_are_numbers(tmp_path: Path) -> None:
    row = StepRow(np.int64(1), np.float32(0.5), np.float64(1e-3), 1.0, 1.0, 1.0, 1.0, np.int64(9))  # type: ignore[arg-type]
    with Writer.create(tmp_path / "run", Config()) as writer:
        writer.scalar(row)
    with Reader(tmp_path / "run") as reader:
        assert reader.newest_step() == row


def test_a_closed_run_is_one_file(tmp_path: Path) -> None:
    fakes.make_fake_run(tmp_path / "run", steps=120)
    files = {path.name for path in (tmp_path / "run").iterdir()}
    assert files == {"run.db", "lock", "commands.db"}
    (tmp_path / "copy").mkdir()
    shutil.copy(tmp_path / "run" / "run.db", tmp_path / "copy")
    with contextlib.closing(sqlite3.connect(tmp_path / "copy" / "run.db")) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    with Reader(tmp_path / "run") as original, Reader(tmp_path / "copy") as copy:
        assert kinds(original.poll()) == kinds(copy.poll())
        assert len(original.scalars()) == len(copy.scalars()) == 120


def test_a_live_run_is_read_as_it_grows(tmp_path: Path) -> None:
    writer = fakes.make_fake_run(tmp_path / "run", steps=10, live=True)
    with writer, Reader(tmp_path / "run") as reader:
        assert reader.live()
        assert reader.poll()
        assert len(reader.scalars()) == 10
        assert reader.poll() == []
        assert len(reader.scalars()) == 0
        writer.event(10, Status("paused"))
        writer.flush(force=True)
        assert kinds(reader.poll()) == ["Status"]
        write_steps(writer, range(11, 14))
        assert reader.scalars().step.tolist() == [11, 12, 13]
        newest = reader.scalars().newest
        assert newest is not None
        assert newest.step == 13


def test_of_large_events_only_the_newest_comes_and_of_small_ones_all(tmp_path: Path) -> None:
    writer = fakes.make_fake_run(tmp_path / "run", steps=300, live=True)
    with writer, Reader(tmp_path / "run") as reader:
        first, taken = reader.poll(limit=3), LARGE - set(ASKED)  # what nobody asked for is not there
        assert {one.event.kind: one.step for one in first if one.event.kind in LARGE} == dict.fromkeys(taken, 300)
        found = first
        while more := reader.poll(limit=3):
            assert len(more) <= 3
            found = found + more
        assert kinds(found).count("Cost") == 4
        assert kinds(found).count("Validation") == 3
        assert sum(one.event.kind in LARGE for one in found) == len(taken)
        small = [one.id for one in found if one.event.kind not in LARGE]
        assert small == sorted(small)


def test_reading_never_blocks_writing(tmp_path: Path) -> None:
    """Two readers poll as fast as they can; no write fails or is lost."""
    writer = Writer.create(tmp_path / "run", Config())
    done = threading.Event()
    seen: list[int] = []

    def read() -> None:
        with Reader(tmp_path / "run") as reader:
            count = 0
            while not done.is_set():
                count += len(reader.scalars())
                reader.poll()
            seen.append(count + len(reader.scalars()))

    threads = [threading.Thread(target=read) for _ in range(2)]
    for thread in threads:
        thread.start()
    for step in range(1, 301):
        writer.scalar(StepRow(step, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1))
        writer.flush(force=True)
    done.set()
    for thread in threads:
        thread.join()
    writer.close()
    assert seen == [300, 300]


def test_readers_let_go_when_the_run_ends(tmp_path: Path) -> None:
    writer = fakes.make_fake_run(tmp_path / "run", steps=5, live=True)
    stop = threading.Event()
    polling = threading.Event()

    def watch() -> None:
        with Reader(tmp_path / "run") as reader:
            while not stop.is_set():
                reader.poll()
                polling.set()
                stop.wait(0.1)

    thread = threading.Thread(target=watch)
    thread.start()
    assert polling.wait(5)
    writer.close()
    stop.set()
    thread.join()
    assert not (tmp_path / "run" / "run.db-wal").exists()


def test_a_viewer_that_does_not_let_go_costs_nothing_but_an_empty_log(tmp_path: Path) -> None:
    writer = fakes.make_fake_run(tmp_path / "run", steps=5, live=True)
    with Reader(tmp_path / "run") as stuck:
        stuck.poll()
        writer.close()
        assert (tmp_path / "run" / "run.db-wal").stat().st_size == 0
        (tmp_path / "copy").mkdir()
        shutil.copy(tmp_path / "run" / "run.db", tmp_path / "copy")
        with Reader(tmp_path / "copy") as copy:
            assert len(copy.scalars()) == 5
        assert len(stuck.scalars()) == 5


def test_a_finished_run_in_a_read_only_folder(shared_folder: Path, unprivileged: None) -> None:
    folder = shared_folder / "run"
    fakes.make_fake_run(folder, steps=20)
    folder.chmod(0o555)
    with Reader(folder) as reader:
        assert len(reader.scalars()) == 20
        assert kinds(reader.poll())[-1] == "Status"
    (folder / "lock").chmod(0o444)
    with pytest.raises(UserError, match="cannot write"):
        Writer.open(folder)


def test_a_live_run_of_somebody_else(shared_folder: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs two users")
    folder = shared_folder / "run"
    with fakes.make_fake_run(folder, steps=20, live=True) as writer:
        folder.chmod(0o755)
        os.seteuid(NOBODY)
        try:
            with Reader(folder) as reader:
                assert reader.live()
                assert len(reader.scalars()) == 20
                writer.event(20, Status("paused"))
                writer.flush(force=True)
                assert kinds(reader.poll())[-1] == "Status"
        finally:
            os.seteuid(0)

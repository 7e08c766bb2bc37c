"""Writing a run and reading it back: live, finished, from a read-only folder, resumed and rewound."""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import sqlite3
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from rnnscope.config import Config
from rnnscope.errors import UserError
from rnnscope.recording import columns, place, schema
from rnnscope.recording.events import LARGE, Status, StepRow, Validation
from rnnscope.recording.reader import Reader
from rnnscope.recording.records import Reset, Seen
from rnnscope.recording.writer import Writer
from tests import fakes

ROW = StepRow(1, 4.1, 2e-3, 7.0, 5.0, 0.1, 0.5, 2500)
NOBODY = 65534


def kinds(recorded: list[Seen]) -> list[str]:
    return [type(one.event).__name__ for one in recorded]


def write_steps(writer: Writer, steps: range, loss: float = 1.0) -> None:
    for step in steps:
        writer.scalar(StepRow(step, loss, 1e-3, 2.0, 1.0, step / 10, step * 0.5, step * 100))
    writer.flush(force=True)


@pytest.fixture
def unprivileged() -> Iterator[None]:
    """Run the test as somebody for whom permissions count (root may write anywhere)."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(NOBODY)
    yield
    if root:
        os.seteuid(0)


@pytest.fixture
def shared_folder() -> Iterator[Path]:
    """A folder that everyone can reach, unlike tmp_path."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o777)
    yield folder
    for path in [folder, *folder.rglob("*")]:
        if path.is_dir():
            path.chmod(0o777)
    shutil.rmtree(folder)


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


def test_scalars_that_are_no_numbers_survive(tmp_path: Path) -> None:
    values = [math.nan, math.inf, -math.inf, 0.0, 1e-320]
    with Writer.create(tmp_path / "run", Config()) as writer:
        for step, value in enumerate(values, start=1):
            writer.scalar(StepRow(step, value, value, value, value, value, value, step))
    with Reader(tmp_path / "run") as reader:
        read = reader.scalars()
    for column in (read.lr, read.grad_norm, read.grad_norm_clipped, read.epoch, read.seconds):
        np.testing.assert_array_equal(column, values)
    np.testing.assert_array_equal(read.loss, [math.nan, math.nan, math.nan, 0.0, 1e-320])
    assert read.bad.tolist() == [1, 1, 1, 0, 0]
    assert read.count.tolist() == [0, 0, 0, 1, 1]


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
        first = reader.poll(limit=3)
        assert {one.event.kind: one.step for one in first if one.event.kind in LARGE} == dict.fromkeys(LARGE, 300)
        found = first
        while more := reader.poll(limit=3):
            assert len(more) <= 3
            found = found + more
        assert kinds(found).count("Cost") == 4
        assert kinds(found).count("Validation") == 3
        assert sum(one.event.kind in LARGE for one in found) == len(LARGE)
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


# -- segments ----------------------------------------------------------------------------------------------------


def test_resume_goes_on_and_rewind_goes_back(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with Writer.create(folder, Config()) as writer:
        write_steps(writer, range(1, 101), loss=1.0)
        writer.event(100, Status("stopped"))
    with Writer.open(folder) as writer:
        assert writer.begin_segment(100) == 2
        write_steps(writer, range(101, 151), loss=2.0)
        writer.event(120, Validation(0.5, 1, 1, True))
        writer.event(150, Status("stopped"))
    with Writer.open(folder) as writer:
        assert writer.begin_segment(110) == 3  # rewound: steps 111 to 150 of segment 2 are off the lineage
        write_steps(writer, range(111, 116), loss=3.0)
    with Writer.open(folder) as writer:
        assert writer.begin_segment(50) == 4  # behind the start of its parents
        write_steps(writer, range(51, 54), loss=4.0)
    with Reader(folder) as reader:
        scalars = reader.scalars()
        assert scalars.step.tolist() == list(range(1, 54))
        assert scalars.loss.tolist() == [1.0] * 50 + [4.0] * 3
        assert reader.poll() == []
        assert [(row.step, row.loss) for row in reader.last_steps(1000, 5)] == [
            (49, 1.0), (50, 1.0), (51, 4.0), (52, 4.0), (53, 4.0),
        ]  # fmt: skip
        assert [row.step for row in reader.last_steps(51, 3)] == [49, 50, 51]
        assert [row.step for row in reader.last_steps(2, 200)] == [1, 2]
        assert reader.last_steps(0, 200) == []
    with contextlib.closing(sqlite3.connect(folder / "run.db")) as connection:
        assert connection.execute("SELECT count(*) FROM steps").fetchone() == (100 + 50 + 5 + 3,)  # nothing is deleted
        assert connection.execute("SELECT count(*) FROM events").fetchone() == (3,)


def test_the_lineage_in_the_middle(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with Writer.create(folder, Config()) as writer:
        write_steps(writer, range(1, 101), loss=1.0)
        writer.event(100, Status("stopped", "first"))
        writer.begin_segment(100)
        write_steps(writer, range(101, 151), loss=2.0)
        writer.event(150, Status("stopped", "second"))
        writer.begin_segment(110)
        write_steps(writer, range(111, 116), loss=3.0)
    with Reader(folder) as reader:
        scalars = reader.scalars()
        assert scalars.step.tolist() == list(range(1, 116))
        assert scalars.loss.tolist() == [1.0] * 100 + [2.0] * 10 + [3.0] * 5
        assert [one.event for one in reader.poll()] == [Status("stopped", "first")]


def test_a_reader_is_told_to_start_over(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    writer = fakes.make_fake_run(folder, steps=200, live=True)
    with writer, Reader(folder) as reader:
        reader.poll()
        assert len(reader.scalars()) == 200
        writer.set_meta(note="rewound")
        writer.begin_segment(120)
        fakes.add_fake_steps(writer, 120, 30)
        found = reader.poll()
        reset = found[0].event
        assert isinstance(reset, Reset)
        assert (reset.segment, reset.start_step, reset.meta["note"]) == (2, 120, "rewound")
        assert "Started" in kinds(found)
        assert {one.event.kind: one.step for one in found if one.event.kind in LARGE}["sample"] == 150
        assert max(one.step for one in found if one.segment == 1) <= 120
        scalars = reader.scalars()
        assert scalars.reset
        assert scalars.step.tolist() == list(range(1, 151))
        assert reader.poll() == []
        assert not reader.scalars().reset


def test_the_newest_of_a_kind_is_of_the_lineage(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with fakes.make_fake_run(folder, steps=200, live=True) as writer:
        writer.begin_segment(60)
        writer.event(60, Status("paused"))
    with Reader(folder) as reader:
        sample, status = reader.newest("sample"), reader.newest("status")
        assert sample is not None
        assert status is not None
        assert (sample.step, status.event) == (50, Status("paused"))
        assert reader.newest("diverged") is None


def test_very_many_steps_are_read_in_buckets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The buckets that SQL makes against numpy over the same steps, across a resume and a gap."""
    folder = tmp_path / "run"
    rng = np.random.default_rng(1)
    loss = rng.normal(2, 1, 1000)
    loss[[17, 500]], loss[501], loss[896:960] = math.nan, -math.inf, math.inf
    norm = rng.lognormal(0, 1, 1000)
    with Writer.create(folder, Config()) as writer:
        for step in range(1, 1000):
            if step == 700:
                writer.flush(force=True)
                writer.begin_segment(699)
            after = min(1.0, norm[step])
            writer.scalar(StepRow(step, loss[step], 1e-3, norm[step], after, step / 10, step / 2, step * 7))
    monkeypatch.setattr(columns, "MANY", 100)
    monkeypatch.setattr(columns, "BUCKETS", 20)
    with Reader(folder) as reader:
        got = reader.scalars()
        assert len(reader.scalars()) == 0
    width = 64
    pieces = []
    for start in range(0, 1000, width):
        inside = np.arange(max(1, start), min(1000, start + width))
        pieces += [part for part in (inside[inside <= 699], inside[inside > 699]) if len(part)]
    assert got.step.tolist() == [int(piece[-1]) for piece in pieces]
    for row, piece in enumerate(pieces):
        finite = loss[piece][np.isfinite(loss[piece])]
        assert got.count[row] == len(finite)
        assert got.bad[row] == len(piece) - len(finite)
        expected = [finite.mean(), finite.min(), finite.max()] if len(finite) else [math.nan] * 3
        np.testing.assert_allclose([got.loss[row], got.loss_low[row], got.loss_high[row]], expected, rtol=1e-12)
        np.testing.assert_allclose(got.grad_norm[row], norm[piece].mean(), rtol=1e-12)
        np.testing.assert_allclose(got.clipped[row], (norm[piece] > 1).mean(), rtol=1e-12)
        assert got.chars[row] == piece[-1] * 7
    assert got.newest is not None
    assert got.newest.step == 999


# -- bad input ---------------------------------------------------------------------------------------------------


def test_a_run_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    for name in ("run", "dangling"):
        with pytest.raises(UserError, match="exists already"):
            Writer.create(tmp_path / name, Config())
    assert list((tmp_path / "run").iterdir()) == []


def test_create_under_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match="not a folder"):
        Writer.create(tmp_path / "file" / "run", Config())


def test_create_in_a_read_only_folder(shared_folder: Path, unprivileged: None) -> None:
    (shared_folder / "closed").mkdir()
    (shared_folder / "closed").chmod(0o555)
    with pytest.raises(UserError, match="cannot be written"):
        Writer.create(shared_folder / "closed" / "deep" / "run", Config())
    assert list((shared_folder / "closed").iterdir()) == []


def test_a_run_that_may_not_be_read(shared_folder: Path, unprivileged: None) -> None:
    fakes.make_fake_run(shared_folder / "run", steps=1)
    (shared_folder / "run" / "run.db").chmod(0o000)
    with pytest.raises(UserError, match=r"cannot open .*Permission denied"):
        Reader(shared_folder / "run")
    (shared_folder / "run").chmod(0o000)
    with pytest.raises(UserError, match=r"cannot open .*Permission denied"):
        Reader(shared_folder / "run")
    with pytest.raises(UserError, match="cannot create"):
        Writer.create(shared_folder / "run" / "inner", Config())


def test_create_on_a_network_file_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(place, "mounts", lambda: [place.Mount("/", "ext4"), place.Mount(str(tmp_path), "nfs4")])
    with pytest.raises(UserError, match=r"network file system \(nfs4\): use --run on a local disk"):
        Writer.create(tmp_path / "a" / "run", Config())
    assert list(tmp_path.iterdir()) == []


def test_create_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot create"):
        Writer.create(tmp_path / "new" / ("n" * 300), Config())
    with pytest.raises(TypeError):
        Writer.create(tmp_path / "new" / "run", Config(), {"bad": object()})
    assert list(tmp_path.iterdir()) == []


def damaged(folder: Path, how: str) -> None:
    """Make a recording that something is wrong with."""
    fakes.make_fake_run(folder, steps=30)
    path = folder / "run.db"
    content = path.read_bytes()
    if how == "empty":
        path.write_bytes(b"")
    elif how == "cut in half":
        path.write_bytes(content[: len(content) // 2])
    elif how == "last page missing":
        path.write_bytes(content[:-4096])
    elif how == "no SQLite":
        path.write_bytes(b"\x00\x01 weights?" * 1000)
    elif how == "overwritten":
        path.write_bytes(content[:100] + b"\xa5" * (len(content) - 100))
    elif how == "another application":
        path.unlink()
        with contextlib.closing(sqlite3.connect(path)) as connection:
            connection.execute("CREATE TABLE bookmarks(url)")
    elif how == "newer":
        with contextlib.closing(sqlite3.connect(path)) as connection:
            connection.execute(f"PRAGMA user_version={schema.SCHEMA + 1}")
    elif how == "no tables":
        with contextlib.closing(sqlite3.connect(path)) as connection:
            connection.execute("DROP TABLE segments")
    elif how == "missing":
        path.unlink()


DAMAGE = {
    "empty": "damaged",
    "cut in half": "truncated",
    "last page missing": "truncated",
    "no SQLite": "damaged",
    "overwritten": "damaged",
    "another application": "not an rnnscope recording",
    "newer": "newer rnnscope .* update rnnscope",
    "no tables": "damaged|cannot open",
    "missing": "is not a run",
}


@pytest.mark.parametrize("how", DAMAGE)
def test_what_is_wrong_with_a_recording_is_one_line(tmp_path: Path, how: str) -> None:
    damaged(tmp_path / "run", how)
    before = sorted(path.name for path in (tmp_path / "run").iterdir())
    for opener in (Reader, Writer.open):
        with pytest.raises(UserError, match=DAMAGE[how]) as caught:
            opener(tmp_path / "run")
        assert "\n" not in str(caught.value)
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == before


def test_damage_found_late_is_one_line(tmp_path: Path) -> None:
    """Pages in the middle overwritten: the file opens, and what cannot be read is said."""
    fakes.make_fake_run(tmp_path / "run", steps=200)
    path = tmp_path / "run" / "run.db"
    content = bytearray(path.read_bytes())
    for page in range(8, len(content) // 4096):
        content[page * 4096 : (page + 1) * 4096] = b"\xa5" * 4096
    path.write_bytes(bytes(content))
    with Reader(tmp_path / "run") as reader, pytest.raises(UserError, match="cannot be read"):
        reader.poll()


def test_one_worker_at_a_time(tmp_path: Path) -> None:
    with (
        fakes.make_fake_run(tmp_path / "run", steps=1, live=True),
        pytest.raises(UserError, match=f"another worker .*pid {os.getpid()}"),
    ):
        Writer.open(tmp_path / "run")
    Writer.open(tmp_path / "run").close()


def test_closing_twice_is_closing_once(tmp_path: Path) -> None:
    writer = Writer.create(tmp_path / "run", Config())
    writer.close()
    writer.close()
    Writer.open(tmp_path / "run").close()

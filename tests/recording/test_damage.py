"""What is wrong with a run or its place is one clear line, and nothing is overwritten."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path

import pytest

from rnnscope.config import Config
from rnnscope.errors import UserError
from rnnscope.recording import place, schema
from rnnscope.recording.lock import live
from rnnscope.recording.reader import Reader
from rnnscope.recording.writer import Writer
from tests import fakes


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
    assert not live(tmp_path / "run")
    with Reader(tmp_path / "run") as reader:
        assert reader.config == Config()

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rnnscope.config import TextConfig
from rnnscope.corpus import list_texts, load
from rnnscope.corpus.cache import cache_folder, new_entry, write_text
from rnnscope.errors import UserError


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RNNSCOPE_CACHE", "/own")
    monkeypatch.setenv("XDG_CACHE_HOME", "/shared")
    monkeypatch.setenv("HOME", "/home/me")
    assert cache_folder("texts") == Path("/own/texts")
    monkeypatch.setenv("RNNSCOPE_CACHE", "~/mine")
    assert cache_folder() == Path("/home/me/mine")
    monkeypatch.delenv("RNNSCOPE_CACHE")
    assert cache_folder("texts") == Path("/shared/rnnscope/texts")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache_folder() == Path("/home/me/.cache/rnnscope")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder("texts") == Path("/home/me/.cache/rnnscope/texts")


def test_an_entry_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "room" / "entry"
    with new_entry(target) as fresh:
        (fresh / "a").write_text("1")
        assert not target.exists()
    assert (target / "a").read_text() == "1"
    with pytest.raises(KeyError), new_entry(tmp_path / "room" / "other") as fresh:
        (fresh / {}["nothing"]).write_text("1")
    assert [entry.name for entry in (tmp_path / "room").iterdir()] == ["entry"]


def test_the_quicker_process_wins(tmp_path: Path) -> None:
    target = tmp_path / "entry"
    with new_entry(target) as slow:
        (slow / "a").write_text("slow")
        with new_entry(target) as quick:
            (quick / "a").write_text("quick")
    assert (target / "a").read_text() == "quick"
    assert list(tmp_path.iterdir()) == [target]


def test_a_text_is_written_under_another_name_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_text(tmp_path / "a.txt", "é\r\n")
    assert (tmp_path / "a.txt").read_bytes() == "é\r\n".encode()

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(UserError, match=r"\(No space left on device\): set RNNSCOPE_CACHE"):
        write_text(tmp_path / "a.txt", "new")
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.txt"]
    assert (tmp_path / "a.txt").read_bytes() == "é\r\n".encode()


def test_a_closed_cache_folder_only_costs_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As for a user whose cache folder belongs to somebody else: made again each time, and no traceback."""
    closed = tmp_path / "closed"
    monkeypatch.setenv("RNNSCOPE_CACHE", str(closed / "inside"))
    closed.mkdir(mode=0)
    user = os.geteuid()
    if user == 0:
        os.chmod(tmp_path.parent.parent, 0o755)
        os.chmod(tmp_path.parent, 0o755)
        os.chmod(tmp_path, 0o755)
        os.seteuid(65534)
    try:
        corpus = load(("play",), TextConfig(length=20_000))
        assert [entry.cached for entry in list_texts() if entry.kind == "download"] == [False] * 3
    finally:
        os.seteuid(user)
        closed.chmod(0o755)
    assert len(corpus.train) == 18_000

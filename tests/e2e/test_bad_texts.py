"""Texts that cannot be learned from are told in one line that says what to do; exit code 2, nothing written."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.refusals import VERSE, Refuse


def test_no_such_file(here: Path, refuse: Refuse, way: str) -> None:
    (here / "hamlet.txt").write_text(VERSE)
    message = refuse("train", "hamlett.txt")
    assert "hamlett.txt" in message
    assert "did you mean" in message
    assert "play" in message  # the built-in texts are named
    (here / "short.txt").write_text(VERSE)
    assert "did you mean" not in refuse("train", "nosuch.txt")


def test_a_folder_with_no_text(here: Path, refuse: Refuse, way: str) -> None:
    (here / "notes").mkdir()
    assert "*.txt" in refuse("train", "notes")
    (here / "notes" / "a.md").write_text(VERSE)
    assert "--glob '*.md'" in refuse("train", "notes")


def test_an_empty_file(here: Path, refuse: Refuse, way: str) -> None:
    (here / "empty.txt").touch()
    assert "empty" in refuse("train", "empty.txt")


def test_an_empty_name(refuse: Refuse, way: str) -> None:
    assert "name" in refuse("train", "")


@pytest.mark.parametrize(
    ("links", "said"),
    [
        ({"a.txt": "a.txt"}, "leads back to itself"),
        ({"a.txt": "b.txt", "b.txt": "a.txt"}, "leads back to itself"),
        ({"a.txt": "gone.txt"}, "a link to gone.txt, which is not there"),
    ],
    ids=["loop", "loop of two", "dangling"],
)
def test_a_link_that_leads_to_no_file(here: Path, refuse: Refuse, way: str, links: dict[str, str], said: str) -> None:
    for name, target in links.items():
        (here / name).symlink_to(target)
    message = refuse("train", "a.txt")
    assert said in message
    assert "did you mean" not in message


def test_shorter_than_one_window(here: Path, refuse: Refuse, way: str) -> None:
    (here / "short.txt").write_text(VERSE[:400])
    message = refuse("train", "short.txt")
    assert "too short" in message
    assert "--batch" in message
    assert "too short" in refuse("train", "play", "--first", "900")
    assert "too short" in refuse("train", "play", "--length", "20000", "--bptt", "100000")


def test_one_distinct_character(here: Path, refuse: Refuse, way: str) -> None:
    (here / "a.txt").write_text("a" * 50_000)
    assert "one distinct character" in refuse("train", "a.txt")


def test_not_utf8_without_bytes(here: Path, refuse: Refuse, way: str) -> None:
    (here / "latin.txt").write_bytes("café et thé, ".encode("latin-1") * 500)
    message = refuse("train", "latin.txt")
    assert "not UTF-8" in message
    assert "--bytes" in message


def test_unreadable(open_folder: Path, refuse: Refuse, way: str) -> None:
    text = open_folder / "secret.txt"
    text.write_text(VERSE)
    text.chmod(0)
    open_folder.chmod(0o777)  # so that only the text stands in the way
    message = refuse("train", text, "--run", open_folder / "run", nobody=True)
    assert not (open_folder / "run").exists()
    assert "cannot read" in message
    assert "Permission denied" in message

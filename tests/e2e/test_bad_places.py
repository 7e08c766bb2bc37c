"""Places where a run cannot be kept: one line that says where it can; exit code 2, nothing written."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from rnnscope.cli import main
from rnnscope.recording.place import Mount
from tests.e2e.conftest import SMALL
from tests.e2e.refusals import VERSE, Refuse, as_nobody


@pytest.mark.parametrize("kind", ["folder", "file", "dangling link", "run"])
def test_a_run_folder_that_exists(here: Path, refuse: Refuse, way: str, kind: str, trained: Path) -> None:
    taken = here / "taken"
    if kind == "folder":
        taken.mkdir()
    elif kind == "file":
        taken.write_text("mine")
    elif kind == "run":
        shutil.copytree(trained, taken)
    else:
        taken.symlink_to(here / "nowhere")
    message = refuse("train", "play", *SMALL, "--run", "taken")
    assert "exists already" in message
    assert "--run" in message


def test_training_twice_to_the_same_folder(here: Path, refuse: Refuse) -> None:
    arguments = ["train", "play", *SMALL, "--steps", "2", "--run", "once"]
    assert main(arguments) == 0
    assert "never overwritten" in refuse(*arguments)


def test_a_run_folder_below_a_file(here: Path, refuse: Refuse, way: str) -> None:
    (here / "file").touch()
    assert "not a folder" in refuse("train", "play", *SMALL, "--run", "file/run")


def test_a_read_only_folder(
    open_folder: Path, refuse: Refuse, way: str, monkeypatch: pytest.MonkeyPatch, trained: Path
) -> None:
    (open_folder / "hamlet.txt").write_text(VERSE)
    open_folder.chmod(0o555)
    monkeypatch.chdir(open_folder)
    message = refuse("train", "hamlet.txt", "--batch", "4", "--run", open_folder / "run", nobody=True)
    assert "cannot be written" in message
    assert "--run" in message
    assert "cannot be written" in refuse("train", "hamlet.txt", "--batch", "4", nobody=True)  # to checkpoints/ here
    assert sorted(path.name for path in open_folder.iterdir()) == ["hamlet.txt"]


def test_a_run_in_a_read_only_folder_is_read_but_not_resumed(
    open_folder: Path,
    refuse: Refuse,
    trained: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RNNSCOPE_CACHE", str(open_folder / "cache"))  # the one of all tests is closed to nobody
    run = open_folder / "run"
    shutil.copytree(trained, run)
    for path in run.iterdir():
        path.chmod(0o444)
    run.chmod(0o555)
    with as_nobody():
        assert main(["sample", str(run), "--length", "5"]) == 0
        assert main(["runs", "--root", str(open_folder)]) == 0
    assert "finished" in capsys.readouterr().out
    assert "cannot write" in refuse("train", "--resume", run, "--steps", "9", nobody=True)
    run.chmod(0o755)


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "fuse.sshfs"])
def test_a_network_file_system(
    here: Path, refuse: Refuse, way: str, monkeypatch: pytest.MonkeyPatch, trained: Path, kind: str
) -> None:
    monkeypatch.setattr("rnnscope.recording.place.mounts", lambda: [Mount("/", "ext4"), Mount(str(here), kind)])
    message = refuse("train", "play", *SMALL, "--run", here / "run")
    assert kind in message
    assert "use --run on a local disk" in message
    shutil.copytree(trained, here / "copied")
    assert "local disk" in refuse("train", "--resume", here / "copied", "--steps", "9")

"""Runs that cannot be watched, resumed or sampled: one line that says why; exit code 2, nothing written."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sqlite3
from pathlib import Path

import pytest
import safetensors.numpy

from rnnscope.cli import main
from rnnscope.config import TrainingConfig, to_dict
from rnnscope.recording.lock import Lock
from rnnscope.recording.reader import Reader
from rnnscope.recording.writer import Writer
from tests.e2e.conftest import SMALL
from tests.e2e.refusals import VERSE, Refuse

USES = [["watch", "run"], ["train", "--resume", "run"], ["sample", "run"]]


@pytest.mark.parametrize("use", USES, ids=lambda use: use[0])
def test_no_such_run(here: Path, refuse: Refuse, use: list[str]) -> None:
    assert "'run'" in refuse(*use)
    (here / "run").mkdir()
    assert "not a run" in refuse(*use)


@pytest.mark.parametrize("use", USES, ids=lambda use: use[0])
def test_a_run_that_one_may_not_look_at(
    open_folder: Path, refuse: Refuse, use: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(open_folder)
    (open_folder / "run").mkdir(mode=0o700)
    (open_folder / "run" / "run.db").touch()
    (open_folder / "run").chmod(0)
    assert "cannot look into" in refuse(*use, nobody=True)
    assert "cannot look into" in refuse("runs", "--root", "run", nobody=True)
    (open_folder / "run").chmod(0o700)
    assert "cannot look into" in refuse(*use[:-1], "a" * 5000)


@pytest.mark.parametrize("use", [*USES, ["stop", "run"]], ids=lambda use: use[0])
def test_a_run_of_a_newer_schema(run: Path, refuse: Refuse, use: list[str]) -> None:
    with contextlib.closing(sqlite3.connect(run / "run.db")) as connection:
        connection.execute("PRAGMA user_version=99")
    message = refuse(*use)
    if use[0] != "stop":  # nobody trains it: nothing to stop, whatever it is
        assert "newer rnnscope" in message
        assert "update rnnscope" in message


def damage(path: Path, how: str) -> None:
    """Spoil a file."""
    content = path.read_bytes()
    spoilt = {
        "empty": b"",
        "cut": content[: len(content) // 2],
        "no header": b"\0" * 100 + content[100:],
        "noise": content[:4096] + os.urandom(len(content) - 4096),
        "another file": b"To be, or not to be\n" * 1000,
    }
    path.write_bytes(spoilt[how])


@pytest.mark.parametrize("how", ["empty", "cut", "no header", "noise", "another file"])
@pytest.mark.parametrize("use", USES, ids=lambda use: use[0])
def test_a_damaged_recording(run: Path, refuse: Refuse, use: list[str], how: str) -> None:
    damage(run / "run.db", how)
    message = refuse(*use)
    assert "run.db" in message
    assert re.search("damaged|truncated|no recording|cannot be read", message)


@pytest.mark.parametrize("use", USES, ids=lambda use: use[0])
def test_a_recorded_configuration_that_does_not_fit(run: Path, refuse: Refuse, use: list[str]) -> None:
    with contextlib.closing(sqlite3.connect(run / "run.db")) as connection:
        (config,) = connection.execute("SELECT value FROM meta WHERE key = 'config'").fetchone()
        spoilt = re.sub('"hidden": ?16', '"hidden": "x"', config)
        connection.execute("UPDATE meta SET value = ? WHERE key = 'config'", (spoilt,))
        connection.commit()
    message = refuse(*use)
    assert "hidden = 'x' does not fit" in message
    assert "damaged" in message


def test_a_damaged_recording_does_not_hide_the_others(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(run, run.with_name("spoilt"))
    damage(run.with_name("spoilt") / "run.db", "cut")
    assert main(["runs", "--root", str(run.parent)]) == 0
    out = capsys.readouterr().out
    assert "unreadable" in out
    assert "finished" in out


@pytest.mark.parametrize("how", ["empty", "cut", "no header", "another file"])
@pytest.mark.parametrize(
    "use", [["train", "--resume", "run", "--steps", "9"], ["sample", "run"]], ids=lambda use: use[0]
)
def test_damaged_weights(run: Path, refuse: Refuse, use: list[str], how: str) -> None:
    damage(run / "step-6.safetensors", how)
    message = refuse(*use)
    assert "step-6.safetensors" in message
    assert "corrupt or truncated" in message
    (run / "step-6.safetensors").unlink()  # as the message says: the one before it is used
    assert main([*use, "--length", "5"] if use[0] == "sample" else use) == 0


def test_damaged_best_weights(run: Path, refuse: Refuse) -> None:
    damage(run / "best.safetensors", "cut")
    assert "best.safetensors" in refuse("sample", "run", "--best")


@pytest.mark.parametrize("how", ["cut", "another file"])
def test_a_damaged_training_state(run: Path, refuse: Refuse, way: str, how: str) -> None:
    damage(run / "step-6.state.safetensors", how)
    assert "step-6.state.safetensors" in refuse("train", "--resume", "run", "--steps", "9")


@pytest.mark.parametrize(
    "use", [["train", "--resume", "run", "--steps", "9"], ["sample", "run"]], ids=lambda use: use[0]
)
def test_weights_that_do_not_fit(run: Path, refuse: Refuse, use: list[str]) -> None:
    weights = run / "step-6.safetensors"
    tensors = safetensors.numpy.load_file(weights)
    tensors["decoder.weight"] = tensors["decoder.weight"][:, :-1].copy()
    weights.write_bytes(safetensors.numpy.save(tensors))
    message = refuse(*use)
    assert "does not fit the configuration" in message
    assert "decoder.weight" in message


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ("--hidden 32", "--hidden"),
        ("--cell gru --layers 3", "--cell, --layers"),
        ("--batch 8", "--batch"),
        ("--bptt 20", "--bptt"),
        ("--optimizer sgd", "--optimizer"),
        ("--seed 2", "--seed"),
        ("--first 10000", "--first"),
        ("--kernel fused", "--kernel"),
    ],
)
def test_resume_with_another_model_or_text(run: Path, refuse: Refuse, options: str, named: str) -> None:
    message = refuse("train", "--resume", "run", "--steps", "9", *options.split())
    assert f"{named} cannot change" in message
    assert "new run" in message


def test_resume_with_another_text(here: Path, refuse: Refuse, way: str) -> None:
    (here / "hamlet.txt").write_text(VERSE)
    settings = [*SMALL[2:], "--run", "run"]
    if way == "headless":
        assert main(["train", "hamlet.txt", *settings, "--steps", "2"]) == 0
    else:
        assert main(["train", "hamlet.txt", *settings, "--steps", "0"]) == 0
    assert "the texts cannot change" in refuse("train", "play", "--resume", "run", "--steps", "4")
    (here / "hamlet.txt").write_text(VERSE.replace("question", "answer"))
    assert "not the text this run was trained on" in refuse("train", "--resume", "run", "--steps", "4")
    (here / "hamlet.txt").unlink()
    assert "no such file" in refuse("train", "--resume", "run", "--steps", "4")


def test_a_run_that_another_worker_holds(run: Path, refuse: Refuse, way: str) -> None:
    held = Lock.acquire(run)
    try:
        assert "being trained" in refuse("train", "--resume", "run", "--steps", "9")
    finally:
        held.release()


def test_stopping_what_does_not_run(run: Path, refuse: Refuse) -> None:
    assert "nothing to stop" in refuse("stop", "run")


def test_watching_without_a_terminal(run: Path, refuse: Refuse) -> None:
    assert "terminal" in refuse("watch", "run")


def test_a_run_without_weights(here: Path, refuse: Refuse, run: Path) -> None:
    with Reader(run) as reader:
        config = reader.config
    Writer.create(here / "new", config).close()
    assert "train it first" in refuse("sample", "new")


def test_the_flags_of_a_run_are_all_saved(run: Path) -> None:
    """What a refusal compares with: the configuration in the recording is the one that was asked for."""
    with Reader(run) as reader:
        saved = to_dict(reader.config)
    assert (saved["model"]["hidden"], saved["training"]["batch"], saved["training"]["bptt"]) == (16, 4, 12)
    assert saved["training"]["lr"] == TrainingConfig.lr

"""Forks that go on training are named when one leaves, with the way to end them."""

from __future__ import annotations

import dataclasses
import json
import time
from pathlib import Path

import pytest

from rnnscope.recording import commands as c
from rnnscope.recording.events import Intervention, Status
from rnnscope.recording.records import Recorded
from rnnscope.recording.writer import Writer
from rnnscope.tui import app as app_module
from rnnscope.tui.app import ScopeApp
from rnnscope.tui.forks import PATIENCE, Forks, farewell
from rnnscope.tui.screens.quit import QuitScreen
from tests.fakes import make_fake_run
from tests.tui.screen import drawn, opened, until


def forked(name: str, *, ago: float = 1000.0, done: bool = True) -> Recorded[Intervention]:
    arguments = json.dumps(dataclasses.asdict(c.Fork(name, "lr", "0.01")))
    return Recorded(1, 1, 40, time.time() - ago, Intervention("fork", arguments, done))


def test_only_those_that_train_are_found_and_a_rewind_hides_none(tmp_path: Path) -> None:
    training, ended = (make_fake_run(tmp_path / name, steps=2, live=True) for name in ("training", "ended"))
    ended.close()
    forks = Forks(tmp_path / "run")
    assert forks.poll(()) == ()
    made = (forked("training"), forked("ended"), forked("refused", done=False, ago=0), forked("never"))
    assert forks.poll(made) == (tmp_path / "training",)
    assert forks.poll(()) == (tmp_path / "training",)  # the run was rewound to before the fork
    training.close()
    assert forks.poll(()) == ()


def test_one_just_made_counts_until_its_worker_had_time_to_begin(tmp_path: Path) -> None:
    assert Forks(tmp_path / "run").poll((forked("new", ago=1),)) == (tmp_path / "new",)
    assert Forks(tmp_path / "run").poll((forked("new", ago=PATIENCE + 1),)) == ()


def test_the_lines_hold_no_control_codes() -> None:
    (line,) = farewell((Path("runs/a\x1b[2J"),))
    assert line == ("a fork trains on; rnnscope watch runs/a␛[2J to see it, rnnscope stop runs/a␛[2J to end it")


async def test_the_question_names_the_fork_whatever_the_answer(training: Writer) -> None:
    fork = make_fake_run(training.folder.with_name("run-fork-1"), steps=2, live=True)
    training.event(300, forked("run-fork-1").event)
    training.flush(force=True)
    async with opened(training.folder) as pilot:
        app = pilot.app
        assert isinstance(app, ScopeApp)
        await until(pilot, lambda: app.forks == (fork.folder,))
        await pilot.press("q")
        await until(pilot, lambda: isinstance(app.screen, QuitScreen))
        words = " ".join(drawn(pilot).replace("│", " ").replace("┃", " ").split())
        assert "a fork trains on; rnnscope watch" in words
        assert "run-fork-1" in words
    training.close()
    fork.close()


async def test_after_leaving_a_run_that_has_ended_its_fork_is_still_named(
    training: Writer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fork = make_fake_run(training.folder.with_name("run-fork-1"), steps=2, live=True)
    training.event(300, forked("run-fork-1").event)
    training.event(300, Status("finished", "300 steps"))
    training.close()
    async with opened(training.folder) as pilot:
        left = pilot.app
        assert isinstance(left, ScopeApp)
        await until(pilot, lambda: left.forks == (fork.folder,))
        await pilot.press("q")
        await until(pilot, lambda: not left.is_running)
    monkeypatch.setattr(app_module, "ScopeApp", lambda *arguments, **options: left)
    monkeypatch.setattr(left, "run", lambda: 0)
    assert app_module.run(training.folder) == 0
    assert capsys.readouterr().err == (
        f"a fork trains on; rnnscope watch {fork.folder} to see it, rnnscope stop {fork.folder} to end it\n"
    )
    fork.close()

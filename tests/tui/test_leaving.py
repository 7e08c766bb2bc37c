"""Every way of leaving, and what becomes of the run."""

from __future__ import annotations

from pathlib import Path

import pytest

from rnnscope.recording import commands as c
from rnnscope.recording.events import Status
from rnnscope.recording.writer import Writer
from rnnscope.tui.app import ScopeApp
from rnnscope.tui.screens.quit import QuitScreen
from tests.tui.screen import drawn, opened, until


async def test_a_finished_run_is_left_at_once(finished: Path) -> None:
    async with opened(finished) as pilot:
        await pilot.press("q")
        await until(pilot, lambda: not pilot.app.is_running)
        assert pilot.app.return_value == 0


async def test_every_way_of_leaving_asks_while_training(training: Writer) -> None:
    async with opened(training.folder) as pilot:
        for key in ("q", "ctrl+q", "ctrl+c"):
            await pilot.press(key)
            await until(pilot, lambda: isinstance(pilot.app.screen, QuitScreen))
            text = drawn(pilot)
            assert "This run is still training" in text
            assert "rnnscope watch" in text
            await pilot.press("escape")
            await until(pilot, lambda: not isinstance(pilot.app.screen, QuitScreen))
            assert pilot.app.is_running
    training.close()


@pytest.mark.parametrize("keys", [["b"], ["enter"], ["ctrl+c"]])
async def test_leaving_it_in_the_background(training: Writer, keys: list[str]) -> None:
    async with opened(training.folder) as pilot:
        await pilot.press("q", *keys)
        await until(pilot, lambda: not pilot.app.is_running)
        assert isinstance(pilot.app, ScopeApp)
        assert pilot.app.left_running
        assert training.commands() == []
    training.close()


async def test_stopping_waits_for_the_worker(training: Writer) -> None:
    async with opened(training.folder) as pilot:
        await pilot.press("q", "s")
        taken: list[tuple[int, c.Command]] = []
        await until(pilot, lambda: taken.extend(training.commands()) or taken)
        assert [command for _, command in taken] == [c.Stop()]
        assert pilot.app.is_running
        training.event(300, Status("stopped", "stopped at step 300"))
        training.close()
        await until(pilot, lambda: not pilot.app.is_running)
        assert pilot.app.return_value == 0
        assert isinstance(pilot.app, ScopeApp)
        assert not pilot.app.left_running

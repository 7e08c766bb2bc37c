"""A key of another screen says so, whichever it is; a key of no screen says nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from rnnscope.recording.writer import Writer
from rnnscope.tui.actions import in_groups
from rnnscope.tui.app import ScopeApp
from rnnscope.tui.elsewhere import belongs
from rnnscope.tui.screens.table import SCREENS
from tests.tui.screen import drawn, opened, until


async def test_the_labs_keys_on_the_live_screen(finished: Path) -> None:
    said = {
        "F": "F does nothing here: fork, on 2 gradients",
        "E": "E does nothing here: rewind, lower rate, on 2 gradients",
        "C": "C does nothing here: rewind, clipping, on 2 gradients",
        "A": "A does nothing here: rewind, as it was, on 2 gradients",
        "left_square_bracket": "[ does nothing here: threshold down, on 2 gradients",
    }
    async with opened(finished) as pilot:
        for key, words in said.items():
            await pilot.press(key)
            await until(pilot, lambda words=words: words in drawn(pilot))


async def test_every_key_of_a_screen_says_so_on_every_other(training: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rnnscope.tui.screens.base.REMARK_SECONDS", 600.0)
    async with opened(training.folder) as pilot:
        app = pilot.app
        assert isinstance(app, ScopeApp)
        for entry in SCREENS:
            await pilot.press(entry.key)
            await until(pilot, lambda entry=entry: app.screen is app.screens[entry.name])
            bound = set(app.screen.active_bindings)
            for other in app.screens.values():
                foreign = [action for action in in_groups(other.groups) if not bound.intersection(action.keys)]
                assert foreign or other is app.current
                for action in foreign[:2]:
                    app.session.remark = ""
                    await pilot.press(action.keys[0])
                    assert app.session.remark.startswith(f"{action.shown} does nothing here: ")
                    assert f"{action.label}, on " in app.session.remark
    training.close()


async def test_a_remark_ends_by_itself_and_not_with_that_of_another_screen(
    training: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rnnscope.tui.screens.base.REMARK_SECONDS", 0.1)
    async with opened(training.folder) as pilot:
        app = pilot.app
        assert isinstance(app, ScopeApp)
        app.session.remark = "another"
        app.current._forget_remark("one")  # its time is over
        assert app.session.remark == "another"
        app.current.remark("two")
        await until(pilot, lambda: app.session.remark == "")
    training.close()


async def test_other_keys_and_dialogs_say_nothing(training: Writer) -> None:
    async with opened(training.folder) as pilot:
        app = pilot.app
        assert isinstance(app, ScopeApp)
        await pilot.press("f9", "c")  # a key of none; one of this screen
        assert app.session.remark == ""
        await pilot.press("q", "F")  # the question is there
        assert app.session.remark == ""
    training.close()


def test_a_key_of_several_screens_names_them_all() -> None:
    screens = {("1", "one"): ("through",), ("2", "two"): ("gradient",), ("3", "three"): ("display",)}
    assert belongs("r", screens) == "r does nothing here: reach or total, on 1 one and 2 two"  # type: ignore[arg-type]
    assert belongs("e", screens) == "e does nothing here: part, on 1 one"  # type: ignore[arg-type]
    assert belongs("f9", screens) == ""  # type: ignore[arg-type]

"""Help, command palette, and the mouse."""

from __future__ import annotations

import re
from pathlib import Path

from textual.events import MouseScrollDown

from rnnscope.tui.actions import in_groups
from rnnscope.tui.screens.help import help_text
from tests.tui.screen import drawn, live, opened, panel_text, until


async def test_help_explains_the_whole_screen_first(finished: Path) -> None:
    async with opened(finished, (120, 60)) as pilot:
        await pilot.press("tab", "tab", "question_mark")  # whatever has the focus
        await until(pilot, lambda: "This screen" in drawn(pilot))
        shown = drawn(pilot)  # without scrolling
        places = [
            shown.find(words) for words in ("This screen", "Loss", "Gradient through time", "Activations", "Teacher")
        ]
        assert -1 not in places
        assert places == sorted(places)
        for formula in (
            "−(1/N) Σ ln p",
            "‖∂L_T/∂h_t‖",
            "h_t = f(x_t, h_(t−1))",
            "nll_t = −ln p(x_t)",
            "‖h_t − h′_t‖ / ‖h_t‖",
        ):
            assert formula in shown
        await pilot.press("escape")
        await until(pilot, lambda: "This screen" not in drawn(pilot))


async def test_help_begins_with_the_panel_that_fills_the_screen(finished: Path) -> None:
    async with opened(finished) as pilot:
        await pilot.press("g", "question_mark")
        await until(pilot, lambda: "vanishing gradient" in drawn(pilot))
        assert "Fill the screen with this panel" in drawn(pilot)
        assert "This screen" in drawn(pilot)


async def test_every_panel_is_explained_in_three_sentences_and_every_action_once(finished: Path) -> None:
    async with opened(finished) as pilot:
        for widget in live(pilot).panels.values():
            assert len(re.split(r"\.\s(?=[A-Z])", widget.summary)) == 3, widget.summary
            assert widget.chips
            assert widget.details
        for large in ("", "gradient"):
            live(pilot).large = large
            text = help_text(live(pilot)).plain
            actions = in_groups(live(pilot).groups)
            assert [text.count(f"  {action.shown:<7}{action.help}\n") for action in actions] == [1] * len(actions)


async def test_every_action_is_in_the_palette(finished: Path) -> None:
    async with opened(finished) as pilot:
        app = pilot.app
        titles = {command.title for command in app.get_system_commands(app.screen)}
        shown = {action.shown for action in in_groups(live(pilot).groups)}
        titles -= {title for title in titles if title.startswith("Screen: ")}
        assert shown - {"^p"} == {title.rsplit("(", 1)[1][:-1] for title in titles}
        (layer,) = [command for command in app.get_system_commands(app.screen) if "next layer" in command.title]
        await layer.callback()
        assert "layer 1/2" in panel_text(pilot, "activations")


async def test_keys_of_the_last_line_are_buttons(finished: Path) -> None:
    async with opened(finished) as pilot:
        line = drawn(pilot).split("\n")[-1]
        await pilot.click("#keys", offset=(line.index("L axis") + 3, 0))
        await until(pilot, lambda: "log" in panel_text(pilot, "loss"))
        await pilot.click("#keys", offset=(line.index("? help"), 0))
        await until(pilot, lambda: "This screen" in drawn(pilot))


async def test_wheel_walks_through_units(finished: Path) -> None:
    async with opened(finished) as pilot:
        await pilot.press("y")
        before = live(pilot).view
        await pilot._post_mouse_events([MouseScrollDown], widget="#activations", offset=(5, 5))
        await until(pilot, lambda: live(pilot).view.unit != before.unit)

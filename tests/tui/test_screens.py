"""A second screen: one class, one line in the table; key, footer, palette and help follow."""

from __future__ import annotations

from pathlib import Path

from rnnscope.charts.spans import Span
from rnnscope.recording.writer import Writer
from rnnscope.tui.app import ScopeApp
from rnnscope.tui.screens.base import RunScreen
from rnnscope.tui.screens.table import SCREENS, Entry
from rnnscope.tui.session import Session
from rnnscope.tui.widgets.panel import Painted, Panel
from tests.fakes import add_fake_steps
from tests.tui.screen import drawn, opened, panel, until


class StepPanel(Panel):
    """Shows the newest step."""

    heading = "odometer"
    chips = ((("d",), "theme"),)
    summary = "It counts."

    def paint(self, width: int, height: int) -> Painted:
        return Painted([(Span(f"at {self.inputs[0]}"),)], self.title())


class OtherScreen(RunScreen):
    """A screen with one panel."""

    about = "Only a number."

    def __init__(self, session: Session, name: str) -> None:
        super().__init__(session, name, (StepPanel(id="odometer"),))

    def inputs(self, name: str) -> tuple[object, ...]:
        return (self.session.shown.progress.step if self.session.shown else 0,)


TWO = (SCREENS[0], Entry("2", "other", OtherScreen))


async def test_the_screens_there_are_have_distinct_keys_and_names() -> None:
    assert len({entry.key for entry in SCREENS}) == len({entry.name for entry in SCREENS}) == len(SCREENS)
    assert SCREENS[0].name == "live"


async def test_a_single_screen_takes_no_room_in_the_last_line(finished: Path) -> None:
    async with opened(finished, screens=SCREENS[:1]) as pilot:
        assert "1 live" not in drawn(pilot)


async def test_its_key_shows_it_and_the_last_line_lists_it(training: Writer) -> None:
    async with opened(training.folder, screens=TWO) as pilot:
        assert drawn(pilot).split("\n")[-1].startswith(" 1 live  2 other  │ space pause")
        await pilot.press("2")
        await until(pilot, lambda: "odometer" in drawn(pilot))
        assert "at 300" in drawn(pilot)
        assert "● training" in drawn(pilot)
        line = drawn(pilot).split("\n")[-1]
        assert line.startswith(" 1 live  2 other  │ space pause")
        assert "d theme" in line
        assert "zoom" not in line  # a key of the other screen
        await pilot.click("#keys", offset=(2, 0))
        await until(pilot, lambda: "┏━ loss" in drawn(pilot))
    training.close()


async def test_only_the_screen_shown_is_drawn_and_it_comes_back_up_to_date(training: Writer) -> None:
    async with opened(training.folder, screens=TWO) as pilot:
        await until(pilot, lambda: panel(pilot, "loss").paints)
        await pilot.press("2")
        await until(pilot, lambda: "at 300" in drawn(pilot))
        paints = panel(pilot, "loss").paints
        add_fake_steps(training, 300, 20)
        await until(pilot, lambda: "at 320" in drawn(pilot))
        assert panel(pilot, "loss").paints == paints
        await pilot.press("1")
        await until(pilot, lambda: panel(pilot, "loss").paints > paints and "step 320" in drawn(pilot))
    training.close()


async def test_commands_and_freezing_are_the_same_on_every_screen(training: Writer) -> None:
    async with opened(training.folder, screens=TWO) as pilot:
        await pilot.press("z", "space", "2")
        await until(pilot, lambda: "odometer" in drawn(pilot))
        assert "frozen at step 300" in drawn(pilot)
        assert "→ pause …" in drawn(pilot)
        taken: list[object] = []
        await until(pilot, lambda: taken.extend(training.commands()) or taken)
        training.answer(taken[0][0], 300, True, "")  # type: ignore[index]
        await until(pilot, lambda: "→" not in drawn(pilot).split("\n")[0])
    training.close()


async def test_help_theme_palette_and_quit_are_of_the_screen_shown(finished: Path) -> None:
    async with opened(finished, screens=TWO) as pilot:
        app = pilot.app
        assert isinstance(app, ScopeApp)
        await pilot.press("2", "question_mark")
        await until(pilot, lambda: "Only a number." in drawn(pilot))
        assert "It counts." in drawn(pilot)
        assert "vanishing" not in drawn(pilot)
        await pilot.press("escape", "d")
        await until(pilot, lambda: app.session.look.palette.name == "light")
        titles = [command.title for command in app.get_system_commands(app.screen)]
        assert "Screen: live (1)" in titles
        assert not any("zoom" in title for title in titles)
        await pilot.press("1")
        await until(pilot, lambda: "┏━ loss" in drawn(pilot))
        assert panel(pilot, "loss").look.palette.name == "light"
        await pilot.press("2", "q")
        await until(pilot, lambda: not app.is_running)

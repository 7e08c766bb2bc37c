"""Keys that change what is looked at."""

from __future__ import annotations

from pathlib import Path

import pytest

from rnnscope.recording.writer import Writer
from tests.fakes import add_fake_steps
from tests.tui.screen import drawn, live, opened, panel, panel_text, until


async def test_each_panel_fills_the_screen_with_one_key(finished: Path) -> None:
    panels = (("l", "loss", "loss"), ("g", "gradient", "gradient"), ("a", "activations", "activ"),
              ("s", "sampling", "teacher"))  # fmt: skip
    async with opened(finished) as pilot:
        for key, name, shown in panels:
            await pilot.press(key)
            await until(pilot, lambda name=name: panel(pilot, name).size.width == 120)
            assert panel(pilot, name).size.height == 37
            assert shown in drawn(pilot)
            assert sum(title in drawn(pilot) for title in ("┏━ loss", "┏━ gradient", "┏━ activ", "┏━ teacher")) == 1
            await pilot.press("escape")
            await until(pilot, lambda name=name: panel(pilot, name).size.width == 60)
            await pilot.press(key, key)
            await until(pilot, lambda name=name: panel(pilot, name).size.width == 60)


async def test_tab_moves_the_focus_and_f_enlarges_it(finished: Path) -> None:
    async with opened(finished) as pilot:
        assert live(pilot).focused_panel() == "loss"
        assert "i/o zoom" in drawn(pilot)
        await pilot.press("tab", "tab")
        assert live(pilot).focused_panel() == "activations"
        await until(pilot, lambda: "v value" in drawn(pilot))
        assert panel_text(pilot, "activations").startswith("┏")
        await pilot.press("f")
        await until(pilot, lambda: panel(pilot, "activations").size.width == 120)


async def test_unit_layer_and_value_change_at_once(finished: Path) -> None:
    async with opened(finished) as pilot:
        await pilot.press("y")
        assert "layer 1/2" in panel_text(pilot, "activations")
        live(pilot).action_unit(0)
        assert "unit 0 " in panel_text(pilot, "activations")
        await pilot.press("n")
        assert "unit 10 " in panel_text(pilot, "activations")
        await pilot.press("N")
        await pilot.press("U")
        assert "unit 31 " in panel_text(pilot, "activations")
        await pilot.press("v")
        assert "c cell" in panel_text(pilot, "activations")
        await pilot.press("v")
        text = panel_text(pilot, "activations")
        assert "i input gate" in text
        assert "i = 0 " in text  # gates on their own fixed scale


async def test_a_click_on_the_map_chooses_that_unit(finished: Path) -> None:
    async with opened(finished) as pilot:
        await pilot.press("y")
        lines = panel_text(pilot, "activations").split("\n")
        row = next(y for y, line in enumerate(lines) if line.startswith("│ 8 "))
        await pilot.click("#activations", offset=(20, row))
        await until(pilot, lambda: "unit 8 " in panel_text(pilot, "activations"))


async def test_zoom_and_axes_of_the_loss(finished: Path) -> None:
    async with opened(finished, (200, 60)) as pilot:
        await pilot.press("i")
        assert "zoom 150 steps" in panel_text(pilot, "loss")
        await pilot.press("L")
        assert "nats/char, log" in panel_text(pilot, "loss")
        await pilot.press("L")
        assert "close-up" in panel_text(pilot, "loss")
        await pilot.press("k")
        assert "τ = min(50, step/8)" in panel_text(pilot, "loss")
        await pilot.press("0")
        text = panel_text(pilot, "loss")
        assert "zoom" not in text
        assert "log" not in text


async def test_freezing_stops_the_display_but_not_the_reading(training: Writer) -> None:
    async with opened(training.folder) as pilot:
        await pilot.press("z")
        assert "frozen at step 300" in drawn(pilot)
        before = panel_text(pilot, "loss")
        add_fake_steps(training, 300, 200)
        await until(pilot, lambda: "step 500/10,000" in drawn(pilot))
        assert panel_text(pilot, "loss") == before
        await pilot.press("z")
        assert "frozen" not in drawn(pilot)
        assert panel_text(pilot, "loss") != before
    training.close()


async def test_the_light_theme(finished: Path) -> None:
    async with opened(finished) as pilot:
        dark = panel(pilot, "loss").look
        await pilot.press("d")
        await until(pilot, lambda: panel(pilot, "loss").look.palette.name == "light")
        assert pilot.app.theme == "rnnscope-light"
        await pilot.press("d")
        await until(pilot, lambda: panel(pilot, "loss").look == dark)


async def test_without_colour_glyphs_speak(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with opened(finished) as pilot:
        text = panel_text(pilot, "activations")
        assert "▀" not in text
        assert sum(text.count(glyph) for glyph in "#*+=-≡") > 200
        assert "a train  b smoothed, τ = min(20, step/8)" in panel_text(pilot, "loss")


async def test_a_picture_is_saved_in_the_run_folder(finished: Path) -> None:
    async with opened(finished) as pilot:
        await pilot.press("p")
        await until(pilot, lambda: "picture saved" in drawn(pilot))
        (picture,) = finished.glob("*.svg")
        assert "<svg" in picture.read_text()

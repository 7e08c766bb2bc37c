"""The Live screen as a person sees and uses it."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.events import MouseScrollDown

from rnnscope.recording import commands as c
from rnnscope.recording.events import Status
from rnnscope.recording.writer import Writer
from rnnscope.tui.actions import ACTIONS
from rnnscope.tui.app import ScopeApp
from rnnscope.tui.screens.quit import QuitScreen
from tests.fakes import add_fake_steps, fake_config, make_fake_run
from tests.tui.screen import drawn, live, opened, panel, panel_text, until

SIZES = [(80, 24), (120, 40), (200, 60)]


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    """A finished run of 300 steps."""
    make_fake_run(tmp_path / "run", steps=300)
    return tmp_path / "run"


@pytest.fixture
def training(tmp_path: Path) -> Writer:
    """A run of 300 steps that a worker holds."""
    return make_fake_run(tmp_path / "run", steps=300, live=True)


# -- what is drawn -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
async def test_header_four_panels_and_keys(finished: Path, size: tuple[int, int]) -> None:
    async with opened(finished, size) as pilot:
        text = drawn(pilot)
        lines = text.split("\n")
        assert len(lines) == size[1]
        assert all(len(line) == size[0] for line in lines)
        for expected in ("rnnscope", "shakespeare.txt", "lstm 2×32", "✓ finished", "step 300/10,000", "val 2.4"):
            assert expected in text
        for expected in ("● validation", "layer 1", "‖∂L_T/∂h_t‖", "reach", "unit", "forcing │ free running"):
            assert expected in text
        assert "space pause" in lines[-1]
        assert lines[-1].rstrip().endswith("q quit")


async def test_loss_is_in_nats_and_bits(finished: Path) -> None:
    async with opened(finished) as pilot:
        assert "val 2.456 nats = 3.54 bits" in panel_text(pilot, "loss")


async def test_the_gradient_says_what_it_is(finished: Path) -> None:
    async with opened(finished, (200, 60)) as pilot:
        text = panel_text(pilot, "gradient")
        assert "reach: L_T = last character's loss · nats, per sample, before clipping · band 10–90%" in text
        assert "floor: 0 or underflow" in text
        assert "lag T−t in characters" in text
        assert "clip" in text
        await pilot.press("r")
        text = panel_text(pilot, "gradient")
        assert "total: L = all losses of the window · nats, per sample, before clipping" in text
        assert "‖∂L/∂h_t‖" in text
        assert "floor" not in text


async def test_both_texts_stand_side_by_side(finished: Path) -> None:
    async with opened(finished) as pilot:
        lines = panel_text(pilot, "sampling").split("\n")
        heads = next(line for line in lines if "truth, coloured by p" in line)
        assert "reads its own text, T 0.8" in heads
        assert any("It is the east, and Juliet" in line and "and the sing" in line for line in lines)
        assert any("unrelated 1.05" in line for line in lines)


async def test_panels_without_data_say_what_they_wait_for(tmp_path: Path) -> None:
    writer = Writer.create(tmp_path / "run", fake_config(), {})
    async with opened(tmp_path / "run") as pilot:
        text = drawn(pilot)
        for name in ("first training step", "first measurement of the gradient", "first sample", "first comparison"):
            assert f"waiting for the {name} …" in text
        add_fake_steps(writer, 0, 1)
        await until(pilot, lambda: "waiting for" not in drawn(pilot))
    writer.close()


async def test_a_screen_too_small_says_so_until_it_is_enlarged(finished: Path) -> None:
    async with opened(finished, (50, 12)) as pilot:
        assert "50x12 is too small" in drawn(pilot)
        assert "┌" not in drawn(pilot)
        await pilot.resize_terminal(100, 30)
        await until(pilot, lambda: "too small" not in drawn(pilot))
        assert "teacher forcing" in drawn(pilot)


async def test_the_screen_stays_when_the_run_ends(training: Writer) -> None:
    async with opened(training.folder) as pilot:
        assert "● training" in drawn(pilot)
        training.event(300, Status("finished", "300 steps"))
        training.close()
        await until(pilot, lambda: "✓ finished" in drawn(pilot))
        assert "● validation" in drawn(pilot)


async def test_a_dead_worker_shows_its_log_and_keeps_the_recording(training: Writer) -> None:
    (training.folder / "worker.log").write_text("Traceback [bold]\n\x1b[31mMemoryError\x07\n")
    async with opened(training.folder) as pilot:
        training._lock.release()  # what the kernel does when the process is killed
        await until(pilot, lambda: "the worker ended without a word" in drawn(pilot))
        text = drawn(pilot)
        assert "✗ interrupted" in text
        assert "Traceback [bold]" in text
        assert "␛[31mMemoryError␇" in text
        assert "● validation" in text


async def test_a_missing_recording_is_told(tmp_path: Path) -> None:
    async with opened(tmp_path / "nothing") as pilot:
        assert str(tmp_path)[:20] in drawn(pilot)


async def test_nothing_is_redrawn_that_has_not_changed(training: Writer) -> None:
    async with opened(training.folder) as pilot:
        names = ("loss", "gradient", "activations", "sampling")
        await until(pilot, lambda: all(panel(pilot, name).paints for name in names))
        before = {name: panel(pilot, name).paints for name in names}
        add_fake_steps(training, 300, 1)
        await until(pilot, lambda: panel(pilot, "loss").paints > before["loss"])
        assert panel(pilot, "activations").paints == before["activations"]
        assert panel(pilot, "sampling").paints == before["sampling"]
        assert panel(pilot, "gradient").paints == before["gradient"]  # its clip rate is on the frame
        settled = {name: panel(pilot, name).paints for name in names}
        looks = live(pilot).newest
        await until(pilot, lambda: live(pilot).newest is not looks)
        await pilot.pause(0.1)
        assert {name: panel(pilot, name).paints for name in names} == settled
    training.close()


async def test_the_first_frame_is_timed_and_waits_for_nothing(tmp_path: Path) -> None:
    app = ScopeApp(tmp_path / "nothing", mono=False)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.first_frame is not None)
        assert app.first_frame is not None
        assert 0 < app.first_frame < 10


# -- commands ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "command", "words"),
    [
        ("space", c.Pause(), "pause"),
        ("full_stop", c.Advance(1), "one step"),
        ("plus", c.ScaleLearningRate(1.25), "learning rate × 1.25"),
        ("minus", c.ScaleLearningRate(0.8), "learning rate × 0.8"),
        ("c", c.SetClip(None), "clipping off"),
        ("t", c.SetTemperature(0.7), "temperature 0.7"),
        ("T", c.SetTemperature(0.9), "temperature 0.9"),
        ("w", c.Save(), "save a checkpoint"),
    ],
)
async def test_each_key_sends_its_command(training: Writer, key: str, command: c.Command, words: str) -> None:
    async with opened(training.folder) as pilot:
        await pilot.press(key)
        assert f"→ {words} …" in drawn(pilot)  # at once, before anybody has answered
        taken: list[tuple[int, c.Command]] = []
        await until(pilot, lambda: taken.extend(training.commands()) or taken)
        assert [sent for _, sent in taken] == [command]
        training.answer(taken[0][0], 300, True, "")
        await until(pilot, lambda: f"{words}: done, from step 300" in drawn(pilot))
        assert "→" not in drawn(pilot).split("\n")[0]
    training.close()


async def test_a_refusal_says_why_and_is_no_markup(training: Writer) -> None:
    async with opened(training.folder) as pilot:
        await pilot.press("c")
        taken: list[tuple[int, c.Command]] = []
        await until(pilot, lambda: taken.extend(training.commands()) or taken)
        training.answer(taken[0][0], 300, False, "because a[i] [/b]")
        await until(pilot, lambda: "refused, because a[i] [/b]" in drawn(pilot))
    training.close()


async def test_pressing_twice_pauses_and_resumes(training: Writer) -> None:
    async with opened(training.folder) as pilot:
        await pilot.press("space", "space", "T", "T")
        taken: list[tuple[int, c.Command]] = []
        await until(pilot, lambda: taken.extend(training.commands()) or len(taken) == 4)
        sent = [command for _, command in taken]
        assert sent == [c.Pause(), c.Resume(), c.SetTemperature(0.9), c.SetTemperature(1.0)]
    training.close()


async def test_commands_to_a_finished_run_are_explained(finished: Path) -> None:
    async with opened(finished) as pilot:
        await pilot.press("space")
        await until(pilot, lambda: "the run is finished: nobody is there to do that" in drawn(pilot))


# -- the view ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "name", "shown"),
    [("l", "loss", "loss"), ("g", "gradient", "gradient"), ("a", "activations", "activ"), ("s", "sampling", "teacher")],
)
async def test_each_panel_fills_the_screen_with_one_key(finished: Path, key: str, name: str, shown: str) -> None:
    async with opened(finished) as pilot:
        await pilot.press(key)
        await until(pilot, lambda: panel(pilot, name).size.width == 120)
        assert panel(pilot, name).size.height == 37
        assert shown in drawn(pilot)
        assert sum(title in drawn(pilot) for title in ("┏━ loss", "┏━ gradient", "┏━ activ", "┏━ teacher")) == 1
        await pilot.press("escape")
        await until(pilot, lambda: panel(pilot, name).size.width == 60)
        await pilot.press(key, key)
        await until(pilot, lambda: panel(pilot, name).size.width == 60)


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


# -- help, palette, mouse ----------------------------------------------------------------------------------------------


async def test_help_begins_with_the_focused_panel(finished: Path) -> None:
    async with opened(finished) as pilot:
        await pilot.press("g", "question_mark")
        await until(pilot, lambda: "vanishing gradient" in drawn(pilot))
        await pilot.press("escape")
        await until(pilot, lambda: "vanishing gradient" not in drawn(pilot))


async def test_every_action_is_in_the_palette(finished: Path) -> None:
    async with opened(finished) as pilot:
        app = pilot.app
        titles = {command.title for command in app.get_system_commands(app.screen)}
        assert {action.shown for action in ACTIONS} - {"^p"} == {title.rsplit("(", 1)[1][:-1] for title in titles}
        (layer,) = [command for command in app.get_system_commands(app.screen) if "next layer" in command.title]
        await layer.callback()
        assert "layer 1/2" in panel_text(pilot, "activations")


async def test_keys_of_the_last_line_are_buttons(finished: Path) -> None:
    async with opened(finished) as pilot:
        line = drawn(pilot).split("\n")[-1]
        await pilot.click("#keys", offset=(line.index("L axis") + 3, 0))
        await until(pilot, lambda: "log" in panel_text(pilot, "loss"))
        await pilot.click("#keys", offset=(line.index("? help"), 0))
        await until(pilot, lambda: "nats per character" in drawn(pilot))


async def test_wheel_walks_through_units(finished: Path) -> None:
    async with opened(finished) as pilot:
        await pilot.press("y")
        before = live(pilot).view
        await pilot._post_mouse_events([MouseScrollDown], widget="#activations", offset=(5, 5))
        await until(pilot, lambda: live(pilot).view.unit != before.unit)


# -- leaving -----------------------------------------------------------------------------------------------------------


async def test_a_finished_run_is_left_at_once(finished: Path) -> None:
    async with opened(finished) as pilot:
        await pilot.press("q")
        await until(pilot, lambda: not pilot.app.is_running)
        assert pilot.app.return_value == 0


@pytest.mark.parametrize("key", ["q", "ctrl+q", "ctrl+c"])
async def test_every_way_of_leaving_asks_while_training(training: Writer, key: str) -> None:
    async with opened(training.folder) as pilot:
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

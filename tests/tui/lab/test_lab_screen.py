"""The gradient lab on the screen: what is seen at each size, its keys, and that only what changed is drawn again."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest

from rnnscope.charts.coloured_text import cursor_style
from rnnscope.config import Config
from rnnscope.recording import commands as c
from rnnscope.recording.events import Status
from rnnscope.recording.writer import Writer
from rnnscope.tui.screens.gradients import APART, PANELS, TOGETHER
from rnnscope.tui.screens.help import help_text
from rnnscope.tui.widgets.lab.blackbox import BlackBoxPanel
from tests.fakes import TEXT, add_fake_steps, fake_config
from tests.lab_fakes import fake_incident, lab_events
from tests.tui.lab.lab_screen import done, lab, lab_opened, lab_run, pane, pane_text
from tests.tui.screen import drawn, until


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    lab_run(tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture
def training(tmp_path: Path) -> Writer:
    return lab_run(tmp_path / "run", live=True)


@pytest.mark.parametrize("size", [(120, 40), (200, 60)])
async def test_four_panels_are_read_together(finished: Path, size: tuple[int, int]) -> None:
    async with lab_opened(finished, size) as pilot:
        text = drawn(pilot)
        assert all(len(line) == size[0] for line in text.split("\n"))
        for expected in (
            "‖∂L_T/∂h_t‖", "lag T−t in characters", "log₁₀ ‖∂L_T/∂h_t‖ -12", "training step", "layer 2/2",
            "not applicable", "Lyapunov", "λ₁/ln 10", "k steps", "threshold 5", "norm of the gradient", "clipped|fired",
            "largest part", "m/h/P/B more",
        ):  # fmt: skip
            assert re.search(expected if "|" in expected and "‖" not in expected else re.escape(expected), text), (
                expected
            )
        assert not any(pane(pilot, name).display and pane(pilot, name).size.width for name in APART)


async def test_a_small_terminal_leafs_through_all_eight(finished: Path) -> None:
    async with lab_opened(finished, (80, 24)) as pilot:
        seen = []
        for number in range(1, 9):
            assert f"PgUp/PgDn {number}/8" in drawn(pilot)
            (name,) = [name for name in PANELS if pane(pilot, name).region.width == 80]
            seen.append(name)
            await pilot.press("pagedown")
            await pilot.pause()
        assert tuple(seen) == PANELS
        assert pane(pilot, PANELS[0]).region.width == 80  # round again
        await pilot.press("pageup")
        await until(pilot, lambda: pane(pilot, PANELS[-1]).region.width == 80)
        await pilot.press("escape")
        await until(pilot, lambda: pane(pilot, PANELS[0]).region.width == 80)


async def test_more_room_shows_four_again_and_less_one(finished: Path) -> None:
    async with lab_opened(finished, (80, 24)) as pilot:
        await pilot.resize_terminal(120, 40)
        await until(pilot, lambda: all(pane(pilot, name).region.width == 60 for name in TOGETHER))
        await pilot.press("tab", "tab")
        await pilot.resize_terminal(80, 24)
        await until(pilot, lambda: pane(pilot, "jacobian").region.width == 80)


async def test_each_panel_has_a_key(finished: Path) -> None:
    keys = {"g": "through", "W": "waterfall", "j": "jacobian", "x": "clipping", "m": "triangle", "h": "horizon",
            "P": "parameters", "B": "blackbox"}  # fmt: skip
    async with lab_opened(finished) as pilot:
        for key, name in keys.items():
            await pilot.press("g", "g")  # from the same place each
            await until(pilot, lambda: pane(pilot, "through").size.width == 60)
            assert lab(pilot).focused_panel() == "through"
            await pilot.press(key)
            await until(pilot, lambda name=name: pane(pilot, name).size.width == 120)
            assert lab(pilot).focused_panel() == name
            await pilot.press(key)
            await until(pilot, lambda: pane(pilot, "through").size.width == 60)
            assert name in TOGETHER or lab(pilot).focused_panel() == "through"


async def test_loss_part_and_state_are_chosen(finished: Path) -> None:
    async with lab_opened(finished, (200, 60)) as pilot:
        assert "reach: L_T = last character's loss" in pane_text(pilot, "through")
        await pilot.press("e")
        assert "reach · direct · log₁₀ ‖∂L_T/∂h_t‖" in pane_text(pilot, "through")
        assert "from above at the same t" in pane_text(pilot, "through")
        assert "floor: 0 or underflow" in pane_text(pilot, "through")
        await pilot.press("e")
        assert "the vectors add" in pane_text(pilot, "through") or "as vectors" in pane_text(pilot, "through")
        await pilot.press("e", "S")
        assert "‖∂L_T/∂c_t‖" in pane_text(pilot, "through")
        await pilot.press("r")
        assert "total · log₁₀ ‖∂L/∂c_t‖" in pane_text(pilot, "through")
        assert "t in characters" in pane_text(pilot, "through")


async def test_what_retain_grad_would_show_and_why_it_lies(finished: Path) -> None:
    async with lab_opened(finished) as pilot:
        await pilot.press("R")
        text = pane_text(pilot, "through")
        assert "retain_grad lies: direct part only, 0 at every earlier t" in text
        assert text.count("×") > 40
        await pilot.press("R")
        assert "retain_grad" not in pane_text(pilot, "through")


async def test_a_cell_without_c_says_so_and_has_numbers_of_its_matrix(tmp_path: Path) -> None:
    lab_run(tmp_path / "run", cell="tanh")
    async with lab_opened(tmp_path / "run") as pilot:
        assert "ρ 0.58 0.58" in pane_text(pilot, "jacobian")
        assert "σ₁ 1.14 1.14 > 1/γ = 1: can explode" in pane_text(pilot, "jacobian")
        await pilot.press("S")
        assert "only the LSTM has one" in drawn(pilot)
        await pilot.press("h")
        assert "this cell has no gate" in pane_text(pilot, "horizon")


async def test_an_older_recording_without_parts_says_so(tmp_path: Path) -> None:
    from tests.fakes import make_fake_run

    make_fake_run(tmp_path / "run", steps=60)
    async with lab_opened(tmp_path / "run") as pilot:
        await pilot.press("e")
        assert "does not hold the direct part" in pane_text(pilot, "through")


async def test_the_cursor_reads_out_who_taught_whom(finished: Path) -> None:
    async with lab_opened(finished) as pilot:
        await pilot.press("m")
        assert "error at t = 50 (next: space) → state at s = 40 (read ‘n’), lag 10: 10^" in pane_text(pilot, "triangle")
        await pilot.press("up", "up", "left")
        assert "t = 48 (next: ‘o’) → state at s = 39 (read ‘o’), lag 9" in pane_text(pilot, "triangle")
        layer = pane_text(pilot, "triangle").split("\n")[0]
        await pilot.press("y")
        assert "layer 2/2" in layer
        assert "layer 1/2" in pane_text(pilot, "triangle")
        await pilot.click("#triangle", offset=(8 + 3, 2 + 10))  # column s = 4, rows t = 20 and 21
        await until(pilot, lambda: "error at t = 21" in pane_text(pilot, "triangle"))


async def test_the_table_is_sorted_and_a_row_opens(finished: Path) -> None:
    async with lab_opened(finished) as pilot:
        await pilot.press("P")
        await until(pilot, lambda: "11 tensors" in pane_text(pilot, "parameters"))
        await pilot.press("O")
        lines = pane_text(pilot, "parameters").split("\n")[2:13]
        norms = [float(line[2:].split()[1]) for line in lines]
        assert norms == sorted(norms, reverse=True)
        await pilot.press("down", "down")
        name = next(line for line in pane_text(pilot, "parameters").split("\n") if "▸" in line).split("▸")[1].split()[0]
        await pilot.press("enter")
        text = pane_text(pilot, "parameters")
        for expected in (name, "training step", "‖gradient‖", "update/weight", "weights w", "gradients ∂L/∂w"):
            assert expected in text
        await pilot.press("escape")
        assert "11 tensors" in pane_text(pilot, "parameters")
        await pilot.press("escape")
        await until(pilot, lambda: pane(pilot, "through").size.width == 60)


async def test_enter_elsewhere_fills_the_screen(finished: Path) -> None:
    async with lab_opened(finished) as pilot:
        await pilot.press("tab", "enter")
        await until(pilot, lambda: pane(pilot, "waterfall").size.width == 120)


async def test_an_incident_opens_the_black_box_with_ways_back(training: Writer) -> None:
    async with lab_opened(training.folder) as pilot:
        await pilot.press("E")
        assert "nothing has gone wrong" in drawn(pilot)
        training.event(300, fake_incident(training.config, TEXT))
        training.event(300, Status("paused", "the loss rose"))
        training.flush(force=True)
        await until(pilot, lambda: "first in dL/dh = inf" in pane_text(pilot, "blackbox"))
        text = pane_text(pilot, "blackbox")
        for expected in (
            "step 300: infinity", "backward pass", "layer 1", "time step 4 of 50", "sequence 3", "ROMEO:↵", "t = 4",
            "‖∂L/∂h_t‖ of that batch", "E  rewind to step 192 and go on with a tenth",
            "C  rewind to step 192 and go on with clipping", "A  rewind to step 250 and go on as it was",
        ):  # fmt: skip
            assert expected in text
        assert "C rewind + clip" in drawn(pilot)
        await pilot.press("B")  # as one is told to: it has opened already, and stays
        assert lab(pilot).large == "blackbox"
        await pilot.press("C", "C", "E")  # the first is on its way: there is nothing to go back from after it
        assert "nothing has gone wrong" in drawn(pilot)
        await pilot.press("plus")
        taken: list[tuple[int, c.Command]] = []
        await until(pilot, lambda: taken.extend(training.commands()) or len(taken) >= 2)
        assert [one for _, one in taken] == [c.Rewind(192, clip=0.5), c.ScaleLearningRate(1.25)]
    training.close()


async def test_a_run_that_has_trained_on_since_is_thrown_back_by_a_second_press_alone(training: Writer) -> None:
    async with lab_opened(training.folder) as pilot:
        training.event(280, fake_incident(training.config, TEXT))
        training.flush(force=True)
        await until(pilot, lambda: pilot.app.session.newest.controls.broke_at == 280)
        await pilot.press("C")
        assert "leaves 108 steps behind, with their checkpoints: press it again" in drawn(pilot)
        await pilot.press("E")  # another way back is another question
        assert "learning rate × 0.1 leaves 108 steps behind" in drawn(pilot)
        await pilot.press("E")
        taken: list[tuple[int, c.Command]] = []
        await until(pilot, lambda: taken.extend(training.commands()) or taken)
        assert [one for _, one in taken] == [c.Rewind(192, factor=0.1)]
    training.close()


@pytest.mark.parametrize("size", [(78, 20), (118, 36), (198, 56)])
@pytest.mark.parametrize("lines", ["\n", "line so\n", "a longer line of a play, as they are\n"])
def test_the_marked_character_is_in_the_text_drawn(size: tuple[int, int], lines: str) -> None:
    text = (lines * 200)[:150]
    panel = BlackBoxPanel(id="blackbox")
    for t in (0, 46, 149):
        event = dataclasses.replace(fake_incident(Config(), text), text=text, t=t)
        panel.inputs = event, 300
        spans = [span for row in panel.paint(*size).rows for span in row]
        marked = [span.text for span in spans if span.style == cursor_style(panel.look.palette, panel.look.mono)]
        assert marked == [{"\n": "↵"}.get(text[t], text[t])]


HANDS = {
    "comma": c.Advance(10), "left_square_bracket": c.SetClip(4.0), "right_square_bracket": c.SetClip(6.25),
    "V": c.SetClip(5.0, "value"), "left_curly_bracket": c.SetBptt(25), "right_curly_bracket": c.SetBptt(100),
    "left_parenthesis": c.ScaleRecurrent(0.9), "right_parenthesis": c.ScaleRecurrent(1.1), "Z": c.ResetState(),
}  # fmt: skip


async def test_hands_on(training: Writer) -> None:
    async with lab_opened(training.folder) as pilot:
        for key, command in HANDS.items():
            await pilot.press(key)
            taken: list[tuple[int, c.Command]] = []
            await until(pilot, lambda taken=taken: taken.extend(training.commands()) or taken)
            assert [sent for _, sent in taken] == [command]
            training.answer(taken[0][0], 300, False, "not now")  # so that the next begins from the same
            await until(pilot, lambda: "not now" in drawn(pilot) and not lab(pilot).app.session.sent)
    training.close()


async def test_a_fork_asks_for_one_setting(training: Writer) -> None:
    async with lab_opened(training.folder) as pilot:
        await pilot.press("F")
        await until(pilot, lambda: "as two runs from here" in drawn(pilot))
        await pilot.press(*"lr", "enter")
        assert "a setting and its value" in drawn(pilot)
        await pilot.press("space", *"0.01", "enter")
        taken: list[tuple[int, c.Command]] = []
        await until(pilot, lambda: taken.extend(training.commands()) or taken)
        assert taken[0][1] == c.Fork("run-fork-1", "lr", "0.01")
    training.close()


async def test_changes_are_marked_in_every_chart_over_training(training: Writer) -> None:
    done(training, 150, c.ScaleRecurrent(1.1))
    async with lab_opened(training.folder) as pilot:
        assert "W_hh×1.1" in pane_text(pilot, "waterfall")
        await pilot.press("P", "enter")
        await until(pilot, lambda: "W_hh×1.1" in pane_text(pilot, "parameters"))
    training.close()


async def test_only_what_changed_is_drawn_again(training: Writer) -> None:
    async with lab_opened(training.folder) as pilot:
        await until(pilot, lambda: all(pane(pilot, name).paints for name in TOGETHER))
        before = {name: pane(pilot, name).paints for name in TOGETHER}
        add_fake_steps(training, 300, 20)  # steps, and no measurement
        await until(pilot, lambda: "step 320" in drawn(pilot))
        assert {name: pane(pilot, name).paints for name in TOGETHER} == before
        events = lab_events(training.config, TEXT, np.random.default_rng(3))
        training.event(320, next(event for event in events if event.kind == "clipping"))
        training.flush(force=True)
        await until(pilot, lambda: pane(pilot, "clipping").paints > before["clipping"])
        assert {name: pane(pilot, name).paints for name in TOGETHER} == before | {"clipping": before["clipping"] + 1}
        assert not any(pane(pilot, name).paints for name in APART)  # never seen, never drawn
    training.close()


async def test_panels_without_data_say_what_they_wait_for(tmp_path: Path) -> None:
    writer = Writer.create(tmp_path / "run", fake_config(), {})
    async with lab_opened(tmp_path / "run") as pilot:
        text = drawn(pilot)
        assert text.count("waiting for the first measurement of the gradient …") == 2
        assert "waiting for the first Jacobian (every 500 steps) …" in text
        assert "waiting for the first look at clipping (every 100 steps) …" in text
        for key, words in (("m", "triangle (every 500"), ("h", "memory horizon (every 1,000"),
                           ("P", "parameters (every 100"), ("B", "Nothing has gone wrong")):  # fmt: skip
            await pilot.press(key)
            await until(pilot, lambda words=words: words in drawn(pilot))
        for key in ("up", "y", "S", "O", "enter"):
            await pilot.press(key)  # nothing there, and nothing breaks
    writer.close()


async def test_every_panel_is_explained_in_three_sentences_with_its_formula(finished: Path) -> None:
    async with lab_opened(finished) as pilot:
        for widget in lab(pilot).panels.values():
            assert len(re.split(r"\.\s(?=[A-Z])", widget.summary)) == 3, widget.summary
            assert re.search(r"[∂‖λθ]", widget.summary)
            assert widget.chips
            assert widget.details
        text = help_text(lab(pilot)).plain
        for name in ("Gradient through time", "Over training", "Jacobian", "Clipping", "Who taught whom",
                     "Memory horizon", "Parameters", "Black box", "Hands on"):  # fmt: skip
            assert name in text


@pytest.mark.parametrize("size", [(120, 40), (80, 24), (60, 16)])
async def test_numbers_that_are_none_break_nothing(tmp_path: Path, size: tuple[int, int]) -> None:
    writer = lab_run(tmp_path / "run", live=True, incident=True)
    rng = np.random.default_rng(0)
    for event in lab_events(writer.config, TEXT, rng):
        bad = {
            field.name: np.full_like(value, [np.nan, np.inf, -np.inf][i % 3])
            for i, field in enumerate(dataclasses.fields(event))
            if isinstance(value := getattr(event, field.name), np.ndarray) and value.dtype.kind == "f"
        }
        bad.pop("edges", None)
        writer.event(300, dataclasses.replace(event, **bad))
    writer.close()
    async with lab_opened(tmp_path / "run", size) as pilot:
        for key in ("g", "W", "j", "x", "m", "h", "P", "enter", "B"):
            await pilot.press(key)
            await pilot.pause()
            assert all(len(line) == size[0] for line in drawn(pilot).split("\n"))


async def test_foreign_text_is_never_markup(tmp_path: Path) -> None:
    writer = lab_run(tmp_path / "run", live=True)
    text = "[/b]\x1b[2J[red]순환\u202e" * 5
    for event in lab_events(writer.config, text, np.random.default_rng(0)):
        writer.event(
            300, dataclasses.replace(event, names=(text, *event.names[1:])) if event.kind == "parameters" else event
        )
    incident = fake_incident(writer.config, text)
    writer.event(300, dataclasses.replace(incident, quantity="[b]x", explanation=text, parameter=text))
    writer.close()
    async with lab_opened(tmp_path / "run") as pilot:
        said = "[/b]␛[2J[red]"
        for key, expected in (("m", " ".join(said)), ("P", said), ("enter", said), ("B", said)):
            await pilot.press(key)
            await until(pilot, lambda expected=expected: expected in drawn(pilot))
            shown = drawn(pilot).replace("\n", "")
            assert not any(ord(ch) < 32 or 0x7F <= ord(ch) < 0xA0 or ch == "\u202e" for ch in shown)

"""The neuron lab on the screen: what is seen at each size, keys and clicks, and what they ask of the worker."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from textual.events import MouseScrollDown
from textual.widgets import Input

from rnnscope.recording.writer import Writer
from rnnscope.tui.screens.neurons import PANELS, TOGETHER, WIDE
from tests.fakes import add_fake_steps, fake_config, fake_sample
from tests.neuron_fakes import QUOTED, fake_activations
from tests.tui.neurons.neuron_screen import STEPS, asked, lab, lab_opened, neuron_run, pane, pane_text
from tests.tui.screen import drawn, until

# -- what is seen ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("size", "seen"), [((120, 40), TOGETHER), ((200, 60), WIDE)])
async def test_panels_are_read_together(finished: Path, size: tuple[int, int], seen: tuple[str, ...]) -> None:
    async with lab_opened(finished, size) as pilot:
        text = drawn(pilot)
        assert all(len(line) == size[0] for line in text.split("\n"))
        for expected in ("layer 2/2 · h output · unit 1", 'The fox said: "I am not afraid', "inside quotes",
                         "AUC 0.97", "PC 1, 31% of the variance", "changed: held at zero", "load-bearing",
                         "x/S/B/A more"):  # fmt: skip
            assert expected in text
        assert {name for name in PANELS if pane(pilot, name).region.width} == set(seen)


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


async def test_each_panel_has_a_key(finished: Path) -> None:
    async with lab_opened(finished) as pilot:
        for key, name in zip("akxSsBIA", PANELS, strict=True):
            await pilot.press(key)
            await until(pilot, lambda name=name: pane(pilot, name).size.width == 120)
        await pilot.press("A")
        await until(pilot, lambda: pane(pilot, "text").size.width == 60)


async def test_the_screen_is_alive_from_the_first_sample_on(tmp_path: Path) -> None:
    writer = neuron_run(tmp_path / "run", live=True, measured=False)
    async with lab_opened(tmp_path / "run") as pilot:
        text = drawn(pilot)
        assert "step 300 · live" in text
        assert "ROMEO:" in text
        assert "M: what it expects" in text
        for expected in ("M: search the units", "M: look at the space", "M: try: unit 15"):
            assert expected in text
        before = pane(pilot, "text").paints
        writer.event(STEPS + 1, dataclasses.replace(fake_sample(writer.config, np.random.default_rng(5)), prompt=3))
        writer.flush(force=True)
        await until(pilot, lambda: pane(pilot, "text").paints > before)
    writer.close()


async def test_before_anything_was_recorded_keys_break_nothing(tmp_path: Path) -> None:
    writer = Writer.create(tmp_path / "run", fake_config(), {})
    async with lab_opened(tmp_path / "run") as pilot:
        assert "press M: the network writes a text" in drawn(pilot)
        for key in ("u", "left", "up", "O", "o", "enter", "m", "h", "i", "R", "#"):
            await pilot.press(key)
        assert "there is no text yet" in drawn(pilot)
    writer.close()


async def test_data_older_than_the_run_say_so(training: Writer) -> None:
    async with lab_opened(training.folder) as pilot:
        assert "steps ago" not in drawn(pilot)
        add_fake_steps(training, STEPS, 20)
        await until(pilot, lambda: drawn(pilot).count("measured 20 steps ago · M measures again") == 3)
        assert "20 steps old · M: unit 1 of layer 2 held at zero" in pane_text(pilot, "interventions")
    training.close()


async def test_only_what_changed_is_drawn_again(training: Writer) -> None:
    async with lab_opened(training.folder) as pilot:
        await until(pilot, lambda: all(pane(pilot, name).paints for name in TOGETHER))
        before = {name: pane(pilot, name).paints for name in TOGETHER}
        add_fake_steps(training, STEPS, 5)
        await until(pilot, lambda: "step 305" in drawn(pilot))
        assert {name: pane(pilot, name).paints for name in TOGETHER} == before
        await pilot.press("u")
        await pilot.pause()
        assert {name: pane(pilot, name).paints for name in TOGETHER} == before | {"text": before["text"] + 1}
        assert "M: unit 2 of layer 2 held at zero" in pane_text(pilot, "interventions")
        assert not any(pane(pilot, name).paints for name in PANELS if name not in TOGETHER)
    training.close()


# -- the text --------------------------------------------------------------------------------------------------------


async def test_keys_walk_through_units_values_and_characters(finished: Path) -> None:
    async with lab_opened(finished, (200, 60)) as pilot:
        assert "unit 1 " in pane_text(pilot, "text")
        await pilot.press("u")
        assert "· unit 2 " in pane_text(pilot, "text")
        await pilot.press("v", "v", "y")
        assert "layer 1/2 · i input gate · unit 2" in pane_text(pilot, "text")
        await pilot.press("left", "left", "up")
        line = pane_text(pilot, "text")
        assert f"/{len(QUOTED)} " in line
        at = lab(pilot).view.cursor
        assert f"{at + 1}/{len(QUOTED)} " in line
        assert QUOTED[at] in "q hens"[1:] or at < len(QUOTED) - 3


async def test_a_number_is_typed(finished: Path) -> None:
    async with lab_opened(finished) as pilot:
        await pilot.press("#")
        await until(pilot, lambda: "Which unit? 0 to 31" in drawn(pilot))
        await pilot.press("1", "7", "enter")
        await until(pilot, lambda: "unit 17" in pane_text(pilot, "text"))
        await pilot.press("#", *"99", "enter")
        await until(pilot, lambda: "a unit is a number from 0 to 31" in drawn(pilot))
        await pilot.press("#")
        await until(pilot, lambda: "Which unit? 0 to 31" in drawn(pilot))
        pilot.app.screen.query_one(Input).value = 5000 * "1"  # pasted; more digits than Python turns into a number
        await pilot.press("enter")
        await until(pilot, lambda: "Which unit?" not in drawn(pilot))
        assert "unit 17" in pane_text(pilot, "text")


async def test_the_map_is_ordered(finished: Path) -> None:
    async with lab_opened(finished, (200, 60)) as pilot:
        await pilot.press("k", "enter")  # the concept of the first row, on the text
        await until(pilot, lambda: pane(pilot, "text").size.width == 200)
        seen = []
        for how in ("index", "variance", "concept", "clustering"):
            text = pane_text(pilot, "text")
            assert f"map by {how}" in text
            rows = [line for line in text.split("\n") if "▀" in line]
            seen.append(rows[0][1:4])
            await pilot.press("o")
            await pilot.pause()
        assert seen[0].strip() == "1▸" or seen[0].startswith(" 1")
        assert "map by index" in pane_text(pilot, "text")


async def test_a_click_on_a_character_and_on_the_map(finished: Path) -> None:
    async with lab_opened(finished) as pilot:
        await pilot.click("#text", offset=(1 + 14, 1))
        await until(pilot, lambda: lab(pilot).view.cursor == 14)
        assert f'15/{len(QUOTED)} ‘"’' in pane_text(pilot, "text")
        lines = pane_text(pilot, "text").split("\n")
        first = next(y for y, line in enumerate(lines) if "▀" in line)
        shown = lab(pilot).text
        await pilot.click("#text", offset=(1 + 3 + 10, first + 2))
        await until(pilot, lambda: lab(pilot).view.unit.unit == 4)  # two units a cell, the third row
        assert lab(pilot).view.cursor == shown.place_at(1 + 3 + 10, first + 2)[0] == 10
        await pilot._post_mouse_events([MouseScrollDown], widget="#text", offset=(5, 3))
        await until(pilot, lambda: lab(pilot).view.unit.unit == 5)


async def test_a_text_is_typed_and_read(training: Writer) -> None:
    async with lab_opened(training.folder) as pilot:
        await pilot.press("/")
        await until(pilot, lambda: "Which text shall the network read?" in drawn(pilot))
        await pilot.press(*'"Hi"\\n', "enter")
        assert await asked(pilot, training) == [("activations", {"source": "prompt", "prompt": '"Hi"\n'})]
        training.event(STEPS, fake_activations(training.config, '"Hi"\n', np.random.default_rng(2)))
        training.flush(force=True)
        await until(pilot, lambda: '"Hi"↵' in pane_text(pilot, "text"))
        await pilot.press("M")  # the same again
        assert (await asked(pilot, training))[0][1]["prompt"] == '"Hi"\n'
        await pilot.press("l")
        await until(pilot, lambda: "step 300 · live" in pane_text(pilot, "text"))
        await pilot.press("l")
        await until(pilot, lambda: '"Hi"↵' in pane_text(pilot, "text"))
    training.close()


async def test_other_sources_of_text(training: Writer) -> None:
    async with lab_opened(training.folder) as pilot:
        await pilot.press("g", "G")
        assert [given.get("seed", 1) for _, given in await asked(pilot, training, 2)] == [1, 2]
        await pilot.press("e", "e", "E")
        given = [(one["source"], one.get("start", 0)) for _, one in await asked(pilot, training, 3)]
        assert given == [("validation", 0), ("validation", 400), ("train", 0)]
        await pilot.press("F")
        await until(pilot, lambda: "Which file" in drawn(pilot))
        await pilot.press(*"a.txt", "enter")
        assert await asked(pilot, training) == [("activations", {"source": "file", "file": "a.txt"})]
    training.close()


async def test_a_span_is_marked_and_looked_for(training: Writer) -> None:
    async with lab_opened(training.folder) as pilot:
        await pilot.press("left", "m", "left", "left", "m")
        ((probe, given),) = await asked(pilot, training)
        assert probe == "contexts"
        assert given["span"] == [len(QUOTED) - 4, len(QUOTED) - 1]
        assert given["prompt"] == QUOTED
        await until(pilot, lambda: lab(pilot).large == "contexts")  # where the answer will be seen
    training.close()

"""The neuron lab on the screen: what is seen at each size, keys and clicks, and what they ask of the worker."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from textual.events import MouseScrollDown
from textual.pilot import Pilot

from rnnscope.recording.commands import Cancel, Measure
from rnnscope.recording.events import Intervention
from rnnscope.recording.reading_events import Asked
from rnnscope.recording.writer import Writer
from rnnscope.tui.screens.help import help_text
from rnnscope.tui.screens.neurons import PANELS, TOGETHER, WIDE
from tests.fakes import add_fake_steps, fake_config, fake_sample
from tests.neuron_fakes import QUOTED, fake_activations, neuron_events
from tests.tui.neurons.neuron_screen import STEPS, lab, lab_opened, neuron_run, pane, pane_text
from tests.tui.screen import drawn, until


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    neuron_run(tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture
def training(tmp_path: Path) -> Writer:
    return neuron_run(tmp_path / "run", live=True)


async def asked(pilot: Pilot[int], writer: Writer, count: int = 1) -> list[tuple[str, dict[str, Any]]]:
    """Return the next `count` measurements that the worker was asked for, as (probe, what is not as usual)."""
    taken: list[Any] = []
    await until(pilot, lambda: taken.extend(writer.commands()) or len(taken) >= count)
    commands = [command for _, command in taken]
    assert all(isinstance(command, Measure) for command in commands), commands
    return [(command.probe, json.loads(command.arguments)) for command in commands]


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


@pytest.mark.parametrize(
    ("key", "name"), [("a", "text"), ("k", "units"), ("x", "contexts"), ("S", "saturation"), ("s", "statespace"),
                      ("B", "birth"), ("I", "interventions"), ("A", "attribution")],
)  # fmt: skip
async def test_each_panel_has_a_key(finished: Path, key: str, name: str) -> None:
    async with lab_opened(finished) as pilot:
        await pilot.press(key)
        await until(pilot, lambda: pane(pilot, name).size.width == 120)
        await pilot.press(key)
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
        for key in ("u", "left", "up", "O", "o", "enter", "m", "#", "h", "i", "R"):
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
    training.close()


# -- the others ------------------------------------------------------------------------------------------------------


async def test_enter_in_the_table_shows_the_unit_and_its_field(finished: Path) -> None:
    async with lab_opened(finished) as pilot:
        await pilot.press("v", "tab", "down", "enter")
        row = lab(pilot).view
        assert row.concept == "next is newline"
        assert f"layer {row.unit.layer + 1}/2 · h output · unit {row.unit.unit}" in pane_text(pilot, "text")
        await pilot.press("O")
        assert "by concept" in pane_text(pilot, "units")


async def test_rows_are_clicked(finished: Path) -> None:
    async with lab_opened(finished) as pilot:
        await pilot.click("#units", offset=(8, 2 + 3))
        await until(pilot, lambda: "▸parenthesis depth" in pane_text(pilot, "units"))
        await pilot.click("#units", offset=(8, 2 + 3), times=2)
        await until(pilot, lambda: lab(pilot).view.concept == "parenthesis depth")
        place = next(
            y for y, line in enumerate(pane_text(pilot, "interventions").split("\n")) if "layer 2 unit 1 " in line
        )
        await pilot.click("#interventions", offset=(8, place + 1))
        await until(pilot, lambda: lab(pilot).view.load == 1)


async def test_contexts_are_walked_and_read(training: Writer) -> None:
    async with lab_opened(training.folder) as pilot:
        await pilot.press("x", "down", "down")
        await until(pilot, lambda: "▸+0.94" in pane_text(pilot, "contexts"))
        offset = int(lab(pilot).session.shown.state.lab["contexts"].event.offsets[2])  # type: ignore[union-attr]
        await pilot.press("enter")
        ((probe, given),) = await asked(pilot, training)
        assert (probe, given["source"], given.get("start", 0)) == ("activations", "train", offset)
        assert lab(pilot).large == "text"
    training.close()


async def test_a_dot_is_clicked(finished: Path) -> None:
    async with lab_opened(finished) as pilot:
        await pilot.press("S")
        await until(pilot, lambda: pane(pilot, "saturation").size.width == 120)
        lines = pane_text(pilot, "saturation").split("\n")
        y, x = next((y, line.index("∙")) for y, line in enumerate(lines) if "∙" in line and 2 < y < 30)
        before = lab(pilot).settled(lab(pilot).extent(lab(pilot).session.shown)).unit  # type: ignore[arg-type]
        await pilot.click("#saturation", offset=(x, y))
        await until(pilot, lambda: lab(pilot).view.unit not in (before, type(before)()))


async def test_axes_and_colours_of_the_state_space(finished: Path) -> None:
    async with lab_opened(finished) as pilot:
        await pilot.press("s", "j", "D")
        text = pane_text(pilot, "statespace")
        assert "PC 3, 6% of the variance" in text
        assert "inside quotes" in text
        await pilot.press("left", "left")
        assert lab(pilot).view.cursor == len(QUOTED) - 3


async def test_checkpoints_are_scrubbed_by_key_and_click(finished: Path) -> None:
    async with lab_opened(finished) as pilot:
        await pilot.press("B")
        await until(pilot, lambda: "checkpoint 12 of 12: step 300" in pane_text(pilot, "birth"))
        await pilot.press("left", "left")
        assert "checkpoint 10 of 12" in pane_text(pilot, "birth")
        lines = pane_text(pilot, "birth").split("\n")
        x = min(line.index("●") for line in lines[6:] if "●" in line)
        await pilot.click("#birth", offset=(x, 34))
        await until(pilot, lambda: 0 <= lab(pilot).view.checkpoint <= 2)


async def test_an_intervention_is_set_up_and_tried(training: Writer) -> None:
    async with lab_opened(training.folder) as pilot:
        await pilot.press("I", "i", "u", "i", "h", "h", "]")
        await until(pilot, lambda: "M: units 1, 2 of layer 2 held at 1.25" in pane_text(pilot, "interventions"))
        await pilot.press("M", "G", "L")
        first, second, third = await asked(pilot, training, 3)
        assert first[0] == "interventions"
        assert (first[1]["units"], first[1]["how"], first[1]["value"]) == ([1, 2], "clamp", 1.25)
        assert first[1]["prompt"] == QUOTED
        assert (first[1].get("seed", 1), second[1]["seed"]) == (1, 2)
        assert third[1]["ranked"] is True
        await pilot.press("enter")  # the unit that bears most load
        await until(pilot, lambda: lab(pilot).large == "text")
        assert (lab(pilot).view.unit.layer, lab(pilot).view.unit.unit) == (1, 1)
    training.close()


async def test_an_attribution_is_asked_for(training: Writer) -> None:
    async with lab_opened(training.folder) as pilot:
        await pilot.press("A", "r", "R")
        await until(pilot, lambda: "‘t’ after newline, input × gradient" in pane_text(pilot, "attribution"))
        await pilot.press("M")
        ((probe, given),) = await asked(pilot, training)
        assert (probe, given["method"], given["target"]) == ("attribution", "input_x_gradient", "t")
        assert given["prompt"] == QUOTED
    training.close()


async def test_a_search_says_how_far_it_is_and_is_broken_off(training: Writer) -> None:
    async with lab_opened(training.folder) as pilot:
        await pilot.press("tab", "M")
        ((probe, _),) = await asked(pilot, training)
        assert probe == "units"
        training.event(STEPS, Asked("units", 0.43, "concept 3 of 20"))
        training.flush(force=True)
        await until(pilot, lambda: "43% concept 3 of 20" in pane_text(pilot, "units"))
        assert "43%" not in pane_text(pilot, "text")
        await pilot.press("X")
        taken: list[Any] = []
        await until(pilot, lambda: taken.extend(training.commands()) or taken)
        assert taken[0][1] == Cancel()
        training.event(STEPS, Asked("units", 1.0, error="no [b]such concept"))
        training.flush(force=True)
        await until(pilot, lambda: "error: no [b]such concept" in pane_text(pilot, "units"))
    training.close()


async def test_a_concept_of_ones_own(training: Writer) -> None:
    async with lab_opened(training.folder) as pilot:
        await pilot.press("K")
        await until(pilot, lambda: "Which concept" in drawn(pilot))
        await pilot.press(*"fox=fox", "enter")
        assert await asked(pilot, training) == [("units", {"concept": ["fox=fox"]})]
        await pilot.press("K", *"nonsense", "enter")
        await until(pilot, lambda: "a name, = and a regular expression" in drawn(pilot))
    training.close()


async def test_everything_is_measured_at_once(training: Writer) -> None:
    async with lab_opened(training.folder) as pilot:
        await pilot.press("*")
        probes = [probe for probe, _ in await asked(pilot, training, 8)]
        assert probes == ["activations", *PANELS[1:]]
    training.close()


async def test_what_was_asked_is_no_mark_in_the_charts_of_training(training: Writer) -> None:
    training.event(STEPS, Intervention("measure", '{"probe": "units", "arguments": "{}"}', True))
    training.flush(force=True)
    async with lab_opened(training.folder) as pilot:
        assert lab(pilot).session.shown is not None
        assert lab(pilot).session.shown.marks == ()  # type: ignore[union-attr]
    training.close()


async def test_another_text_of_another_network_breaks_nothing(training: Writer) -> None:
    async with lab_opened(training.folder) as pilot:
        await pilot.press("#", *"31", "enter", "k", "down", "down", "escape")
        small = fake_config(layers=1, hidden=4, cell="gru")
        for event in neuron_events(small, "x", np.random.default_rng(0)):
            training.event(STEPS, event)
        training.flush(force=True)
        await until(pilot, lambda: "1/1 ‘x’" in pane_text(pilot, "text"))
        for key in ("k", "x", "S", "s", "B", "I", "A", "a"):
            await pilot.press(key)
            await pilot.pause()
            assert all(len(line) == 120 for line in drawn(pilot).split("\n"))
    training.close()


async def test_every_action_is_in_the_palette_and_in_the_help_once(finished: Path) -> None:
    from rnnscope.tui.actions import in_groups

    async with lab_opened(finished) as pilot:
        actions = in_groups(lab(pilot).groups)
        titles = [command.title for command in pilot.app.get_system_commands(lab(pilot))]
        for action in actions:
            if action.call != "app.command_palette":
                assert sum(title.endswith(f"{action.label} ({action.shown})") for title in titles) == 1, action
        text = help_text(lab(pilot)).plain
        assert [text.count(f"  {action.shown:<7}{action.help}\n") for action in actions] == [1] * len(actions)

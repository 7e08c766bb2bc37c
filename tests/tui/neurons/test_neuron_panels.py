"""The neuron lab's other panels: their keys and clicks, and what they ask of the worker."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from rnnscope.recording.commands import Cancel
from rnnscope.recording.events import Intervention
from rnnscope.recording.reading_events import Asked
from rnnscope.recording.writer import Writer
from rnnscope.tui.actions import in_groups
from rnnscope.tui.screens.help import help_text
from rnnscope.tui.screens.neurons import PANELS
from tests.fakes import fake_config
from tests.neuron_fakes import QUOTED, neuron_events
from tests.tui.neurons.neuron_screen import STEPS, asked, lab, lab_opened, pane, pane_text
from tests.tui.screen import drawn, until


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


async def test_what_is_chosen_for_a_panel_that_is_not_seen_is_said(finished: Path) -> None:
    async with lab_opened(finished) as pilot:
        for key, said in (
            ("r", "attribution (A), M: input × gradient"), (")", "contexts (x), M: a unit is on above 0.6"),
            ("o", "units of the map by variance"),
        ):  # fmt: skip
            await pilot.press(key)
            await until(pilot, lambda said=said: said in drawn(pilot))
        await pilot.press("h")
        await until(pilot, lambda: "M: unit 1 of layer 2 held at its mean" in pane_text(pilot, "interventions"))
        assert "interventions (I)" not in drawn(pilot)
        await pilot.press("k", "h")
        await until(pilot, lambda: "interventions (I), M: unit 1 of layer 2 held at 1" in drawn(pilot))


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
    async with lab_opened(finished) as pilot:
        actions = in_groups(lab(pilot).groups)
        titles = [command.title for command in pilot.app.get_system_commands(lab(pilot))]
        for action in actions:
            if action.call != "app.command_palette":
                assert sum(title.endswith(f"{action.label} ({action.shown})") for title in titles) == 1, action
        text = help_text(lab(pilot)).plain
        assert [text.count(f"  {action.shown:<7}{action.help}\n") for action in actions] == [1] * len(actions)

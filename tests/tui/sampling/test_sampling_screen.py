"""The sampling lab on the screen: what is seen at each size, its keys and clicks, and what it asks for."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from textual.events import MouseScrollDown
from textual.pilot import Pilot
from textual.widgets import Input

from rnnscope.recording import commands as c
from rnnscope.recording.reading_events import Asked
from rnnscope.recording.writer import Writer
from rnnscope.tui.screens.help import help_text
from rnnscope.tui.screens.sampling import APART, TOGETHER
from rnnscope.tui.screens.table import SCREENS
from tests.fakes import TEXT, add_fake_steps, fake_config
from tests.reading_fakes import fake_decoding, fake_exposure, reading_events
from tests.tui.sampling.sampling_screen import lab, lab_opened, pane, pane_text, sampling_run
from tests.tui.screen import drawn, opened, until

PANELS = (*TOGETHER, *APART)


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    sampling_run(tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture
def training(tmp_path: Path) -> Writer:
    return sampling_run(tmp_path / "run", live=True)


@pytest.fixture
def bare(tmp_path: Path) -> Writer:
    """A run that nobody has asked anything of."""
    return sampling_run(tmp_path / "run", live=True, measured=False)


async def commands(pilot: Pilot[int], writer: Writer, count: int = 1) -> list[c.Command]:
    """Return the commands sent, once there are `count`."""
    taken: list[tuple[int, c.Command]] = []
    await until(pilot, lambda: taken.extend(writer.commands()) or len(taken) >= count)
    return [command for _, command in taken]


def asked(command: c.Command) -> tuple[str, dict[str, Any]]:
    assert isinstance(command, c.Measure)
    return command.probe, json.loads(command.arguments)


async def test_key_4_leads_to_it(finished: Path) -> None:
    async with opened(finished, screens=SCREENS) as pilot:
        await pilot.press("4")
        await until(pilot, lambda: "curves by position" in drawn(pilot))
        assert "4 sampling" in drawn(pilot).split("\n")[-1]


@pytest.mark.parametrize("size", [(120, 40), (200, 60)])
async def test_four_panels_are_read_together(finished: Path, size: tuple[int, int]) -> None:
    async with lab_opened(finished, size) as pilot:
        text = drawn(pilot)
        assert all(len(line) == size[0] for line in text.split("\n"))
        for expected in (
            "teacher forcing", "free running", "≠", "24: ", "probability p", "distance of the hidden states",
            "‖h−h′‖/‖h‖", "10–90%", "unrelated", "judge", "probe AUC", "chance", "T 0.2", "T 2", "distinct", "4.90",
            "Kneser-Ney",
            "you now beat the 2-gram", "13.1%", "order 4 writes", "r recovery",
        ):  # fmt: skip
            assert expected in text, expected
        assert pane(pilot, "recovery").size.width == 0


async def test_a_small_terminal_leafs_through_all_five(finished: Path) -> None:
    async with lab_opened(finished, (80, 24)) as pilot:
        seen = []
        for number in range(1, 6):
            assert f"PgUp/PgDn {number}/5" in drawn(pilot)
            (name,) = [name for name in PANELS if pane(pilot, name).region.width == 80]
            seen.append(name)
            await pilot.press("pagedown")
            await pilot.pause()
        assert tuple(seen) == PANELS


async def test_each_panel_has_a_key(finished: Path) -> None:
    async with lab_opened(finished) as pilot:
        for key, name in (("s", "pair"), ("l", "curves"), ("g", "decoding"), ("n", "ngram"), ("r", "recovery")):
            await pilot.press(key)
            await until(pilot, lambda name=name: pane(pilot, name).size.width == 120)
        await pilot.press("r")
        await until(pilot, lambda: pane(pilot, "pair").size.width == 60)


async def test_without_being_asked_it_shows_what_training_compares(bare: Writer) -> None:
    async with lab_opened(bare.folder, (200, 60)) as pilot:
        assert "taken while training" in pane_text(pilot, "pair")
        assert "character 13: the truth" in pane_text(pilot, "pair")
        assert "one prefix" in pane_text(pilot, "curves")
        await pilot.press("v", "v")
        assert "entropy H, nats: not measured live: M measures it" in pane_text(pilot, "pair")
        for name, words in (("decoding", "write on in four ways"), ("ngram", "count, and compare")):
            assert f"click here and press M: {words}" in pane_text(pilot, name)
        await pilot.press("tab", "tab")
        assert "  press M: write on in four ways" in pane_text(pilot, "decoding")
        await pilot.press("r")
        assert "press M: corrupt one character and watch it recover" in pane_text(pilot, "recovery")
    bare.close()


async def test_a_run_without_anything_breaks_nothing(tmp_path: Path) -> None:
    writer = Writer.create(tmp_path / "run", fake_config(), {})
    async with lab_opened(tmp_path / "run") as pilot:
        for name, words in (("pair", "read on from one prefix"), ("curves", "measure over many prefixes")):
            assert words in pane_text(pilot, name)
        for key in ("up", "left", "u", "U", "v", "0", "down"):
            await pilot.press(key)
    writer.close()


async def test_the_cursor_walks_in_both_panes_and_in_the_curves(finished: Path) -> None:
    def here(number: int) -> bool:
        return bool(re.search(rf"\b{number}: (the truth|true)", pane_text(pilot, "pair")))

    async with lab_opened(finished, (200, 60)) as pilot:
        assert here(24)
        await pilot.press("right", "right")
        assert here(26)
        assert "after 26: " in pane_text(pilot, "curves")
        await pilot.press("down")
        assert not here(26)
        await pilot.press("0")
        assert here(24)
        await pilot.press("0")
        assert "the cursor is there already" in drawn(pilot)


async def test_a_click_moves_the_cursor_from_either_pane(finished: Path) -> None:
    async with lab_opened(finished) as pilot:
        lines = pane_text(pilot, "pair").split("\n")
        y = next(i for i, line in enumerate(lines) if "It is the east" in line)
        for x in (2 + 10, 31 + 10):  # frame and gutter, the last character of the prefix, and ten more
            await pilot.press("0")
            await pilot.click("#pair", offset=(x, y))
            await until(pilot, lambda: "10: true" in pane_text(pilot, "pair") or "10: ‘" in pane_text(pilot, "pair"))
        await pilot.click("#pair", offset=(30, len(lines) - 1))  # the frame


async def test_the_wheel_moves_both_panes(finished: Path) -> None:
    async with lab_opened(finished) as pilot:
        before = lab(pilot).view.at
        await pilot._post_mouse_events([MouseScrollDown], widget="#pair", offset=(5, 5))
        await until(pilot, lambda: lab(pilot).view.at > max(before, 23))


async def test_colours_and_curves_are_chosen(finished: Path) -> None:
    async with lab_opened(finished, (200, 60)) as pilot:
        for words in ("surprise −ln p, nats 0", "entropy H, nats 0", "probability p 0"):
            await pilot.press("v")
            assert words in pane_text(pilot, "pair")
        assert "distance of the hidden states" in pane_text(pilot, "curves")
        assert "unrelated 1.06" in pane_text(pilot, "curves")
        await pilot.press("u")
        assert "at most ln 2" in pane_text(pilot, "curves")
        await pilot.press("U", "U", "U")
        assert "can a linear probe tell" in pane_text(pilot, "curves")


@pytest.mark.parametrize("size", [(120, 40), (200, 60)])
async def test_a_click_makes_a_curve_large(finished: Path, size: tuple[int, int]) -> None:
    async with lab_opened(finished, size) as pilot:
        for name, said in (
            ("probe AUC", "tell forced from free|probe: forced or free"),
            ("loss", "under teacher|loss"),
        ):
            lines = pane_text(pilot, "curves").split("\n")
            y = next(i for i, line in enumerate(lines) if i > 3 and name in line)
            await pilot.click("#curves", offset=(lines[y].index(name) + 2, y))
            await until(pilot, lambda said=said: re.search(said, pane_text(pilot, "curves").split("\n")[1]))


async def test_the_columns_scroll(finished: Path) -> None:
    async with lab_opened(finished, (80, 24)) as pilot:
        await pilot.press("g")
        await until(pilot, lambda: pane(pilot, "decoding").region.width == 80)
        before = pane_text(pilot, "decoding")
        await pilot.press(*["up"] * 3)
        assert pane_text(pilot, "decoding") != before
        await pilot.press(*["up"] * 30)
        assert "ROMEO:" in pane_text(pilot, "decoding").split("\n")[2]
        assert "it goes no further" in drawn(pilot)


async def test_m_measures_the_panel_that_has_the_focus(bare: Writer) -> None:
    async with lab_opened(bare.folder) as pilot:
        await pilot.press("M")
        assert "→ measure exposure …" in drawn(pilot)
        await pilot.press("tab", "tab", "M", "tab", "M", "r", "M")
        sent = [asked(command) for command in await commands(pilot, bare, 4)]
        assert [probe for probe, _ in sent] == ["exposure", "decoding", "ngram", "recovery"]
        assert sent[0][1] == {"length": 200}  # the run's own temperature is the usual one
    bare.close()


async def test_everything_is_measured_with_one_key_and_broken_off_with_another(bare: Writer) -> None:
    async with lab_opened(bare.folder) as pilot:
        await pilot.press("asterisk", "X")
        sent = await commands(pilot, bare, 5)
        assert [asked(command)[0] for command in sent[:4]] == ["exposure", "recovery", "decoding", "ngram"]
        assert sent[4] == c.Cancel()
    bare.close()


async def test_another_seed(bare: Writer) -> None:
    async with lab_opened(bare.folder) as pilot:
        await pilot.press("g", "G", "G")
        sent = await commands(pilot, bare, 2)
        assert [asked(command)[1]["seed"] for command in sent] == [2, 3]
    bare.close()


TYPED = (
    ("slash", "ROMEO:\\n", "decoding", "prompt", "ROMEO:\n"), ("k", "5", "decoding", "top_k", 5),
    ("P", "0.9", "decoding", "top_p", 0.9), ("D", "0 1", "decoding", "temperatures", [0.0, 1.0]),
    ("b", "12", "recovery", "position", 11),
)  # fmt: skip


async def test_what_is_typed_is_asked_for(bare: Writer) -> None:
    async with lab_opened(bare.folder) as pilot:
        for key, typed, probe, field, value in TYPED:
            await pilot.press(key)
            await until(pilot, lambda: "enter takes it" in drawn(pilot))
            pilot.app.screen.query_one("#ask-line", Input).value = typed
            await pilot.press("enter")
            (command,) = await commands(pilot, bare)
            assert asked(command)[0] == probe
            assert asked(command)[1][field] == value
    bare.close()


async def test_what_cannot_be_taken_is_said_and_nothing_is_asked(bare: Writer) -> None:
    async with lab_opened(bare.folder) as pilot:
        await pilot.press("k")
        await until(pilot, lambda: "enter takes it" in drawn(pilot))
        await pilot.press("x", "enter")
        await until(pilot, lambda: "x: not a number" in drawn(pilot))
        await pilot.press("P")
        await until(pilot, lambda: "enter takes it" in drawn(pilot))
        await pilot.press("escape")
        assert bare.commands() == []
    bare.close()


async def test_progress_errors_and_age_are_shown(bare: Writer) -> None:
    async with lab_opened(bare.folder) as pilot:
        bare.event(300, Asked("decoding", 0.4, "writing"))
        bare.flush(force=True)
        await until(pilot, lambda: "decoding: 40% writing" in pane_text(pilot, "decoding"))
        bare.event(300, fake_decoding(TEXT, np.random.default_rng(0), done=False))
        bare.flush(force=True)
        await until(pilot, lambda: "being written" in pane_text(pilot, "decoding"))
        assert "▌" in pane_text(pilot, "decoding")
        bare.event(300, Asked("decoding", 1.0, "cancelled"))
        bare.flush(force=True)
        await until(pilot, lambda: "broken off" in pane_text(pilot, "decoding"))
        assert "▌" not in pane_text(pilot, "decoding")
        assert "cancelled" in pane_text(pilot, "decoding")
        bare.event(300, fake_decoding(TEXT, np.random.default_rng(0)))
        bare.event(300, Asked("decoding", 1.0))
        bare.event(300, Asked("exposure", 1.0, error="no [b]judge"))
        bare.flush(force=True)
        await until(pilot, lambda: "error: no [b]judge" in pane_text(pilot, "pair"))
        assert "broken off" not in pane_text(pilot, "decoding")
        assert "error: no [b]judge" in pane_text(pilot, "curves")
        add_fake_steps(bare, 300, 20)
        await until(pilot, lambda: "measured 20 steps ago · M measures again" in pane_text(pilot, "decoding"))
        bare.event(320, fake_exposure(TEXT, np.random.default_rng(2)))
        bare.flush(force=True)
        await until(pilot, lambda: "error" not in pane_text(pilot, "pair"))
        assert "step 320" in pane_text(pilot, "pair")
    bare.close()


async def test_only_what_changed_is_drawn_again(training: Writer) -> None:
    async with lab_opened(training.folder) as pilot:
        await until(pilot, lambda: all(pane(pilot, name).paints for name in TOGETHER))
        before = {name: pane(pilot, name).paints for name in TOGETHER}
        add_fake_steps(training, 300, 20)
        await until(pilot, lambda: "step 320" in drawn(pilot))
        assert {name: pane(pilot, name).paints for name in TOGETHER} == before
        assert not pane(pilot, "recovery").paints  # never seen, never drawn
    training.close()


async def test_a_finished_run_can_be_measured_too(finished: Path) -> None:
    async with lab_opened(finished) as pilot:
        line = drawn(pilot).split("\n")[-1]
        assert "M measure" in line
        assert "pause" not in line


async def test_every_panel_is_explained_in_three_sentences_and_every_key_once(finished: Path) -> None:
    async with lab_opened(finished) as pilot:
        for widget in lab(pilot).panels.values():
            assert len(re.split(r"\.\s(?=[A-Z])", widget.summary)) == 3, widget.summary
            assert re.search(r"[Σ‖−]|p\(x", widget.summary)
            assert widget.chips
            assert widget.details
        text = help_text(lab(pilot)).plain
        for name in ("Teacher forcing", "Curves by position", "Recovery", "Decoding", "The n-gram rival", "Measuring"):
            assert name in text


async def test_numbers_that_are_none_break_nothing(tmp_path: Path) -> None:
    writer = sampling_run(tmp_path / "run", live=True)
    for event in reading_events(TEXT, np.random.default_rng(0)):
        bad = {
            field.name: np.full_like(value, [np.nan, np.inf, -np.inf][i % 3])
            for i, field in enumerate(dataclasses.fields(event))
            if isinstance(value := getattr(event, field.name), np.ndarray) and value.dtype.kind == "f"
        }
        writer.event(300, dataclasses.replace(event, **bad))
    writer.close()
    async with lab_opened(tmp_path / "run", (60, 16)) as pilot:
        await pilot.press("v", "v", *"uuuuu")
        for size in ((60, 16), (80, 24), (120, 40)):
            await pilot.resize_terminal(*size)
            for name in PANELS:
                if lab(pilot).large != name:
                    lab(pilot).action_enlarge(name)
                await pilot.pause()
                assert all(len(line) == size[0] for line in drawn(pilot).split("\n"))


async def test_foreign_text_is_never_markup(tmp_path: Path) -> None:
    text = "[/b]\x1b[2J[red]순환\u202e\n" * 12
    sampling_run(tmp_path / "run", text=text)
    async with lab_opened(tmp_path / "run") as pilot:
        for key in ("s", "g", "n", "r"):
            await pilot.press(key)
            await until(pilot, lambda: "[/b]␛[2J[red]" in drawn(pilot))
            shown = drawn(pilot).replace("\n", "")
            assert not any(ord(ch) < 32 or 0x7F <= ord(ch) < 0xA0 or ch == "\u202e" for ch in shown)

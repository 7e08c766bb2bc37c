"""Keys that ask the worker for something."""

from __future__ import annotations

from pathlib import Path

import pytest

from rnnscope.recording import commands as c
from rnnscope.recording.events import Status
from rnnscope.recording.writer import Writer
from rnnscope.tui.screens import base
from rnnscope.tui.screens.table import SCREENS
from tests.tui.screen import drawn, live, opened, until


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


async def test_a_key_that_cannot_work_says_why(finished: Path) -> None:
    async with opened(finished) as pilot:
        for key, what in (("space", "pause"), ("full_stop", "one step"), ("c", "clipping off")):
            await pilot.press(key)
            why = f"{what}: the run is finished, nobody is there to do that"
            await until(pilot, lambda why=why: why in drawn(pilot))
            assert "→" not in drawn(pilot).split("\n")[0]
            said = [line.text.strip() for line in map(live(pilot).notice.render_line, range(2))]
            assert said[0] == why
            assert said[1].startswith("to train on: rnnscope train --resume")


async def test_and_says_it_for_a_while_only(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "REMARK_SECONDS", 0.3)
    async with opened(finished) as pilot:
        await pilot.press("space")
        await until(pilot, lambda: "nobody is there" in drawn(pilot))
        await until(pilot, lambda: "nobody is there" not in drawn(pilot))
        assert not live(pilot).notice.display


async def test_so_do_the_keys_of_the_view(finished: Path) -> None:
    async with opened(finished) as pilot:
        for key, why in (("o", "every step"), ("<", "i zooms in"), ("0", "every step")):
            await pilot.press(key)
            await until(pilot, lambda why=why: why in drawn(pilot))


async def test_the_last_line_offers_what_does_something(training: Writer) -> None:
    async with opened(training.folder, (200, 60), screens=SCREENS[:1]) as pilot:
        line = drawn(pilot).split("\n")[-1]
        for chip in ("space pause", ". step", "+/- lr", "c clip", "t/T temp", "w save", "z freeze", "i/o zoom"):
            assert chip in line
        training.event(300, Status("paused"))
        training.flush(force=True)
        await until(pilot, lambda: "space go on" in drawn(pilot))
        training.event(300, Status("finished", "300 steps"))
        training.close()
        await until(pilot, lambda: "✓ finished" in drawn(pilot))
        line = drawn(pilot).split("\n")[-1]
        for chip in ("space", ". step", "+/-", "c clip", "t/T", "w save", "z freeze"):
            assert chip not in line
        for chip in ("i/o zoom", "f enlarge", "u/U unit", "p picture", "? help", "q quit"):
            assert chip in line


@pytest.mark.parametrize("word", ["finished", "stopped", "diverged", "failed", "interrupted"])
async def test_of_a_run_that_has_ended_no_key_needs_a_worker(training: Writer, word: str) -> None:
    if word == "interrupted":
        training._lock.release()  # what the kernel does when the worker is killed
    else:
        training.event(300, Status(word, "for a reason"))
        training.close()
    async with opened(training.folder, (200, 60), screens=SCREENS[:1]) as pilot:
        await until(pilot, lambda: f"{word} " in drawn(pilot).split("\n")[0])
        line = drawn(pilot).split("\n")[-1]
        assert line.startswith(" i/o zoom")
        assert not any(chip in line for chip in ("space", ". step", "+/-", "c clip", "t/T", "w save", "z freeze"))
        await pilot.press("plus")
        await until(pilot, lambda: f"learning rate × 1.25: the run is {word}, nobody is there" in drawn(pilot))

"""Each pane as literal text. After a wanted change: UPDATE_SNAPSHOTS=1 pytest on this file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.tui.sampling.sampling_screen import lab_opened, sampling_run
from tests.tui.screen import drawn

FOLDER = Path(__file__).parent / "snapshots"


def check(name: str, text: str) -> None:
    text = "\n".join(line.rstrip() for line in text.split("\n")) + "\n"
    saved = FOLDER / f"{name}.txt"
    if os.environ.get("UPDATE_SNAPSHOTS"):
        FOLDER.mkdir(exist_ok=True)
        saved.write_text(text, encoding="utf-8")
    assert text == saved.read_text(encoding="utf-8")


@pytest.mark.parametrize("mono", [False, True])
async def test_four_panels(tmp_path: Path, mono: bool) -> None:
    sampling_run(tmp_path / "run")
    async with lab_opened(tmp_path / "run", mono=mono) as pilot:
        check("mono" if mono else "together", drawn(pilot))


async def test_panes_and_curves_of_a_run_that_was_asked_nothing(tmp_path: Path) -> None:
    sampling_run(tmp_path / "run", measured=False)
    async with lab_opened(tmp_path / "run", mono=True) as pilot:
        check("unasked", drawn(pilot))


@pytest.mark.parametrize(
    ("name", "key"), [("pair", "s"), ("curves", "l"), ("decoding", "g"), ("ngram", "n"), ("recovery", "r")]
)
async def test_each_pane_on_a_small_terminal(tmp_path: Path, name: str, key: str) -> None:
    sampling_run(tmp_path / "run")
    async with lab_opened(tmp_path / "run", (80, 24), mono=True) as pilot:
        if name != "pair":  # it fills the screen already
            await pilot.press(key)
        await pilot.pause()
        check(name, drawn(pilot))

"""Each pane as literal text. After a wanted change: UPDATE_SNAPSHOTS=1 pytest tests/tui/lab/test_lab_snapshots.py."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.tui.lab.lab_screen import lab_opened, lab_run
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
    lab_run(tmp_path / "run")
    async with lab_opened(tmp_path / "run", mono=mono) as pilot:
        check("mono" if mono else "together", drawn(pilot))


@pytest.mark.parametrize(
    ("name", "keys"),
    [("through", "R"), ("waterfall", "W"), ("jacobian", "j"), ("clipping", "x"), ("triangle", "m"), ("horizon", "h"),
     ("parameters", "P"), ("blackbox", "B")],
)  # fmt: skip
async def test_each_pane_on_a_small_terminal(tmp_path: Path, name: str, keys: str) -> None:
    lab_run(tmp_path / "run", incident=True)
    async with lab_opened(tmp_path / "run", (80, 24), mono=True) as pilot:
        await pilot.press(*keys)
        await pilot.pause()
        check(name, drawn(pilot))

"""The whole screen as literal text. After a wanted change: UPDATE_SNAPSHOTS=1 pytest tests/tui/test_snapshots.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from rnnscope.tui.screens.table import SCREENS
from tests.fakes import make_fake_run
from tests.tui.screen import drawn, opened, panel, until
from tests.tui.snapshots import check


@pytest.mark.parametrize(
    ("name", "size", "mono"), [("80x24", (80, 24), False), ("120x40", (120, 40), False), ("mono", (120, 40), True)]
)
async def test_a_finished_run(tmp_path: Path, name: str, size: tuple[int, int], mono: bool) -> None:
    make_fake_run(tmp_path / "run", steps=300)
    async with opened(tmp_path / "run", size, mono=mono, screens=SCREENS[:1]) as pilot:
        await until(pilot, lambda: all(panel(pilot, p).paints for p in ("loss", "gradient", "activations", "sampling")))
        check(__file__, name, drawn(pilot))

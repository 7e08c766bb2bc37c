"""Each pane as literal text. After a wanted change: UPDATE_SNAPSHOTS=1 pytest tests/tui/lab/test_lab_snapshots.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tui.lab.lab_screen import lab_opened, lab_run, pane
from tests.tui.screen import drawn, until
from tests.tui.snapshots import check


@pytest.mark.parametrize("mono", [False, True])
async def test_four_panels(tmp_path: Path, mono: bool) -> None:
    lab_run(tmp_path / "run")
    async with lab_opened(tmp_path / "run", mono=mono) as pilot:
        check(__file__, "mono" if mono else "together", drawn(pilot))


async def test_each_pane_on_a_small_terminal(tmp_path: Path) -> None:
    keys = {"through": "R", "waterfall": "W", "jacobian": "j", "clipping": "x", "triangle": "m", "horizon": "h",
            "parameters": "P", "blackbox": "B"}  # fmt: skip
    lab_run(tmp_path / "run", incident=True)
    async with lab_opened(tmp_path / "run", (80, 24), mono=True) as pilot:
        for name, key in keys.items():
            await pilot.press(key)
            await until(pilot, lambda name=name: pane(pilot, name).region.width == 80)
            await pilot.pause()
            check(__file__, name, drawn(pilot))

"""Each pane as literal text. After a wanted change: UPDATE_SNAPSHOTS=1 pytest on this file."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tui.sampling.sampling_screen import lab_opened, pane, sampling_run
from tests.tui.screen import drawn, until
from tests.tui.snapshots import check


@pytest.mark.parametrize("mono", [False, True])
async def test_four_panels(tmp_path: Path, mono: bool) -> None:
    sampling_run(tmp_path / "run")
    async with lab_opened(tmp_path / "run", mono=mono) as pilot:
        check(__file__, "mono" if mono else "together", drawn(pilot))


async def test_panes_and_curves_of_a_run_that_was_asked_nothing(tmp_path: Path) -> None:
    sampling_run(tmp_path / "run", measured=False)
    async with lab_opened(tmp_path / "run", mono=True) as pilot:
        check(__file__, "unasked", drawn(pilot))


async def test_each_pane_on_a_small_terminal(tmp_path: Path) -> None:
    keys = {"pair": "", "curves": "l", "decoding": "g", "ngram": "n", "recovery": "r"}  # the first is there already
    sampling_run(tmp_path / "run")
    async with lab_opened(tmp_path / "run", (80, 24), mono=True) as pilot:
        for name, key in keys.items():
            await pilot.press(*key)
            await until(pilot, lambda name=name: pane(pilot, name).region.width == 80)
            await pilot.pause()
            check(__file__, name, drawn(pilot))

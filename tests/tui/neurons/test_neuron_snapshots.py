"""Each panel as literal text. After a wanted change: UPDATE_SNAPSHOTS=1 pytest this file."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tui.neurons.neuron_screen import lab_opened, neuron_run, pane
from tests.tui.screen import drawn, until
from tests.tui.snapshots import check


@pytest.mark.parametrize(("name", "mono"), [("together", False), ("mono", True)])
async def test_four_panels(tmp_path: Path, name: str, mono: bool) -> None:
    neuron_run(tmp_path / "run")
    async with lab_opened(tmp_path / "run", mono=mono) as pilot:
        check(__file__, name, drawn(pilot))


async def test_a_run_that_was_asked_nothing(tmp_path: Path) -> None:
    writer = neuron_run(tmp_path / "run", live=True, measured=False)
    async with lab_opened(tmp_path / "run", mono=True) as pilot:
        check(__file__, "bare", drawn(pilot))
    writer.close()


async def test_each_panel_on_a_small_terminal(tmp_path: Path) -> None:
    neuron_run(tmp_path / "run")
    async with lab_opened(tmp_path / "run", (80, 24), mono=True) as pilot:
        for name, keys in (
            ("text", ""), ("units", "k"), ("contexts", "x"), ("statespace", "sD"), ("birth", "B"),
            ("interventions", "I"), ("attribution", "A"), ("saturation", "Svvv"),
        ):  # fmt: skip
            await pilot.press(*keys)
            await until(pilot, lambda name=name: pane(pilot, name).region.width == 80)
            check(__file__, name, drawn(pilot))

"""What tests of the gradient lab share: runs with everything in them, and the screen opened on them."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
from textual.pilot import Pilot

from rnnscope.recording.commands import Command
from rnnscope.recording.events import Gradients, Intervention
from rnnscope.recording.writer import Writer
from rnnscope.tui.app import ScopeApp
from rnnscope.tui.screens.gradients import GradientsScreen
from rnnscope.tui.screens.table import SCREENS
from rnnscope.tui.widgets.panel import Panel
from tests.fakes import TEXT, fake_config, fake_gradients, left, make_fake_run
from tests.lab_fakes import fake_incident
from tests.tui.screen import opened, text_of, until

STEPS = 300


def with_parts(gradients: Gradients) -> Gradients:
    """Return `gradients` with the parts: the direct one of the last loss is zero but at the last time step."""
    direct = np.full_like(gradients.reach, np.nan)
    direct[-1, -1] = gradients.reach[-1, -1]
    return dataclasses.replace(
        gradients, reach_direct=direct, reach_recurrent=gradients.reach - 0.1, total_direct=gradients.total - 0.4,
        total_recurrent=gradients.total - 0.2,
    )  # fmt: skip


def lab_run(folder: Path, *, live: bool = False, cell: str = "lstm", incident: bool = False) -> Writer:
    """Record a made-up run of 300 steps with all there is to see."""
    writer = make_fake_run(folder, steps=STEPS, live=True, cell=cell)
    config = fake_config(cell=cell)
    writer.event(STEPS, with_parts(fake_gradients(config, np.random.default_rng(1))))
    if incident:
        writer.event(STEPS, fake_incident(config, TEXT))
    return left(writer, STEPS, live)


def done(writer: Writer, step: int, command: Command) -> None:
    """Record that somebody did `command`."""
    arguments = json.dumps(dataclasses.asdict(command))
    writer.event(step, Intervention(command.kind, arguments, True))
    writer.flush(force=True)


@asynccontextmanager
async def lab_opened(folder: Path, size: tuple[int, int] = (120, 40), **options: Any) -> AsyncIterator[Pilot[int]]:
    """Open the app on `folder` and go to the lab; the last line names no later screens."""
    options.setdefault("screens", SCREENS[:2])
    async with opened(folder, size, **options) as pilot:
        await pilot.press("2")
        await until(pilot, lambda: pilot.app.screen is lab(pilot) and lab(pilot).panels["through"].size.width)
        await pilot.pause()
        yield pilot


def lab(pilot: Pilot[int]) -> GradientsScreen:
    """Return the screen."""
    assert isinstance(pilot.app, ScopeApp)
    screen = pilot.app.screens["gradients"]
    assert isinstance(screen, GradientsScreen)
    return screen


def pane(pilot: Pilot[int], name: str) -> Panel:
    """Return a panel by its name."""
    return lab(pilot).panels[name]


def pane_text(pilot: Pilot[int], name: str) -> str:
    """Return the characters that a panel draws, frame included."""
    return text_of(pane(pilot, name))

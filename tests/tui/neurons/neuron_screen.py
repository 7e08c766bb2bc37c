"""What tests of the neuron lab share: runs with everything in them, and the screen opened on them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
from textual.pilot import Pilot

from rnnscope.recording.commands import Measure
from rnnscope.recording.writer import Writer
from rnnscope.tui.app import ScopeApp
from rnnscope.tui.screens.neurons import NeuronsScreen
from rnnscope.tui.widgets.panel import Panel
from tests.fakes import fake_config, left, make_fake_run
from tests.neuron_fakes import QUOTED, neuron_events
from tests.tui.screen import opened, text_of, until

STEPS = 300


def neuron_run(
    folder: Path, *, live: bool = False, cell: str = "lstm", measured: bool = True, text: str = QUOTED
) -> Writer:
    """Record a made-up run of 300 steps, with every measurement of the neuron lab if `measured`."""
    writer = make_fake_run(folder, steps=STEPS, live=True, cell=cell)
    if measured:
        for event in neuron_events(fake_config(cell=cell), text, np.random.default_rng(1)):
            writer.event(STEPS, event)
    return left(writer, STEPS, live)


@asynccontextmanager
async def lab_opened(folder: Path, size: tuple[int, int] = (120, 40), **options: Any) -> AsyncIterator[Pilot[int]]:
    """Open the app on `folder` and go to the lab."""
    async with opened(folder, size, **options) as pilot:
        await pilot.press("3")
        await until(pilot, lambda: pilot.app.screen is lab(pilot) and lab(pilot).panels["text"].size.width)
        await pilot.pause()
        yield pilot


def lab(pilot: Pilot[int]) -> NeuronsScreen:
    """Return the screen."""
    assert isinstance(pilot.app, ScopeApp)
    screen = pilot.app.screens["neurons"]
    assert isinstance(screen, NeuronsScreen)
    return screen


def pane(pilot: Pilot[int], name: str) -> Panel:
    """Return a panel by its name."""
    return lab(pilot).panels[name]


def pane_text(pilot: Pilot[int], name: str) -> str:
    """Return the characters that a panel draws, frame included."""
    return text_of(pane(pilot, name))


async def asked(pilot: Pilot[int], writer: Writer, count: int = 1) -> list[tuple[str, dict[str, Any]]]:
    """Return the next `count` measurements that the worker was asked for, as (probe, what is not as usual)."""
    taken: list[Any] = []
    await until(pilot, lambda: taken.extend(writer.commands()) or len(taken) >= count)
    commands = [command for _, command in taken]
    assert all(isinstance(command, Measure) for command in commands), commands
    return [(command.probe, json.loads(command.arguments)) for command in commands]

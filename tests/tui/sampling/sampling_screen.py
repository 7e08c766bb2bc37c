"""What tests of the sampling lab share: runs with everything in them, and the screen opened on them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
from textual.pilot import Pilot

from rnnscope.recording.writer import Writer
from rnnscope.tui.app import ScopeApp
from rnnscope.tui.screens.sampling import SamplingScreen
from rnnscope.tui.screens.table import Entry
from rnnscope.tui.widgets.panel import Panel
from tests.fakes import TEXT, left, make_fake_run
from tests.reading_fakes import reading_events
from tests.tui.screen import opened, text_of, until

STEPS = 300
ALONE = (Entry("4", "live", SamplingScreen),)
"""The lab as the only screen, so that the last line does not change with the others."""


def sampling_run(folder: Path, *, live: bool = False, measured: bool = True, text: str = TEXT) -> Writer:
    """Record a made-up run of 300 steps, with all that can be asked for if `measured`."""
    writer = make_fake_run(folder, steps=STEPS, live=True)
    if measured:
        for event in reading_events(text, np.random.default_rng(1)):
            writer.event(STEPS, event)
    return left(writer, STEPS, live)


@asynccontextmanager
async def lab_opened(folder: Path, size: tuple[int, int] = (120, 40), **options: Any) -> AsyncIterator[Pilot[int]]:
    """Open the app on `folder`, with the lab alone."""
    async with opened(folder, size, screens=ALONE, **options) as pilot:
        await until(pilot, lambda: lab(pilot).panels["pair"].size.width)
        await pilot.pause()
        yield pilot


def lab(pilot: Pilot[int]) -> SamplingScreen:
    """Return the screen."""
    assert isinstance(pilot.app, ScopeApp)
    screen = pilot.app.current
    assert isinstance(screen, SamplingScreen)
    return screen


def pane(pilot: Pilot[int], name: str) -> Panel:
    """Return a panel by its name."""
    return lab(pilot).panels[name]


def pane_text(pilot: Pilot[int], name: str) -> str:
    """Return the characters that a panel draws, frame included."""
    return text_of(pane(pilot, name))

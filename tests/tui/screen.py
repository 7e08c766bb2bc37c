"""What tests of the screen share: an app on a made-up run, the characters it draws, and bounded waiting."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from textual._compositor import LayoutUpdate
from textual.pilot import Pilot

from rnnscope.tui.app import ScopeApp
from rnnscope.tui.screens.live import LiveScreen
from rnnscope.tui.widgets.panel import Panel

REFERENCE = (120, 40)


@asynccontextmanager
async def opened(folder: Path, size: tuple[int, int] = REFERENCE, **options: Any) -> AsyncIterator[Pilot[int]]:
    """Open the app on `folder` and wait until the first look at the recording is on the screen."""
    options.setdefault("mono", "NO_COLOR" in os.environ)  # whatever TERM the tests run on
    # No faster: pilot.press waits until the process is idle for 20 ms.
    app = ScopeApp(folder, poll_seconds=0.1, **options)
    async with app.run_test(size=size, notifications=True) as pilot:
        await until(pilot, lambda: app.session.newest is not None or bool(app.session.trouble))
        await pilot.pause()
        yield pilot


async def until(pilot: Pilot[int], condition: Callable[[], Any], seconds: float = 5.0) -> None:
    """Wait until `condition` holds; fail after `seconds`, showing the screen."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"still not so after {seconds} s; the screen:\n{drawn(pilot)}"
        await pilot.pause(0.01)


def drawn(pilot: Pilot[int]) -> str:
    """Return every character on the screen, dialogs and toasts included."""
    app = pilot.app
    update = app.screen._compositor.render_update(full=True, screen_stack=app._background_screens)
    assert isinstance(update, LayoutUpdate)
    return "\n".join("".join(strip.text for strip in line) for line in update.strips)


def live(pilot: Pilot[int]) -> LiveScreen:
    """Return the Live screen."""
    assert isinstance(pilot.app, ScopeApp)
    screen = pilot.app.screens["live"]
    assert isinstance(screen, LiveScreen)
    return screen


def panel(pilot: Pilot[int], name: str) -> Panel:
    """Return a panel by its name."""
    return live(pilot).query_one(f"#{name}", Panel)


def panel_text(pilot: Pilot[int], name: str) -> str:
    """Return the characters that a panel draws, frame included."""
    return text_of(panel(pilot, name))


def text_of(widget: Panel) -> str:
    """Return the characters that a panel of any screen draws, frame included."""
    return "\n".join(widget.render_line(y).text for y in range(widget.size.height))

"""The forks of the run on the screen that train on, whatever becomes of it. On the reader's thread."""

from __future__ import annotations

import time
from pathlib import Path

from rnnscope.charts.text import printable
from rnnscope.recording.commands import Fork
from rnnscope.recording.events import Intervention
from rnnscope.recording.lock import live
from rnnscope.recording.mailbox import decode_command
from rnnscope.recording.records import Recorded

PATIENCE = 10.0
"""Seconds that a fork's worker may take until it holds its run's lock: it has to read torch first."""


class Forks:
    """Remembers every fork that was made: a rewind takes it out of the run's history, and its worker trains on."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made: dict[Path, float] = {}  # when, in seconds since 1970
        self._read: object = None

    def poll(self, interventions: tuple[Recorded[Intervention], ...]) -> tuple[Path, ...]:
        """Return the folders of those that train now, or are about to."""
        if interventions is not self._read:
            self._read = interventions
            for recorded in interventions:
                command, _ = decode_command(recorded.event.command, recorded.event.arguments)
                if recorded.event.done and isinstance(command, Fork) and command.name:
                    self._made[self._folder.with_name(command.name)] = recorded.time
        now = time.time()
        return tuple(path for path, made in self._made.items() if live(path) or now - made < PATIENCE)


def farewell(forks: tuple[Path, ...]) -> list[str]:
    """Return a line for each fork that is left training: how to see it again, how to end it."""
    names = [printable(str(path)) for path in forks]
    return [f"a fork trains on; rnnscope watch {name} to see it, rnnscope stop {name} to end it" for name in names]

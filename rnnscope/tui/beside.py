"""Other runs beside the one on the screen: read more seldom, drawn in the same charts. On the reader's thread."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

from rnnscope.errors import UserError
from rnnscope.tui.snapshot import Other
from rnnscope.tui.source import Source

EVERY = 1.0
"""Seconds between two looks."""


class Companions:
    """The other runs of one screen."""

    def __init__(self, folders: Iterable[Path] = ()) -> None:
        self._sources: list[Source] = []
        self._others: tuple[Other, ...] = ()
        self._looked = -EVERY
        for folder in folders:
            self.add(folder)

    def add(self, folder: Path) -> None:
        """Show one more, once."""
        if all(source.folder != Path(folder) for source in self._sources):
            self._sources.append(Source(folder))
            self._looked = -EVERY

    def poll(self) -> tuple[Other, ...]:
        """Return what is known of them: the very same objects where nothing is new. What cannot be read is left out."""
        now = time.monotonic()
        if now - self._looked < EVERY:
            return self._others
        self._looked = now
        found = [other for source in self._sources if (other := _look(source)) is not None]
        if [_parts(other) for other in found] != [_parts(other) for other in self._others]:
            self._others = tuple(found)
        return self._others

    def close(self) -> None:
        """Let go of the recordings."""
        for source in self._sources:
            source.close()


def _look(source: Source) -> Other | None:
    try:
        snapshot = source.poll()
    except UserError:  # a fork that has not begun, a run that was removed: there may be more to see next time
        return None
    gradients = snapshot.state.gradients
    return Other(snapshot.name, snapshot.loss, gradients.event if gradients else None)


def _parts(other: Other) -> tuple[str, int, int]:
    return other.name, id(other.loss), id(other.gradients)

"""The time that a run has trained: pauses, and waiting for commands, left out."""

from __future__ import annotations

import time
from types import TracebackType


class Stopwatch:
    """Counts the seconds spent inside `with` blocks (which do not nest), on top of those it begins with."""

    def __init__(self, seconds: float = 0.0) -> None:
        self._before = seconds
        self._since: float | None = None

    @property
    def seconds(self) -> float:
        """Seconds so far, those of a block under way included."""
        return self._before + (0.0 if self._since is None else time.perf_counter() - self._since)

    def __enter__(self) -> None:
        self._since = time.perf_counter()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._before, self._since = self.seconds, None

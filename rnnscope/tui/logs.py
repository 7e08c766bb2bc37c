"""The end of a log: what a process that died said last."""

from __future__ import annotations

from pathlib import Path

LOG_LINES = 6
LOG_BYTES = 8192


def tail(path: Path, lines: int = LOG_LINES) -> tuple[str, ...]:
    """Return the last lines of a log, none where there is no log."""
    try:
        with path.open("rb") as log:
            log.seek(0, 2)
            log.seek(max(log.tell() - LOG_BYTES, 0))
            text = log.read().decode("utf-8", errors="replace")
    except OSError:
        return ()
    return tuple(line.rstrip() for line in text.splitlines() if line.strip())[-lines:]

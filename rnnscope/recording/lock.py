"""One worker per run: an flock on `<run>/lock`.

The kernel drops the lock when its holder ends, however it ends, so a lock that is held means a worker that lives.
What the file says (pid and host) is information for people and is never trusted.
"""

from __future__ import annotations

import fcntl
import os
import socket
import time
from pathlib import Path

from rnnscope.errors import UserError

NAME = "lock"
PATIENCE = 0.5
"""Seconds that acquire() tries: long enough to outlast a reader's momentary test, short enough to answer at once."""


class Lock:
    """A held lock; `release()` or the end of the process gives it back."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor

    @classmethod
    def acquire(cls, folder: Path) -> Lock:
        """Take the lock of run `folder`.

        Raises:
            UserError: another worker holds it, or the folder cannot be written.
        """
        try:
            descriptor = os.open(folder / NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise UserError(f"cannot write to {folder}: {error.strerror}") from error
        deadline = time.monotonic() + PATIENCE
        while not _flock(descriptor, fcntl.LOCK_EX):
            if time.monotonic() > deadline:
                os.close(descriptor)
                raise UserError(f"{folder} is being trained by another worker ({holder(folder) or 'unknown'})")
            time.sleep(0.01)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"pid {os.getpid()} on {socket.gethostname()}\n".encode(), 0)
        return cls(descriptor)

    def release(self) -> None:
        """Give the lock back (once is enough)."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def live(folder: Path) -> bool:
    """Whether a worker holds the lock of run `folder`.

    The test is a shared lock held for microseconds: other tests do not see it, and a worker that starts at this
    moment tries again.
    """
    try:
        descriptor = os.open(folder / NAME, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False  # never locked, or not ours to see
    try:
        return not _flock(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)


def holder(folder: Path) -> str:
    """Return what the last worker wrote of itself, e.g. "pid 812 on lab3"; "" if nothing. Information only."""
    try:
        return (folder / NAME).read_text(encoding="utf-8", errors="replace").strip()[:200]
    except OSError:
        return ""


def _flock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True

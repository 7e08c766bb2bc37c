"""A real pseudo-terminal for tests: a program on one end, what a person would see and type on the other."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyte

REFERENCE = (120, 40)
PATIENCE = 60.0  # seconds, for a loaded machine; what is waited for comes far sooner
QUIET = 0.02  # seconds without a byte after which the screen is looked at

# The program becomes leader of a session whose controlling terminal this is, as a shell would start it.
LEADER = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"


class Terminal:
    """One program in one terminal. The terminal outlives the program, so that its settings can be looked at after."""

    def __init__(
        self,
        arguments: list[str],
        *,
        cwd: Path,
        size: tuple[int, int] = REFERENCE,
        program: tuple[str, ...] = ("-m", "rnnscope"),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Start `python PROGRAM ARGUMENTS` in a terminal of `size` columns and rows."""
        self._master, self._slave = pty.openpty()
        self.raw = bytearray()
        self.screen = pyte.Screen(*size)
        self._stream = pyte.ByteStream(self.screen)
        self._set_size(size)
        self.settings_before = self.settings()
        unset = ("COLUMNS", "LINES", "NO_COLOR", "TERM_PROGRAM", "TEXTUAL", "TEXTUAL_DRIVER")
        inherited = {name: value for name, value in os.environ.items() if name not in unset}
        self.process = subprocess.Popen(
            [sys.executable, "-c", LEADER, sys.executable, *program, *arguments],
            stdin=self._slave, stdout=self._slave, stderr=self._slave, cwd=cwd, start_new_session=True,
            env={**inherited, "TERM": "xterm-256color", "COLORTERM": "truecolor", **(environment or {})},
        )  # fmt: skip

    # -- what a person does ----------------------------------------------------------------------------------------

    def key(self, keys: str) -> None:
        """Type."""
        os.write(self._master, keys.encode())

    def resize(self, columns: int, rows: int) -> None:
        """Make the window larger or smaller."""
        self.read()
        self.screen.resize(rows, columns)
        self._set_size((columns, rows))

    def hang_up(self) -> None:
        """Close the window."""
        for descriptor in (self._slave, self._master):
            os.close(descriptor)
        self._master = self._slave = -1

    # -- what a person sees ----------------------------------------------------------------------------------------

    def read(self) -> None:
        """Take what the program has written so far."""
        while self._master >= 0 and select.select([self._master], [], [], QUIET)[0]:
            got = os.read(self._master, 1 << 16)
            self.raw += got
            self._stream.feed(got)

    @property
    def lines(self) -> list[str]:
        """The rows of the screen as it was last read."""
        return list(self.screen.display)

    @property
    def text(self) -> str:
        """The same as one string."""
        return "\n".join(self.lines)

    def cell(self, column: int, row: int) -> str:
        """Return what stands in one cell, both counted from 0; "" in the second cell of a wide character."""
        return str(self.screen.buffer[row][column].data)

    def until(self, wanted: str | Callable[[str], Any], seconds: float = PATIENCE) -> Any:
        """Wait until `wanted` is on the screen, or holds of its text (then return what it gave)."""
        deadline = time.monotonic() + seconds
        while True:
            self.read()
            found = wanted in self.text if isinstance(wanted, str) else wanted(self.text)
            if found:
                return found
            ended = self.process.poll()
            waiting = ended is None and time.monotonic() < deadline
            assert waiting, f"not seen: {wanted} (exit {ended}); the screen:\n{self.text}"

    def ended(self, seconds: float = PATIENCE) -> int:
        """Wait until the program has ended; return its exit status."""
        deadline = time.monotonic() + seconds
        while self.process.poll() is None:
            self.read()  # a full terminal would hold it up
            assert time.monotonic() < deadline, f"still running; the screen:\n{self.text}"
        self.read()
        return self.process.returncode

    # -- what the terminal is left like ----------------------------------------------------------------------------

    def settings(self) -> list[Any]:
        """Return the terminal's settings (echo, line editing, ...)."""
        return termios.tcgetattr(self._slave)

    def modes(self) -> set[str]:
        """Return which of the modes that must not be left on are on, by replaying what was written."""
        names = {
            b"1049": "alternate screen", b"25": "hidden cursor", b"1000": "mouse", b"1002": "mouse", b"1003": "mouse",
            b"1006": "mouse", b"1015": "mouse", b"2004": "bracketed paste", b"1004": "focus reports",
        }  # fmt: skip
        on = set()
        for number, name in names.items():
            set_, reset = self.raw.rfind(b"\x1b[?%bh" % number), self.raw.rfind(b"\x1b[?%bl" % number)
            if set_ != reset and ((set_ > reset) != (name == "hidden cursor")):
                on.add(name)
        return on

    def close(self) -> None:
        """End the program, if it has not ended, and the terminal."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(PATIENCE)
        if self._master >= 0:
            self.hang_up()

    def _set_size(self, size: tuple[int, int]) -> None:
        columns, rows = size
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

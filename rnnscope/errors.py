"""The errors a person is shown as one line instead of a traceback."""

from __future__ import annotations

EXIT_OK = 0
EXIT_FAILED = 1  # the run itself failed (disk full, out of memory, diverged worker, ...)
EXIT_USAGE = 2  # bad usage or bad input; nothing was written
EXIT_INTERRUPTED = 130  # SIGINT
EXIT_TERMINATED = 143  # SIGTERM


class UserError(Exception):
    """Bad input or usage: one line that says what is wrong and what to do. Exit code 2."""


class RunFailed(Exception):
    """A run that was under way cannot go on: one line with the reason. Exit code 1."""


def one_line(reason: str) -> str:
    """Return `reason` without line ends and whatever else a terminal would obey: headless, stderr may be one."""
    return "".join(character if character.isprintable() else "?" for character in " ".join(reason.split()))

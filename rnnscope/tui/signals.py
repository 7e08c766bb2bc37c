"""A closed terminal, SIGTERM and SIGINT from outside: restore the terminal, leave the worker running, exit."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import sys
import termios
import threading
from collections.abc import Callable

EXIT_CODES: dict[signal.Signals, int] = {
    signal.SIGINT: 130,
    signal.SIGTERM: 143,
    signal.SIGHUP: 129,
}
PATIENCE = 2.0  # seconds: a terminal that is gone can block whoever writes to it, for ever


def leave_on_signals(leave: Callable[[int], None]) -> None:
    """Call `leave(exit code)` in the running event loop when one of the signals comes.

    Textual restores the terminal on its way out. Should that hang (its writer thread dies with the terminal), the
    process ends anyway after `PATIENCE`.
    """
    loop = asyncio.get_running_loop()
    for number, code in EXIT_CODES.items():
        loop.add_signal_handler(number, _leave, leave, code)


def hung_up() -> bool:
    """Whether the terminal that this process was started on is gone."""
    try:
        termios.tcgetattr(sys.__stdin__.fileno() if sys.__stdin__ is not None else 0)
    except termios.error as error:
        return bool(error.args[0] == errno.EIO)
    return False


def _leave(leave: Callable[[int], None], code: int) -> None:
    last_resort = threading.Timer(PATIENCE, os._exit, (code,))
    last_resort.daemon = True
    last_resort.start()
    leave(code)

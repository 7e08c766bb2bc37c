"""What the screen costs (`rnnscope bench --ui`): the real program in a pseudo-terminal, beside the same worker alone.

Each round trains twice from the same start, alternating: the worker alone, and the worker with the screen on a
120x40 terminal that something reads. Reported: training speed with the screen over that without it, the screen's
share of one core, how long a key takes to be answered while training uses every core, and how long the first
frame and the first loss take from the command. Linux and macOS.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import re
import select
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from rnnscope.errors import EXIT_OK, RunFailed
from rnnscope.launch import prepare_new, spawn_worker, stop
from rnnscope.options import Train, parse
from rnnscope.recording.lock import live
from rnnscope.recording.reader import Reader

COLUMNS, ROWS = 120, 40
PATIENCE = 60.0  # seconds
SETTLE = 3.0  # seconds of training before anything is measured
KEYS = 10
ESCAPES = re.compile(
    rb"\x1b(?:\[[0-9;?<>=]*[a-zA-Z]|[()][0-9A-B]|\][^\x07\x1b]*(?:\x07|\x1b\\)|P[^\x1b]*\x1b\\|[=>78c])"
)


@dataclass(frozen=True)
class ScreenCost:
    """The report; see the module. Seconds, and ratios."""

    speed_ratio: float
    screen_core_share: float
    key_seconds_median: float
    key_seconds_worst: float
    first_frame_seconds: float
    first_loss_seconds: float
    chars_per_s_alone: float
    chars_per_s_with_screen: float


class Terminal:
    """A program on a pseudo-terminal of its own, and all that it has written without escape sequences."""

    def __init__(self, command: list[str]) -> None:
        self.started = time.monotonic()
        self.pid, self.descriptor = pty.fork()
        if self.pid == 0:
            os.environ.update(TERM="xterm-256color", COLORTERM="truecolor")
            os.execvp(command[0], command)
        fcntl.ioctl(self.descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        self.text = b""

    def read(self, seconds: float) -> bytes:
        """Return what comes within `seconds`, at once when something does."""
        if not select.select([self.descriptor], [], [], seconds)[0]:
            return b""
        with contextlib.suppress(OSError):  # the program ended
            return os.read(self.descriptor, 1 << 16)
        return b""

    def until(self, pattern: bytes) -> float:
        """Read until `pattern` is on the screen; return the seconds since this call.

        Raises:
            RunFailed: it never came.
        """
        began, seen = time.monotonic(), b""
        while time.monotonic() - began < PATIENCE:
            seen += self.read(0.05)
            if re.search(pattern, ESCAPES.sub(b"", seen)):
                return time.monotonic() - began
        raise RunFailed(f"the screen never showed {pattern.decode()}: {ESCAPES.sub(b'', seen)[-300:]!r}")

    def drain(self, seconds: float) -> None:
        """Read and forget for a while, as a terminal does."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.read(left)

    def key(self, text: bytes) -> None:
        """Press a key."""
        os.write(self.descriptor, text)

    def cpu_seconds(self) -> float:
        """Return the CPU time that the program itself has used; without Linux' /proc, in whole seconds."""
        stat = Path(f"/proc/{self.pid}/stat")
        if stat.exists():
            fields = stat.read_text().rpartition(")")[2].split()
            return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")  # in user and in system mode
        shown = subprocess.run(["ps", "-o", "time=", "-p", str(self.pid)], capture_output=True, text=True, check=True)
        days, _, clock = shown.stdout.strip().rpartition("-")
        seconds = 0.0
        for part in clock.split(":"):
            seconds = 60 * seconds + float(part)
        return seconds + 86400 * int(days or 0)

    def close(self) -> None:
        """End the program if it still runs."""
        with contextlib.suppress(OSError):
            os.kill(self.pid, signal.SIGKILL)
        os.close(self.descriptor)
        os.waitpid(self.pid, 0)


@contextlib.contextmanager
def terminal(command: list[str]) -> Iterator[Terminal]:
    """Run `command` on a terminal for the length of the block."""
    program = Terminal(command)
    try:
        yield program
    finally:
        program.close()


def speed(folder: Path, seconds: float, wait: Terminal | None) -> float:
    """Return characters trained a second of wall time, over `seconds`, after it has settled."""
    with Reader(folder) as reader:
        deadline = time.monotonic() + PATIENCE
        while (first := reader.newest_step()) is None or first.seconds < SETTLE:
            if time.monotonic() > deadline or not live(folder):
                raise RunFailed(f"{folder} does not train; see {folder / 'worker.log'}")
            wait.drain(0.1) if wait else time.sleep(0.1)
        began = time.monotonic()
        wait.drain(seconds) if wait else time.sleep(seconds)
        last = reader.newest_step()
        if last is None:
            raise RunFailed(f"{folder} lost its steps")
        return (last.chars - first.chars) / (time.monotonic() - began)


def alone(folder: Path, words: list[str], seconds: float) -> float:
    """Train without a screen; return characters a second."""
    prepare_new(parse(Train, "train", [*words, "--run", str(folder)]).to_config(), headless=False)
    worker = spawn_worker(folder)
    wait_for_lock(folder)
    try:
        return speed(folder, seconds, None)
    finally:
        stop(folder)
        worker.wait()


def wait_for_lock(folder: Path) -> None:
    """Wait until the worker holds its run. Raises RunFailed when it never does."""
    deadline = time.monotonic() + PATIENCE
    while not live(folder):
        if time.monotonic() > deadline:
            raise RunFailed(f"no worker came for {folder}; see {folder / 'worker.log'}")
        time.sleep(0.05)


def with_screen(folder: Path, words: list[str], seconds: float) -> tuple[float, float, list[float], float, float]:
    """Train with the screen; return speed, share of a core, seconds of each key, of first frame and first loss."""
    with terminal([sys.executable, "-m", "rnnscope", "train", *words, "--run", str(folder)]) as screen:
        try:
            first_frame = screen.until(rb"rnnscope")
            first_loss = first_frame + screen.until(rb"(train|val) \d+\.\d+")  # the first of both may come in one frame
            wait_for_lock(folder)
            before, began = screen.cpu_seconds(), time.monotonic()
            rate = speed(folder, seconds, screen)
            share = (screen.cpu_seconds() - before) / (time.monotonic() - began)
            return rate, share, [key_seconds(screen, number) for number in range(KEYS)], first_frame, first_loss
        finally:
            if live(folder):
                stop(folder)


def key_seconds(screen: Terminal, number: int) -> float:
    """Return how long the screen takes to show the next unit after `u` is pressed."""
    screen.drain(0.3 + 0.037 * number)  # not in step with the redraws
    screen.key(b"u")
    return screen.until(rb"unit \d+")


def measure(rounds: int, seconds: float, words: list[str]) -> ScreenCost:
    """Alternate `rounds` times; return medians."""
    speeds: tuple[list[float], list[float]] = ([], [])
    shares, keys, frames, losses = [], [], [], []
    with tempfile.TemporaryDirectory(prefix="rnnscope-bench-") as place:
        for number in range(rounds):
            speeds[0].append(alone(Path(place) / f"alone-{number}", words, seconds))
            rate, share, pressed, frame, loss = with_screen(Path(place) / f"screen-{number}", words, seconds)
            speeds[1].append(rate)
            shares.append(share)
            keys.extend(pressed)
            frames.append(frame)
            losses.append(loss)
    middle = statistics.median
    ratio = middle(b / a for a, b in zip(*speeds, strict=True))
    return ScreenCost(
        ratio, middle(shares), middle(keys), max(keys), middle(frames), middle(losses), *map(middle, speeds)
    )  # fmt: skip


def main(*, as_json: bool, rounds: int = 3, seconds: float = 15.0, words: tuple[str, ...] = ("play",)) -> int:
    """Run the bench and print it; return the exit status."""
    cost = measure(rounds, seconds, list(words))
    if as_json:
        print(json.dumps(asdict(cost)))
        return EXIT_OK
    print(f"training with the screen over without it  {cost.speed_ratio:6.3f}")
    print(f"the screen's share of one core            {cost.screen_core_share:6.1%}")
    print(f"a key is answered in, median and worst    {cost.key_seconds_median:6.3f} s {cost.key_seconds_worst:.3f} s")
    print(
        f"first frame, first loss after the command {cost.first_frame_seconds:6.2f} s {cost.first_loss_seconds:.2f} s"
    )
    return EXIT_OK

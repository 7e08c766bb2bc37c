"""Training in the foreground: plain lines with a progress bar where there is a terminal, or JSON lines."""

from __future__ import annotations

import json
import math
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from rnnscope.charts.text import printable
from rnnscope.recording import events as e

LINE_EVERY = 1.0  # seconds between two lines, plain or JSON


def run_headless(folder: Path, *, as_json: bool) -> int:
    """Train the run in `folder` in this process; return the exit code.

    SIGINT and SIGTERM write a checkpoint first, then give 130 and 143.
    """
    from rnnscope.worker import Session  # imports torch

    report = JsonLines() if as_json else PlainLines(folder)
    try:
        return Session(folder, observer=report).run()
    finally:
        report.close()


def tell(line: str) -> None:
    """Write a line to stdout. Where nobody reads it any more (`| head`), training ends as if SIGTERM had come."""
    try:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
        if signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
            signal.raise_signal(signal.SIGTERM)


def finite(value: float) -> float | None:
    """Return `value`, or None where it is NaN or infinite: JSON has neither."""
    return value if math.isfinite(value) else None


def _number(value: float, decimals: int = 4) -> str:
    """Return `value` with that many decimals; of a loss that explodes only the first digits, it may have 30."""
    return f"{value:.{decimals}f}" if abs(value) < 1e6 else f"{value:.4g}"


class Rate:
    """Characters a second between two reports."""

    def __init__(self) -> None:
        self._chars, self._seconds = 0, 0.0
        self.last = math.nan

    def update(self, row: e.StepRow) -> float:
        """Return the rate since the last report."""
        if row.seconds > self._seconds:
            self.last = (row.chars - self._chars) / (row.seconds - self._seconds)
        self._chars, self._seconds = row.chars, row.seconds
        return self.last


class JsonLines:
    """One JSON object a line: step, epoch, train_loss, val_loss, grad_norm, chars_per_s; null where there is none.

    A line for a step about once a second, for every validated step, and for the last; never two for one step.
    """

    def __init__(self) -> None:
        self._rate, self._told = Rate(), 0.0
        self._row: e.StepRow | None = None  # not written yet: its validation may still come
        self._validation: float | None = None

    def updated(self, row: e.StepRow) -> None:
        """Take the next step; the one before is then complete, and written about once a second."""
        if self._validation is not None or time.monotonic() - self._told >= LINE_EVERY:
            self._write()
        self._row = row

    def recorded(self, step: int, event: e.Event) -> None:
        """Keep a validation for its step's line; tell on stderr how the run ended."""
        del step
        if isinstance(event, e.Validation):
            self._validation = event.loss
        elif isinstance(event, e.Status) and event.detail and event.state != e.FAILED:
            print(f"rnnscope: {printable(event.detail)}", file=sys.stderr)

    def _write(self) -> None:
        row, validation = self._row, self._validation
        self._row = self._validation = None
        if row is None:
            return
        self._told = time.monotonic()
        line: dict[str, Any] = {
            "step": row.step,
            "epoch": round(row.epoch, 4),
            "train_loss": finite(row.loss),
            "val_loss": None if validation is None else finite(validation),
            "grad_norm": finite(row.grad_norm),
            "chars_per_s": finite(round(self._rate.update(row), 1)) if row.seconds else None,
        }
        tell(json.dumps(line, allow_nan=False))

    def close(self) -> None:
        """Write the last step."""
        self._write()


class PlainLines:
    """A line about once a second, and a progress bar below them where stderr is a terminal."""

    def __init__(self, folder: Path) -> None:
        from tqdm import tqdm

        self._bar = tqdm(unit="step", disable=not sys.stderr.isatty(), dynamic_ncols=True, leave=False)
        self._rate, self._told = Rate(), 0.0
        self._row: e.StepRow | None = None
        self._written = -1
        self._say(f"run {folder}")

    def _say(self, line: str) -> None:
        self._bar.clear()
        tell(printable(line))

    def updated(self, row: e.StepRow) -> None:
        """Report a step about once a second."""
        self._row = row
        self._bar.update(1)
        if time.monotonic() - self._told >= LINE_EVERY:
            self._line()

    def _line(self) -> None:
        row = self._row
        if row is None:
            return
        self._told, self._written = time.monotonic(), row.step
        rate = self._rate.update(row)
        self._say(
            f"step {row.step:>7,}  epoch {row.epoch:6.2f}  loss {_number(row.loss)}  "
            f"grad norm {row.grad_norm:8.3g}  {rate:9,.0f} char/s"
        )

    def recorded(self, step: int, event: e.Event) -> None:
        """Report validations, the start and the end."""
        match event:
            case e.Started():
                self._bar.total = event.total_steps
                self._bar.initial = self._bar.n = step
                self._say(
                    f"{event.parameters:,} parameters on {event.device}, {event.kernel} kernel, {event.precision}; "
                    f"{event.train_chars:,} training characters"
                )
                if event.unseen_chars:
                    self._say(f"{event.unseen_chars:,} held-out characters that training never saw are left out")
            case e.Validation():
                best = "  best so far" if event.best else ""
                nats, bits = _number(event.loss), _number(event.loss / math.log(2), 3)
                self._say(f"step {step:>7,}  validation {nats} nats/char = {bits} bits{best}")
            case e.Status() if event.detail and event.state != e.FAILED:
                self._last()
                self._say(event.detail)

    def _last(self) -> None:
        if self._row is not None and self._row.step != self._written:
            self._line()

    def close(self) -> None:
        """Report the last step, if no line has, and remove the bar."""
        self._last()
        self._bar.close()

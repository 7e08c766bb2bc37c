"""A process that looks and does not train: `python -m rnnscope.inspector RUN SESSION_DIR`.

It loads a run's newest weights (or one checkpoint) and its text, takes the probes that viewers ask for, and records
into a session of its own, which is a recording as any run's. The run itself is never written. It ends when a viewer
says so, or when nobody has asked anything for a while.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import torch

from rnnscope import errors
from rnnscope.asking import Asking
from rnnscope.config import Config
from rnnscope.errors import EXIT_FAILED, EXIT_OK, EXIT_USAGE, RunFailed, UserError
from rnnscope.examining import choose, examine, load_newest
from rnnscope.measuring import SEEDS
from rnnscope.obey import Refused, cancel, measure, obey, temperature_of
from rnnscope.probes import comparison, sample
from rnnscope.probes.subject import Subject
from rnnscope.recording import commands as c
from rnnscope.recording import events as e
from rnnscope.recording.lock import live
from rnnscope.recording.reader import Reader
from rnnscope.recording.writer import Writer
from rnnscope.saved import weights_name
from rnnscope.training.device import resolve_device

IDLE = 600.0
"""Seconds without a command after which an inspector ends."""
NAP = 0.02
"""Seconds between two looks for commands."""
NICENESS = 5
LARGE = 64_000_000
"""Bytes of a session's recording above which the next inspector begins a new one."""
FORGOTTEN = 30 * 24 * 3600
"""Seconds after which a session that nobody came back to is removed."""


class Stopped(Exception):
    """Told to stop while the text was still being read."""


class Inspector:
    """One session of looking at a run."""

    def __init__(
        self, folder: Path, session: Path, *, checkpoint: int | None = None, device: str = "cpu", idle: float = IDLE
    ) -> None:
        """Take the session's lock.

        Raises:
            UserError: the run cannot be read, or another inspector holds the session.
        """
        self.folder, self.checkpoint, self.idle = folder, checkpoint, idle
        with Reader(folder) as reader:
            self.config: Config = reader.config
            vocabulary = reader.meta.get("vocabulary")
        self.device = resolve_device(device)
        self._step = choose(folder, checkpoint)
        self.writer = _open(session, self.config, {"of": str(folder), "vocabulary": vocabulary}, self._step)
        self.asking = Asking(self)
        self.stopping: str | None = None
        self.temperature = self.config.probes.temperature
        self._subject: Subject | None = None
        self._stamp = (0, 0)  # of the weights' file
        self._heard = time.monotonic()  # when somebody last asked for something
        self._reading = False  # the text: a signal then ends it at once

    def run(self) -> int:
        """Look until told to stop, or until nobody asks any more; return the exit code."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._on_signal)
        try:
            self._status(e.STARTING, "reading the text")
            self._load()
            self._status(e.PAUSED, f"weights of step {self._step}")
            while self.stopping is None:
                self._look()
            self.asking.give_up("the inspector was told to end; ask again")
            self._status(e.STOPPED)
            return EXIT_OK
        except Stopped:
            self._status(e.STOPPED)
            return EXIT_OK
        except (UserError, RunFailed, MemoryError, torch.OutOfMemoryError) as error:
            said = errors.one_line(str(error)) or "out of memory"
            print(f"rnnscope: {said}", file=sys.stderr)
            with contextlib.suppress(RunFailed):
                self._status(e.FAILED, said)
            return EXIT_FAILED
        finally:
            with contextlib.suppress(RunFailed):
                self.writer.close()

    def _look(self) -> None:
        self.listen()
        if self.asking.waits and self.stopping is None:
            self._refresh()
            self.asking.take_next()
            self._heard = time.monotonic()
        else:
            time.sleep(NAP)
        self.writer.flush()
        if time.monotonic() - self._heard > self.idle:
            self.stopping = "idle"

    def _load(self) -> None:
        self._reading = True
        self._stamp = self._newest()
        self._subject = examine(
            self.folder, checkpoint=self.checkpoint, device=self.device, progress=self._while_reading
        )
        self._step = self._subject.step
        self._reading = False

    def _refresh(self) -> None:
        """Take newer weights, where a worker has written some since."""
        stamp = self._newest()
        if stamp != self._stamp:
            subject, self._stamp = self.subject(), stamp
            self._step = load_newest(subject.model, self.folder)
            self._subject = dataclasses.replace(subject, step=self._step)

    def _newest(self) -> tuple[int, int]:
        """Return which weights are to be looked at: their step, and when they were written."""
        if self.checkpoint is not None:
            return self.checkpoint, 0  # they never change, and may be thinned away meanwhile
        step = choose(self.folder, None)
        with contextlib.suppress(OSError):  # removed a moment ago by a worker that goes on
            return step, (self.folder / weights_name(step)).stat().st_mtime_ns
        return step, 0

    def _while_reading(self, what: str, share: float | None) -> None:
        del what, share
        self._reading = False  # no signal may break off a transaction
        self.listen()
        if self.stopping is not None:
            raise Stopped
        self._reading = True

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self.stopping = e.STOPPED
        if self._reading:
            self._reading = False
            raise Stopped

    # -- what probes and commands need -----------------------------------------------------------------------------

    def subject(self) -> Subject:
        """Return what is looked at. Raises RuntimeError before it is there."""
        if self._subject is None:
            raise RuntimeError("nothing to look at yet")
        return self._subject

    def listen(self) -> None:
        """Obey the commands that came."""
        for number, command in self.writer.commands():
            self._heard = time.monotonic()
            if self._subject is None and isinstance(command, c.SetTemperature):
                done, reason = False, "the weights are still being read; ask again"
            else:
                done, reason = obey(self, command, HANDLERS)
            self.writer.answer(number, self._step, done, reason)

    def event(self, event: e.Event, step: int | None = None) -> None:
        """Record an event."""
        self.writer.event(self._step if step is None else step, event)

    def _status(self, state: str, detail: str = "") -> None:
        self.event(e.Status(state, detail))
        self.writer.flush(force=True)

    def show(self, temperature: float) -> None:
        """Write a sample and a comparison at another temperature."""
        self.temperature = temperature
        self.event(e.Settings(1.0, None, temperature, c.SetTemperature.kind))
        subject, probes = self.subject(), self.config.probes
        model, vocabulary, seed = subject.model, subject.corpus.vocabulary, subject.seed * SEEDS + subject.step
        self.event(sample.measure(model, vocabulary, length=probes.sample_length, temperature=temperature, seed=seed))
        self.event(
            comparison.measure(
                model, vocabulary, subject.corpus.validation, length=probes.compare_length, temperature=temperature,
                seed=seed,
            )
        )  # fmt: skip


def _set_temperature(inspector: Inspector, command: c.SetTemperature) -> None:
    inspector.show(temperature_of(command))


def _stop(inspector: Inspector, command: c.Stop) -> None:
    inspector.stopping = e.STOPPED


def _train(inspector: Inspector, command: c.Command) -> None:
    raise Refused("nobody trains here: this only looks at the run")


HANDLERS: dict[type, Callable[[Any, Any], None]] = {
    **dict.fromkeys(c.COMMANDS.values(), _train),
    c.Measure: measure,
    c.Cancel: cancel,
    c.SetTemperature: _set_temperature,
    c.Stop: _stop,
}


def _open(session: Path, config: Config, meta: dict[str, Any], step: int) -> Writer:
    """Open the session for writing: the old one, so that what was found before is still there, or a new one.

    Raises:
        UserError: another inspector holds it, or it cannot be written.
    """
    _sweep(session)
    if session.exists():
        try:
            writer = Writer.open(session)
        except UserError:
            if live(session):
                raise
        else:
            if (session / "run.db").stat().st_size < LARGE:
                writer.begin_segment(step)
                return writer
            writer.close()
        shutil.rmtree(session, ignore_errors=True)  # damaged, or grown large: nothing in it cannot be had again
    return Writer.create(session, config, meta)


def _sweep(session: Path) -> None:
    """Remove the sessions of other runs that nobody came back to."""
    for database in session.parent.glob("*/run.db"):
        other = database.parent
        with contextlib.suppress(OSError):  # another inspector was quicker
            if other != session and time.time() - database.stat().st_mtime > FORGOTTEN and not live(other):
                shutil.rmtree(other, ignore_errors=True)
                other.with_name(f"{other.name}.log").unlink(missing_ok=True)


def main(arguments: list[str]) -> int:
    """Look at a run until told to stop."""
    parser = argparse.ArgumentParser("python -m rnnscope.inspector", description=__doc__)
    parser.add_argument("run", type=Path, help="the run's folder")
    parser.add_argument("session", type=Path, help="where to record")
    parser.add_argument("--checkpoint", type=int, default=None, help="step of the weights (default: the newest)")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, cuda:N or mps")
    parser.add_argument("--idle", type=float, default=IDLE, help="seconds without a command after which to end")
    asked = parser.parse_args(arguments)
    with contextlib.suppress(OSError):  # not allowed everywhere; only a courtesy
        os.nice(NICENESS)
    try:
        return Inspector(
            asked.run, asked.session, checkpoint=asked.checkpoint, device=asked.device, idle=asked.idle
        ).run()
    except UserError as error:
        print(f"rnnscope: {errors.one_line(str(error))}", file=sys.stderr)
        return EXIT_USAGE


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

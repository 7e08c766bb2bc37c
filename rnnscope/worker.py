"""The process that trains, probes and answers commands: `python -m rnnscope.worker RUN_DIR`.

It is the only room that knows training and recording both. It owns torch and knows no screen; everything a
person sees is read from what it records. `--headless` runs the same `Session` in the foreground.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import sys
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any, Protocol

import numpy as np
import torch

from rnnscope import errors
from rnnscope.config import Config
from rnnscope.corpus import Corpus, check_windows, load
from rnnscope.errors import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_OK, EXIT_TERMINATED, EXIT_USAGE, RunFailed, UserError
from rnnscope.measuring import measure
from rnnscope.model import resolve_kernel
from rnnscope.probes.schedule import WINDOW, Schedule
from rnnscope.provenance import started, versions
from rnnscope.recording import commands as c
from rnnscope.recording import events as e
from rnnscope.recording.writer import StepRow, Writer
from rnnscope.registry import PROBES
from rnnscope.training import checkpoint
from rnnscope.training.device import prepare, resolve_device, resolve_precision
from rnnscope.training.loop import Trainer, Update, Window

IDLE = 0.01  # seconds between two looks for commands while paused
COST_EVERY = 2.0  # seconds between two Cost events
NICENESS = 5  # a detached worker gives way to the screen, so that keys are answered at once

OUT_OF_MEMORY = "out of memory; lower --batch, --bptt, --hidden or --layers"
MEMORY = re.compile(r"out of memory|allocate memory|not enough memory|ALLOC_FAILED", re.IGNORECASE)  # of RuntimeErrors


class Stopped(Exception):
    """Told to stop before there was anything to train."""


class Observer(Protocol):
    """Someone in the same process who wants to hear of updates and events as they happen (headless output)."""

    def updated(self, row: StepRow) -> None:
        """Hear of a finished training step."""

    def recorded(self, step: int, event: e.Event) -> None:
        """Hear of a recorded event."""


class Session:
    """One worker's life on one run: from opening the recording to the last checkpoint."""

    def __init__(self, folder: Path, *, observer: Observer | None = None) -> None:
        self.folder, self.observer = folder, observer
        self.writer = Writer.open(folder)
        self.config: Config = self.writer.config
        self.active = 0.0  # seconds of training, probes and validation; pauses left out
        self.validation_seconds: deque[tuple[float, float]] = deque()
        self.paused, self.allowance = False, 0
        self.stopping: str | None = None  # why, once asked to stop
        self.signal: int | None = None
        self.diverged: e.Diverged | None = None
        self.temperature = self.config.probes.temperature
        self.reading = False  # the text: a signal then ends it at once
        self.validated = -1  # the step last validated
        self.trainer: Trainer | None = None

    # -- life ------------------------------------------------------------------------------------------------------

    def run(self) -> int:
        """Train until the budget, a command, a signal, a divergence or a failure ends it; return the exit code."""
        try:
            with self._signals():
                self._status(e.STARTING)
                trainer = self._build()
                self._status(e.TRAINING)
                self._loop(trainer)
                return self._finish(trainer)
        except Stopped:
            self._status(e.STOPPED, f"stopped before it began; rnnscope train --resume {self.folder}")
            return self._stopped_code()
        except UserError as error:
            return self._fail(str(error), EXIT_USAGE)
        except RunFailed as error:
            return self._fail(str(error), EXIT_FAILED)
        except (MemoryError, torch.OutOfMemoryError):
            return self._fail(OUT_OF_MEMORY, EXIT_FAILED)
        except RuntimeError as error:
            if not MEMORY.search(str(error)):  # torch's CPU allocator raises a plain RuntimeError
                self._fail(f"{type(error).__name__}: {error}", EXIT_FAILED)
                raise
            return self._fail(OUT_OF_MEMORY, EXIT_FAILED)
        finally:
            with contextlib.suppress(RunFailed):  # already told: the disk is full
                self.writer.close()

    def _build(self) -> Trainer:
        config = self.config
        device = resolve_device(config.run.device)
        prepare(config.run, device)
        corpus = self._read_text()
        check_windows(corpus, config.training.batch, config.training.bptt, config.text.batches == "stateful")
        precision = resolve_precision(config.run.precision)
        kernel = resolve_kernel(
            config.run.kernel, config.model.cell, device.type,
            recurrent_dropout=config.model.recurrent_dropout,
            precision=precision,
        )  # fmt: skip
        kernels = self.writer.meta.get("kernels", {})
        kernel = kernels.get(device.type, kernel)  # that of a run's beginning is kept: the other differs in last bits
        trainer = self.trainer = Trainer(config, corpus, device=device, kernel=kernel, precision=precision)
        steps = checkpoint.saved_steps(self.folder)
        if steps:
            self._take_up(trainer.load(self.folder / checkpoint.weights_name(steps[-1])))
            self.writer.begin_segment(trainer.step)
        self.writer.set_meta(vocabulary=corpus.vocabulary.to_json(), text=corpus.name, sha256=corpus.sha256)
        self.writer.set_meta(versions=versions(), kernels={**kernels, device.type: kernel})
        self._event(started(trainer, corpus, kernel, precision))
        self._settings("")
        self.schedule = Schedule(
            {name: getattr(config.probes, entry.cadence) for name, entry in PROBES.items()}, config.probes.probe_budget
        )
        if not steps:
            self._save("initial")
        return trainer

    def _read_text(self) -> Corpus:
        """Load the text; a signal, or the command to stop, breaks off what may take minutes. Raises Stopped."""
        self.reading = True
        try:
            return load(self.config.texts, self.config.text, progress=self._while_reading)
        finally:
            self.reading = False

    def _while_reading(self, what: str, share: float | None) -> None:
        del what, share
        self.reading = False  # no signal may break off a transaction
        for number, command in self.writer.commands():
            stop = isinstance(command, c.Stop)
            self.writer.answer(number, 0, stop, "" if stop else "the run is still reading its text; ask again")
            if stop:
                self.stopping = e.STOPPED
        if self.stopping is not None:
            raise Stopped
        self.reading = True

    def _take_up(self, kept: dict[str, Any]) -> None:
        """Go on with what the checkpoint says of this session's own settings."""
        self.active = float(kept.get("seconds", 0.0))
        configured = self.config.probes.temperature
        if kept.get("configured", configured) == configured:  # else --resume came with another
            self.temperature = float(kept.get("temperature", configured))

    def _loop(self, trainer: Trainer) -> None:
        total = trainer.total_steps
        minutes = self.config.training.minutes
        last_cost = self.active
        while self.stopping is None and (total is None or trainer.step < total):
            if minutes is not None and self.active >= minutes * 60:
                break
            self._commands()
            self.writer.flush()
            if self.paused and self.allowance == 0:
                time.sleep(IDLE)
                continue
            if self.stopping is None:
                began = time.perf_counter()
                self._step(trainer)
                self.active += time.perf_counter() - began
                if self.active - last_cost >= COST_EVERY:
                    last_cost = self.active
                    self._cost()

    def _step(self, trainer: Trainer) -> None:
        began = time.perf_counter()
        asked = self.allowance > 0
        self.allowance -= asked
        window = trainer.next_window()
        step = trainer.step + 1
        names = list(self.schedule.cadences) if asked else self.schedule.due(step, self.active)
        if "gradients" in names:
            self._probe("gradients", window, step, asked)
        update = trainer.update(window)
        row = StepRow(
            step=update.step, loss=update.loss, lr=update.lr, grad_norm=update.grad_norm,
            grad_norm_clipped=update.grad_norm_clipped, epoch=update.epoch,
            seconds=self.active + time.perf_counter() - began, chars=update.chars,
        )  # fmt: skip
        self.writer.scalar(row)
        if self.observer:
            self.observer.updated(row)
        if not update.finite:
            self._not_finite(update)
        for name in names:
            if name != "gradients" and self.stopping is None:
                self._probe(name, window, step, asked)
        if self._every(step, self.config.training.validate_every) or step == 1:
            self._validate(trainer)
        if self._every(step, self.config.run.checkpoint_every):
            self._save("every")
        if asked and self.paused and self.allowance == 0 and self.stopping is None:
            self._status(e.PAUSED)

    @staticmethod
    def _every(step: int, every: int) -> bool:
        return every > 0 and step % every == 0

    def _finish(self, trainer: Trainer) -> int:
        """Say how it ended and leave a checkpoint to go on from."""
        if self.stopping is None and trainer.step not in (0, self.validated):
            self._validate(trainer)
        self._save("last")
        if self.signal is not None:
            self._status(e.STOPPED, f"interrupted at step {trainer.step}; rnnscope train --resume {self.folder}")
            return self._stopped_code()
        if self.stopping == e.DIVERGED:
            return EXIT_FAILED
        if self.stopping is not None:
            self._status(e.STOPPED, f"stopped at step {trainer.step}; rnnscope train --resume {self.folder}")
        else:
            self._status(e.FINISHED, f"finished {trainer.step} steps")
        return EXIT_OK

    def _stopped_code(self) -> int:
        if self.signal is None:
            return EXIT_OK
        return EXIT_INTERRUPTED if self.signal == signal.SIGINT else EXIT_TERMINATED

    def _fail(self, reason: str, code: int) -> int:
        print(f"rnnscope: {errors.one_line(reason)}", file=sys.stderr)
        with contextlib.suppress(RunFailed):  # a full disk cannot take the news either; worker.log and stderr have it
            self._status(e.FAILED, reason)
            self.writer.flush(force=True)
        return code

    # -- measuring -------------------------------------------------------------------------------------------------

    def _probe(self, name: str, window: Window, step: int, asked: bool) -> None:
        self.writer.flush(force=True)  # what follows is slow: a killed worker loses at most the last second
        began = time.perf_counter()
        self._event(measure(name, self._trainer, self.config, self.temperature, step, window), step)
        self.schedule.took(name, time.perf_counter() - began, asked)

    def _validate(self, trainer: Trainer) -> None:
        self.writer.flush(force=True)
        result = trainer.validate(stop=self._told_to_stop)
        if self.stopping is not None:
            return  # broken off: the mean of a part is no validation loss
        self.validated = trainer.step
        best = result.loss < trainer.best_validation
        if best:
            trainer.best_validation = result.loss
            checkpoint.save_weights(trainer.model, self.folder / checkpoint.BEST)
            self._event(e.Checkpoint(checkpoint.BEST, "best"))
        self.validation_seconds.append((self.active, result.seconds))
        self._event(e.Validation(result.loss, result.chars, result.seconds, best))

    def _told_to_stop(self) -> bool:
        """Whether to break off; answers commands and writes what is due, so that nobody waits for a validation."""
        self._commands()
        self.writer.flush()
        return self.stopping is not None

    def _not_finite(self, update: Update) -> None:
        quantity, value = ("loss", update.loss)
        if np.isfinite(update.loss):
            quantity, value = "gradient", update.grad_norm
        found = e.Diverged(quantity, str(value))
        if self.diverged is None:
            self._event(found)
        self.diverged = found
        if self.config.training.on_divergence == "halt":
            self.stopping = e.DIVERGED
            detail = f"{quantity} is {value} at step {update.step}; try a lower --lr, or --clip 1"
            self._status(e.DIVERGED, detail)

    def _cost(self) -> None:
        while self.validation_seconds and self.validation_seconds[0][0] < self.active - WINDOW:
            self.validation_seconds.popleft()
        share = sum(seconds for _, seconds in self.validation_seconds) / WINDOW
        self._event(e.Cost(self.schedule.share(self.active), share, self.schedule.skipped))

    def _save(self, why: str) -> None:
        self.writer.flush(force=True)
        kept = {"seconds": self.active, "temperature": self.temperature, "configured": self.config.probes.temperature}
        name = self._trainer.save(self.folder, kept)
        self._event(e.Checkpoint(name, why))

    # -- commands --------------------------------------------------------------------------------------------------

    def _commands(self) -> None:
        for number, command in self.writer.commands():
            done, reason = self._obey(command)
            self.writer.answer(number, self._trainer.step, done, reason)

    def _obey(self, command: c.Command) -> tuple[bool, str]:
        """Carry out one command between two steps; return whether it was done, and why not."""
        trainer = self._trainer
        match command:
            case c.Pause() | c.Resume():
                self.paused, self.allowance = isinstance(command, c.Pause), 0
                self._status(e.PAUSED if self.paused else e.TRAINING)
            case c.Advance(steps=steps):
                if steps < 1:
                    return False, "advance by at least one step"
                self.paused, self.allowance = True, steps
            case c.ScaleLearningRate(factor=factor):
                if not (np.isfinite(factor) and factor > 0):
                    return False, "the factor must be a positive number"
                trainer.lr_scale *= factor
                self._settings(command.kind)
            case c.SetClip(threshold=threshold):
                if threshold is not None and not (np.isfinite(threshold) and threshold > 0):
                    return False, "the threshold must be a positive number"
                trainer.clip = threshold
                self._settings(command.kind)
            case c.SetTemperature(temperature=temperature):
                if not (np.isfinite(temperature) and temperature >= 0):
                    return False, "the temperature must be zero or a positive number"
                self.temperature = temperature
                self._settings(command.kind)
                for name in ("sample", "comparison"):
                    self._event(measure(name, trainer, self.config, self.temperature, trainer.step))
            case c.Save():
                self._save("asked")
            case c.Stop():
                self.stopping = e.STOPPED
        return True, ""

    # -- small things ----------------------------------------------------------------------------------------------

    @property
    def _trainer(self) -> Trainer:
        if self.trainer is None:
            raise RuntimeError("no trainer yet")
        return self.trainer

    def _event(self, event: e.Event, step: int | None = None) -> None:
        at = step if step is not None else self.trainer.step if self.trainer else 0
        self.writer.event(at, event)
        if self.observer:
            self.observer.recorded(at, event)

    def _status(self, state: str, detail: str = "") -> None:
        self._event(e.Status(state, detail))
        self.writer.flush(force=True)

    def _settings(self, why: str) -> None:
        trainer = self._trainer
        self._event(e.Settings(trainer.lr_scale, trainer.clip, self.temperature, why))

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        """Turn SIGINT and SIGTERM into a request to stop after the current step (while reading the text, at once)."""

        def handle(number: int, frame: FrameType | None) -> None:
            del frame
            self.signal, self.stopping = number, e.STOPPED
            if self.reading:
                self.reading = False
                raise Stopped

        before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def main(arguments: list[str]) -> int:
    """Train the run in the folder given, detached from any terminal."""
    if len(arguments) != 1:
        print("usage: python -m rnnscope.worker RUN_DIR", file=sys.stderr)
        return EXIT_USAGE
    with contextlib.suppress(OSError):  # not allowed everywhere; only a courtesy
        os.nice(NICENESS)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        return Session(Path(arguments[0])).run()
    except UserError as error:
        print(f"rnnscope: {errors.one_line(str(error))}", file=sys.stderr)
        return EXIT_USAGE


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

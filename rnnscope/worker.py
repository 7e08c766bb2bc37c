"""The process that trains, probes and answers commands: `python -m rnnscope.worker RUN_DIR`.

It is the only room that knows training and recording both. It owns torch and knows no screen; everything a
person sees is read from what it records. `--headless` runs the same `Session` in the foreground.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import signal
import sys
import time
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any, Protocol

import numpy as np
import torch

from rnnscope import errors
from rnnscope.asking import Asking
from rnnscope.building import build
from rnnscope.clock import Stopwatch
from rnnscope.config import Config
from rnnscope.corpus import Corpus, load
from rnnscope.errors import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_OK, EXIT_TERMINATED, EXIT_USAGE, RunFailed, UserError
from rnnscope.incidents import Incidents
from rnnscope.keeping import Keeper
from rnnscope.measuring import Measuring, warm_up
from rnnscope.obey import HARMLESS, obey
from rnnscope.probes.subject import Subject
from rnnscope.provenance import started, versions
from rnnscope.recording import commands as c
from rnnscope.recording import events as e
from rnnscope.recording.codec import to_json
from rnnscope.recording.mailbox import decode_command
from rnnscope.recording.writer import StepRow, Writer
from rnnscope.saved import resumable_steps
from rnnscope.training import checkpoint
from rnnscope.training.loop import Snapshot, Trainer, Update

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

    def __init__(self, folder: Path, *, observer: Observer | None = None, first: c.Command | None = None) -> None:
        """`first`: a command that is obeyed before training begins."""
        self.folder, self.observer, self._first = folder, observer, first
        self.writer = Writer.open(folder)
        self.config: Config = self.writer.config
        self.clock = Stopwatch()  # of training, probes and validation; pauses left out
        self.paused, self.allowance = False, 0
        self._postponed: list[tuple[int, c.Command]] = []  # commands that wait for the end of a validation
        self.stopping: str | None = None  # why, once asked to stop
        self.signal: int | None = None
        self.diverged: e.Diverged | None = None
        self.temperature = self.config.probes.temperature
        self.reading = False  # the text: a signal then ends it at once
        self.validated = -1  # the step last validated
        self.keeper = Keeper(folder, self.writer, self.config.run.checkpoint_every)
        self.asking = Asking(self)
        self._trainer: Trainer | None = None

    # -- life ------------------------------------------------------------------------------------------------------

    def run(self) -> int:
        """Train until the budget, a command, a signal, a divergence or a failure ends it; return the exit code."""
        try:
            with self._signals():
                self.status(e.STARTING)
                trainer = self._build()
                self._obey_first()
                self.status(e.TRAINING)
                self._loop(trainer)
                return self._finish(trainer)
        except Stopped:
            self.status(e.STOPPED, f"stopped before it began; rnnscope train --resume {self.folder}")
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
        config, corpus = self.config, self._read_text()
        kernels = self.writer.meta.get("kernels", {})
        trainer = self._trainer = build(config, corpus, kernels)
        steps = resumable_steps(self.folder)
        if steps:
            self._take_up(trainer.load(self.folder / checkpoint.weights_name(steps[-1])))
            self.writer.begin_segment(trainer.step)
        self.writer.set_meta(vocabulary=corpus.vocabulary.to_json(), text=corpus.name, sha256=corpus.sha256)
        self.writer.set_meta(versions=versions(), kernels={**kernels, trainer.device.type: trainer.model.kernel})
        self.event(started(trainer, corpus, trainer.model.kernel, trainer.model.precision))
        self.settings("")
        self.incidents = Incidents(self)
        flush = partial(self.writer.flush, force=True)
        self.measuring = Measuring(trainer, config, self.clock, self.event, flush, self._told_to_stop)
        if not steps:
            self.save("initial")
        warm_up(trainer)
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
        self.clock = Stopwatch(float(kept.get("seconds", 0.0)))
        configured = self.config.probes.temperature
        if kept.get("configured", configured) == configured:  # else --resume came with another
            self.temperature = float(kept.get("temperature", configured))

    def _loop(self, trainer: Trainer) -> None:
        total = trainer.total_steps
        minutes = self.config.training.minutes
        last_cost = self.clock.seconds
        while self.stopping is None and (total is None or trainer.step < total):
            if minutes is not None and self.clock.seconds >= minutes * 60:
                break
            self._commands()
            self.writer.flush()
            if self.asking.waits and self.stopping is None:
                self.measuring.schedule.took_asked(self.asking.take_next(), self.clock.seconds)
            if self.paused and self.allowance == 0:
                time.sleep(IDLE)
                continue
            if self.stopping is None:
                with self.clock:
                    self._step(trainer)
                if self.clock.seconds - last_cost >= COST_EVERY:
                    last_cost = self.clock.seconds
                    self.measuring.record_cost()

    def _step(self, trainer: Trainer) -> None:
        asked = self.allowance > 0
        self.allowance -= asked
        self.incidents.before_update()
        window, step = trainer.next_window(), trainer.step + 1
        before, after = self.measuring.due(window, step, asked)
        for name in before:
            self.measuring.take(name, step, self.temperature, asked)
        update = self.measuring.update(window, after)
        row = StepRow(
            step=update.step, loss=update.loss, lr=update.lr, grad_norm=update.grad_norm,
            grad_norm_clipped=update.grad_norm_clipped, epoch=update.epoch, seconds=self.clock.seconds,
            chars=update.chars,
        )  # fmt: skip
        self.writer.scalar(row)
        if self.observer:
            self.observer.updated(row)
        frozen = self.incidents.after_update(update, window)
        if not update.finite:
            self._not_finite(update)
        for name in after:
            if self.stopping is None:
                self.measuring.take(name, step, self.temperature, asked)
        if self._every(step, self.config.training.validate_every) or step == 1:
            self._validate(trainer)
        if self._every(step, self.config.run.checkpoint_every):
            self.save("every")
        if asked and self.paused and self.allowance == 0 and self.stopping is None and not frozen:
            self.status(e.PAUSED)

    @staticmethod
    def _every(step: int, every: int) -> bool:
        return every > 0 and step % every == 0

    def _finish(self, trainer: Trainer) -> int:
        """Leave a checkpoint to go on from, measure the end, and say how it ended."""
        self.asking.give_up("the run ended before it could be measured; ask again")
        if self.stopping is None and trainer.step not in (0, self.validated):
            self._validate(trainer)
        self.save("last")
        ending = self.stopping
        self.measuring.take_last(self.temperature, ending == e.STOPPED, lambda: self.stopping != ending)
        if self.signal is not None:
            self.status(e.STOPPED, f"interrupted at step {trainer.step}; rnnscope train --resume {self.folder}")
            return self._stopped_code()
        if self.stopping == e.DIVERGED:
            return EXIT_FAILED
        if self.stopping is not None:
            self.status(e.STOPPED, f"stopped at step {trainer.step}; rnnscope train --resume {self.folder}")
        else:
            self.status(e.FINISHED, f"finished {trainer.step} steps")
        return EXIT_OK

    def _stopped_code(self) -> int:
        if self.signal is None:
            return EXIT_OK
        return EXIT_INTERRUPTED if self.signal == signal.SIGINT else EXIT_TERMINATED

    def _fail(self, reason: str, code: int) -> int:
        print(f"rnnscope: {errors.one_line(reason)}", file=sys.stderr)
        with contextlib.suppress(RunFailed):  # a full disk cannot take the news either; worker.log and stderr have it
            self.status(e.FAILED, reason)
            self.writer.flush(force=True)
        return code

    # -- measuring -------------------------------------------------------------------------------------------------

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
            self.event(e.Checkpoint(checkpoint.BEST, "best"))
        self.measuring.validating.add(self.clock.seconds, result.seconds)
        self.event(e.Validation(result.loss, result.chars, result.seconds, best))

    def _told_to_stop(self) -> bool:
        """Whether to break off; answers commands and writes what is due, so that nobody waits for a validation."""
        self.listen()
        self.writer.flush()
        return self.stopping is not None

    def _not_finite(self, update: Update) -> None:
        quantity, value = ("loss", update.loss)
        if np.isfinite(update.loss):
            quantity, value = "gradient", update.grad_norm
        found = e.Diverged(quantity, str(value))
        if self.diverged is None:
            self.event(found)
        self.diverged = found
        if self.config.training.on_divergence == "halt":
            self.stopping = e.DIVERGED
            detail = f"{quantity} is {value} at step {update.step}; try a lower --lr, or --clip 1"
            self.status(e.DIVERGED, detail)

    def save(self, why: str) -> None:
        """Write a checkpoint (`why`: see the event), then remove those that the thinning rule gives up."""
        self.writer.flush(force=True)
        name = self.keeper.save(self.trainer, self.kept(), asked=why == "asked")
        self.event(e.Checkpoint(name, why))

    def keep(self, snapshots: Iterable[Snapshot], step: int) -> None:
        """Write the ways back from an incident at `step` as checkpoints that thinning leaves alone."""
        for name in self.keeper.keep(self.trainer, snapshots, step, self.kept()):
            self.event(e.Checkpoint(name, "incident"))

    # -- commands --------------------------------------------------------------------------------------------------

    def _obey_first(self) -> None:
        if self._first is not None:
            done, reason = obey(self, self._first)
            arguments = to_json(dataclasses.asdict(self._first))
            self.event(e.Intervention(self._first.kind, arguments, done, reason))
            if not done:
                raise RunFailed(reason)

    def listen(self) -> None:
        """Obey the commands that can be obeyed in the middle of a step; the others wait for its end."""
        self._commands(HARMLESS)

    def _commands(self, now: tuple[type, ...] = (object,)) -> None:
        """Obey the commands of the kinds that can be obeyed `now`; the others wait."""
        commands = [*self._postponed, *self.writer.commands()]
        self._postponed = [one for one in commands if not isinstance(one[1], now)]
        for number, command in commands:
            if not isinstance(command, now):
                continue
            done, reason = obey(self, command)
            self.writer.answer(number, self.trainer.step, done, reason)  # a rewind has changed the step

    # -- small things ----------------------------------------------------------------------------------------------

    @property
    def trainer(self) -> Trainer:
        """Model, optimiser and data position. Raises RuntimeError before they are there."""
        if self._trainer is None:
            raise RuntimeError("no trainer yet")
        return self._trainer

    def subject(self) -> Subject:
        """Return what the probes that somebody asks for look at."""
        trainer = self.trainer
        seed = self.config.run.seed
        return Subject(trainer.model, trainer.corpus, self.config, trainer.step, self.folder, seed)

    def event(self, event: e.Event, step: int | None = None) -> None:
        at = step if step is not None else self._trainer.step if self._trainer else 0
        self.writer.event(at, event)
        if self.observer:
            self.observer.recorded(at, event)

    def status(self, state: str, detail: str = "") -> None:
        self.event(e.Status(state, detail))
        self.writer.flush(force=True)

    def settings(self, why: str) -> None:
        trainer = self.trainer
        self.event(
            e.Settings(trainer.lr_scale, trainer.clip, self.temperature, why, trainer.clip_by, trainer.batches.bptt)
        )

    def changed(self, why: str) -> None:
        """Somebody changed how the next update is made: record it, and let no replay cross it."""
        self.incidents.changed()
        self.settings(why)

    def kept(self) -> dict[str, Any]:
        """Return what a checkpoint keeps of the session itself."""
        configured = self.config.probes.temperature
        return {"seconds": self.clock.seconds, "temperature": self.temperature, "configured": configured}

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
    if len(arguments) not in (1, 3):
        print("usage: python -m rnnscope.worker RUN_DIR [COMMAND ARGUMENTS]", file=sys.stderr)
        return EXIT_USAGE
    with contextlib.suppress(OSError):  # not allowed everywhere; only a courtesy
        os.nice(NICENESS)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        first = decode_command(*arguments[1:])[0] if arguments[1:] else None
        return Session(Path(arguments[0]), first=first).run()
    except UserError as error:
        print(f"rnnscope: {errors.one_line(str(error))}", file=sys.stderr)
        return EXIT_USAGE


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

"""From the recording to snapshots. Lives on one thread of its own, never on the UI's."""

from __future__ import annotations

import json
import operator
import subprocess
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rnnscope.errors import UserError
from rnnscope.recording.commands import (
    Command,
    Fork,
    ResetState,
    Rewind,
    ScaleLearningRate,
    ScaleRecurrent,
    SetBptt,
    SetClip,
)
from rnnscope.recording.events import DIVERGED, FAILED, PAUSED, STARTING, TRAINING, StepRow
from rnnscope.recording.lab_events import Incident
from rnnscope.recording.lock import live
from rnnscope.recording.mailbox import Sender, decode_command
from rnnscope.recording.reader import Reader
from rnnscope.recording.reading_events import Ngram
from rnnscope.recording.records import Columns
from rnnscope.recording.series import Series
from rnnscope.recording.state import INTERRUPTED, RunState, fold_all, with_live
from rnnscope.spawning import spawn_worker
from rnnscope.tui.controls import Controls, describe
from rnnscope.tui.inspection import LOOKING, Inspection, Weights
from rnnscope.tui.lab_history import HistoryReader
from rnnscope.tui.logs import tail
from rnnscope.tui.recent import CLIP_STEPS, clip_rate, latest, no_recent, rates
from rnnscope.tui.rivals import Rivals, rivals
from rnnscope.tui.snapshot import Answered, ClipData, LossData, Progress, Snapshot

WAY_BACK = "2 and B: what broke first, and how to go back"
LOSS_SECONDS = 1.0  # between two drawings of the loss
AT_ONCE = 20  # steps of a run that are each drawn as they come
USUAL_CLIP = 1.0  # what a run without clipping gets when it is switched on


@dataclass(frozen=True)
class Sent:
    """A command on its way."""

    id: int
    command: Command


class Source:
    """Reads one run and sends it commands. Use from one thread at a time.

    Where no worker trains the run, an inspector takes the measurements that somebody asks for (inspection.py), and what
    it finds is shown over what the run recorded. The same where one checkpoint is looked at, not the run as it is now.
    """

    def __init__(
        self, folder: Path, worker: subprocess.Popen[bytes] | None = None, weights: Weights | None = None
    ) -> None:
        """`worker`: the process just started to train `folder`, where this program did that."""
        self.folder = Path(folder)
        self._weights = weights or Weights()
        self._inspection: Inspection | None = None
        self._worker = worker
        self._sender = Sender(self.folder)
        self._reader: Reader | None = None
        self._state: RunState | None = None
        self._meta: dict[str, Any] = {}
        self._series = Series()
        self._rows_read = 0  # counts up with every row, so that the chart's data is made anew only when there are some
        self._recent = no_recent()
        self._history = HistoryReader()
        self._marks: tuple[tuple[int, str], ...] = ()
        self._marked: object = None  # the interventions that the marks were made of
        self._newest: StepRow | None = None
        self._loss: LossData | None = None
        self._rivalled: tuple[LossData, LossData] | None = None  # as recorded, and with an inspector's rivals
        self._loss_made_of: tuple[object, ...] = ()
        self._loss_made_at = 0.0
        self._sent: list[Sent] = []
        self._starting: subprocess.Popen[bytes] | None = None  # a worker that has not taken the run's lock yet
        self._begun: list[Answered] = []  # commands that a worker was started with

    def poll(self) -> Snapshot:
        """Read what is new.

        Raises:
            UserError: the recording cannot be read (any more).
        """
        reader = self._open()
        held = reader.live()  # before reading: what a worker that ended wrote last is then read as well
        self._starting = None if held else self._starting
        recorded = reader.poll()
        state = self._state or RunState(config=reader.config, meta=reader.meta)
        state = with_live(fold_all(state, recorded), held)
        if state.started is not None and (self._state is None or state.started is not self._state.started):
            with Reader(self.folder) as again:  # vocabulary and text are there once the worker has started
                self._meta = dict(again.meta)
        self._history.update(reader, recorded)
        if state.interventions is not self._marked:
            self._marked, self._marks = state.interventions, marks(state)
        columns = reader.scalars()
        if columns.reset or len(columns):
            self._extend(columns)
            self._recent = latest(self._recent, columns)
        self._newest = columns.newest
        self._state = state
        return self._inspected(self._snapshot(state))

    def _inspected(self, snapshot: Snapshot) -> Snapshot:
        """Return a look at the run with what its inspector found over it."""
        inspection, state = self._inspection, snapshot.state
        if inspection is None:
            return snapshot
        inspection.poll()
        controls, asked = snapshot.controls, inspection.temperature()
        if asked is not None and (state.settings is None or asked[1] > state.settings.time):
            controls = replace(controls, temperature=asked[0])
        state = inspection.over(state, snapshot.live)
        return replace(
            snapshot,
            state=state,
            loss=self._beside_rivals(snapshot.loss, rivals(state)),
            notice=inspection.notice or snapshot.notice,
            controls=controls,
            inspected=inspection.working or inspection.starting,
        )

    def _beside_rivals(self, loss: LossData | None, known: Rivals) -> LossData | None:
        """Return the loss chart's data with the rivals that an inspector measured; the same object if no news."""
        if loss is None or loss.rivals == known:
            return loss
        if self._rivalled is None or self._rivalled[0] is not loss or self._rivalled[1].rivals != known:
            self._rivalled = loss, replace(loss, rivals=known)
        return self._rivalled[1]

    def _inspects(self, command: Command) -> bool:
        """Whether a command is the inspector's: it only looks, at one checkpoint, or at a run that nobody trains."""
        return isinstance(command, LOOKING) and (self._weights.checkpoint is not None or not live(self.folder))

    def _extend(self, columns: Columns) -> None:
        if columns.reset:
            self._series = Series()
        self._rows_read += len(columns) + columns.reset
        self._series.merge(columns.step, columns.loss, columns.loss_low, columns.loss_high, columns.count, columns.bad)

    def send(self, command: Command) -> None:
        """Ask the worker for something; `answers` will tell what became of it.

        A rewind of a run that has ended starts a worker anew, which begins with it.

        Raises:
            UserError: nobody is there to ask. RunFailed: no process can be started to do it.
        """
        if self._inspects(command):
            self._open()
            if self._inspection is not None:
                self._inspection.send(command)
            return
        if isinstance(command, Rewind) and not live(self.folder):
            if self._starting is not None and self._starting.poll() is None:
                raise UserError("a worker is starting already; try again in a moment")
            self._worker = self._starting = spawn_worker(self.folder, command)
            self._begun.append(Answered(command, True, command.step, ""))
            return
        self._sent.append(Sent(self._sender.send(command), command))

    def answers(self) -> list[Answered]:
        """Return what became of commands sent since the last call."""
        found, self._begun = self._begun, []
        for sent in list(self._sent):
            answer = self._sender.answer(sent.id)
            if answer is not None:
                self._sent.remove(sent)
                found.append(Answered(sent.command, answer.done, answer.step, answer.reason))
        return found + (self._inspection.answers() if self._inspection is not None else [])

    def close(self) -> None:
        """Let go of the recording, and end the inspector that was started from here."""
        if self._inspection is not None:
            self._inspection.close()
            self._inspection = None
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _open(self) -> Reader:
        if self._reader is None:
            self._reader = Reader(self.folder)
            self._meta = dict(self._reader.meta)
        if self._inspection is None:
            self._inspection = Inspection(self.folder, float(self._meta.get("created", 0.0)), self._weights)
        return self._reader

    def _snapshot(self, state: RunState) -> Snapshot:
        word = state.state
        if word == INTERRUPTED and self._worker is not None and self._worker.poll() is None:
            word = STARTING  # the process is there, it has not taken the run's lock yet
        return Snapshot(
            folder=self.folder,
            name=self.folder.name,
            text=text_name(self._meta, state.config.texts),
            config=state.config,
            state=state,
            word=word,
            notice=self._notice(word, state),
            live=state.live,
            progress=self._progress(state),
            loss=self._loss_data(state),
            clip=self._clip_data(state),
            controls=controls(state),
            history=self._history.history,
            marks=self._marks,
        )

    def _notice(self, word: str, state: RunState) -> tuple[str, ...]:
        """Return what must be told at once: the reason first, then, of a dead worker, the end of its log."""
        if word == DIVERGED:
            looked = f"; {WAY_BACK}" if Incident.kind in state.lab else ""
            return (f"diverged: {state.detail}{looked}",)
        if word == PAUSED and state.detail:
            return (state.detail,)
        if word == FAILED:
            return (f"failed: {state.detail}", *log_tail(self.folder))
        if word == INTERRUPTED:
            reason = "interrupted: the worker ended without a word; everything recorded is shown."
            return (f"{reason} Go on with: rnnscope train --resume {self.folder}", *log_tail(self.folder))
        return ()

    def _progress(self, state: RunState) -> Progress:
        newest = self._newest
        total = state.started.event.total_steps if state.started else None
        if newest is None:
            return Progress(total_steps=total)
        chars_rate, steps_rate = rates(self._recent)
        remaining = []
        shares = []
        if total:
            remaining.append((total - newest.step) / steps_rate if steps_rate > 0 else float("nan"))
            shares.append(newest.step / total)
        minutes = state.config.training.minutes
        if minutes:
            remaining.append(max(minutes * 60 - newest.seconds, 0.0))
            shares.append(newest.seconds / (minutes * 60))
        return Progress(
            step=newest.step,
            total_steps=total,
            epoch=newest.epoch,
            share=min(max(shares), 1.0) if shares else None,
            rate=chars_rate,
            elapsed=newest.seconds,
            remaining=min(remaining) if remaining else float("nan"),
            lr=newest.lr,
            loss=newest.loss,
        )

    def _loss_data(self, state: RunState) -> LossData | None:
        measured = state.lab.get(Ngram.kind)
        made_of = (self._rows_read, state.validations, state.interventions, state.diverged, measured)
        others_same = len(self._loss_made_of) > 0 and all(map(operator.is_, made_of[1:], self._loss_made_of[1:]))
        if others_same and (made_of[0] == self._loss_made_of[0] or self._can_wait(state)):
            return self._loss
        self._loss_made_of, self._loss_made_at = made_of, time.monotonic()
        if not len(self._series):
            self._loss = None
            return None
        found, buckets = state.diverged, self._series.buckets()
        self._loss = LossData(
            step=buckets.step,
            count=buckets.count,
            bad=buckets.bad,
            loss=buckets.mean,
            low=buckets.low,
            high=buckets.high,
            validation_step=tuple(step for step, _ in state.validations),
            validation_loss=tuple(loss for _, loss in state.validations),
            vocabulary=vocabulary_size(self._meta),
            marks=self._marks,
            diverged=(found.step, f"{found.event.quantity} {found.event.value}") if found else None,
            rivals=rivals(state),
        )
        return self._loss

    def _can_wait(self, state: RunState) -> bool:
        """Whether the steps since the loss was last made need not be drawn yet: most of what a screen costs."""
        if self._loss is None or self._newest is None or self._newest.step <= AT_ONCE or state.state != TRAINING:
            return False
        return time.monotonic() - self._loss_made_at < LOSS_SECONDS

    def _clip_data(self, state: RunState) -> ClipData | None:
        if not len(self._recent.step):
            return None
        rate, scale = clip_rate(self._recent)
        off = state.settings is not None and state.settings.event.clip is None
        return ClipData(min(len(self._recent.step), CLIP_STEPS), round(rate, 3), round(scale, 3), off)


def controls(state: RunState) -> Controls:
    """Return what can be changed while training, as it stands in the recording."""
    configured = state.config.training.clip
    usual = configured if isinstance(configured, float | int) else USUAL_CLIP
    settings = state.settings.event if state.settings else None
    incident = state.lab.get(Incident.kind)
    found = incident.event if incident else None
    return Controls(
        paused=state.state == PAUSED,
        lr_scale=settings.lr_scale if settings else 1.0,
        clip=settings.clip if settings else (None if configured == "none" else usual),
        usual_clip=float(settings.clip) if settings and settings.clip else float(usual),
        temperature=settings.temperature if settings else state.config.probes.temperature,
        clip_by=settings.clip_by if settings else state.config.training.clip_by,
        bptt=(settings.bptt if settings else None) or state.config.training.bptt,
        rewind_to=found.rewind_to if isinstance(found, Incident) else None,
        broke_at=incident.step if incident and isinstance(found, Incident) else None,
        again_from=found.again_from if isinstance(found, Incident) else None,
    )


def marks(state: RunState) -> tuple[tuple[int, str], ...]:
    """Return (step, words) for every step at which somebody changed how the run learns."""
    found: dict[int, tuple[float, str]] = {}
    for recorded in state.interventions:
        event = recorded.event
        command, _ = decode_command(event.command, event.arguments)
        if not event.done:
            continue
        factor, words = found.get(recorded.step, (1.0, ""))
        if isinstance(command, ScaleLearningRate):
            found[recorded.step] = (factor * command.factor, words)
        elif isinstance(command, SetClip):
            by = f" by {command.by}" if command.by else ""
            found[recorded.step] = (
                factor,
                "clip off" if command.threshold is None else f"clip {command.threshold:g}{by}",
            )
        elif isinstance(command, SetBptt):
            found[recorded.step] = (factor, f"T {command.length}")
        elif isinstance(command, ScaleRecurrent):
            found[recorded.step] = (factor, describe(command).replace(" × ", "×"))
        elif isinstance(command, ResetState):
            found[recorded.step] = (factor, "state 0")
        elif isinstance(command, Rewind):
            found[recorded.step] = (factor * command.factor, describe(command).split(",")[0])
        elif isinstance(command, Fork):
            found[recorded.step] = (factor, describe(command))
    return tuple(
        (step, " ".join(filter(None, (f"lr ×{factor:.3g}" if factor != 1 else "", words))))
        for step, (factor, words) in sorted(found.items())
    )


def text_name(meta: dict[str, Any], texts: tuple[str, ...]) -> str:
    """Return the short name of the text, from the recording once it is there, else from the configuration."""
    name = meta.get("text")
    if isinstance(name, str) and name:
        return name
    return Path(texts[0]).name if len(texts) == 1 else f"{len(texts)} texts"


def vocabulary_size(meta: dict[str, Any]) -> int | None:
    """Return V from the recorded vocabulary (its JSON text or a plain list of symbols), None while unknown."""
    found = meta.get("vocabulary")
    if isinstance(found, str):
        found = json.loads(found)
    if isinstance(found, dict):
        found = found.get("symbols")
    return len(found) if isinstance(found, list | str) and found else None


def log_tail(folder: Path) -> tuple[str, ...]:
    """Return the last lines of the worker's log, none where there is no log."""
    return tail(folder / "worker.log")

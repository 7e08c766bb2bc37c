"""Looking at a run that nobody trains: its inspector, started when it is first needed, asked, read, and ended."""

from __future__ import annotations

import contextlib
import dataclasses
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from rnnscope.errors import UserError
from rnnscope.recording import schema
from rnnscope.recording.commands import Cancel, Command, Measure, SetTemperature
from rnnscope.recording.events import PAUSED, STARTING
from rnnscope.recording.lock import live
from rnnscope.recording.mailbox import Sender
from rnnscope.recording.reader import Reader
from rnnscope.recording.reading_events import Asked
from rnnscope.recording.records import Recorded
from rnnscope.recording.sessions import session_folder
from rnnscope.recording.state import LabEvents, RunState, asked_key, fold_all
from rnnscope.spawning import inspector_log, spawn_inspector
from rnnscope.tui.logs import tail
from rnnscope.tui.snapshot import Answered

LOOKING = (Measure, Cancel, SetTemperature)
"""Commands that an inspector obeys: they look at a run, and need nobody who trains it."""

ABOVE = 1 << 40
"""Added to the ids of a session's events, which so come after all of the run's own."""

ENDING = 3.0  # seconds that an inspector has to end before it is killed

T = TypeVar("T")


@dataclass(frozen=True)
class Weights:
    """What an inspector looks at: a checkpoint by its step (None: the newest), and on which device."""

    checkpoint: int | None = None
    device: str = "cpu"


class Inspection:
    """The inspector of one run as one viewer uses it. From one thread at a time.

    Another viewer's inspector of the same run is shared; who started it ends it.
    """

    def __init__(self, folder: Path, created: float, weights: Weights) -> None:
        self.folder, self._weights = folder, weights
        self.session = session_folder(folder, created, weights.checkpoint)
        self._sender = Sender(self.session)
        self._reader: Reader | None = None
        self._state: RunState | None = None
        self._last = 0  # id of the session's newest event
        self._process: subprocess.Popen[bytes] | None = None  # where it was started from here
        self._began = 0.0  # when
        self._waiting: list[Command] = []  # for it to be ready
        self._sent: list[tuple[int, Command]] = []
        self._answered: list[Answered] = []
        self._told: Recorded[LabEvents] | None = None  # how it stands with the start
        self._merged: tuple[tuple[object, ...], RunState] | None = None  # what it was made of, and what it is
        self.notice: tuple[str, ...] = ()
        self.working = False

    def send(self, command: Command) -> None:
        """Ask the inspector for something, once it is ready; start one where there is none.

        Raises:
            UserError: the command cannot be handed over. RunFailed: no process can be started.
        """
        self.notice = ()
        if self._ready():
            self._sent.append((self._sender.send(command), command))
            return
        self._wait(command)
        if not live(self.session) and (self._process is None or self._process.poll() is not None):
            self._process = spawn_inspector(self.folder, self.session, self._weights.checkpoint, self._weights.device)
            self._began = time.time()
        self._say(self._standing(0.0, "opening the weights"))

    def answers(self) -> list[Answered]:
        """Return what became of commands sent since the last call."""
        found, self._answered = self._answered, []
        for id, command in list(self._sent):
            answer = self._sender.answer(id)
            if answer is not None:
                self._sent.remove((id, command))
                found.append(Answered(command, answer.done, answer.step, answer.reason))
        return found

    def poll(self) -> None:
        """Read what is new; hand over what waited, once the inspector is ready."""
        self.working = live(self.session)
        self._read()
        status = self._state.status.event if self._state and self._state.status else None
        if self._waiting and self._ready():
            waiting, self._waiting = self._waiting, []
            self._sent += [(self._sender.send(command), command) for command in waiting]
            self._say(None)
        elif self._waiting and self.working and status is not None and status.state == STARTING:
            self._say(self._standing(0.0, status.detail))
        elif not self.working and self._process is not None and self._process.poll() is not None:
            self._bury(self._process.returncode)

    @property
    def starting(self) -> bool:
        """Whether something waits for an inspector that was started."""
        return bool(self._waiting)

    def over(self, state: RunState, attended: bool) -> RunState:
        """Return a run's state with what the session found over it, the newest of each; the same object if no news.

        attended: a worker holds the run. A measurement under way that nobody takes any more is left out.
        """
        made_of = (state, self._state, self._told, attended or self.working)
        if self._merged is None or any(a is not b for a, b in zip(made_of, self._merged[0], strict=True)):
            self._merged = made_of, self._merge(state, attended or self.working)
        return self._merged[1]

    def temperature(self) -> tuple[float, float] | None:
        """Return the sampling temperature that was last asked for here, and when; None if none was."""
        settings = self._state.settings if self._state else None
        return None if settings is None else (settings.event.temperature, settings.time)

    def close(self) -> None:
        """End the inspector if it was started here, and let go of its session."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(ENDING)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    # -- the parts of it -------------------------------------------------------------------------------------------

    def _ready(self) -> bool:
        """Whether an inspector takes commands: it has said so since it was started."""
        status = self._state.status if self._state else None
        ready = status is not None and status.event.state == PAUSED and status.time >= self._began
        return ready and live(self.session)

    def _wait(self, command: Command) -> None:
        """Remember a command; it takes the place of an earlier one of its kind, and a Cancel of all that wait."""
        replaced = [
            old
            for old in self._waiting
            if isinstance(command, Cancel)
            or (old.kind == command.kind and getattr(old, "probe", "") == getattr(command, "probe", ""))
        ]
        self._answered += [Answered(old, True, None, "") for old in replaced]  # as a worker answers: it was asked for
        self._waiting = [old for old in self._waiting if old not in replaced]
        if isinstance(command, Cancel):
            self._answered.append(Answered(command, True, None, ""))
        else:
            self._waiting.append(command)

    def _read(self) -> None:
        if self._reader is None:
            if not (self.session / schema.NAME).exists():
                return
            with contextlib.suppress(UserError):  # being made at this moment, or damaged: an inspector makes it anew
                self._reader = Reader(self.session)
        if self._reader is None:
            return
        try:
            recorded = self._reader.poll()
        except UserError:
            self._reader.close()
            self._reader = None  # removed, to be begun anew
            return
        if recorded:
            self._last = max(self._last, *(one.id for one in recorded))
            state = self._state or RunState(config=self._reader.config, meta=self._reader.meta)
            self._state = fold_all(state, [dataclasses.replace(one, id=ABOVE + 2 * one.id) for one in recorded])

    def _bury(self, code: int) -> None:
        """The process that was started here has ended: say why, unless it ended as it should."""
        self._process = None
        log = tail(inspector_log(self.session))
        if code == 0 and not self._waiting:
            return
        reason = log[-1].removeprefix("rnnscope: ") if log else f"it ended with exit status {code}"
        self.notice = (f"the inspector has ended: {reason}", *log)
        self._say(self._standing(1.0, "", reason) or self._broken_off(reason))
        self._answered += [Answered(command, False, None, reason) for command in self._waiting]
        self._waiting = []

    def _standing(self, share: float, what: str, error: str = "") -> Asked | None:
        probes = [command.probe for command in self._waiting if isinstance(command, Measure)]
        return Asked(probes[-1], share, what, error) if probes else None

    def _broken_off(self, reason: str) -> Asked | None:
        """Return the end of a measurement that its inspector did not live to see."""
        under_way = self._state.lab.get(Asked.kind) if self._state else None
        if under_way is None or not isinstance(under_way.event, Asked) or under_way.event.share >= 1:
            return None
        return Asked(under_way.event.probe, 1.0, "", reason)

    def _say(self, event: Asked | None) -> None:
        """Show how it stands with the start as if it were recorded; the same object while nothing changes."""
        if event is None or self._told is None or self._told.event != event:
            id = ABOVE + 2 * self._last + 1
            self._told = None if event is None else Recorded(id, 0, 0, time.time(), event)

    def _merge(self, state: RunState, attended: bool) -> RunState:
        lab = dict(state.lab)
        theirs = dict(self._state.lab) if self._state else {}
        for kind, found in theirs.items():
            lab[kind] = _newer(lab.get(kind), found)
        told = self._told
        if told is not None:
            for key in (Asked.kind, asked_key(getattr(told.event, "probe", ""))):
                lab[key] = _newer(lab.get(key), told)
        if not attended:
            lab = {key: found for key, found in lab.items() if found is told or not _under_way(found)}
        if self._state is None:
            return dataclasses.replace(state, lab=lab)
        sample = _newest(state.sample, self._state.sample)
        comparison = _newest(state.comparison, self._state.comparison)
        return dataclasses.replace(state, lab=lab, sample=sample, comparison=comparison)


def _under_way(found: Recorded[LabEvents]) -> bool:
    return isinstance(found.event, Asked) and found.event.share < 1


def _newer(one: Recorded[T] | None, other: Recorded[T]) -> Recorded[T]:
    return other if one is None or other.time >= one.time else one


def _newest(one: Recorded[T] | None, other: Recorded[T] | None) -> Recorded[T] | None:
    return one if other is None else _newer(one, other)

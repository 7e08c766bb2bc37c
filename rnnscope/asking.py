"""The probes that somebody asks a session for: which wait, and what happens while one is taken.

A probe of the registry's `ASKED` is handed a copy of the model and a random state of its own, so whatever it does, and
wherever it is broken off, training goes on as if it had never been. It runs between two training steps, or in a
session that does not train (inspector.py).
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import importlib
import sys
import time
import traceback
from collections.abc import Iterator
from typing import Protocol

import torch

from rnnscope import errors
from rnnscope.config import Config
from rnnscope.errors import RunFailed, UserError
from rnnscope.probes.subject import Cancelled, Subject
from rnnscope.recording.events import Event
from rnnscope.recording.reading_events import Asked
from rnnscope.recording.requests import Request
from rnnscope.recording.writer import Writer
from rnnscope.registry import ASKED
from rnnscope.requesting import check_fit, read

REPORT_EVERY = 0.25
"""Seconds between two `Asked` events of one probe; and between two drafts DRAFT_EVERY."""
DRAFT_EVERY = 0.1

WAITS, CANCELLED = "waits its turn", "cancelled"

LISTEN_EVERY = 0.02
"""Seconds between two looks for commands while a probe is taken."""


class Host(Protocol):
    """What a session offers to the probes that it is asked for."""

    writer: Writer
    config: Config
    stopping: str | None

    def event(self, event: Event, step: int | None = None) -> None:
        """Record an event."""

    def listen(self) -> None:
        """Obey what can be obeyed in the middle of a measurement."""

    def subject(self) -> Subject:
        """Return what is measured, as it is now."""


class Asking:
    """The probes asked for in one session: at most one request for each waits, the newest."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._waiting: dict[str, Request] = {}
        self._cancelled = False
        self._probe = ""  # being taken
        self._reported = self._drafted = self._listened = 0.0

    @property
    def waits(self) -> bool:
        """Whether a request waits."""
        return bool(self._waiting)

    def ask(self, probe: str, arguments: str) -> None:
        """Have a probe taken soon. arguments: a `Request` as JSON text.

        Raises:
            UserError: it cannot be: an unknown probe, or a request that does not fit.
        """
        request = read(probe, arguments)
        check_fit(probe, request, self._host.config.model)
        self._waiting[probe] = request
        if self._probe or len(self._waiting) > 1:
            self._host.event(Asked(probe, 0.0, WAITS))

    def cancel(self) -> None:
        """Break off the probe that is being taken, and forget those that wait."""
        for probe in self._waiting:
            self._host.event(Asked(probe, 1.0, CANCELLED))
        self._waiting.clear()
        self._cancelled = bool(self._probe)

    def take_next(self) -> float:
        """Take the probe that was asked for first, record what it finds; return the seconds that took.

        Raises:
            RunFailed: the recording cannot be written.
        """
        began = time.perf_counter()
        probe = next(iter(self._waiting))
        request = self._waiting.pop(probe)
        self._probe, self._cancelled = probe, False
        self._drafted = self._listened = 0.0
        self._tell(Asked(probe, 0.0))
        try:
            found = self._measure(probe, request)
            self._host.event(found)
            end = Asked(probe, 1.0)
        except Cancelled:
            end = Asked(probe, 1.0, CANCELLED)
        except UserError as error:
            end = Asked(probe, 1.0, error=str(error))
        except RunFailed:
            raise
        except Exception as error:  # of whatever kind: a measurement that fails must not end the training
            traceback.print_exc(file=sys.stderr)
            said = errors.one_line(str(error)) or "see the log"
            end = Asked(probe, 1.0, error=f"{type(error).__name__}: {said}")
        finally:
            self._probe = ""
        self._tell(end)
        return time.perf_counter() - began

    def give_up(self, why: str) -> None:
        """Tell those who still wait that nothing will come."""
        for probe in self._waiting:
            self._host.event(Asked(probe, 1.0, error=why))
        self._waiting.clear()

    def _measure(self, probe: str, request: Request) -> Event:
        subject = self._host.subject()
        module = importlib.import_module(ASKED[probe][0])
        with _apart(subject) as apart:
            apart = dataclasses.replace(apart, report=self._report, draft=self._draft)
            found: Event = module.measure(apart, request)
        return found

    def _report(self, share: float, what: str = "") -> None:
        """Record how far the probe has come, now and then; obey meanwhile. Raises Cancelled where it shall stop."""
        now = time.monotonic()
        if now - self._listened >= LISTEN_EVERY:
            self._listened = now
            self._host.listen()
            if self._cancelled or self._host.stopping is not None:
                raise Cancelled
        if now - self._reported >= REPORT_EVERY:
            self._reported = now
            self._host.event(Asked(self._probe, min(max(share, 0.0), 0.999), what))
        self._host.writer.flush()

    def _draft(self, event: Event) -> None:
        now = time.monotonic()
        if now - self._drafted >= DRAFT_EVERY:
            self._drafted = now
            self._host.event(event)

    def _tell(self, event: Asked) -> None:
        self._host.event(event)
        self._host.writer.flush(force=True)
        self._reported = time.monotonic()


@contextlib.contextmanager
def _apart(subject: Subject) -> Iterator[Subject]:
    """Give the subject with a copy of its model; torch's random state is afterwards what it was."""
    device = next(subject.model.parameters()).device
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        yield dataclasses.replace(subject, model=copy.deepcopy(subject.model))

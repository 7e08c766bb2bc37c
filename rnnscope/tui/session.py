"""What all screens of one run share: the newest look at it, what is displayed of it, and commands on their way."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from rnnscope.charts.text import printable
from rnnscope.recording.commands import Command, Rewind
from rnnscope.recording.events import FINISHED, STARTING, STOPPED
from rnnscope.tui.controls import COMMAND_KEYS, Controls, describe, expected
from rnnscope.tui.inspection import LOOKING
from rnnscope.tui.look import Look
from rnnscope.tui.snapshot import Answered, Snapshot


class Session:
    """One run as one person looks at it. Plain data, and what changes it; nothing here draws.

    newest: as read; shown: as displayed, which differs while the display is frozen. trouble: why the recording
    cannot be read, remark: why the last key could do nothing (lines), "" while there is nothing to say.
    screens: (key, name) of every screen there is.
    """

    def __init__(self, folder: Path, screens: tuple[tuple[str, str], ...] = ()) -> None:
        self.folder = folder
        self.screens = screens
        self.look = Look()
        self.newest: Snapshot | None = None
        self.shown: Snapshot | None = None
        self.frozen = False
        self.trouble = ""
        self.remark = ""
        self._expected: Controls | None = None  # the settings as they will be once all commands sent have been done
        self._waiting: list[Command] = []

    def take(self, snapshot: Snapshot, answers: list[Answered]) -> None:
        """Take what was read; while the display is frozen what is shown stays."""
        self.newest, self.trouble = snapshot, ""
        if not self.frozen:
            self.shown = snapshot
        for answer in answers:
            self.forget(answer.command)

    def freeze(self) -> None:
        """Stop the display, not the reading; or let it run again."""
        self.frozen = not self.frozen
        if not self.frozen:
            self.shown = self.newest

    def command(self, key: str | Command) -> Command | None:
        """Return what to ask the worker for (a key of controls.py, or the command itself) and wait for its answer.

        None: it cannot be asked for now, `remark` says why.
        """
        asked, self.remark = self.remark, self._why_not(key)
        if self.remark or self.newest is None:
            return None
        now = self._expected or self.newest.controls
        command = COMMAND_KEYS[key](now) if isinstance(key, str) else key
        question = self._left_behind(command, now)
        if question and question != asked:
            self.remark = question
            return None
        self._expected = expected(now, command)
        self._waiting.append(command)
        return command

    def forget(self, command: Command) -> None:
        """Wait no longer for the answer to `command`: it came, or it could not be sent."""
        if command in self._waiting:
            self._waiting.remove(command)
        if not self._waiting:
            self._expected = None

    def _why_not(self, key: str | Command) -> str:
        newest = self.newest
        if newest is None:
            return "the run is still being opened"
        controls = self._expected or newest.controls
        command = COMMAND_KEYS[key](controls) if isinstance(key, str) else key
        if isinstance(command, Rewind) and controls.rewind_to is None:
            return "rewind: nothing has gone wrong, there is nothing to go back from"
        what = describe(command)
        if isinstance(command, (Rewind, *LOOKING)) and not self.working:
            return ""  # a worker is started for it, or an inspector
        if self.working:
            return "" if newest.live else f"{what}: the run is still starting, try again in a moment"
        why = f"{what}: the run is {newest.word}, nobody is there to do that"
        if newest.word in (FINISHED, STOPPED):
            why += f"\nto train on: rnnscope train --resume {printable(str(self.folder))} --steps N"
        return why

    def _left_behind(self, command: Command, controls: Controls) -> str:
        """Return what to ask before a run that has trained on since its incident is thrown back; "" for others."""
        step = self.newest.progress.step if self.newest is not None else 0
        if not isinstance(command, Rewind) or controls.broke_at is None or step <= controls.broke_at:
            return ""
        behind = step - command.step
        return f"{describe(command)} leaves {behind:,} steps behind, with their checkpoints: press it again to do that"

    @property
    def working(self) -> bool:
        """Whether a worker is there to take commands, or about to be; assumed while nothing has been read."""
        return self.newest is None or self.newest.live or self.newest.word == STARTING

    @property
    def current(self) -> Snapshot | None:
        """The newest look, its settings as they will be once the commands on their way have been done."""
        if self.newest is None or self._expected is None:
            return self.newest
        return replace(self.newest, controls=self._expected)

    @property
    def sent(self) -> str:
        """A few words on the newest command that has no answer yet, "" if all have."""
        return describe(self._waiting[-1]) if self._waiting else ""

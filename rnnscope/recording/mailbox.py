"""commands.db: how viewers ask and the worker answers. Each command is answered once: done, or refused and why.

Any number of viewers write rows; the worker looks once a step at SQLite's `PRAGMA data_version` (a few
microseconds), reads only when another process wrote, and writes the answers. The file is a mailbox, not a record:
what was answered is copied into run.db as an `Intervention`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rnnscope.errors import RunFailed, UserError
from rnnscope.recording import lock
from rnnscope.recording.codec import from_json, to_json
from rnnscope.recording.commands import COMMANDS, Command

NAME = "commands.db"
ENDED = "the worker has ended"

TABLE = """
CREATE TABLE IF NOT EXISTS commands(id INTEGER PRIMARY KEY AUTOINCREMENT, sent REAL NOT NULL, kind TEXT NOT NULL,
    arguments TEXT NOT NULL, answered REAL, step INTEGER, done INTEGER, reason TEXT);
"""


@dataclass(frozen=True)
class Answer:
    """What became of a command: done at `step`, or refused and why (step None: no worker saw it)."""

    done: bool
    step: int | None
    reason: str = ""


@dataclass(frozen=True)
class Taken:
    """A command as the worker found it. command is None where it could not be understood; `problem` says why."""

    id: int
    kind: str
    arguments: str
    command: Command | None
    problem: str = ""


class Mailbox:
    """The worker's end."""

    def __init__(self, folder: Path) -> None:
        """Open or create the mailbox of `folder`; commands left by an earlier worker's viewers are refused.

        Raises:
            UserError: it cannot be written.
        """
        self._path = folder / NAME
        try:
            self._open()
        except sqlite3.DatabaseError:
            # A mailbox holds nothing that must be kept: a damaged one is replaced.
            try:
                for suffix in ("", "-wal", "-shm", "-journal"):
                    self._path.with_name(NAME + suffix).unlink(missing_ok=True)
                self._open()
            except (sqlite3.Error, OSError) as error:
                raise UserError(f"cannot write {self._path}: {error}") from error

    def _open(self) -> None:
        self._connection = sqlite3.connect(self._path, isolation_level=None, timeout=5.0, check_same_thread=False)
        try:
            self._connection.execute("PRAGMA synchronous=OFF")  # a command need not survive a power cut
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute(TABLE)
            self._refuse_unanswered("the worker it was meant for has ended")
        except sqlite3.Error:
            self._connection.close()
            raise
        self._last = self._connection.execute("SELECT coalesce(max(id), 0) FROM commands").fetchone()[0]
        self._version = -1

    def take(self) -> list[Taken]:
        """Return the commands that came since the last call, oldest first, each once.

        Raises:
            RunFailed: the mailbox cannot be read any more.
        """
        try:
            version = self._connection.execute("PRAGMA data_version").fetchone()[0]
            if version == self._version:
                return []
            rows = self._connection.execute(
                "SELECT id, kind, arguments FROM commands WHERE id > ? ORDER BY id", (self._last,)
            ).fetchall()
        except sqlite3.Error as error:
            raise RunFailed(f"cannot read {self._path}: {error}") from error
        self._version = version
        taken = [Taken(id, kind, arguments, *decode_command(kind, arguments)) for id, kind, arguments in rows]
        if taken:
            self._last = taken[-1].id
        return taken

    def answer(self, id: int, step: int, done: bool, reason: str) -> None:
        """Write the answer of command `id`; a second answer changes nothing.

        Raises:
            RunFailed: it cannot be written.
        """
        try:
            self._connection.execute(
                "UPDATE commands SET answered = ?, step = ?, done = ?, reason = ? WHERE id = ? AND answered IS NULL",
                (time.time(), step, int(done), reason, id),
            )
        except sqlite3.Error as error:
            raise RunFailed(f"cannot write {self._path}: {error}") from error

    def close(self) -> None:
        """Refuse what is unanswered and leave one tidy file, so that viewers can still read their answers."""
        with contextlib.suppress(sqlite3.Error):  # at the end of a run, perhaps on a full disk: best effort
            self._refuse_unanswered(ENDED)
            self._connection.execute("PRAGMA journal_mode=DELETE")
        self._connection.close()

    def _refuse_unanswered(self, reason: str) -> None:
        self._connection.execute(
            "UPDATE commands SET answered = ?, done = 0, reason = ? WHERE answered IS NULL", (time.time(), reason)
        )


class Sender:
    """A viewer's end. It opens the mailbox only while it uses it, so a worker may end and another begin."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def send(self, command: Command) -> int:
        """Ask the worker of this run to carry out `command`; return the id to ask `answer` about.

        Raises:
            UserError: no worker is there to answer, or the mailbox cannot be written.
        """
        if not lock.live(self._folder):
            raise UserError(f"{self._folder.name} is not running: no worker is there to {command.kind}")
        arguments = to_json(dataclasses.asdict(command))
        with self._mailbox("rw") as connection:
            cursor = connection.execute(
                "INSERT INTO commands(sent, kind, arguments) VALUES(?, ?, ?)", (time.time(), command.kind, arguments)
            )
            return int(cursor.lastrowid or 0)

    def answer(self, id: int) -> Answer | None:
        """Return the answer of command `id`, None while there is none and a worker lives.

        Raises:
            UserError: the mailbox cannot be read.
        """
        alive = lock.live(self._folder)  # before reading: what a worker that ended wrote last is then in the file
        with self._mailbox("rw") as connection:
            row = connection.execute(
                "SELECT done, step, reason FROM commands WHERE id = ? AND answered IS NOT NULL", (id,)
            ).fetchone()
        if row is not None:
            return Answer(bool(row[0]), row[1], row[2] or "")
        return None if alive else Answer(False, None, ENDED)

    @contextlib.contextmanager
    def _mailbox(self, mode: str) -> Iterator[sqlite3.Connection]:
        path = self._folder / NAME
        try:
            uri = f"{path.absolute().as_uri()}?mode={mode}"
            with contextlib.closing(sqlite3.connect(uri, uri=True, isolation_level=None, timeout=2.0)) as connection:
                yield connection
        except sqlite3.Error as error:
            raise UserError(f"cannot reach the worker through {path}: {error}") from error


def decode_command(kind: str, arguments: str) -> tuple[Command | None, str]:
    """Return (command, "") or (None, why it cannot be understood)."""
    cls = COMMANDS.get(kind)
    if cls is None:
        return None, f"this worker does not know the command {kind!r}"
    try:
        values = from_json(arguments)
    except ValueError:
        return None, f"the arguments of {kind} are not JSON"
    fields: dict[str, Any] = {field.name: field for field in dataclasses.fields(cls)}
    if not isinstance(values, dict) or not values.keys() <= fields.keys():
        return None, f"{kind} takes {', '.join(fields) or 'no arguments'}"
    for name, value in values.items():
        if not _fits(value, str(fields[name].type)):
            return None, f"{kind}: {name} must be {fields[name].type}, not {value!r}"
    return cls(**values), ""


def _fits(value: object, annotation: str) -> bool:
    """Whether a JSON value is of the annotated type: int, float, str or bool, perhaps `| None`."""
    allowed = annotation.replace(" ", "").split("|")
    if value is None:
        return "None" in allowed
    if isinstance(value, bool):
        return "bool" in allowed
    if isinstance(value, int | float):
        exact = isinstance(value, int) and "int" in allowed
        return exact or ("float" in allowed and math.isfinite(value))
    return isinstance(value, str) and "str" in allowed

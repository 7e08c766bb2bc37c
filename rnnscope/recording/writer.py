"""The worker's end of the store: it alone writes run.db.

Rows are collected in memory and written at most ten times a second, each time in one short transaction. SQLite's
`synchronous` is NORMAL: in WAL mode a commit is then a plain write to the log, no fsync, so a step never waits
for the disk. What was committed is in the kernel's hands and survives `kill -9`; only a power cut can lose the
last seconds, and even then the file stays consistent (with OFF it might not).

Call `scalar`, `event` or `flush` at least ten times a second, and `flush(force=True)` before anything slow, and
then a process that is killed loses at most the last tenth of a second.
"""

from __future__ import annotations

import contextlib
import math
import shutil
import sqlite3
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rnnscope.config import Config, from_dict, to_dict
from rnnscope.errors import RunFailed, UserError
from rnnscope.recording import schema
from rnnscope.recording.codec import encode_event, from_json, to_json
from rnnscope.recording.commands import Command
from rnnscope.recording.events import LARGE, Event, Intervention, StepRow
from rnnscope.recording.lock import Lock
from rnnscope.recording.mailbox import Mailbox, Taken
from rnnscope.recording.place import check_local, check_new
from rnnscope.recording.thinning import Bucket

__all__ = ["StepRow", "Writer"]

INTERVAL = 0.1
"""Seconds between two writes."""

CLOSING = 0.6
"""Seconds that close() waits for viewers to let go of the file, so that it can fold the journal in."""

STEP_BYTES = 78  # measured: the growth of run.db by one row of `steps`
EVENT_BYTES = 64  # about what a row of `events` takes besides its texts and arrays

INSERT_STEP = "INSERT OR REPLACE INTO steps VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)"
INSERT_EVENT = "INSERT INTO events(id, segment, step, time, kind, fields, payload, keep) VALUES(?, ?, ?, ?, ?, ?, ?, ?)"

EventRow = tuple[int, int, int, float, str, str, bytes | None, int]


class Writer:
    """Writes one run, under its lock. Make one with `create` or `open`; use from one thread."""

    def __init__(self, folder: Path, connection: sqlite3.Connection, lock: Lock, mailbox: Mailbox) -> None:
        self.folder = folder
        self.config = from_dict(_meta(connection).get("config", {}))
        self._connection = connection
        self._lock = lock
        self._mailbox = mailbox
        self.segment: int = connection.execute("SELECT max(id) FROM segments").fetchone()[0]
        self._next_event: int = connection.execute("SELECT coalesce(max(id), 0) + 1 FROM events").fetchone()[0]
        self._unkept: dict[str, int] = dict(
            connection.execute("SELECT kind, id FROM events WHERE keep = 0 AND segment = ?", (self.segment,))
        )
        self._bucket = Bucket(self.config.probes.recording_budget, time.monotonic())
        self._steps: list[tuple[int, int, float, float, float, float, float, float, int]] = []
        self._events: dict[int, EventRow] = {}
        self._given_way: list[int] = []
        self._taken: dict[int, Taken] = {}
        self._step = 0
        self._written = -math.inf  # the first row is written at once
        self._failed = False
        self._closed = False

    @classmethod
    def create(cls, folder: Path, config: Config, meta: Mapping[str, Any] | None = None) -> Writer:
        """Create run `folder` with an empty recording of `config` and take its lock. `meta`: see `set_meta`.

        Raises:
            UserError: the folder exists, cannot be written, or is on a network file system. Nothing is left.
        """
        folder = Path(folder)
        check_new(folder)
        made = [path for path in folder.absolute().parents if not path.exists()]
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            folder.mkdir()  # fails if another run took the name meanwhile
        except OSError as error:
            _remove_empty(made)
            raise UserError(f"cannot create {folder}: {error.strerror}") from error
        try:
            unfinished = folder / f".{schema.NAME}"  # a run.db is there whole, or not at all
            _create_tables(unfinished, {**(meta or {}), "config": to_dict(config), "created": time.time()})
            unfinished.rename(folder / schema.NAME)
            return cls._open(folder, Lock.acquire(folder))
        except BaseException as error:
            shutil.rmtree(folder, ignore_errors=True)  # ours: made a moment ago
            _remove_empty(made)
            if isinstance(error, sqlite3.Error | OSError):
                raise UserError(f"cannot create {folder}: {error}") from error
            raise

    @classmethod
    def open(cls, folder: Path) -> Writer:
        """Open an existing run to go on with it, and take its lock. Rows go to the newest segment: begin another.

        Raises:
            UserError: no run, damaged, of a newer schema, not writable, or another worker holds it.
        """
        folder = Path(folder)
        path = folder / schema.NAME
        schema.connect(path, write=False, immutable=not schema.has_journal(path)).close()  # before the lock: says why
        check_local(folder)
        return cls._open(folder, Lock.acquire(folder))

    @classmethod
    def _open(cls, folder: Path, lock: Lock) -> Writer:
        try:
            connection = schema.connect(folder / schema.NAME, write=True)
        except UserError:
            lock.release()
            raise
        try:
            connection.execute("PRAGMA synchronous=NORMAL")
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA journal_size_limit=16000000")
            connection.execute("DELETE FROM meta WHERE key = 'closed'")
            return cls(folder, connection, lock, Mailbox(folder))
        except (sqlite3.Error, ValueError, UserError) as error:
            connection.close()
            lock.release()
            raise UserError(f"cannot write {folder / schema.NAME}: {error}") from error

    @property
    def meta(self) -> dict[str, Any]:
        """Everything in the meta table, the configuration among it."""
        return _meta(self._connection)

    def begin_segment(self, step: int) -> int:
        """Begin a segment that continues the newest lineage at `step` (resume, rewind); return its id.

        Raises:
            RunFailed: it cannot be written.
        """
        self.flush(force=True)
        with self._transaction() as connection:
            cursor = connection.execute(
                "INSERT INTO segments(parent, start_step, created) VALUES(?, ?, ?)",
                (self.segment, int(step), time.time()),
            )
        self.segment = int(cursor.lastrowid or 0)
        self._unkept = {}
        self._step = step
        return self.segment

    def set_meta(self, **values: Any) -> None:
        """Keep plain data under the given keys (vocabulary, corpus, versions, ...), replacing what was there.

        Raises:
            RunFailed: it cannot be written.
        """
        with self._transaction() as connection:
            connection.executemany(
                "INSERT OR REPLACE INTO meta VALUES(?, ?)", [(key, to_json(value)) for key, value in values.items()]
            )

    def scalar(self, row: StepRow) -> None:
        """Record the scalars of one training step.

        Raises:
            RunFailed: the recording cannot be written any more.
        """
        self._step = int(row.step)
        # SQLite binds NaN as NULL, which the reader turns back, and numbers of numpy as blobs: hence int and float.
        self._steps.append((
            self.segment, self._step, float(row.loss), float(row.lr), float(row.grad_norm),
            float(row.grad_norm_clipped), float(row.epoch), float(row.seconds), int(row.chars),
        ))  # fmt: skip
        self.flush()

    def event(self, step: int, event: Event) -> None:
        """Record an event; a large one under the thinning rule (thinning.py).

        Raises:
            RunFailed: the recording cannot be written any more.
        """
        fields, payload = encode_event(event)
        size = EVENT_BYTES + len(fields) + len(payload or b"")
        keep = True
        if event.kind in LARGE:
            keep = self._bucket.keep(size, time.monotonic())
            # Kept or not, this one is now the newest: an earlier one that was not kept gives way.
            earlier = self._unkept.pop(event.kind, None)
            if earlier is not None and self._events.pop(earlier, None) is None:
                self._given_way.append(earlier)
        else:
            self._bucket.spend(size, time.monotonic())
        id = self._next_event
        self._next_event += 1
        if not keep:
            self._unkept[event.kind] = id
        self._events[id] = (id, self.segment, int(step), time.time(), event.kind, fields, payload, int(keep))
        self.flush()

    def flush(self, force: bool = False) -> None:
        """Write what is buffered, unless the last write was less than a tenth of a second ago.

        Raises:
            RunFailed: the disk is full or fails; what was written before stays readable, the buffer is lost.
        """
        now = time.monotonic()
        if not force and now - self._written < INTERVAL:
            return
        self._written = now
        if not (self._steps or self._events):
            return
        steps, events, given_way = self._steps, list(self._events.values()), self._given_way
        self._steps, self._events, self._given_way = [], {}, []
        self._bucket.spend(STEP_BYTES * len(steps), now)
        with self._transaction() as connection:
            connection.executemany(INSERT_STEP, steps)
            connection.executemany("DELETE FROM events WHERE id = ?", [(id,) for id in given_way])
            connection.executemany(INSERT_EVENT, events)

    def commands(self) -> list[tuple[int, Command]]:
        """Return the commands that came since the last call, oldest first; what is not understood is refused here.

        Raises:
            RunFailed: the mailbox cannot be read or written any more.
        """
        found: list[tuple[int, Command]] = []
        for taken in self._mailbox.take():
            self._taken[taken.id] = taken
            if taken.command is None:
                self.answer(taken.id, self._step, False, taken.problem)
            else:
                found.append((taken.id, taken.command))
        return found

    def answer(self, id: int, step: int, done: bool, reason: str = "") -> None:
        """Answer command `id`: done at `step`, or refused and why. Recorded as an `Intervention`.

        Raises:
            RunFailed: it cannot be written.
        """
        taken = self._taken.pop(id, None)
        if taken is None:
            return  # answered before
        self._mailbox.answer(id, step, done, reason)
        self.event(step, Intervention(taken.kind, taken.arguments, done, reason))

    def close(self) -> None:
        """Write what is left, fold the journal in so that run.db alone is the run, and release the lock.

        Raises:
            RunFailed: the last rows could not be written (not raised again if writing failed before).
        """
        if self._closed:
            return
        self._closed = True
        try:
            with contextlib.suppress(RunFailed) if self._failed else contextlib.nullcontext():
                self.flush(force=True)
                self.set_meta(closed=time.time())
                self._fold_journal()
        finally:
            self._mailbox.close()
            self._connection.close()
            self._lock.release()

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _fold_journal(self) -> None:
        """Move the log's content into run.db, then leave WAL mode.

        Leaving needs the file to oneself. Readers that see `closed` let go of it, so it succeeds once each has
        polled; if one does not (a stopped viewer), the file is complete all the same, with an empty log beside it.
        """
        deadline = time.monotonic() + CLOSING
        with contextlib.suppress(sqlite3.OperationalError):  # a full disk: the log stays, and is read from there
            self._connection.execute("PRAGMA busy_timeout=100")
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        while True:
            try:
                self._connection.execute("PRAGMA journal_mode=DELETE")
                return
            except sqlite3.OperationalError:
                if time.monotonic() > deadline:
                    return
                time.sleep(0.02)

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        connection = self._connection
        try:
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            self._failed = True
            if connection.in_transaction:
                with contextlib.suppress(sqlite3.Error):  # a full disk may have rolled it back already
                    connection.execute("ROLLBACK")
            path = self.folder / schema.NAME
            raise RunFailed(
                f"cannot record to {path} ({error}): is the disk full? Free some space, then --resume"
            ) from error


def _meta(connection: sqlite3.Connection) -> dict[str, Any]:
    return {key: from_json(value) for key, value in connection.execute("SELECT key, value FROM meta")}


def _create_tables(path: Path, meta: Mapping[str, Any]) -> None:
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous=OFF")  # nothing is lost yet if the power fails here
        connection.execute(f"PRAGMA application_id={schema.APPLICATION}")
        connection.execute(f"PRAGMA user_version={schema.SCHEMA}")
        connection.execute("BEGIN")
        for statement in schema.TABLES.split(";"):
            connection.execute(statement)
        connection.executemany("INSERT INTO meta VALUES(?, ?)", [(key, to_json(meta[key])) for key in meta])
        connection.execute("INSERT INTO segments VALUES(1, NULL, 0, ?)", (time.time(),))
        connection.execute("COMMIT")


def _remove_empty(folders: list[Path]) -> None:
    """Remove the folders that a failed `create` made, innermost first, as far as they are empty."""
    with contextlib.suppress(OSError):  # the first error is the one to report
        for folder in folders:
            folder.rmdir()

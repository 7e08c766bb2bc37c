"""A viewer's end of the store: any number of readers, in any process, of a live or a finished run.

No reader holds a SELECT open, so none holds the worker up. While a run is written the connection stays open and
`PRAGMA data_version` (a few microseconds) tells whether anything is new. A run that was closed is opened for each
look and read without locks, so that it can lie in a read-only folder, and so that the worker that just closed it
can fold its journal in.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from rnnscope.config import Config, from_dict
from rnnscope.errors import UserError
from rnnscope.recording import columns, lock, schema
from rnnscope.recording.codec import decode_event, from_json
from rnnscope.recording.events import LARGE, Event, Started, StepRow
from rnnscope.recording.records import Columns, Recorded, Reset, Seen

EVENT = "SELECT id, segment, step, time, kind, fields, payload FROM events"
SMALL = f"{EVENT} WHERE id > ? AND kind NOT IN ({', '.join(repr(kind) for kind in sorted(LARGE))}) ORDER BY id LIMIT ?"
NEWEST = "SELECT id, segment, step FROM events WHERE id > ? AND kind = ? ORDER BY id DESC"
ALL = "SELECT id, segment, step FROM events WHERE kind = ? ORDER BY id"

T = TypeVar("T")
Version = tuple[int, ...]


class Reader:
    """Reads one run's newest lineage. Use from one thread at a time."""

    def __init__(self, folder: Path) -> None:
        """Open the recording of run `folder`.

        Raises:
            UserError: no run, damaged, of a newer schema, or not readable.
        """
        self.folder = Path(folder)
        self._path = self.folder / schema.NAME
        self._connection: sqlite3.Connection | None = None  # kept open while the run is written
        self._opened = 0
        self._events_version: Version | None = None
        self._scalars_version: Version | None = None
        self._small = 0  # id of the last small event handed out
        self._large = dict.fromkeys(LARGE, 0)  # and of the last of each large kind
        self._newest: StepRow | None = None
        with self._look() as connection:
            self._read_meta(connection)
            self._events_segment = self._scalars_segment = schema.lineage(connection)[-1].segment

    def poll(self, limit: int = 1000) -> list[Seen]:
        """Return the events recorded since the last call, oldest first; none when nothing is new.

        All small events come, at most `limit` a call; of each large kind only the newest. After a resume or rewind
        the list starts with a `Reset`, and the new lineage follows from its start.

        Raises:
            UserError: the recording is damaged, or gone.
        """
        version = self._version()
        if version == self._events_version:
            return []
        found: list[Seen] = []
        with self._look() as connection:
            stretches = schema.lineage(connection)
            newest = stretches[-1]
            if newest.segment != self._events_segment:
                self._events_segment, self._small, self._large = newest.segment, 0, dict.fromkeys(LARGE, 0)
                self._read_meta(connection)
                reset = Reset(newest.segment, newest.first, self.config, self.meta)
                found.append(Recorded(0, newest.segment, newest.first, time.time(), reset))
            rows = connection.execute(SMALL, (self._small, limit)).fetchall()
            self._events_version = version if len(rows) < limit else None
            self._small = rows[-1][0] if rows else self._small
            if any(row[4] == Started.kind for row in rows):
                self._read_meta(connection)  # the vocabulary and more are there once the worker has started
            for kind in LARGE:
                row = _newest(connection, kind, self._large[kind], stretches)
                if row is not None:
                    rows.append(row)
                    self._large[kind] = row[0]
        with self._explained():
            for row in sorted(row for row in rows if _within(row, stretches)):
                event = decode_event(*row[4:])
                if event is not None:  # None: a kind that only a newer version knows
                    found.append(_recorded(row, event))
        return found

    def scalars(self) -> Columns:
        """Return the steps recorded since the last call, one row each, or buckets of steps when there are very many.

        Raises:
            UserError: the recording is damaged, or gone.
        """
        version = self._version()
        if version == self._scalars_version:
            return columns.empty(self._newest)
        with self._look() as connection:
            stretches = schema.lineage(connection)
            reset = stretches[-1].segment != self._scalars_segment
            if reset:
                self._scalars_segment, self._newest = stretches[-1].segment, None
            after = -1 if self._newest is None else self._newest.step
            new = columns.read(connection, stretches, after, reset, self._newest)
        self._newest, self._scalars_version = new.newest, version
        return new

    def newest(self, kind: str) -> Recorded[Event] | None:
        """Return the newest event of `kind` in the newest lineage, None if there is none.

        Raises:
            UserError: the recording is damaged, or gone.
        """
        with self._look() as connection:
            row = _newest(connection, kind, 0, schema.lineage(connection))
            event = decode_event(*row[4:]) if row else None
        return _recorded(row, event) if row and event is not None else None

    def history(self, kind: str, limit: int = 256) -> list[Recorded[Event]]:
        """Return at most `limit` events of `kind` in the newest lineage, evenly chosen up to the newest, oldest first.

        Raises:
            UserError: the recording is damaged, or gone.
        """
        with self._look() as connection:
            stretches = schema.lineage(connection)
            rows = [row for row in connection.execute(ALL, (kind,)) if _within(row, stretches)]
            count = min(limit, len(rows))
            chosen = sorted({len(rows) - 1 - i * len(rows) // count for i in range(count)}) if count else []
            found = [connection.execute(f"{EVENT} WHERE id = ?", rows[i][:1]).fetchone() for i in chosen]
            events = [(row, decode_event(*row[4:])) for row in found]
        return [_recorded(row, event) for row, event in events if event is not None]

    def newest_step(self) -> StepRow | None:
        """Return the newest step of the newest lineage, None before the first.

        Raises:
            UserError: the recording is damaged, or gone.
        """
        with self._look() as connection:
            return columns.newest_step(connection, schema.lineage(connection))

    def last_steps(self, step: int, count: int) -> list[StepRow]:
        """Return the last `count` steps of the newest lineage up to `step`, oldest first.

        Raises:
            UserError: the recording is damaged, or gone.
        """
        with self._look() as connection:
            return columns.last_steps(connection, schema.lineage(connection), step, count)

    def live(self) -> bool:
        """Whether a worker holds this run (training, paused, or about to)."""
        return lock.live(self.folder)

    def close(self) -> None:
        """Let go of the file."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _read_meta(self, connection: sqlite3.Connection) -> None:
        rows = connection.execute("SELECT key, value FROM meta").fetchall()
        self.meta: dict[str, Any] = {key: from_json(value) for key, value in rows}
        self.config: Config = from_dict(self.meta.get("config", {}))

    def _version(self) -> Version:
        """Return something that changes whenever the recording does."""
        if self._connection is not None:
            with self._explained():
                return self._opened, self._connection.execute("PRAGMA data_version").fetchone()[0]
        version: list[int] = []
        for path in (self._path, self._path.with_name(f"{schema.NAME}-wal")):
            with contextlib.suppress(OSError):
                stat = path.stat()
                version += [stat.st_ino, stat.st_size, stat.st_mtime_ns]
        return tuple(version)

    @contextlib.contextmanager
    def _look(self) -> Iterator[sqlite3.Connection]:
        """Give a connection that sees one state of the recording throughout the block."""
        connection, still = self._connection, False
        if connection is None:
            # Nobody writes and nothing is in a journal: read without locks, which a read-only folder needs.
            still = not self.live() and not schema.has_journal(self._path)
            connection = schema.connect(self._path, write=False, immutable=still)
            self._opened += 1
        keep = False
        try:
            with self._explained():
                connection.execute("BEGIN")
                try:
                    closed = connection.execute("SELECT 1 FROM meta WHERE key = 'closed'").fetchone() is not None
                    keep = not closed and not still  # read without locks, it would never see what a resume writes
                    yield connection
                finally:
                    connection.execute("COMMIT")
        finally:
            self._connection = connection if keep else None
            if not keep:
                connection.close()

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn what SQLite and the codec (ValueError) say of a damaged file into one line."""
        try:
            yield
        except (sqlite3.DatabaseError, ValueError) as error:
            raise UserError(f"{self._path} cannot be read ({error}): it is damaged, or was removed") from error


def _recorded(row: tuple[Any, ...], event: T) -> Recorded[T]:
    id, segment, step, when = row[:4]
    return Recorded(id, segment, step, when, event)


def _within(row: tuple[Any, ...], stretches: Sequence[schema.Stretch]) -> bool:
    """Whether a row that starts with (id, segment, step) belongs to the lineage."""
    return any(stretch.segment == row[1] and stretch.holds(row[2]) for stretch in stretches)


def _newest(
    connection: sqlite3.Connection, kind: str, after: int, stretches: Sequence[schema.Stretch]
) -> tuple[Any, ...] | None:
    """Return the newest row of `kind` in the lineage with an id above `after`."""
    for row in connection.execute(NEWEST, (after, kind)):
        if _within(row, stretches):
            found: tuple[Any, ...] = connection.execute(f"{EVENT} WHERE id = ?", row[:1]).fetchone()
            return found
    return None

"""The tables of run.db, and how it is opened.

`meta(key, value)` JSON texts: config, created, closed (the writer ended normally), and what the worker adds
(vocabulary, corpus, versions). `segments` one row for each uninterrupted stretch of training; resume and rewind
add one whose parent is the segment it continues and whose start_step is the step it continues from. `steps`
one row for each training step (NaN is kept as NULL: SQLite has no NaN). `events` everything else; keep = 0 marks
the one newest event of its kind that did not fit the recording budget and gives way to the next (thinning.py).
"""

from __future__ import annotations

import sqlite3
import struct
from dataclasses import dataclass
from pathlib import Path

from rnnscope.errors import UserError

SCHEMA = 1
APPLICATION = 0x726E6E73  # "rnns", so that other SQLite files are told apart
NAME = "run.db"

TABLES = """
CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE segments(id INTEGER PRIMARY KEY, parent INTEGER REFERENCES segments(id), start_step INTEGER NOT NULL,
    created REAL NOT NULL);
CREATE TABLE steps(segment INTEGER NOT NULL, step INTEGER NOT NULL, loss REAL, lr REAL, grad_norm REAL,
    grad_norm_clipped REAL, epoch REAL, seconds REAL, chars INTEGER, PRIMARY KEY(segment, step)) WITHOUT ROWID;
CREATE TABLE events(id INTEGER PRIMARY KEY, segment INTEGER NOT NULL, step INTEGER NOT NULL, time REAL NOT NULL,
    kind TEXT NOT NULL, fields TEXT NOT NULL, payload BLOB, keep INTEGER NOT NULL DEFAULT 1);
CREATE INDEX events_by_kind ON events(kind, id, segment, step);
"""


@dataclass(frozen=True)
class Stretch:
    """A segment's part of a lineage: its steps after `first` and up to `last` (None: all that come)."""

    segment: int
    first: int
    last: int | None

    def holds(self, step: int) -> bool:
        """Whether an event at `step` is in it (the step a segment starts from is in both it and its parent)."""
        return self.last is None or step <= self.last


def lineage(connection: sqlite3.Connection) -> tuple[Stretch, ...]:
    """Return the newest segment and its ancestors, oldest first, each cut where its child begins."""
    parents = {row[0]: (row[1], row[2]) for row in connection.execute("SELECT id, parent, start_step FROM segments")}
    stretches: list[Stretch] = []
    segment: int | None = max(parents, default=None)
    last: int | None = None
    while segment is not None and segment in parents:
        parent, start = parents[segment]
        stretches.append(Stretch(segment, start, last))
        last = start if last is None else min(last, start)
        # A parent is always older; a damaged table that says otherwise must not loop for ever.
        segment = parent if parent is not None and parent < segment else None
    return tuple(reversed(stretches))


def connect(path: Path, *, write: bool, immutable: bool = False) -> sqlite3.Connection:
    """Open an existing run.db (autocommit; transactions are begun explicitly).

    immutable: read without locks or side files, as a closed recording in a read-only folder must be.

    Raises:
        UserError: no such file, not a recording, damaged, or of a newer schema.
    """
    uri = f"{path.absolute().as_uri()}?mode={'rw' if write else 'ro'}{'&immutable=1' if immutable else ''}"
    try:
        _check_length(path)
        # isolation_level None: Python begins no transactions of its own.
        connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=5.0, check_same_thread=False)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UserError(f"{path.parent} is not a run: it has no {path.name}") from error
    except OSError as error:
        raise UserError(f"cannot open {path}: {error.strerror}") from error
    except sqlite3.Error as error:
        raise UserError(f"cannot open {path}: {error}") from error
    try:
        _check_schema(connection, path)
    except sqlite3.OperationalError as error:
        connection.close()
        raise UserError(f"cannot open {path}: {error}") from error
    except sqlite3.DatabaseError as error:
        connection.close()
        raise UserError(f"{path} is damaged or no recording ({error})") from error
    except UserError:
        connection.close()
        raise
    return connection


def has_journal(path: Path) -> bool:
    """Whether a write-ahead log with something in it lies beside run.db."""
    try:
        return path.with_name(path.name + "-wal").stat().st_size > 0
    except OSError:
        return False


def _check_length(path: Path) -> None:
    """Refuse a file shorter than its header says (with a journal beside it, the rest may be in there)."""
    with path.open("rb") as file:
        header = file.read(100)
    if len(header) < 100 or header[:16] != b"SQLite format 3\0":
        raise UserError(f"{path} is damaged or no recording (it has no SQLite header)")
    page_size = struct.unpack(">H", header[16:18])[0]
    page_size = 65536 if page_size == 1 else page_size  # as the SQLite file format has it
    pages = struct.unpack(">I", header[28:32])[0]
    if not has_journal(path) and path.stat().st_size < pages * page_size:
        raise UserError(f"{path} is truncated: {path.stat().st_size} bytes of {pages * page_size}")


def _check_schema(connection: sqlite3.Connection, path: Path) -> None:
    if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION:
        raise UserError(f"{path} is not an rnnscope recording")
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > SCHEMA:
        known = f"schema {version}, this one reads up to {SCHEMA}"
        raise UserError(f"{path} was recorded by a newer rnnscope ({known}): update rnnscope")
    for table in ("meta", "segments", "steps", "events"):
        connection.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchone()

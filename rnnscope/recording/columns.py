"""The scalars of a lineage read as numpy columns: every step, or in buckets when there are very many."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnscope.recording.events import StepRow
from rnnscope.recording.records import Columns
from rnnscope.recording.schema import Stretch

MANY = 20_000
"""Up to so many new steps are read one by one (45 ms); more are summarised in SQL (0.4 s for a million)."""

BUCKETS = 4096
"""At most about so many buckets then."""

FIELDS = "step, loss, lr, grad_norm, grad_norm_clipped, epoch, seconds, chars"
EVERY = f"SELECT {FIELDS} FROM steps WHERE segment = ? AND step BETWEEN ? AND ? ORDER BY step"
LAST = f"SELECT {FIELDS} FROM steps WHERE segment = ? AND step BETWEEN ? AND ? ORDER BY step DESC LIMIT ?"
NEWEST = f"SELECT {FIELDS} FROM steps WHERE segment = ? AND step <= ? ORDER BY step DESC LIMIT 1"
BUCKET = """
SELECT max(step), count(*), count(loss) FILTER (WHERE abs(loss) < 9e999), avg(loss) FILTER (WHERE abs(loss) < 9e999),
    min(loss) FILTER (WHERE abs(loss) < 9e999), max(loss) FILTER (WHERE abs(loss) < 9e999), avg(lr),
    avg(grad_norm) FILTER (WHERE abs(grad_norm) < 9e999),
    avg(grad_norm_clipped) FILTER (WHERE abs(grad_norm_clipped) < 9e999),
    avg(grad_norm_clipped < grad_norm), max(epoch), max(seconds), max(chars)
FROM steps WHERE segment = ? AND step BETWEEN ? AND ?
"""  # 9e999 is SQLite's infinity; NaN is NULL, which no aggregate but count(*) sees

END = 2**62  # after any step


def empty(newest: StepRow | None) -> Columns:
    """Return columns without rows."""
    return _columns(_of_steps([]), False, newest)


def read(
    connection: sqlite3.Connection,
    stretches: Sequence[Stretch],
    after: int,
    reset: bool,
    known: StepRow | None,
) -> Columns:
    """Return the lineage's steps after step `after`. `known`: its newest step so far, where nothing has come since."""
    newest = newest_step(connection, stretches)
    if newest is None or newest.step <= after:
        return _columns(_of_steps([]), reset, known)
    ranges = [
        (stretch.segment, max(after, stretch.first) + 1, newest.step if stretch.last is None else stretch.last)
        for stretch in stretches
    ]
    if newest.step - after <= MANY:
        rows = [row for bounds in ranges for row in connection.execute(EVERY, bounds)]
        return _columns(_of_steps(rows), reset, newest)
    width = 1 << ((newest.step - after - 1) // BUCKETS).bit_length()
    rows = [connection.execute(BUCKET, bounds).fetchone() for bounds in _split(ranges, width)]
    return _columns(_transposed([row for row in rows if row[1]], 13), reset, newest)


def newest_step(connection: sqlite3.Connection, stretches: Sequence[Stretch]) -> StepRow | None:
    """Return the newest step of a lineage, None before the first."""
    for stretch in reversed(stretches):
        row = connection.execute(NEWEST, (stretch.segment, END if stretch.last is None else stretch.last)).fetchone()
        if row is not None:
            return _step(row)
    return None


def last_steps(connection: sqlite3.Connection, stretches: Sequence[Stretch], step: int, count: int) -> list[StepRow]:
    """Return the lineage's last `count` steps up to `step`, oldest first."""
    found: list[StepRow] = []
    for stretch in reversed(stretches):
        last = step if stretch.last is None else min(step, stretch.last)
        bounds = (stretch.segment, stretch.first + 1, last, count - len(found))
        found += [_step(row) for row in connection.execute(LAST, bounds)]
    return found[::-1]


def _step(row: tuple[Any, ...]) -> StepRow:
    loss, lr, norm, norm_clipped, epoch, seconds = (math.nan if value is None else value for value in row[1:7])
    return StepRow(row[0], loss, lr, norm, norm_clipped, epoch, seconds, row[7] or 0)


def _split(ranges: Sequence[tuple[int, int, int]], width: int) -> Iterator[tuple[int, int, int]]:
    """Cut (segment, first, last) into pieces that do not cross a multiple of `width`."""
    for segment, first, last in ranges:
        for start in range(first // width * width, last + 1, width):
            yield segment, max(first, start), min(last, start + width - 1)


def _of_steps(rows: Sequence[tuple[Any, ...]]) -> NDArray[np.float64]:
    """Return rows of EVERY as what BUCKET gives for buckets of one step each: (13, N)."""
    step, loss, lr, norm, norm_clipped, epoch, seconds, chars = _transposed(rows, 8)
    finite = np.isfinite(loss)
    shown = np.where(finite, loss, np.nan)
    clipped = np.where(np.isnan(norm) | np.isnan(norm_clipped), np.nan, norm_clipped < norm)
    one = np.ones_like(step)
    return np.stack(
        [step, one, finite, shown, shown, shown, lr, norm, norm_clipped, clipped, epoch, seconds, chars]
    )  # fmt: skip


def _columns(table: NDArray[np.float64], reset: bool, newest: StepRow | None) -> Columns:
    """Return columns from what BUCKET gives, a row of the table for each of its columns: (13, N)."""
    step, steps, count, loss, low, high, lr, norm, norm_clipped, clipped, epoch, seconds, chars = table
    return Columns(
        reset=reset,
        step=step.astype(np.int64),
        count=count.astype(np.int64),
        bad=(steps - count).astype(np.int64),
        loss=loss,
        loss_low=low,
        loss_high=high,
        lr=lr,
        grad_norm=norm,
        grad_norm_clipped=norm_clipped,
        clipped=clipped,
        epoch=epoch,
        seconds=seconds,
        chars=np.nan_to_num(chars).astype(np.int64),
        newest=newest,
    )


def _transposed(rows: Sequence[tuple[Any, ...]], width: int) -> NDArray[np.float64]:
    """Return rows of numbers and None (which becomes NaN) as a (width, N) array."""
    return np.array(rows, dtype=np.float64).reshape(len(rows), width).T

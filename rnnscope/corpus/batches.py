"""Windows of T time steps for B sequences, cut from the training text."""

from __future__ import annotations

import math
import os
import weakref
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from rnnscope.errors import UserError


@dataclass(frozen=True)
class Window:
    """One training step's data.

    x, y: ids, int64 (T, B); y[t] is the character that follows x[t].
    fresh: this window starts from a zero state (else from the state the previous one ended in).
    epoch: passes over the training part, this window included.
    """

    x: NDArray[np.int64]
    y: NDArray[np.int64]
    fresh: bool
    epoch: float


def needed_characters(batch: int, bptt: int, stateful: bool) -> int:
    """Return how long the training part must be for one window: the last target lies one character further."""
    return (batch * bptt if stateful else bptt) + 1


class Rows:
    """Reads stretches of ids from many places at once, whether the ids are in memory or in a file.

    A memory-mapped text is read with pread from its file: a kernel maps up to 2 MB around each byte that is touched
    through the map, so random windows would soon hold the whole text in memory.
    """

    def __init__(self, ids: NDArray[np.unsignedinteger]) -> None:
        """Read from `ids` (N,)."""
        self._ids = np.asarray(ids)  # a plain array: indexing np.memmap costs more
        self._file = None
        if isinstance(ids, np.memmap) and ids.filename is not None:
            self._file = os.open(ids.filename, os.O_RDONLY)
            weakref.finalize(self, os.close, self._file)
            file_begin = np.frombuffer(ids._mmap, np.uint8)  # type: ignore[attr-defined]  # maps it from byte 0 on
            self._begin = ids.ctypes.data - file_begin.ctypes.data

    def read(self, starts: NDArray[np.int64], length: int) -> NDArray[np.int64]:
        """Return ids[start : start + length] for each of B starts, int64 (length, B)."""
        if self._file is None:
            rows: NDArray[np.int64] = self._ids[starts + np.arange(length)[:, None]].astype(np.int64)
            return rows
        size = self._ids.itemsize
        read = [os.pread(self._file, length * size, start) for start in (self._begin + starts * size).tolist()]
        columns = np.frombuffer(b"".join(read), self._ids.dtype).reshape(len(starts), length)
        return np.ascontiguousarray(columns.T, np.int64)


class Batches:
    """An endless supply of windows, drawn by its own random generator.

    stateful: the text is laid out as B parallel streams of equal length, which follow each other window by window
    for truncated back-propagation through time. At each epoch the layout starts at a new random offset, so that
    windows are not cut at the same places twice, and the state starts from zero.
    stateless: each sequence starts anywhere, from a zero state; an epoch is as many characters as the text has.
    T can be changed between two windows (`set_bptt`): the streams go on where they are.
    """

    def __init__(
        self,
        ids: NDArray[np.unsignedinteger],
        mode: Literal["stateful", "stateless"],
        batch: int,
        bptt: int,
        seed: int,
    ) -> None:
        """Cut `ids` (N,).

        Raises:
            UserError: fewer than one window of characters, or a size below one.
        """
        if batch < 1 or bptt < 1:
            raise UserError(f"--batch {batch} --bptt {bptt}: both must be at least 1")
        needed = needed_characters(batch, bptt, mode == "stateful")
        if len(ids) < needed:
            raise UserError(f"one window needs {needed:,} characters, there are {len(ids):,}: lower --batch or --bptt")
        self._rows = Rows(ids)
        self._length = len(ids)
        self._stateful = mode == "stateful"
        self._batch, self._bptt = batch, bptt
        self._layout = [len(ids), batch, bptt]  # as configured
        self._random = np.random.default_rng(seed)
        self._step = 0
        self._since = (0, 0.0)  # step and epoch at which T was last changed
        self._offset = 0
        self._position = 0  # characters of each stream that this epoch has read
        self._stream = self._stream_length()

    @property
    def bptt(self) -> int:
        """Time steps T of the next window."""
        return self._bptt

    @property
    def steps_per_epoch(self) -> float:
        """Training steps in one pass over the training part, at the present T."""
        if self._stateful:
            return self._stream / self._bptt
        return (self._length - 1) / (self._batch * self._bptt)

    def steps_until(self, epochs: float) -> int:
        """Return the number of the step that completes so many passes, if T stays as it is."""
        step, epoch = self._since
        return step + math.ceil((epochs - epoch) * self.steps_per_epoch)

    def set_bptt(self, bptt: int) -> None:
        """Change T, from the next window on.

        Raises:
            UserError: below one, or more than the text is long.
        """
        if bptt < 1:
            raise UserError(f"--bptt {bptt}: must be at least 1")
        needed = needed_characters(self._batch, bptt, self._stateful)
        if self._length < needed:
            raise UserError(f"--bptt {bptt}: one window needs {needed:,} characters, there are {self._length:,}")
        self._since = (self._step, self._epoch)
        self._bptt = bptt
        self._wrap()

    def next(self) -> Window:
        """Return the next window."""
        fresh = not self._stateful or self._position == 0
        if self._stateful:
            starts = self._stream_starts(fresh)
        else:
            starts = self._random.integers(0, self._length - self._bptt, self._batch)
        ids = self._rows.read(starts, self._bptt + 1)
        self._step += 1
        return Window(ids[:-1], ids[1:], fresh, self._epoch)

    @property
    def _epoch(self) -> float:
        step, epoch = self._since
        return epoch + (self._step - step) / self.steps_per_epoch

    def _stream_length(self) -> int:
        # T-1 characters are spared, where there are enough, so that the offset has at least T values.
        return max(1, (self._length - self._bptt) // (self._batch * self._bptt)) * self._bptt

    def _stream_starts(self, new_epoch: bool) -> NDArray[np.int64]:
        if new_epoch:
            self._stream = self._stream_length()
            self._offset = int(self._random.integers(0, self._length - self._batch * self._stream))
        begin = self._offset + self._position
        self._position += self._bptt
        starts = begin + np.arange(self._batch, dtype=np.int64) * self._stream
        self._wrap()
        return starts

    def _wrap(self) -> None:
        """Begin a new epoch where a stream has no whole window left."""
        if self._position + self._bptt > self._stream:
            self._position = 0

    def state_dict(self) -> dict[str, Any]:
        """Return the position and the random state, ready for JSON."""
        return {
            "step": self._step,
            "offset": self._offset,
            "layout": list(self._layout),
            "random": self._random.bit_generator.state,
            "bptt": self._bptt,
            "since": list(self._since),
            "position": self._position,
            "stream": self._stream,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue exactly where `state_dict` was taken, with the same text and sizes.

        Raises:
            UserError: it was taken from a text, batch or window of another size.
        """
        if state["layout"] != self._layout:
            raise UserError("the saved position belongs to another text, --batch or --bptt: keep those of the run")
        self._step, self._offset, self._bptt = state["step"], state["offset"], state["bptt"]
        self._position, self._stream = state["position"], state["stream"]
        step, epoch = state["since"]
        self._since = (step, epoch)
        self._random.bit_generator.state = state["random"]


def make_batches(
    ids: NDArray[np.unsignedinteger],
    mode: Literal["stateful", "stateless"],
    batch: int,
    bptt: int,
    seed: int,
) -> Batches:
    """Return the batches of a training part; see `Batches`.

    Raises:
        UserError: as `Batches`.
    """
    return Batches(ids, mode, batch, bptt, seed)

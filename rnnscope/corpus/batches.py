"""Windows of T time steps for B sequences, cut from the training text."""

from __future__ import annotations

import mmap
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from rnnscope.errors import UserError

RESIDENT_BYTES = 512 << 20  # of a memory-mapped text: what may stay mapped before all of it is let go
FAULT_BYTES = 2 << 20  # what a kernel maps at most around one touched byte


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


class Batches:
    """An endless supply of windows, drawn by its own random generator.

    stateful: the text is laid out as B parallel streams of equal length, which follow each other window by window
    for truncated back-propagation through time. At each epoch the layout starts at a new random offset, so that
    windows are not cut at the same places twice, and the state starts from zero.
    stateless: each sequence starts anywhere, from a zero state; an epoch is as many characters as the text has.
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
        self._ids = np.asarray(ids)  # a plain array: indexing np.memmap costs more
        mapped = isinstance(ids, np.memmap) and ids.nbytes > RESIDENT_BYTES
        self._map: mmap.mmap | None = getattr(ids, "_mmap", None) if mapped else None
        self._stateful = mode == "stateful"
        self._batch, self._bptt = batch, bptt
        self._random = np.random.default_rng(seed)
        self._step = 0
        self._offset = 0
        # T-1 characters are spared, where there are enough, so that the offset has at least T values.
        self._windows = max(1, (len(ids) - bptt) // (batch * bptt))
        self._rows = np.arange(bptt + 1)[:, None]
        self._forget_every = max(1, RESIDENT_BYTES // (FAULT_BYTES * batch))

    @property
    def steps_per_epoch(self) -> float:
        """Training steps in one pass over the training part."""
        if self._stateful:
            return float(self._windows)
        return (len(self._ids) - 1) / (self._batch * self._bptt)

    def next(self) -> Window:
        """Return the next window."""
        fresh = not self._stateful or self._step % self._windows == 0
        if self._stateful:
            starts = self._stream_starts(fresh)
        else:
            starts = self._random.integers(0, len(self._ids) - self._bptt, self._batch)
        ids = self._ids[self._rows + starts].astype(np.int64)
        self._step += 1
        if self._map is not None and self._step % self._forget_every == 0:
            self._map.madvise(mmap.MADV_DONTNEED)
        return Window(ids[:-1], ids[1:], fresh, self._step / self.steps_per_epoch)

    def _stream_starts(self, new_epoch: bool) -> NDArray[np.int64]:
        length = self._windows * self._bptt  # of a stream
        if new_epoch:
            self._offset = int(self._random.integers(0, len(self._ids) - self._batch * length))
        begin = self._offset + (self._step % self._windows) * self._bptt
        return begin + np.arange(self._batch, dtype=np.int64) * length

    def state_dict(self) -> dict[str, Any]:
        """Return the position and the random state, ready for JSON."""
        return {
            "step": self._step,
            "offset": self._offset,
            "windows": self._windows,
            "random": self._random.bit_generator.state,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue exactly where `state_dict` was taken, with the same text and sizes.

        Raises:
            UserError: it was taken from a text, batch or window of another size.
        """
        if state["windows"] != self._windows:
            raise UserError("the saved position belongs to another text, --batch or --bptt: keep those of the run")
        self._step, self._offset = state["step"], state["offset"]
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

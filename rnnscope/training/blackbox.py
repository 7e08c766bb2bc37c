"""The black box: the last updates can be made again, exactly.

Every `every` updates a snapshot of the whole trainer is kept in memory (weights, optimiser, carried state, random
and data position). An update depends on nothing else, so going back to a snapshot and training again gives the same
numbers, bit for bit, on the same machine: what blew up can be looked at once more, just before it did.
Whoever changes something between two updates (the rate, W_hh, ...) calls `mark`, so that no replay crosses it.
"""

from __future__ import annotations

from collections import deque

from rnnscope.training.loop import Snapshot, Trainer

EVERY = 64
"""Updates between two snapshots."""

KEPT = 4
"""Snapshots kept: at least the last EVERY * (KEPT - 1) updates can be replayed, if nothing was changed."""


class BlackBox:
    """Snapshots of one trainer, newest last."""

    def __init__(self, trainer: Trainer, every: int = EVERY, kept: int = KEPT) -> None:
        self._trainer, self._every = trainer, every
        self._snapshots: deque[Snapshot] = deque(maxlen=kept)

    def watch(self) -> None:
        """Call before each window is drawn: takes a snapshot when one is due."""
        newest = self._snapshots[-1].step if self._snapshots else None
        if newest is None or self._trainer.step - newest >= self._every:
            self._snapshots.append(self._trainer.snapshot())

    def mark(self) -> None:
        """Take a snapshot now: something was changed that no update does."""
        if self._snapshots and self._snapshots[-1].step == self._trainer.step:
            self._snapshots.pop()
        self._snapshots.append(self._trainer.snapshot())

    def clear(self) -> None:
        """Forget all: the trainer was brought to another step by other means."""
        self._snapshots.clear()

    def newest(self, step: int) -> Snapshot | None:
        """Return the newest snapshot taken at `step` or before, None if there is none."""
        return next((snapshot for snapshot in reversed(self._snapshots) if snapshot.step <= step), None)

    def oldest(self) -> Snapshot | None:
        """Return the oldest snapshot: as far back as one can go without a checkpoint."""
        return self._snapshots[0] if self._snapshots else None

    def rewind(self, step: int) -> int | None:
        """Bring the trainer to `step`, exactly as it was; return the step reached, None if that is too far back.

        Later snapshots are dropped: they belong to a future that may now be another.
        """
        snapshot = self.newest(step)
        if snapshot is None:
            return None
        while self._snapshots and self._snapshots[-1].step > snapshot.step:
            self._snapshots.pop()
        trainer = self._trainer
        trainer.restore(snapshot)
        while trainer.step < step:
            trainer.update(trainer.next_window())
        return trainer.step

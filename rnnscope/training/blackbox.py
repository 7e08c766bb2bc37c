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

KEPT = 3
"""Snapshots kept: the last EVERY * (KEPT - 1) updates, at least, can be replayed."""

MARKS = 2
"""Snapshots kept besides, of moments when somebody changed something."""


class BlackBox:
    """Snapshots of one trainer."""

    def __init__(self, trainer: Trainer, every: int = EVERY, kept: int = KEPT) -> None:
        self._trainer, self._every = trainer, every
        self._regular: deque[Snapshot] = deque(maxlen=kept)
        self._marks: list[Snapshot] = []
        self._lost: list[int] = []  # steps of changes whose snapshots were given up: no replay may cross one

    @property
    def _snapshots(self) -> list[Snapshot]:
        """All of them, oldest first; at one step the mark is the later."""
        return sorted([*self._regular, *self._marks], key=lambda snapshot: snapshot.step)

    def watch(self) -> bool:
        """Call before each window is drawn: takes a snapshot when one is due; return whether it did."""
        snapshots = self._snapshots
        if snapshots and self._trainer.step - snapshots[-1].step < self._every:
            return False
        self._regular.append(self._trainer.snapshot())
        if len(self._regular) == self._regular.maxlen:  # what is older is further back than was promised
            oldest = self._regular[0].step
            self._marks = [mark for mark in self._marks if mark.step >= oldest]
            self._lost = [step for step in self._lost if step >= oldest]
        return True

    def mark(self) -> None:
        """Take a snapshot now: something was changed that no update does."""
        now = self._trainer.snapshot()
        self._marks = [*(mark for mark in self._marks if mark.step != now.step), now]
        self._lost = [step for step in self._lost if step != now.step]
        if len(self._marks) > MARKS:
            self._lost.append(self._marks.pop(0).step)

    def clear(self) -> None:
        """Forget all: the trainer was brought to another step by other means."""
        self._regular.clear()
        self._marks.clear()
        self._lost.clear()

    def oldest(self) -> Snapshot | None:
        """Return the oldest snapshot: as far back as one can go without a checkpoint."""
        return next(iter(self._snapshots), None)

    def unchanged(self) -> Snapshot | None:
        """Return the oldest snapshot since which only updates were made: what came after it can be made again."""
        return self._marks[-1] if self._marks else self.oldest()

    def replay(self, step: int) -> bool:
        """Bring the trainer to `step`, exactly as it was.

        False, and nothing done, if that is too far back, or lies behind a change of which no snapshot is kept.
        """
        snapshot = next((one for one in reversed(self._snapshots) if one.step <= step), None)
        if snapshot is None:
            return False
        if step > snapshot.step and any(snapshot.step <= lost <= step for lost in self._lost):
            return False
        trainer = self._trainer
        trainer.restore(snapshot)
        while trainer.step < step:
            trainer.update(trainer.next_window())
        return True

    def rewind(self, step: int) -> bool:
        """Replay to `step` and forget what came after it: it belongs to a future that may now be another."""
        if not self.replay(step):
            return False
        self._regular = deque((one for one in self._regular if one.step <= step), self._regular.maxlen)
        self._marks = [mark for mark in self._marks if mark.step <= step]
        self._lost = [lost for lost in self._lost if lost <= step]
        return True

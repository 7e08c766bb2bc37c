"""The checkpoints of one run, as its worker writes and thins them (the rule is in saved.py)."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rnnscope.recording.writer import Writer
from rnnscope.saved import remove_after, thin
from rnnscope.training.loop import Snapshot, Trainer

ASKED, WAYS_BACK = "asked_checkpoints", "ways_back"  # in the recording's meta


class Keeper:
    """Writes checkpoints into a run's folder; each method returns the weights' file name, and may raise RunFailed.

    asked: the steps of those that somebody asked for, which thinning leaves alone; remembered in the recording.
    more: what a checkpoint keeps of the session itself, see `Trainer.save`.
    """

    def __init__(self, folder: Path, writer: Writer, every: int) -> None:
        self._folder, self._writer, self._every = folder, writer, every
        self.asked: set[int] = set(writer.meta.get(ASKED, ()))
        self._ways_back: set[int] = set(writer.meta.get(WAYS_BACK, ()))  # from the newest incident

    def save(self, trainer: Trainer, more: dict[str, Any], *, asked: bool = False) -> str:
        """Write a checkpoint, then remove those that the thinning rule gives up."""
        if asked:
            self._remember(self.asked | {trainer.step})
        name = trainer.save(self._folder, more)
        thin(self._folder, self._every, self.asked | self._ways_back)
        return name

    def keep(self, trainer: Trainer, snapshots: Iterable[Snapshot], more: dict[str, Any]) -> list[str]:
        """Write snapshots as checkpoints that thinning leaves alone, until others are kept."""
        chosen = list(snapshots)
        self._ways_back = {snapshot.step for snapshot in chosen}
        self._writer.set_meta(**{WAYS_BACK: sorted(self._ways_back)})
        names = [trainer.save_snapshot(self._folder, snapshot, more) for snapshot in chosen]
        thin(self._folder, self._every, self.asked | self._ways_back)
        return names

    def rewound(self, trainer: Trainer, more: dict[str, Any]) -> str:
        """Write a checkpoint of the step that was gone back to, and remove those of the other future.

        In this order a worker killed in between leaves a run that resumes, from one branch or the other. There is no
        thinning before the later ones are gone: it would take this one's training state for an old one.
        """
        name = trainer.save(self._folder, more)
        remove_after(self._folder, trainer.step)
        self._remember({step for step in self.asked if step <= trainer.step})
        thin(self._folder, self._every, self.asked | self._ways_back)
        return name

    def _remember(self, asked: set[int]) -> None:
        if asked != self.asked:
            self.asked = asked
            self._writer.set_meta(**{ASKED: sorted(asked)})

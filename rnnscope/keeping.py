"""The checkpoints of one run, as its worker writes and thins them (the rule is in saved.py)."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rnnscope.recording.writer import Writer
from rnnscope.saved import remove_after, thin
from rnnscope.training.loop import Snapshot, Trainer

ASKED, WAYS_BACK = "asked_checkpoints", "ways_back"  # in the recording's meta

NEAR = 256
"""Updates before an incident within which the ways back from an earlier one are still ways back from this one."""


class Keeper:
    """Writes checkpoints into a run's folder; each method returns the weights' file name, and may raise RunFailed.

    asked: the steps of those that somebody asked for, which thinning leaves alone; remembered in the recording.
    more: what a checkpoint keeps of the session itself, see `Trainer.save`.
    """

    def __init__(self, folder: Path, writer: Writer, every: int) -> None:
        self._folder, self._writer, self._every = folder, writer, every
        self.asked: set[int] = set(writer.meta.get(ASKED, ()))
        self._ways_back: set[int] = set(writer.meta.get(WAYS_BACK, ()))  # from the newest incidents

    def save(self, trainer: Trainer, more: dict[str, Any], *, asked: bool = False) -> str:
        """Write a checkpoint, then remove those that the thinning rule gives up."""
        if asked:
            self._remember(asked=self.asked | {trainer.step})
        name = trainer.save(self._folder, more)
        thin(self._folder, self._every, self._stays())
        return name

    def ways_back_from(self, step: int) -> list[int]:
        """Return the steps, not far before `step`, of checkpoints that earlier incidents left."""
        return sorted(back for back in self._ways_back if step - NEAR <= back < step)

    def keep(self, trainer: Trainer, snapshots: Iterable[Snapshot], step: int, more: dict[str, Any]) -> list[str]:
        """Write the ways back from an incident at `step`, which thinning leaves alone until a later one is far off."""
        chosen = list(snapshots)
        self._remember(ways_back={*self.ways_back_from(step), *(snapshot.step for snapshot in chosen)})
        names = [trainer.save_snapshot(self._folder, snapshot, more) for snapshot in chosen]
        thin(self._folder, self._every, self._stays())
        return names

    def rewound(self, trainer: Trainer, more: dict[str, Any]) -> str:
        """Write a checkpoint of the step that was gone back to, then remove those of the other future.

        (Of those that somebody asked for the weights are put aside.) In this order a worker killed in between leaves a
        run that resumes, from one branch or the other. There is no thinning before the later ones are gone: it would
        take this one's training state for an old one.
        """
        name = trainer.save(self._folder, more)
        remove_after(self._folder, trainer.step, self.asked)
        asked, ways_back = ({s for s in steps if s <= trainer.step} for steps in (self.asked, self._ways_back))
        self._remember(asked=asked, ways_back=ways_back)
        thin(self._folder, self._every, self._stays())
        return name

    def _stays(self) -> set[int]:
        return self.asked | self._ways_back

    def _remember(self, *, asked: set[int] | None = None, ways_back: set[int] | None = None) -> None:
        """Change what thinning leaves alone, here and in the recording."""
        asked = self.asked if asked is None else asked
        ways_back = self._ways_back if ways_back is None else ways_back
        if (asked, ways_back) != (self.asked, self._ways_back):
            self.asked, self._ways_back = asked, ways_back
            self._writer.set_meta(**{ASKED: sorted(asked), WAYS_BACK: sorted(ways_back)})

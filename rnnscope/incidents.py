"""What the worker does when an update blows up: look at it once more, say what broke first, and freeze."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rnnscope.probes import incident
from rnnscope.recording import events as e
from rnnscope.training.blackbox import EVERY, KEPT, BlackBox
from rnnscope.training.loop import Update, Window
from rnnscope.training.spikes import SpikeDetector

if TYPE_CHECKING:
    from rnnscope.worker import Session

APART = EVERY * KEPT
"""Updates between two incidents that are looked into where nobody is asked: if every update is bad, the first tells."""


class Incidents:
    """Watches the updates of one session."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.box = BlackBox(session.trainer)
        self._spikes = SpikeDetector(session.config.training.spike)
        self._last: int | None = None

    def before_update(self) -> None:
        """Call before the window is drawn."""
        began = time.perf_counter()
        if self.box.watch():
            self._book(began)

    def changed(self) -> None:
        """Somebody changed how the next update is made."""
        began = time.perf_counter()
        self.box.mark()
        self._book(began)

    def _book(self, began: float) -> None:
        """Have a snapshot accounted for with the probes: it takes time from training just as they do."""
        self._session.measuring.schedule.book(time.perf_counter() - began, self._session.clock.seconds)

    def after_update(self, update: Update, window: Window) -> bool:
        """Record what broke this update, if anything did; return whether training was frozen (the run asks for it)."""
        spike = update.finite and self._spikes.spike(update.loss)
        if update.finite and not spike:
            return False
        session = self._session
        freezes = spike and session.config.training.on_spike == "freeze" and session.observer is None
        if freezes or self._last is None or not 0 <= update.step - self._last < APART:
            self._last = update.step
            self._record(update, window)
        if not freezes:
            return False
        session.paused, session.allowance = True, 0
        told = f"the loss rose to {update.loss:.3g} at step {update.step}; 2 and B: what broke, and the ways back"
        session.status(e.PAUSED, told + "; space: go on")
        return True

    def _record(self, update: Update, window: Window) -> None:
        """Make the pass that broke once more, with the weights and the text it had, and keep the ways back."""
        session, trainer = self._session, self._session.trainer
        oldest, unchanged = self.box.oldest(), self.box.unchanged()
        if oldest is None or unchanged is None:
            return
        session.writer.flush(force=True)  # a replay takes a while
        after, when = trainer.snapshot(), ""
        ways_back = [oldest.step, *session.keeper.ways_back_from(update.step)]
        try:
            if update.applied:  # what is not finite was not: the weights are still those it was made with
                window, when = self._before_the_leap(update.step, unchanged.step)
            found = incident.measure(
                trainer.model, window.x, window.y, window.state, loss=update.loss, grad_norm=update.grad_norm,
                rewind_to=min(ways_back), again_from=unchanged.step,
                when=when, decode=trainer.corpus.vocabulary.decode,
            )  # fmt: skip
        finally:
            trainer.restore(after)
        session.keep({snapshot.step: snapshot for snapshot in (oldest, unchanged)}.values(), update.step)
        session.event(found, update.step)

    def _before_the_leap(self, step: int, unchanged: int) -> tuple[Window, str]:
        """Go back to the weights and the window from which the loss of update `step` came; return it, and what it is.

        A loss that leaps was taken with weights that the update before broke; or somebody's change, if it is the first
        since that one, made at step `unchanged`.
        """
        trainer = self._session.trainer
        if unchanged < step - 1:
            self.box.replay(step - 2)
            return trainer.next_window(), f"update {step - 1:,} made these weights: "
        self.box.replay(step - 1)
        return trainer.next_window(), "the first update since something was changed by hand: "

    def rewind(self, step: int) -> bool:
        """Bring the trainer back to `step` from memory; False, and nothing kept, if that is too far back."""
        self._last = None
        self._spikes.reset()
        if self.box.rewind(step):
            return True
        self.box.clear()  # all of another future
        return False

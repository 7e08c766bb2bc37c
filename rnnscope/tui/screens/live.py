"""The Live screen: loss, gradient through time, activations, and teacher forcing beside free running."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

from textual.binding import BindingType

from rnnscope.recording.records import Recorded
from rnnscope.tui.actions import Group
from rnnscope.tui.rivals import beaten_by
from rnnscope.tui.screens.base import RunScreen, bindings
from rnnscope.tui.session import Session
from rnnscope.tui.snapshot import Snapshot, When
from rnnscope.tui.view import View, change, settle, why_unchanged
from rnnscope.tui.widgets.activations import ActivationsPanel
from rnnscope.tui.widgets.gradient import GradientPanel
from rnnscope.tui.widgets.loss import LossPanel
from rnnscope.tui.widgets.sampling import SamplingPanel

OWN: tuple[Group, ...] = ("loss", "gradient", "activations", "sampling")


def measured(recorded: Recorded[Any] | None, shown: Snapshot, every: int) -> tuple[object, When]:
    """Return a measurement taken about `every` steps and when it was taken; (None, ...) while there is none.

    It is old when it lies in the first half of the run so far and its turn has come at least twice since: the budget
    of the probes has put it off, and what it shows is no longer the network that is training.
    """
    if recorded is None:
        return None, When(0)
    behind = shown.progress.step - recorded.step
    return recorded.event, When(recorded.step, old=behind > max(2 * every, recorded.step))


class LiveScreen(RunScreen):
    """Everything about one run, live or finished."""

    about = (
        "A recurrent network reads a text character by character; from its memory h and the character x it makes the "
        "next memory, h_t = f(x_t, h_(t−1)), and from that the probability of each possible next character. Training "
        "changes the weights of f a little after each window of text, so that the true next character becomes more "
        "probable. The four panels show the same network at the same time: how well it guesses, how far back it can "
        "learn, what it keeps in mind, and what happens when it is left to its own devices."
    )
    groups = ("training", *OWN, "display")
    BINDINGS: ClassVar[list[BindingType]] = bindings(*OWN)

    def __init__(self, session: Session, name: str) -> None:
        panels = (
            LossPanel(id="loss"),
            GradientPanel(id="gradient"),
            ActivationsPanel(id="activations"),
            SamplingPanel(id="sampling"),
        )
        super().__init__(session, name, panels)
        self.view = View()

    def inputs(self, name: str) -> tuple[object, ...]:
        """Return what panel `name` shows."""
        shown, view = self.session.shown, self.view
        if shown is None:
            return ()
        state, probes = shown.state, shown.config.probes
        if name == "loss":
            return (shown.loss, view.loss, shown.beside)
        if name == "gradient":
            return (*measured(state.gradients, shown, probes.gradients_every), view.gradient, shown.beside)
        if name == "activations":
            return (*measured(state.sample, shown, probes.sample_every), view.unit)
        return measured(state.comparison, shown, probes.compare_every)

    def aside(self, name: str) -> object:
        """Return what is written on the frame of panel `name`."""
        shown = self.session.shown
        if shown is None:
            return None
        if name == "loss" and shown.loss is not None and shown.loss.validation_loss:
            return beaten_by(shown.loss.rivals, shown.loss.validation_loss[-1])
        return shown.clip if name == "gradient" else None

    def action_view(self, key: str) -> None:
        """Change what is looked at (see view.py)."""
        shown = self.session.shown
        sample = shown.state.sample.event if shown and shown.state.sample else None
        view = change(self.view, key, sample=sample, last_step=shown.progress.step if shown else 0)
        if view == self.view:
            self.remark(why_unchanged(view, key, sample=sample))
        self.view = view
        self.distribute()

    def action_unit(self, unit: int) -> None:
        """Choose one unit."""
        shown = self.session.shown
        if shown and shown.state.sample:
            chosen = settle(self.view.unit, shown.state.sample.event)
            self.view = replace(self.view, unit=replace(chosen, unit=unit))
            self.distribute()

"""The sampling lab: what happens when the model reads its own writing."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from textual.binding import BindingType

from rnnscope.recording.commands import Command
from rnnscope.recording.reading_events import Exposure
from rnnscope.tui.actions import Chip, Group
from rnnscope.tui.asking import Standing, newest, standing
from rnnscope.tui.curves import curves_of
from rnnscope.tui.messages import Asked
from rnnscope.tui.pairs import pair_of, starts
from rnnscope.tui.sampling_view import (
    PROBES,
    QUESTIONS,
    Extent,
    SamplingView,
    answered,
    change,
    settle,
    typed_before,
    wanted,
    why_unchanged,
)
from rnnscope.tui.screens.base import bindings
from rnnscope.tui.screens.lab import LabScreen
from rnnscope.tui.screens.live import measured
from rnnscope.tui.session import Session
from rnnscope.tui.snapshot import Snapshot, When
from rnnscope.tui.widgets.sampling_lab.curves import CurvesPanel
from rnnscope.tui.widgets.sampling_lab.decoding import DecodingPanel
from rnnscope.tui.widgets.sampling_lab.ngram import NgramPanel
from rnnscope.tui.widgets.sampling_lab.pair import PairPanel
from rnnscope.tui.widgets.sampling_lab.recovery import RecoveryPanel

TOGETHER: tuple[Group, ...] = ("pair", "curves", "decoding", "ngram")
APART: tuple[Group, ...] = ("recovery",)
OWN: tuple[Group, ...] = (*TOGETHER, *APART, "asking", "pages")


class SamplingScreen(LabScreen):
    """Teacher forcing and free running of one run."""

    about = (
        "While it is trained, a network reads true text and only predicts the next character; when it is used, it "
        "reads what it has written itself, mistakes and all (exposure bias). Here both are measured side by side: "
        "where the two part, how far the states of the memory drift and whether that can be told from them, how one "
        "wrong character is forgotten, what temperature, top-k and top-p do to the text, and how much of it counting "
        "alone could have written. M measures the panel that has the focus, * all of them, between two training "
        "steps; until then the upper two show what training compares now and then. r opens the recovery from one "
        "wrong character; in a small terminal PgDn and PgUp leaf through all five."
    )
    groups = ("training", *OWN, "display")
    BINDINGS: ClassVar[list[BindingType]] = bindings(*OWN)
    together = TOGETHER
    opened: ClassVar[Chip | None] = (("r",), "recovery")

    def __init__(self, session: Session, name: str) -> None:
        self.columns = DecodingPanel(id="decoding")
        panels = (
            PairPanel(id="pair"), CurvesPanel(id="curves"), self.columns, NgramPanel(id="ngram"),
            RecoveryPanel(id="recovery"),
        )  # fmt: skip
        super().__init__(session, name, panels)
        self.view = SamplingView()

    # -- what is shown ---------------------------------------------------------------------------------------------

    def exposure(self, shown: Snapshot) -> tuple[object, When]:
        """Return what was measured on many prefixes, before there is any the comparison that training takes."""
        event, when = newest(shown, Exposure.kind)
        return (event, when) if event else measured(shown.state.comparison, shown, shown.config.probes.compare_every)

    def extent(self, shown: Snapshot) -> Extent:
        """Return how much there is to walk through."""
        event, _ = self.exposure(shown)
        pair = pair_of(event)
        width = self.panels["pair"].size.width - 2
        return Extent(
            starts=starts(pair, width) if pair and width > 0 else (0,),
            length=pair.length if pair else 0,
            divergence=pair.divergence if pair else -1,
            curves=tuple(curves_of(event)),
            back=self.columns.overflow(),
        )

    def inputs(self, name: str) -> tuple[object, ...]:
        """Return what panel `name` shows."""
        shown = self.session.shown
        if shown is None:
            return ()
        view = settle(self.view, self.extent(shown))
        event, when = self.exposure(shown) if PROBES[name] == Exposure.kind else newest(shown, PROBES[name])
        waits = standing(shown, PROBES[name]) if event is None else None
        loss = shown.state.validation.event.loss if shown.state.validation else None
        if name == "pair":
            return (event, when, view.colour, view.at, waits)
        if name == "curves":
            return (event, loss, when, view.curve, view.at, waits)
        if name == "decoding":
            growing = int(standing(shown, PROBES[name]).share is not None)
            return (event, when, view.back, growing, waits)
        if name == "ngram":
            return (event, loss, waits)
        return (event, when, waits)

    def aside(self, name: str) -> object:
        """Return how it stands with the measurement of panel `name`; counts of n-grams do not grow old."""
        shown = self.session.shown
        if shown is None:
            return None
        now = standing(shown, PROBES[name])
        return Standing() if now.old and name == "ngram" else now

    # -- what keys do ----------------------------------------------------------------------------------------------

    def action_view(self, key: str, panel: str = "") -> None:
        """Change what is looked at (see sampling_view.py)."""
        shown = self.session.shown
        extent = self.extent(shown) if shown else Extent()
        panel = panel or self.large or self.focused_panel()
        view = change(self.view, key, panel, extent)
        if view == settle(self.view, extent):
            self.remark(why_unchanged(key, panel, extent))
        self.view = view
        self.distribute()

    def action_point(self, at: int) -> None:
        """Put the cursor of both panes on character `at`."""
        self.view = replace(self.view, at=at)
        self.distribute()

    def action_curve(self, name: str) -> None:
        """Draw curve `name` large."""
        self.view = replace(self.view, curve=name)
        self.distribute()

    def action_measure(self, panel: str) -> None:
        """Ask for the measurement of a panel ("" the one that has the focus)."""
        self._ask_for(panel or self.large or self.focused_panel() or TOGETHER[0])

    def action_measure_all(self) -> None:
        """Ask for every measurement of this screen."""
        for panel in dict.fromkeys(PROBES.values()):
            if not self._ask_for(next(name for name, probe in PROBES.items() if probe == panel)):
                return

    def action_another_seed(self) -> None:
        """Ask again for what the focused panel shows, with other random numbers."""
        self.view = replace(self.view, seed=self.view.seed + 1, back=0)
        self.action_measure("")

    def action_ask(self, name: str) -> None:
        """Have something typed, and measure with it."""
        from rnnscope.tui.screens.ask import AskScreen

        question = QUESTIONS[name]

        def taken(line: str | None) -> None:
            if line is None:
                return
            view = answered(self.view, name, line)
            if isinstance(view, str):
                self.remark(view)
                return
            self.view = view
            self._ask_for(question.panel)

        asked = AskScreen(question.title, question.placeholder, typed_before(self.view, name), question.hint)
        self.app.push_screen(asked, taken)

    def _ask_for(self, panel: str) -> bool:
        """Ask the worker to measure for a panel; whether that could be asked."""
        shown = self.session.newest
        temperature = shown.controls.temperature if shown else 1.0
        command: Command | None = self.session.command(wanted(self.view, panel, temperature))
        if command is None:
            self.remark(self.session.remark)
            return False
        self.distribute()
        self.post_message(Asked(command))
        return True

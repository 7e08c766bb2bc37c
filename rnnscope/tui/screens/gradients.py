"""The gradient lab: why gradients vanish and explode, while it happens."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from textual.binding import BindingType

from rnnscope.recording.commands import Fork
from rnnscope.recording.events import Gradients
from rnnscope.recording.lab_events import Parameters, Triangle
from rnnscope.recording.runs import fork_name
from rnnscope.tui.actions import Chip, Group
from rnnscope.tui.lab_view import Extent, LabView, change, settle, why_unchanged
from rnnscope.tui.messages import Asked
from rnnscope.tui.screens.base import bindings
from rnnscope.tui.screens.lab import LabScreen
from rnnscope.tui.screens.live import measured
from rnnscope.tui.session import Session
from rnnscope.tui.snapshot import Snapshot
from rnnscope.tui.widgets.keys import Footer
from rnnscope.tui.widgets.lab.blackbox import BlackBoxPanel
from rnnscope.tui.widgets.lab.clipping import ClippingPanel
from rnnscope.tui.widgets.lab.horizon import HorizonPanel
from rnnscope.tui.widgets.lab.jacobian import JacobianPanel
from rnnscope.tui.widgets.lab.parameters import ParametersPanel
from rnnscope.tui.widgets.lab.through import ThroughPanel
from rnnscope.tui.widgets.lab.triangle import TrianglePanel
from rnnscope.tui.widgets.lab.waterfall import WaterfallPanel

TOGETHER: tuple[Group, ...] = ("through", "waterfall", "jacobian", "clipping")
"""Panels that are seen together, where there is room."""
APART: tuple[Group, ...] = ("triangle", "horizon", "parameters", "blackbox")
"""Panels that fill the screen, each opened by a key."""
PANELS = (*TOGETHER, *APART)
OWN: tuple[Group, ...] = (*PANELS, "hands", "pages")
OPENED: Chip = (("m", "h", "P", "B"), "more")
"""The keys of the panels that are not seen, in one."""


class GradientsScreen(LabScreen):
    """Everything about the gradients of one run."""

    about = (
        "Training changes the weights by the gradient of the loss, and that gradient has to come back through time, "
        "one multiplication by a Jacobian for each character. Many such factors make it vanish or explode, and then "
        "the network cannot learn what long ago mattered, or its weights are thrown away by one step. Four panels "
        "show it together: the gradient at each time step, how that changes as the network learns, what the "
        "recurrence's own matrices predict, and what clipping does about it. Four more open by a key each: m who "
        "taught whom, h memory horizon, P parameters, B black box. In a small terminal PgDn and PgUp leaf through "
        "all eight."
    )
    groups = ("training", *OWN, "display")
    together = TOGETHER
    opened = OPENED
    BINDINGS: ClassVar[list[BindingType]] = bindings(*OWN)

    def __init__(self, session: Session, name: str) -> None:
        panels = (
            ThroughPanel(id="through"), WaterfallPanel(id="waterfall"), JacobianPanel(id="jacobian"),
            ClippingPanel(id="clipping"), TrianglePanel(id="triangle"), HorizonPanel(id="horizon"),
            ParametersPanel(id="parameters"), BlackBoxPanel(id="blackbox"),
        )  # fmt: skip
        super().__init__(session, name, panels)
        self.view = LabView()
        self._incident: int | None = None  # id of the newest one seen; -1: none when the run was opened

    # -- what is shown ---------------------------------------------------------------------------------------------

    def extent(self, shown: Snapshot) -> Extent:
        """Return how much there is to walk through."""
        config, state = shown.config, shown.state
        triangle, table = (state.lab.get(kind) for kind in ("triangle", "parameters"))
        gradients = state.gradients.event if state.gradients else None
        return Extent(
            layers=gradients.reach.shape[0] if isinstance(gradients, Gradients) else config.model.layers,
            steps=len(triangle.event.text) if triangle and isinstance(triangle.event, Triangle) else 0,
            rows=len(table.event.names) if table and isinstance(table.event, Parameters) else 0,
            has_cell=bool(isinstance(gradients, Gradients) and gradients.cell_reach.size),
        )

    def inputs(self, name: str) -> tuple[object, ...]:
        """Return what panel `name` shows."""
        shown = self.session.shown
        if shown is None:
            return ()
        state, probes = shown.state, shown.config.probes
        view = settle(self.view, self.extent(shown))
        gradients, taken = measured(state.gradients, shown, probes.gradients_every)
        exponents, asked = measured(state.lab.get("lyapunov"), shown, probes.lyapunov_every)
        if name == "through":
            return (gradients, taken, view.kind, view.part, view.state, view.retain, exponents, asked, shown.beside)
        if name == "waterfall":
            return (shown.history.reaches, view.layer, shown.marks)
        if name == "blackbox":
            incident = state.lab.get("incident")
            return (incident.event, incident.step) if incident else ()
        every = getattr(probes, f"{name}_every")
        event, when = measured(state.lab.get(name), shown, every)
        if name == "jacobian":
            return (event, exponents, asked, gradients, when, every)
        if name == "triangle":
            return (event, when, view.layer, view.t, view.s, every)
        if name == "parameters":
            return (event, when, shown.history.parameters, shown.marks, view.sort, view.row, view.opened, every)
        return (event, when, every)

    def distribute(self) -> None:
        """Give every visible panel what it shows; open the black box as soon as something has gone wrong."""
        shown = self.session.shown
        if shown is not None:
            found = shown.state.lab.get("incident")
            newest = found.id if found else -1
            if self._incident is not None and newest not in (self._incident, -1) and self.is_mounted:
                self._incident = newest
                self._enlarge("blackbox")
                return
            rewound = newest == -1 and self._incident not in (None, -1)
            self._incident = newest
            if rewound and self.large == "blackbox" and self.is_mounted:
                self._enlarge("")  # to where one sees it learn
                return
        super().distribute()

    def _footer(self) -> Footer:
        """Return the line of keys; those of the black box only where there is something to go back from."""
        footer = super()._footer()
        if self.large == "blackbox" and (self._incident or -1) < 0:
            own = self.panels["blackbox"].chips
            return replace(footer, panel=tuple(chip for chip in footer.panel if chip not in own))
        return footer

    # -- what keys do ----------------------------------------------------------------------------------------------

    def action_enlarge(self, name: str) -> None:
        """Fill the screen with a panel, or return from it. B asks for the black box, which may just have opened."""
        if not (name == self.large == "blackbox" and (self._incident or -1) > 0):
            super().action_enlarge(name)

    def action_view(self, key: str) -> None:
        """Change what is looked at (see lab_view.py)."""
        shown = self.session.shown
        extent = self.extent(shown) if shown else Extent()
        panel = self.large or self.focused_panel()
        if key == "open" and (panel != "parameters" or self.view.opened):
            self.action_enlarge(panel)
            return
        view = change(self.view, key, panel, extent)
        if view == settle(self.view, extent):
            self.remark(why_unchanged(key, panel, extent))
        self.view = view
        self.distribute()

    def action_point(self, t: int, s: int) -> None:
        """Put the triangle's cursor on loss t and state s."""
        self.view = replace(self.view, t=t, s=s)
        self.distribute()

    def action_select(self, row: int) -> None:
        """Select a row of the table."""
        self.view = replace(self.view, row=row)
        self.distribute()

    def action_shrink(self) -> None:
        """Back to the table from one of its rows, else as in every lab."""
        if self.large == "parameters" and self.view.opened:
            self.view = replace(self.view, opened=False)
            self.distribute()
        else:
            super().action_shrink()

    def action_fork(self) -> None:
        """Ask which setting the second run is to have, and start it."""
        from rnnscope.tui.screens.fork import ForkScreen

        def answered(answer: tuple[str, str] | None) -> None:
            if answer is None:
                return
            command = self.session.command(Fork(fork_name(self.session.folder), *answer))
            if command is None:
                self.remark(self.session.remark)
            else:
                self.distribute()
                self.post_message(Asked(command))

        self.app.push_screen(ForkScreen(), answered)

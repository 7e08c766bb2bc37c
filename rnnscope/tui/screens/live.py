"""The Live screen: header, four panels, keys. It hands each widget what it shows, and turns keys into changes."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, cast

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.screen import Screen
from textual.widgets import Static

from rnnscope.recording.commands import Command
from rnnscope.tui.actions import ACTIONS, Group
from rnnscope.tui.controls import COMMAND_KEYS, Controls, describe, expected
from rnnscope.tui.look import Look
from rnnscope.tui.messages import Asked
from rnnscope.tui.snapshot import Answered, Snapshot
from rnnscope.tui.view import View, change, settle
from rnnscope.tui.widgets.activations import ActivationsPanel
from rnnscope.tui.widgets.gradient import GradientPanel
from rnnscope.tui.widgets.header import Header, Mood
from rnnscope.tui.widgets.keys import KeyLine
from rnnscope.tui.widgets.loss import LossPanel
from rnnscope.tui.widgets.notice import Notice
from rnnscope.tui.widgets.panel import Panel
from rnnscope.tui.widgets.sampling import SamplingPanel

SMALLEST = (60, 16)  # columns, rows: below it a line asks for more room
LOW = 32  # rows: below it the panels are equally high


class LiveScreen(Screen[None]):
    """Everything about one run, live or finished."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(",".join(action.keys), action.call, action.label, show=False)
        for action in ACTIONS
        if action.call != "app.command_palette"
    ]
    AUTO_FOCUS = "#loss"

    def __init__(self, run: str) -> None:
        super().__init__()
        self.run = run
        self.view = View()
        self.look = Look()
        self.newest: Snapshot | None = None  # as read
        self.shown: Snapshot | None = None  # as displayed: differs while the display is frozen
        self.frozen = False
        self.large = ""  # id of the panel that fills the screen
        self.trouble = ""
        self._expected: Controls | None = None
        self._waiting: list[Command] = []
        self.header = Header(id="header", name=run)
        self.notice = Notice(id="notice")
        self.panels: dict[str, Panel] = {
            "loss": LossPanel(id="loss"),
            "gradient": GradientPanel(id="gradient"),
            "activations": ActivationsPanel(id="activations"),
            "sampling": SamplingPanel(id="sampling"),
        }
        self.keys = KeyLine(id="keys")

    def compose(self) -> ComposeResult:
        """Lay out the screen."""
        yield self.header
        yield self.notice
        with Container(id="panels"):
            yield from self.panels.values()
        yield self.keys
        yield Static(markup=False, id="small")

    # -- what is shown ---------------------------------------------------------------------------------------------

    def take(self, snapshot: Snapshot, answers: list[Answered]) -> None:
        """Show what was read; while the display is frozen only the header goes on."""
        self.newest, self.trouble = snapshot, ""
        if not self.frozen:
            self.shown = snapshot
        for answer in answers:
            if answer.command in self._waiting:
                self._waiting.remove(answer.command)
        if not self._waiting:
            self._expected = None
        self.distribute()

    def tell_trouble(self, reason: str) -> None:
        """Say that the recording cannot be read; what was read stays."""
        self.trouble = reason
        self.distribute()

    def show_look(self, look: Look) -> None:
        """Change colours."""
        self.look = look
        self.distribute()

    def distribute(self) -> None:
        """Give every visible widget what it shows; each redraws only if that changed."""
        newest, look = self.newest, self.look
        sent = describe(self._waiting[-1]) if self._waiting else ""
        frozen_at = self.shown.progress.step if self.frozen and self.shown else None
        if newest is not None and self._expected is not None:
            newest = replace(newest, controls=self._expected)
        self.header.show(newest, Mood(sent, frozen_at, self.trouble), look)
        notice = newest.notice if newest else ()
        lines = (*notice, *([self.trouble] if self.trouble and newest else []))
        self.notice.show(lines, look, *self.app.size)
        self.keys.show(self.large or self.focused_panel(), look)
        for name, panel in self.panels.items():
            if not self.large or name == self.large:
                panel.show(*self._inputs(name), look=look, aside=self._aside(name))

    def _inputs(self, name: str) -> tuple[object, ...]:
        """Return what panel `name` shows."""
        shown, view = self.shown, self.view
        if name == "loss":
            return (shown.loss if shown else None, view.loss)
        if name == "gradient":
            measured = shown.state.gradients if shown else None
            return (measured.event if measured else None, measured.step if measured else 0, view.gradient)
        if name == "activations":
            sample = shown.state.sample if shown else None
            return (sample.event if sample else None, sample.step if sample else 0, view.unit)
        comparison = shown.state.comparison if shown else None
        return (comparison.event if comparison else None, comparison.step if comparison else 0)

    def _aside(self, name: str) -> object:
        """Return what is written on the frame of panel `name`."""
        return self.shown.clip if name == "gradient" and self.shown else None

    def focused_panel(self) -> str:
        """Return the id of the panel that has the focus, "" if none has."""
        return self.focused.id or "" if isinstance(self.focused, Panel) else ""

    def subject(self) -> Group | None:
        """Return the panel that help should begin with: the enlarged one, else the focused one."""
        name = self.large or self.focused_panel()
        return cast("Group", name) if name in self.panels else None

    def on_resize(self, event: events.Resize) -> None:
        """Choose the layout for the new size, or ask for more room."""
        columns, rows = event.size
        small = columns < SMALLEST[0] or rows < SMALLEST[1]
        self.set_class(small, "-too-small")
        self.query_one("#small", Static).update(
            f"{columns}x{rows} is too small: make the terminal at least {SMALLEST[0]}x{SMALLEST[1]}"
        )
        self.query_one("#panels").set_class(rows < LOW, "-low")
        self.distribute()

    def on_descendant_focus(self) -> None:
        """Show the keys of the panel that has the focus now."""
        self.distribute()

    # -- what keys do ----------------------------------------------------------------------------------------------

    def action_view(self, key: str) -> None:
        """Change what is looked at (see view.py)."""
        sample = self.shown.state.sample.event if self.shown and self.shown.state.sample else None
        last = self.shown.progress.step if self.shown else 0
        self.view = change(self.view, key, sample=sample, last_step=last)
        self.distribute()

    def action_unit(self, unit: int) -> None:
        """Choose one unit."""
        if self.shown and self.shown.state.sample:
            chosen = settle(self.view.unit, self.shown.state.sample.event)
            self.view = replace(self.view, unit=replace(chosen, unit=unit))
            self.distribute()

    def action_command(self, key: str) -> None:
        """Ask the worker for something (see controls.py), and say so at once."""
        if self.newest is None:
            self.app.notify("the run is still being opened", markup=False, timeout=2)
            return
        if not self.newest.live:
            self.app.notify(f"the run is {self.newest.word}: nobody is there to do that", markup=False, timeout=3)
            return
        now = self._expected or self.newest.controls
        command = COMMAND_KEYS[key](now)
        self._expected = expected(now, command)
        self._waiting.append(command)
        self.distribute()
        self.post_message(Asked(command))

    def forget(self, command: Command) -> None:
        """Wait no longer for the answer to `command`: it could not be sent."""
        if command in self._waiting:
            self._waiting.remove(command)
        if not self._waiting:
            self._expected = None
        self.distribute()

    def action_enlarge(self, name: str) -> None:
        """Fill the screen with panel `name` ("" the focused one), or return from it."""
        name = name or self.focused_panel() or "loss"
        self._enlarge("" if name == self.large else name)

    def action_shrink(self) -> None:
        """Back to all four panels."""
        self._enlarge("")

    def _enlarge(self, name: str) -> None:
        self.large = name
        self.query_one("#panels").set_class(bool(name), "-enlarged")
        for panel in self.panels.values():
            panel.set_class(panel.id == name, "-large")
        if name:
            self.panels[name].focus()
        self.distribute()

    def action_freeze(self) -> None:
        """Stop the display, not the reading; or let it run again."""
        self.frozen = not self.frozen
        if not self.frozen:
            self.shown = self.newest
        self.distribute()

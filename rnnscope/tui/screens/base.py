"""What every screen of a run has: header, notice, panels of which one may fill the screen, and the line of keys."""

from __future__ import annotations

from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.screen import Screen
from textual.timer import Timer
from textual.widgets import Static

from rnnscope.tui.actions import Group, in_groups
from rnnscope.tui.messages import Asked
from rnnscope.tui.session import Session
from rnnscope.tui.widgets.header import Header, Mood
from rnnscope.tui.widgets.keys import Footer, KeyLine
from rnnscope.tui.widgets.notice import Notice
from rnnscope.tui.widgets.panel import Panel

SMALLEST = (60, 16)  # columns, rows: below it a line asks for more room
LOW = 32  # rows: below it the panels are equally high
REMARK_SECONDS = 4.0


def bindings(*groups: Group) -> list[BindingType]:
    """Return the key bindings of groups of actions (see actions.py)."""
    return [
        Binding(",".join(action.keys), action.call, action.label, show=False)
        for action in in_groups(groups)
        if action.call != "app.command_palette"
    ]


class RunScreen(Screen[None]):
    """One screen about one run. A subclass says what it is about, which keys it has, and what each panel is given.

    about: a few sentences for a student, with which the help begins; groups: its actions, in the order of the help.
    """

    about: ClassVar[str] = ""
    groups: ClassVar[tuple[Group, ...]] = ("training", "display")
    BINDINGS: ClassVar[list[BindingType]] = bindings("training", "display")

    def __init__(self, session: Session, name: str, panels: tuple[Panel, ...]) -> None:
        super().__init__(name=name)
        self.session = session
        self.panels: dict[str, Panel] = {panel.id or "": panel for panel in panels}
        self.large = ""  # id of the panel that fills the screen
        self.header = Header(id="header", name=session.folder.name)
        self.notice = Notice(id="notice")
        self.keys = KeyLine(id="keys")
        self._hush: Timer | None = None

    def compose(self) -> ComposeResult:
        """Lay out the screen."""
        yield self.header
        yield self.notice
        with Container(id="panels"):
            yield from self.panels.values()
        yield self.keys
        yield Static(markup=False, id="small")

    def inputs(self, name: str) -> tuple[object, ...]:
        """Return what panel `name` shows: values that are never changed, so that it can tell whether they are new."""
        raise NotImplementedError

    def aside(self, name: str) -> object:
        """Return what is written on the frame of panel `name`."""
        return None

    # -- what is shown ---------------------------------------------------------------------------------------------

    def distribute(self) -> None:
        """Give every visible widget what it shows; each redraws only if that changed."""
        session = self.session
        look, newest = session.look, session.newest
        frozen_at = session.shown.progress.step if session.frozen and session.shown else None
        self.header.show(session.current, Mood(session.sent, frozen_at, session.trouble), look)
        wrong = (*(newest.notice if newest else ()), *([session.trouble] if session.trouble and newest else []))
        self.notice.show(wrong, session.remark, look, *self.app.size)
        self.keys.show(self._footer(), look)
        for name, panel in self.panels.items():
            if not self.large or name == self.large:
                panel.show(*self.inputs(name), look=look, aside=self.aside(name))

    def _footer(self) -> Footer:
        session, panel = self.session, self.panels.get(self.large or self.focused_panel())
        paused = session.current is not None and session.current.controls.paused
        own = panel.chips if panel else ()
        return Footer(self.groups, own, session.working, paused, session.screens, self.name or "")

    def focused_panel(self) -> str:
        """Return the id of the panel that has the focus, "" if none has."""
        return self.focused.id or "" if isinstance(self.focused, Panel) else ""

    def remark(self, why: str) -> None:
        """Say for a while why a key did nothing."""
        self.session.remark = why
        if self._hush is not None:
            self._hush.stop()
        self._hush = self.set_timer(REMARK_SECONDS, lambda: self._forget_remark(why))
        self.distribute()

    def _forget_remark(self, why: str) -> None:
        if self.session.remark == why:  # another screen may have said something since
            self.session.remark = ""
            self.distribute()

    def on_screen_resume(self) -> None:
        """Come back to what is new by now."""
        self.distribute()

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

    def action_command(self, key: str) -> None:
        """Ask the worker for something (see controls.py), and say so at once."""
        command = self.session.command(key)
        if command is None:
            self.remark(self.session.remark)
            return
        self.distribute()
        self.post_message(Asked(command))

    def action_enlarge(self, name: str) -> None:
        """Fill the screen with panel `name` ("" the focused one), or return from it."""
        name = name or self.focused_panel() or next(iter(self.panels))
        self._enlarge("" if name == self.large else name)

    def action_shrink(self) -> None:
        """Back to all panels."""
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
        self.session.freeze()
        self.distribute()

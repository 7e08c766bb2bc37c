"""What the labs have: more panels than are seen together. The others fill the screen, each opened by a key."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from textual import events

from rnnscope.tui.actions import Chip, Group
from rnnscope.tui.screens.base import RunScreen
from rnnscope.tui.session import Session
from rnnscope.tui.widgets.keys import FIRST, Footer
from rnnscope.tui.widgets.panel import Panel

PAUSING = FIRST[0]
ROOM = (100, 32)  # columns, rows: below it one panel is shown at a time


class LabScreen(RunScreen):
    """A screen whose panels are seen four (or more) at a time, or one at a time where it is small.

    together: what is seen together where there is room, the first of them first where there is none; wide: the same
    where there is so much room that six fit, () for never. opened: the keys of those that are not seen, in one chip.
    """

    together: ClassVar[tuple[Group, ...]] = ()
    wide: ClassVar[tuple[Group, ...]] = ()
    opened: ClassVar[Chip | None] = None
    WIDE: ClassVar[tuple[int, int]] = (180, 48)  # columns, rows: from here on `wide` is shown

    def __init__(self, session: Session, name: str, panels: tuple[Panel, ...]) -> None:
        super().__init__(session, name, panels)
        self.small = False  # one panel at a time
        self.seen: tuple[str, ...] = self.together
        self._set_apart()

    def _set_apart(self) -> None:
        for name, panel in self.panels.items():
            panel.set_class(name not in self.seen, "-apart")

    @property
    def pages(self) -> tuple[str, ...]:
        """Every panel, in the order in which they are leafed through."""
        return tuple(self.panels)

    def _footer(self) -> Footer:
        """Return the line of keys: with those that open the panels not seen, or those that leaf through them."""
        footer = super()._footer()
        if self.large and self.small:
            page = f"{self.pages.index(self.large) + 1}/{len(self.pages)}"
            keys = ("PgUp", "PgDn") if self.size.width >= 80 else ("PgDn",)
            return replace(footer, page=((keys, page),))
        if self.large or self.opened is None:
            return footer
        return replace(footer, page=(PAUSING, *footer.panel[:2], self.opened))

    def on_resize(self, event: events.Resize) -> None:
        """Show one panel at a time where there is no room for four, six where there is room for them."""
        columns, rows = event.size
        wide = bool(self.wide) and columns >= self.WIDE[0] and rows >= self.WIDE[1]
        self.seen = self.wide if wide else self.together
        self.query_one("#panels").set_class(wide, "-wide")
        self._set_apart()
        small = columns < ROOM[0] or rows < ROOM[1]
        if small != self.small:
            self.small = small
            if small and not self.large:
                self._enlarge(self.focused_panel() or self.pages[0])
            elif not small and self.large in self.seen:
                self._enlarge("")
        super().on_resize(event)

    def action_page(self, by: int) -> None:
        """Fill the screen with the next panel, or the one before."""
        pages = self.pages
        at = pages.index(self.large) if self.large in pages else (-1 if by > 0 else 0)
        self._enlarge(pages[(at + by) % len(pages)])

    def action_enlarge(self, name: str) -> None:
        """Fill the screen with panel `name` ("" the focused one), or return from it."""
        name = name or self.focused_panel() or self.large or self.pages[0]
        if name == self.large:
            self.action_shrink()
        else:
            self._enlarge(name)

    def action_shrink(self) -> None:
        """Back to the panels that are seen together (where it is small, to the first)."""
        if self.small:
            self._enlarge(self.pages[0])
            return
        was = self.large
        self._enlarge("")
        if was and was not in self.seen:
            self.panels[self.seen[0]].focus()

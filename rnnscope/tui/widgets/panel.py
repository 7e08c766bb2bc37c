"""What the four panels share: a frame, a cache of drawn lines, and a key that says when they are out of date."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from textual import events
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from rnnscope.charts.spans import PLAIN, Row, Span, Style
from rnnscope.charts.spans import width as row_width
from rnnscope.charts.text import cells, shorten
from rnnscope.tui.actions import Chip
from rnnscope.tui.asking import Standing
from rnnscope.tui.frame import Middle, lower_edge, sides, upper_edge
from rnnscope.tui.look import Look
from rnnscope.tui.snapshot import When
from rnnscope.tui.strips import to_strip, to_strips

BESIDE = 6  # cells of an upper edge that belong to neither title: the spaces around them, and a bit of line


def _same(new: tuple[object, ...], old: tuple[object, ...]) -> bool:
    """Whether every input is the very same object, or an equal number, word, step or standing."""
    return len(new) == len(old) and all(
        a is b or (isinstance(a, int | float | str | When | Standing) and a == b) for a, b in zip(new, old, strict=True)
    )


@dataclass(frozen=True)
class Painted:
    """The inside of a panel and the titles on its frame: what it shows, and its newest number or how old it is.

    middle: where a panel of two halves has its right half, and the title of that.
    """

    rows: list[Row]
    left: Row
    right: Row = ()
    middle: Middle | None = None


class Panel(Widget, can_focus=True):
    """A framed drawing that is redone only when its inputs, its size, its look or its focus changed.

    Subclasses draw `self.inputs` in `paint` (everything in it is immutable, so it is compared by identity), and may
    write `self.aside` on the frame in `note`: a number that changes far more often than the drawing does.

    heading: its name; chips: the keys shown in the last line while it has the focus; summary: what it shows and the
    formula of it, in three sentences for a student; details: everything else that one might ask about it.
    """

    heading: ClassVar[str] = ""
    chips: ClassVar[tuple[Chip, ...]] = ()
    summary: ClassVar[str] = ""
    details: ClassVar[str] = ""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self.look = Look()
        self.inputs: tuple[object, ...] = ()
        self.aside: object = None
        self.paints = 0  # times drawn: tests look at it
        self._painted: Painted | None = None
        self._strips: list[Strip] = []
        self._drawn_for: tuple[int, int, bool] | None = None

    def show(self, *inputs: object, look: Look, aside: object = None) -> None:
        """Take what is to be shown now; ask for as small a redraw as the difference needs."""
        if look != self.look or not _same(inputs, self.inputs):
            self.inputs, self.look, self.aside = inputs, look, aside
            self._painted = self._drawn_for = None
            self.refresh()
        elif aside != self.aside:
            self.aside = aside
            if self._painted is not None and self._drawn_for is not None:
                columns, height, focused = self._drawn_for
                if self._strips and height >= 3:
                    self._strips[-1] = to_strip(self._lower(columns, focused), columns, look.palette)
                    self.refresh(Region(0, height - 1, columns, 1))

    def paint(self, width: int, height: int) -> Painted:
        """Draw the inside, `width` x `height` cells."""
        raise NotImplementedError

    def note(self, width: int) -> Row:
        """Return what `aside` looks like on the lower edge of a frame that is `width` cells wide inside."""
        return ()

    def render_line(self, y: int) -> Strip:
        """Return one line of the panel, frame included (textual's line API)."""
        width, height = self.size
        wanted = (width, height, self.has_focus)
        if self._drawn_for != wanted:
            self._strips = self._draw(width, height)
            self._drawn_for = wanted
        return self._strips[y] if y < len(self._strips) else Strip.blank(width)

    def _draw(self, width: int, height: int) -> list[Strip]:
        palette = self.look.palette
        if width < 4 or height < 3:
            return to_strips([], width, height, palette)
        if self._painted is None or self._drawn_for is None or self._drawn_for[:2] != (width, height):
            self._painted = self.paint(width - 2, height - 2)
            self.paints += 1
        painted, focused = self._painted, self.has_focus
        body = painted.rows[: height - 2] + [()] * (height - 2 - len(painted.rows))
        upper = upper_edge(painted.left, painted.right, width, palette, focused=focused, middle=painted.middle)
        rows = [upper, *sides(body, width, palette, focused=focused), self._lower(width, focused)]
        return to_strips(rows, width, height, palette)

    def _lower(self, columns: int, focused: bool) -> Row:
        return lower_edge(self.note(columns - 2), columns, self.look.palette, focused=focused)

    async def on_click(self, event: events.Click) -> None:
        """Do what a click means here; else enlarge on a double click (a single one already moves the focus here).

        Not for subclasses, `clicked` is: textual would call both theirs and this one.
        """
        if await self.clicked(event):
            event.stop()
        elif event.chain == 2:
            await self.run_action(f"screen.enlarge('{self.id}')")

    async def clicked(self, event: events.Click) -> bool:
        """Do what a click means in this panel; whether it means anything."""
        return False

    def on_focus(self) -> None:
        """Redraw the frame."""
        self.refresh()

    def on_blur(self) -> None:
        """Redraw the frame."""
        self.refresh()

    def waiting(self, text: str, width: int, height: int) -> list[Row]:
        """Return rows that say, in the middle, what the panel waits for."""
        text = shorten(text, width)
        line: Row = (Span(" " * ((width - len(text)) // 2)), Span(text, Style(fg=self.look.palette.faint)))
        return [()] * ((height - 1) // 2) + [line]

    def age(self, when: When, left: Row, width: int, *more: str) -> Row:
        """Return when it was measured, for the right end of a title with `left` at its other end; loud when old.

        As fully as there is room on a panel `width` cells wide inside: with the words of `more` first.
        """
        step = f"step {when.step:,}"
        texts = (f"still from {step}", f"old: {step}") if when.old else tuple(f"{step} · {words}" for words in more)
        room = width - row_width(left) - BESIDE
        fitting = next((text for text in (*texts, step) if cells(text) <= room), "")
        colour = self.look.palette.warn if when.old else self.look.palette.faint
        return (Span(fitting, Style(fg=colour, bold=when.old)),) if fitting else ()

    def title(self, *details: str, heading: str = "") -> Row:
        """Return the panel's name (or `heading`, where that is too long) and what it shows, as a left title."""
        name = Span(heading or self.heading, Style(fg=self.look.palette.accent, bold=True))
        return (name, Span(" " + " · ".join(details) if details else "", PLAIN))

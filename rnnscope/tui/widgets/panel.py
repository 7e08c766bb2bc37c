"""What the four panels share: a frame, a cache of drawn lines, and a key that says when they are out of date."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from textual import events
from textual.strip import Strip
from textual.widget import Widget

from rnnscope.charts.spans import PLAIN, Row, Span, Style
from rnnscope.charts.text import shorten
from rnnscope.tui.frame import framed
from rnnscope.tui.look import Look
from rnnscope.tui.strips import to_strips


@dataclass(frozen=True)
class Painted:
    """The inside of a panel and the two titles on its frame: what it shows, and its most important number."""

    rows: list[Row]
    left: Row
    right: Row = ()


class Panel(Widget, can_focus=True):
    """A framed drawing that is redone only when its inputs, its size, its look or its focus changed.

    Subclasses keep what they show in `inputs` (compared by identity, item by item: everything in it is immutable)
    and draw it in `paint`.
    """

    heading: ClassVar[str] = ""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self.look = Look()
        self.inputs: tuple[object, ...] = ()
        self.painted = 0  # times drawn: tests and `bench --ui` look at it
        self._strips: list[Strip] = []
        self._drawn: tuple[object, ...] | None = None

    def show(self, *inputs: object, look: Look) -> None:
        """Take what is to be shown now; ask for a redraw only if it differs from what was shown."""
        same = len(inputs) == len(self.inputs) and all(
            a is b or (isinstance(a, (int, float, str, bool)) and a == b)
            for a, b in zip(inputs, self.inputs, strict=True)
        )
        if same and look == self.look:
            return
        self.inputs, self.look = inputs, look
        self._drawn = None
        self.refresh()

    def paint(self, width: int, height: int) -> Painted:
        """Draw the inside, `width` x `height` cells."""
        raise NotImplementedError

    def render_line(self, y: int) -> Strip:
        """Return one line of the panel, frame included (textual's line API)."""
        width, height = self.size
        state = (width, height, self.has_focus)
        if self._drawn != state:
            self._strips = self._draw(width, height)
            self._drawn = state
        return self._strips[y] if y < len(self._strips) else Strip.blank(width)

    def _draw(self, width: int, height: int) -> list[Strip]:
        palette = self.look.palette
        if width < 4 or height < 3:
            return to_strips([], width, height, palette)
        self.painted += 1
        painted = self.paint(width - 2, height - 2)
        rows = painted.rows[: height - 2] + [()] * (height - 2 - len(painted.rows))
        rows = framed(rows, painted.left, painted.right, width, palette, focused=self.has_focus)
        return to_strips(rows, width, height, palette)

    async def on_click(self, event: events.Click) -> None:
        """Enlarge on a double click (a single one already moves the focus here)."""
        if event.chain == 2:
            await self.run_action(f"screen.enlarge('{self.id}')")

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

    def title(self, *details: str, heading: str = "") -> Row:
        """Return the panel's name (or `heading`, where that is too long) and what it shows, as a left title."""
        name = Span(heading or self.heading, Style(fg=self.look.palette.accent, bold=True))
        return (name, Span(" " + " · ".join(details) if details else "", PLAIN))

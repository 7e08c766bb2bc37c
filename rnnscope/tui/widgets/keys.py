"""The last line of the screen: keys that matter now, each one also a button."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from textual import events
from textual.strip import Strip
from textual.widget import Widget

from rnnscope.charts.spans import Row, Span, Style
from rnnscope.charts.text import cells
from rnnscope.tui.actions import ACTIONS
from rnnscope.tui.look import Look
from rnnscope.tui.strips import to_strip

CALLS = {action.shown: action.call for action in ACTIONS}

Chip: TypeAlias = tuple[tuple[str, ...], str]
"""Keys as shown (one, or a pair that does opposite things), and the word beside them."""

ALWAYS_LEFT: tuple[Chip, ...] = ((("space",), "pause"), ((".",), "step"), (("+", "-"), "lr"))
ALWAYS_RIGHT: tuple[Chip, ...] = ((("?",), "help"), (("^p",), "all"), (("q",), "quit"))
BY_PANEL: dict[str, tuple[Chip, ...]] = {
    "loss": (
        (("i", "o"), "zoom"), (("<", ">"), "move"), (("0",), "reset"), (("L",), "axis"), (("k", "K"), "smooth"),
    ),
    "gradient": ((("r",), "reach/total"),),
    "activations": (
        (("u", "U"), "unit"), (("y",), "layer"), (("v",), "value"), (("b",), "busiest"), (("n", "N"), "±10"),
    ),
    "sampling": ((("t", "T"), "temperature"),),
}  # fmt: skip
SOMETIMES: tuple[Chip, ...] = (
    (("f",), "enlarge"), (("z",), "freeze"), (("c",), "clip"), (("t", "T"), "temp"), (("u", "U"), "unit"),
    (("w",), "save"), (("p",), "picture"), (("d",), "theme"), (("r",), "reach/total"), (("i", "o"), "zoom"),
)  # fmt: skip


@dataclass(frozen=True)
class Button:
    """Cells `start` to `end` (not included) of the line run `call` when clicked."""

    start: int
    end: int
    call: str


def _chip_width(chip: Chip) -> int:
    return cells("/".join(chip[0])) + 1 + cells(chip[1]) + 2


def chosen(panel: str, width: int) -> tuple[list[Chip], list[Chip]]:
    """Return the chips for the left and the right end of a line: as many as fit, the most needed first."""
    right = list(ALWAYS_RIGHT)
    room = width - 1 - sum(map(_chip_width, right))
    left: list[Chip] = []
    taken: set[tuple[str, ...]] = set()
    for chip in (*ALWAYS_LEFT, *BY_PANEL.get(panel, ()), *SOMETIMES):
        if chip[0] not in taken and _chip_width(chip) <= room:
            left.append(chip)
            taken.add(chip[0])
            room -= _chip_width(chip)
    return left, right


def line(panel: str, width: int, look: Look) -> tuple[Row, list[Button]]:
    """Return the line of keys for the focused panel, and where its buttons are."""
    key_style = Style(fg=look.palette.accent, bg=look.palette.grid, bold=True)
    word_style = Style(fg=look.palette.foreground, bg=look.palette.grid)
    left, right = chosen(panel, width)
    gap = width - 1 - sum(map(_chip_width, (*left, *right)))
    spans: list[Span] = [Span(" ", word_style)]
    buttons: list[Button] = []
    at = 1
    for chips, space in ((left, max(gap, 0)), (right, 0)):
        for keys, word in chips:
            for i, key in enumerate(keys):
                if i:
                    spans.append(Span("/", word_style))
                    at += 1
                last = i == len(keys) - 1
                end = at + cells(key) + (1 + cells(word) if last else 0)
                buttons.append(Button(at, end, CALLS[key]))
                spans.append(Span(key, key_style))
                at += cells(key)
            spans.append(Span(f" {word}  ", word_style))
            at += cells(word) + 3
        spans.append(Span(" " * space, word_style))
        at += space
    return tuple(spans), buttons


class KeyLine(Widget):
    """The footer."""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self.look = Look()
        self.panel = ""
        self._buttons: list[Button] = []

    def show(self, panel: str, look: Look) -> None:
        """Show the keys that matter while `panel` has the focus."""
        if (panel, look) != (self.panel, self.look):
            self.panel, self.look = panel, look
            self.refresh()

    def render_line(self, y: int) -> Strip:
        """Return the line (textual's line API)."""
        row, self._buttons = line(self.panel, self.size.width, self.look)
        return to_strip(row, self.size.width, self.look.palette)

    async def on_click(self, event: events.Click) -> None:
        """Run the action of the key that was clicked."""
        for button in self._buttons:
            if button.start <= event.x < button.end:
                await self.run_action(button.call)

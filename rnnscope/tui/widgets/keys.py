"""The last line of the screen: the screens there are, and the keys that do something now, each one also a button."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from textual import events
from textual.strip import Strip
from textual.widget import Widget

from rnnscope.charts.spans import Row, Span, Style
from rnnscope.charts.text import cells
from rnnscope.tui.actions import Chip, Group, in_groups, needs_worker
from rnnscope.tui.look import Look
from rnnscope.tui.strips import to_strip

PAUSE, GO_ON = "pause", "go on"
FIRST: tuple[Chip, ...] = ((("space",), PAUSE), ((".",), "step"), (("+", "-"), "lr"))
LATER: tuple[Chip, ...] = (
    (("f",), "enlarge"), (("z",), "freeze"), (("c",), "clip"), (("t", "T"), "temp"), (("u", "U"), "unit"),
    (("w",), "save"), (("p",), "picture"), (("d",), "theme"), (("r",), "reach/total"), (("i", "o"), "zoom"),
)  # fmt: skip
RIGHT: tuple[Chip, ...] = ((("?",), "help"), (("^p",), "all"), (("q",), "quit"))
OF_PANELS: dict[tuple[str, ...], tuple[Group, ...]] = {
    ("u", "U"): ("activations",), ("r",): ("gradient", "through"), ("i", "o"): ("loss",),
}  # fmt: skip
"""Keys of LATER that have this meaning only where there is such a panel."""
ONLY_WHILE_TRAINING = frozenset({"z"})  # of a run that has ended nothing moves that could be frozen


@dataclass(frozen=True)
class Footer:
    """What the line is made from.

    groups: the actions of the screen; panel: chips of the panel that has the focus; working: a worker takes commands;
    screens: (key, name) of all screens, at: the name of this one. page: chips that come before all others:
    where there are panels that are not seen, those that lead to them.
    """

    groups: tuple[Group, ...] = ()
    panel: tuple[Chip, ...] = ()
    working: bool = True
    paused: bool = False
    screens: tuple[tuple[str, str], ...] = ()
    at: str = ""
    page: tuple[Chip, ...] = ()


@dataclass(frozen=True)
class Button:
    """Cells `start` to `end` (not included) of the line run `call` when clicked."""

    start: int
    end: int
    call: str


@lru_cache(maxsize=16)
def calls(groups: tuple[Group, ...]) -> dict[str, str]:
    """Return what each key, as shown, runs."""
    return {action.shown: action.call for action in in_groups(groups)}


def chosen(footer: Footer, room: int) -> list[Chip]:
    """Return the chips for the left end of a line: those that do something now, as many as fit, most needed first."""
    known = calls(footer.groups)
    left: list[Chip] = []
    taken: set[tuple[str, ...]] = set()
    for keys, word in (*footer.page, *FIRST, *footer.panel, *LATER):
        if keys in taken or not all(key in known for key in keys):
            continue
        own = (keys, word) in (*footer.page, *footer.panel)
        if not own and not set(OF_PANELS.get(keys, footer.groups)) & set(footer.groups):
            continue
        if not footer.working and (keys[0] in ONLY_WHILE_TRAINING or any(needs_worker(known[key]) for key in keys)):
            continue
        chip = keys, GO_ON if word == PAUSE and footer.paused else word
        if _chip_width(chip) <= room:
            left.append(chip)
            taken.add(keys)
            room -= _chip_width(chip)
    return left


def _chip_width(chip: Chip) -> int:
    return cells("/".join(chip[0])) + 1 + cells(chip[1]) + 2


Piece = tuple[str, bool, str]
"""Text, whether it stands out, and what a click on it runs ("" nothing)."""


def _of_chip(chip: Chip, known: dict[str, str]) -> Iterator[Piece]:
    keys, word = chip
    for i, key in enumerate(keys):
        if i:
            yield "/", False, ""
        yield key, True, known[key]
    yield f" {word}", False, known[keys[-1]]
    yield "  ", False, ""


def _of_screens(footer: Footer, room: int) -> Iterator[Piece]:
    """Yield the screens, the one shown standing out; nothing where there is only one."""
    if len(footer.screens) < 2:
        return
    brief = sum(cells(f"{key} {name}  ") for key, name in footer.screens) > room
    for key, name in footer.screens:
        here = name == footer.at
        yield (key if brief and not here else f"{key} {name}"), here, f"app.show_screen('{name}')"
        yield "  ", False, ""
    yield "│ ", False, ""


def line(footer: Footer, width: int, look: Look) -> tuple[Row, list[Button]]:
    """Return the line of keys, and where its buttons are."""
    palette, known = look.palette, calls(footer.groups)
    loud = Style(fg=palette.accent, bg=palette.grid, bold=True)
    plain = Style(fg=palette.foreground, bg=palette.grid)
    right = [chip for chip in RIGHT if chip[0][0] in known]
    room = width - 1 - sum(map(_chip_width, right))
    pieces: list[Piece] = [(" ", False, ""), *_of_screens(footer, room // 2)]
    room -= sum(cells(text) for text, _, _ in pieces) - 1
    left = chosen(footer, room)
    for chip in left:
        pieces += _of_chip(chip, known)
    pieces.append((" " * max(room - sum(map(_chip_width, left)), 0), False, ""))
    for chip in right:
        pieces += _of_chip(chip, known)
    spans: list[Span] = []
    buttons: list[Button] = []
    at = 0
    for text, stands_out, call in pieces:
        spans.append(Span(text, loud if stands_out else plain))
        if call:
            buttons.append(Button(at, at + cells(text), call))
        at += cells(text)
    return tuple(spans), buttons


class KeyLine(Widget):
    """The footer."""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._look = Look()
        self._footer = Footer()
        self._buttons: list[Button] = []

    def show(self, footer: Footer, look: Look) -> None:
        """Show the keys that do something now."""
        if (footer, look) != (self._footer, self._look):
            self._footer, self._look = footer, look
            self.refresh()

    def render_line(self, y: int) -> Strip:
        """Return the line (textual's line API)."""
        row, self._buttons = line(self._footer, self.size.width, self._look)
        return to_strip(row, self.size.width, self._look.palette)

    async def on_click(self, event: events.Click) -> None:
        """Run the action of the key that was clicked."""
        for button in self._buttons:
            if button.start <= event.x < button.end:
                await self.run_action(button.call)

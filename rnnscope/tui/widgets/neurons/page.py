"""The part of a text that is seen: wrapped lines around a cursor, and which character lies in which cell."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from rnnscope.charts.text import Placed, wrap


@lru_cache(maxsize=8)
def lines_of(text: str, width: int) -> tuple[tuple[Placed, ...], ...]:
    """Return the wrapped lines of a text (kept, since the same text is drawn again and again)."""
    return tuple(tuple(line) for line in wrap(text, width))


@dataclass(frozen=True)
class Page:
    """Lines of a text from character `start` up to `stop`."""

    lines: tuple[tuple[Placed, ...], ...]

    @property
    def start(self) -> int:
        """The first character seen."""
        return self.lines[0][0].at if self.lines and self.lines[0] else 0

    @property
    def stop(self) -> int:
        """The first character after those seen."""
        return self.lines[-1][-1].at + 1 if self.lines and self.lines[-1] else 0

    def at(self, x: int, y: int) -> int | None:
        """Return the character in a cell, None where there is none."""
        if not 0 <= y < len(self.lines):
            return None
        for placed in self.lines[y]:
            x -= placed.cells
            if x < 0:
                return placed.at
        return None


def line_of(text: str, width: int, at: int) -> int:
    """Return the number of the line in which a character is."""
    for number, line in enumerate(lines_of(text, width)):
        if line and line[-1].at >= at:
            return number
    return 0


def page(text: str, width: int, height: int, at: int) -> Page:
    """Return at most `height` lines among which character `at` is; they move by halves, so that they stand still."""
    lines = lines_of(text, width)
    height = max(height, 1)
    if len(lines) <= height:
        return Page(lines)
    half = max(height // 2, 1)
    first = min(line_of(text, width, at) // half * half, len(lines) - height)
    return Page(lines[first : first + height])


def beside(text: str, width: int, at: int, by: int) -> int:
    """Return the character above (`by` -1) or below (1) another one, in the same column or at the end of its line."""
    lines = lines_of(text, width)
    number = line_of(text, width, at)
    target = number + by
    if not 0 <= target < len(lines) or not lines[target]:
        return at
    column = sum(placed.cells for placed in lines[number] if placed.at < at)
    found = Page(lines[target : target + 1]).at(column, 0)
    return lines[target][-1].at if found is None else found

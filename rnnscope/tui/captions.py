"""Captions that fit: of several ways to say the same thing, the longest for which there is room."""

from __future__ import annotations

from rnnscope.charts.spans import Row, Span, Style, fit
from rnnscope.charts.text import cells, printable, shorten, wrap


def longest(width: int, *candidates: str) -> str:
    """Return the first candidate (longest first) of at most `width` cells, else the last one shortened."""
    for text in candidates:
        if cells(text) <= width:
            return text
    return shorten(candidates[-1], width)


def due(what: str, every: object) -> str:
    """Return what a panel without data waits for, and how often it comes."""
    return f"waiting for the first {what}{f' (every {every:,} steps)' if isinstance(every, int) and every else ''} …"


def paragraph(text: str, width: int) -> list[str]:
    """Return `text`, made printable, in lines of at most `width` cells, broken between words where that is possible."""
    lines = [""]
    for word in map(printable, text.split()):
        longer = f"{lines[-1]} {word}".strip()
        if cells(longer) <= width:
            lines[-1] = longer
            continue
        pieces = ["".join(placed.shown for placed in line) for line in wrap(word, width)]
        lines += pieces if lines[-1] else []
        if not lines[0]:
            lines = pieces
    return lines


def caption(width: int, style: Style, *candidates: str) -> Row:
    """Return a row of `width` cells with the longest candidate that fits."""
    return fit((Span(longest(width, *candidates), style),), width)

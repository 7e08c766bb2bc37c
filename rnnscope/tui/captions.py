"""Captions that fit: of several ways to say the same thing, the longest for which there is room."""

from __future__ import annotations

from rnnscope.charts.spans import Row, Span, Style, fit
from rnnscope.charts.text import cells, shorten


def longest(width: int, *candidates: str) -> str:
    """Return the first candidate (longest first) of at most `width` cells, else the last one shortened."""
    for text in candidates:
        if cells(text) <= width:
            return text
    return shorten(candidates[-1], width)


def caption(width: int, style: Style, *candidates: str) -> Row:
    """Return a row of `width` cells with the longest candidate that fits."""
    return fit((Span(longest(width, *candidates), style),), width)

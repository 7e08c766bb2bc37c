"""The frame around a panel, drawn by hand: titles above, a note below, and no markup anywhere."""

from __future__ import annotations

from typing import TypeAlias

from rnnscope.charts.palette import Palette
from rnnscope.charts.spans import Row, Span, Style, fit, width

PLAIN_EDGES = "┌─┐│└┘┬"
HEAVY_EDGES = "┏━┓┃┗┛┯"  # the focus: told apart by shape as well as by colour

Middle: TypeAlias = tuple[int, Row]
"""A column of the inside, where a line between two halves begins, and the title of the right half."""


def upper_edge(
    left: Row, right: Row, columns: int, palette: Palette, *, focused: bool, middle: Middle | None = None
) -> Row:
    """Return the upper edge of a frame of `columns` cells with a title at each end; `right` only if both have room.

    With a `middle` the left title ends there, and the title of the right half follows, if there is room for both.
    """
    edges, style = _edges(palette, focused)
    left = _spaced(left)
    if middle is not None and width(left) < middle[0]:
        line = Span(edges[1] * (middle[0] - 1 - width(left)) + edges[6], style)
        left = (*left, line, *_spaced(middle[1]))
    return _edge(edges[0], edges[1], edges[2], left, right, columns, style)


def lower_edge(right: Row, columns: int, palette: Palette, *, focused: bool) -> Row:
    """Return the lower edge of a frame of `columns` cells, `right` written on it if there is room."""
    edges, style = _edges(palette, focused)
    return _edge(edges[4], edges[1], edges[5], (), right, columns, style)


def _spaced(title: Row) -> Row:
    return (Span(" "), *title, Span(" ")) if title else ()


def _edge(start: str, line: str, end: str, left: Row, right: Row, columns: int, style: Style) -> Row:
    inner = columns - 2
    right = _spaced(right)
    if width(left) + width(right) + 2 > inner:
        right = ()
    left = fit(left, min(width(left), inner - 1))
    rest = max(inner - 1 - width(left) - width(right) - (1 if right else 0), 0)
    last = Span((line if right else "") + end, style)
    return (Span(start + line, style), *left, Span(line * rest, style), *right, last)


def sides(rows: list[Row], columns: int, palette: Palette, *, focused: bool) -> list[Row]:
    """Return `rows` between the sides of a frame of `columns` cells."""
    edges, style = _edges(palette, focused)
    side = Span(edges[3], style)
    return [(side, *fit(row, columns - 2), side) for row in rows]


def _edges(palette: Palette, focused: bool) -> tuple[str, Style]:
    return (HEAVY_EDGES, Style(fg=palette.accent)) if focused else (PLAIN_EDGES, Style(fg=palette.faint))

"""The frame around a panel, drawn by hand: two titles on its upper edge, and no markup anywhere."""

from __future__ import annotations

from rnnscope.charts.palette import Palette
from rnnscope.charts.spans import Row, Span, Style, fit, width

PLAIN_EDGES = "┌─┐│└┘"
HEAVY_EDGES = "┏━┓┃┗┛"  # the focus: told apart by shape as well as by colour


def upper_edge(left: Row, right: Row, columns: int, palette: Palette, *, focused: bool) -> Row:
    """Return the upper edge of a frame of `columns` cells with a title at each end; `right` only if both have room."""
    edges, style = _edges(palette, focused)
    inner = columns - 2
    left = (Span(" "), *left, Span(" ")) if left else ()
    right = (Span(" "), *right, Span(" ")) if right else ()
    if width(left) + width(right) + 2 > inner:
        right = ()
    left = fit(left, min(width(left), inner - 1))
    line = max(inner - 1 - width(left) - width(right) - (1 if right else 0), 0)
    end = Span((edges[1] if right else "") + edges[2], style)
    return (Span(edges[0] + edges[1], style), *left, Span(edges[1] * line, style), *right, end)


def framed(rows: list[Row], left: Row, right: Row, columns: int, palette: Palette, *, focused: bool) -> list[Row]:
    """Put a frame of `columns` cells around `rows` (each `columns` - 2 wide), the titles on its upper edge."""
    edges, style = _edges(palette, focused)
    side = Span(edges[3], style)
    body: list[Row] = [(side, *fit(row, columns - 2), side) for row in rows]
    bottom: Row = (Span(edges[4] + edges[1] * (columns - 2) + edges[5], style),)
    return [upper_edge(left, right, columns, palette, focused=focused), *body, bottom]


def _edges(palette: Palette, focused: bool) -> tuple[str, Style]:
    return (HEAVY_EDGES, Style(fg=palette.accent)) if focused else (PLAIN_EDGES, Style(fg=palette.faint))

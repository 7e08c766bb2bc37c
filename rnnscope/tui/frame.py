"""The frame around a panel, drawn by hand: two titles on its upper edge, and no markup anywhere."""

from __future__ import annotations

from rnnscope.charts.palette import Palette
from rnnscope.charts.spans import Row, Span, Style, fit, width

PLAIN_EDGES = "┌─┐│└┘"
HEAVY_EDGES = "┏━┓┃┗┛"  # the focus: told apart by shape as well as by colour


def framed(rows: list[Row], left: Row, right: Row, columns: int, palette: Palette, *, focused: bool) -> list[Row]:
    """Put a frame of `columns` cells around `rows` (each `columns` - 2 wide), `left` and `right` on its upper edge.

    `right` is left out where there is no room for both.
    """
    edges = HEAVY_EDGES if focused else PLAIN_EDGES
    style = Style(fg=palette.accent if focused else palette.faint)
    inner = columns - 2
    left = (Span(" "), *left, Span(" ")) if left else ()
    right = (Span(" "), *right, Span(" ")) if right else ()
    if width(left) + width(right) + 2 > inner:
        right = ()
    left = fit(left, min(width(left), inner - 1))
    line = max(inner - 1 - width(left) - width(right) - (1 if right else 0), 0)
    top: Row = (
        Span(edges[0] + edges[1], style), *left, Span(edges[1] * line, style), *right,
        Span((edges[1] if right else "") + edges[2], style),
    )  # fmt: skip
    side = Span(edges[3], style)
    body: list[Row] = [(side, *fit(row, inner), side) for row in rows]
    return [top, *body, (Span(edges[4] + edges[1] * inner + edges[5], style),)]

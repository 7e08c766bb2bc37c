"""Two texts beside each other, aligned character by character, each character coloured by a value.

Character n stands at the same place of both panes: both break their lines after the same characters, so that what
differs is seen by looking across.
"""

from __future__ import annotations

from dataclasses import dataclass

from numpy.typing import ArrayLike

from rnnscope.charts.coloured_text import cursor_style, level_styles, value_levels
from rnnscope.charts.palette import Palette
from rnnscope.charts.spans import PLAIN, Row, Span, Style, fit, fit_rows, join
from rnnscope.charts.text import NEWLINE_MARK, cell_width, printable

GUTTER = 1
"""Cells before each line, for the signs below."""
HERE, PARTS = "▸", "≠"


@dataclass(frozen=True)
class Marks:
    """Characters that stand out, each an index of both texts or None. given: so many at the start have no value."""

    cursor: int | None = None
    parted: int | None = None
    given: int = 0


def common_lines(left: str, right: str, width: int) -> list[tuple[int, int]]:
    """Return (start, stop) of each line of both texts in `width` cells: a newline in either of them ends it.

    A character takes the cells of the wider one of the two; a combining one, which has no cell, takes one.
    """
    lines: list[tuple[int, int]] = []
    start = used = 0
    count = max(len(left), len(right))
    for n in range(count):
        pair = left[n : n + 1] + right[n : n + 1]
        size = max(1, *map(cell_width, pair))
        if used + size > max(width, 1) and n > start:
            lines.append((start, n))
            start, used = n, 0
        used += size
        if "\n" in pair:
            lines.append((start, n + 1))
            start, used = n + 1, 0
    return [*lines, (start, count)] if start < count else lines


def paired_text(
    texts: tuple[str, str],
    values: tuple[ArrayLike, ArrayLike],
    lines: list[tuple[int, int]],
    widths: tuple[int, int],
    height: int,
    scale: tuple[float, float],
    marks: Marks,
    *,
    palette: Palette,
    mono: bool = False,
) -> tuple[list[Row], list[Row]]:
    """Draw some `lines` (see `common_lines`) of two texts, `height` rows of `widths` cells, gutter included.

    values: one for each character after the first `marks.given`, on the fixed scale, sequential; NaN: none.
    """
    panes = []
    for side, (text, given, width) in enumerate(zip(texts, values, widths, strict=True)):
        levels = value_levels(given, max(len(text) - marks.given, 0), *scale, True)
        rows = [_line(texts, side, line, levels, marks, palette, mono) for line in lines[:height]]
        panes.append(fit_rows(rows, width, height))
    return panes[0], panes[1]


def _line(
    texts: tuple[str, str], side: int, line: tuple[int, int], levels: list[int], marks: Marks, palette: Palette,
    mono: bool,
) -> Row:  # fmt: skip
    styles, faded = level_styles(palette, "sequential", mono)
    faint = Style(dim=True) if mono else Style(fg=palette.faint)
    loud = Style(bold=True) if mono else Style(fg=palette.accent, bold=True)
    here, parts = (mark is not None and line[0] <= mark < line[1] for mark in (marks.cursor, marks.parted))
    pieces = [(HERE if here else PARTS if parts else " ", loud)]
    for n in range(*line):
        pair = [text[n : n + 1] for text in texts]
        shown = printable(pair[side]) or " "
        own, size = cell_width(shown), max(1, *(cell_width(c) for c in "".join(pair)))
        if own == 0:
            shown, own = "◌", 1
        style = PLAIN
        if pair[side]:
            level = n - marks.given
            style = faint if level < 0 else (faded if shown == NEWLINE_MARK else styles)[levels[level]]
        if n == marks.parted:
            style = cursor_style(palette, mono)
        if n == marks.cursor:
            style = _here(palette, mono, n == marks.parted)
        pieces.append((shown, style))
        if own < size:
            pieces.append((" " * (size - own), PLAIN))
    return join(pieces)


def _here(palette: Palette, mono: bool, parted: bool) -> Style:
    """Return the style of the cursor: the ground of the screen and its ink exchanged, underlined where they part."""
    if mono:
        return Style(reverse=True, underline=True, bold=parted)
    return Style(fg=palette.background, bg=palette.foreground, bold=True, underline=parted)


def beside(left: list[Row], right: list[Row], width: int, separator: Span) -> list[Row]:
    """Join two equally tall blocks into rows of `width` cells with `separator` (one cell) between them."""
    half = (width - 1) // 2
    return [(*fit(one, half), separator, *fit(other, width - 1 - half)) for one, other in zip(left, right, strict=True)]

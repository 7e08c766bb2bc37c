"""A table: a headline, rows of cells in columns, one row selected, scrolled so that it is seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rnnscope.charts.palette import Palette
from rnnscope.charts.spans import PLAIN, Row, Span, Style, fit, fit_rows
from rnnscope.charts.text import cells, printable, shorten


@dataclass(frozen=True)
class Column:
    """A column: its title, and whether its cells end at the right (numbers) or begin at the left (names)."""

    title: str
    right: bool = True


def first_row(count: int, room: int, selected: int) -> int:
    """Return the first row shown of `count` where there is room for `room`: pages, so that the table stands still."""
    if room < 1 or count <= room:
        return 0
    return min(max(selected, 0) // room * room, count - room)


def table(
    columns: Sequence[Column],
    rows: Sequence[Sequence[Span]],
    width: int,
    height: int,
    palette: Palette,
    mono: bool = False,
    *,
    selected: int | None = None,
) -> list[Row]:
    """Draw a headline and as many rows as fit in `height` rows of `width` cells.

    The first column takes what room the others leave; columns at the right that do not fit are left out. Text is
    made printable.
    """
    if width < 1 or height < 1 or not columns:
        return fit_rows([], max(width, 0), max(height, 0))
    count = len(columns)
    texts = [[printable(span.text) for span in row] for row in rows]
    sizes = [max(cells(column.title), *(cells(row[i]) for row in texts), 1) for i, column in enumerate(columns)]
    while count > 1 and sum(sizes[1:count]) + 2 * (count - 1) + min(sizes[0], 12) > width - 1:
        count -= 1
    sizes[0] = max(min(sizes[0], width - 1 - sum(sizes[1:count]) - 2 * (count - 1)), 1)
    faint = Style(dim=True) if mono else Style(fg=palette.faint, underline=True)
    made: list[Row] = [_line([Span(c.title, faint) for c in columns[:count]], columns, sizes, " ", PLAIN)]
    start = first_row(len(rows), height - 1, selected if selected is not None else 0)
    for index in range(start, min(start + height - 1, len(rows))):
        here = index == selected
        style = (Style(reverse=True, bold=True) if mono else Style(bg=palette.grid, bold=True)) if here else PLAIN
        spans = [Span(text, span.style) for text, span in zip(texts[index], rows[index], strict=True)][:count]
        made.append(_line(spans, columns, sizes, "▸" if here else " ", style))
    return fit_rows(made, width, height)


def _line(spans: Sequence[Span], columns: Sequence[Column], sizes: Sequence[int], sign: str, under: Style) -> Row:
    """Lay out the cells of one row; `under`: the ground and weight of all of it."""
    pieces: list[Span] = [Span(sign, under)]
    for i, (span, column, size) in enumerate(zip(spans, columns, sizes, strict=False)):
        text = shorten(span.text, size)
        pad = " " * (size - cells(text))
        style = span.style if under == PLAIN else Style(span.style.fg, under.bg, bold=True, reverse=under.reverse)
        pieces.append(Span(("  " if i else "") + (pad if column.right else ""), under))
        pieces.append(Span(text, style))
        pieces.append(Span("" if column.right else pad, under))
    return fit(tuple(p for p in pieces if p.text), sum(sizes[: len(spans)]) + 2 * len(spans), under)

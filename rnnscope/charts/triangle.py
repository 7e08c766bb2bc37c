"""A square of values between two texts, a character on each row and column: who taught whom."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from rnnscope.charts.heatmap import heat_map
from rnnscope.charts.palette import Palette, Ramp, colours, readable_on
from rnnscope.charts.spans import Row, Span, Style, fit, fit_rows, overwrite
from rnnscope.charts.text import cell_width, printable


@dataclass(frozen=True)
class Viewport:
    """What of the square is seen: rows first_row.. and columns first_column.. of it, and how many.

    left: cells of the labels; per_cell: rows of values in a cell; size: cells of a column, 2 if a character is wide.
    """

    first_row: int
    rows: int
    first_column: int
    columns: int
    left: int
    per_cell: int
    size: int

    def at(self, x: int, y: int) -> tuple[int, int] | None:
        """Return (row, column) of the values at a cell of the drawing, None outside of them."""
        row, column = self.first_row + (y - 1) * self.per_cell, self.first_column + (x - self.left) // self.size
        inside = y >= 1 and x >= self.left and row < self.first_row + self.rows
        return (row, column) if inside and column < self.first_column + self.columns else None


def viewport(
    count: int, width: int, height: int, cursor: tuple[int, int], *, wide: bool = False, mono: bool = False
) -> Viewport:
    """Return the part of a square of `count` values a side that fits in width x height cells, the cursor in it.

    Two rows of values share a cell, but where there is room each value has two cells beside each other.
    """
    number = len(str(max(count - 1, 0)))
    large = count < height and number + 4 + 2 * count <= width  # room for a cell of its own, as wide as it is high
    per_cell, size = (1 if mono or large else 2), (2 if wide or large else 1)
    left = number + 2 + per_cell * size
    rows = min(max(height - 1, 0) * per_cell, count)
    columns = min(max(width - left, 0) // size, count)
    first = [_first(count, room, at) for room, at in ((rows, cursor[0]), (columns, cursor[1]))]
    return Viewport(first[0], rows, first[1], columns, left, per_cell, size)


def _first(count: int, room: int, at: int) -> int:
    """Return where a window of `room` begins, moving by halves of it so that it stands still most of the time."""
    if room >= count:
        return 0
    step = max(room // 2, 1)
    return min(max((at - room // 4) // step * step, 0), count - room)


def triangle(
    values: ArrayLike,
    row_text: str,
    column_text: str,
    width: int,
    height: int,
    low: float,
    high: float,
    cursor: tuple[int, int],
    ramp: Ramp = "sequential",
    *,
    palette: Palette,
    mono: bool = False,
) -> list[Row]:
    """Draw values (T, T) in `height` rows of `width` cells, row_text[t] beside row t, column_text[s] above column s.

    NaN is nothing, -inf as low as the fixed scale goes, +inf bad. cursor: (row, column), marked on both texts and in
    the square. What does not fit is left out around the cursor, and the labels say what is seen.
    """
    matrix = np.asarray(values, dtype=np.float64)
    wide = any(cell_width(c) == 2 for c in printable(row_text + column_text))
    view = viewport(len(matrix), width, height, cursor, wide=wide, mono=mono)
    if not view.rows or not view.columns:
        return fit_rows([], max(width, 0), max(height, 0))
    rows = slice(view.first_row, view.first_row + view.rows)
    columns = slice(view.first_column, view.first_column + view.columns)
    seen = np.maximum(matrix[rows, columns], low)
    drawn = heat_map(
        np.repeat(seen, view.size, axis=1), view.columns * view.size, height - 1, low, high, ramp,
        palette=palette, mono=mono, half_blocks=view.per_cell == 2, nan_is_missing=True,
    )  # fmt: skip
    made = [_ruler(column_text, view, cursor[1], palette, mono)]
    for index, row in enumerate(drawn[: -(-view.rows // view.per_cell)]):
        made.append(_label(row_text, view, index, cursor[0], palette, mono) + row)
    _mark(made, seen, view, cursor, low, high, ramp, palette, mono)
    return fit_rows(made, width, height)


def _shown(text: str, at: int, size: int) -> str:
    """Return the character at `at` in `size` cells."""
    character = printable(text[at : at + 1]) or " "
    if cell_width(character) == 0:
        character = "·"
    return character + " " * (size - cell_width(character))


def _style(here: bool, palette: Palette, mono: bool) -> Style:
    if not here:
        return Style() if mono else Style(fg=palette.foreground)
    return Style(reverse=True, bold=True) if mono else Style(fg=palette.background, bg=palette.accent, bold=True)


def _ruler(text: str, view: Viewport, cursor: int, palette: Palette, mono: bool) -> Row:
    faint = Style(dim=True) if mono else Style(fg=palette.faint)
    corner = fit((Span(f"{view.first_column}", faint),), view.left)
    columns = range(view.first_column, view.first_column + view.columns)
    return (*corner, *(Span(_shown(text, s, view.size), _style(s == cursor, palette, mono)) for s in columns))


def _label(text: str, view: Viewport, index: int, cursor: int, palette: Palette, mono: bool) -> Row:
    """Return number and characters of the rows in one row of cells."""
    faint = Style(dim=True) if mono else Style(fg=palette.faint)
    first = view.first_row + index * view.per_cell
    last = min(first + view.per_cell, view.first_row + view.rows)
    pieces = [Span(f"{first:>{view.left - 2 - view.per_cell * view.size}} ", faint)]
    pieces += [Span(_shown(text, t, view.size), _style(t == cursor, palette, mono)) for t in range(first, last)]
    return fit(tuple(pieces), view.left)


def _mark(
    made: list[Row], seen: np.ndarray, view: Viewport, cursor: tuple[int, int], low: float, high: float, ramp: Ramp,
    palette: Palette, mono: bool,
) -> None:  # fmt: skip
    """Put a ring where the cursor is, on the colour of the value there."""
    row, column = cursor[0] - view.first_row, cursor[1] - view.first_column
    if not (0 <= row < view.rows and 0 <= column < view.columns):
        return
    value = seen[row, column]
    style = Style(reverse=True, bold=True)
    if not mono:
        red, green, blue = (int(c) for c in colours(value, low, high, palette, ramp))
        ground = palette.background if np.isnan(value) else (red, green, blue)
        style = Style(fg=readable_on(ground), bg=ground, bold=True)
    at = 1 + row // view.per_cell
    made[at] = overwrite(made[at], view.left + column * view.size, "◎", style)

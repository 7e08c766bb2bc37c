"""Points on two fixed axes: clouds told apart by colour and glyph, with a path drawn through some of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rnnscope.charts.axes import Axes, Frame, draw_footer, draw_left, make_frame
from rnnscope.charts.canvas import Canvas, draw_grid, legend
from rnnscope.charts.palette import Palette
from rnnscope.charts.series import Dots
from rnnscope.charts.spans import RGB, Row, fit_rows
from rnnscope.charts.text import cell_width, printable

DENSITY = "∙•●"
"""Glyphs of one point in a cell, of two to four, and of more."""
_BITS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])  # of a braille character, by row and column


@dataclass(frozen=True, eq=False)
class Cloud:
    """Points (x, y), both (N,), of one kind; those that are not finite are left out.

    glyph: stands for the cloud where colour does not, and in the legend. characters (N,): drawn in the points' places
    instead of dots.
    """

    x: ArrayLike
    y: ArrayLike
    colour: RGB
    label: str = ""
    glyph: str = "o"
    characters: str = ""


@dataclass(frozen=True, eq=False)
class Path:
    """A line through (x, y), both (N,), in their order; `characters` (N,) are written on its points."""

    x: ArrayLike
    y: ArrayLike
    colour: RGB
    label: str = ""
    characters: str = ""


def scatter(
    clouds: Sequence[Cloud],
    axes: Axes,
    width: int,
    height: int,
    palette: Palette,
    mono: bool = False,
    *,
    path: Path | None = None,
    cursor: tuple[float, float] | None = None,
    diagonal: bool = False,
) -> list[Row]:
    """Draw clouds, on top of them a path, and on top of all the cursor, in `height` rows of `width` cells.

    Where clouds meet in a cell the one with most points there is seen. Points outside of the axes are not drawn.
    diagonal: a thin line from the upper left to the lower right corner, where x + y is one whole.
    """
    if width < 1 or height < 1:
        return fit_rows([], max(width, 0), max(height, 0))
    frame = make_frame(axes, width, height, header=True)
    canvas = Canvas(frame, palette, mono)
    if canvas.columns and canvas.rows:
        draw_grid(canvas)
        if diagonal:
            _draw_line(canvas, np.array([0.0, 1.0]), np.array([1.0, 0.0]), palette.faint)
        _draw_clouds(canvas, clouds)
        if path is not None:
            _draw_path(canvas, path)
        if cursor is not None:
            _put(canvas, np.array([cursor[0]]), np.array([cursor[1]]), "◎", palette.accent, bold=True)
    named = [Dots((), (), cloud.colour, cloud.label, cloud.glyph if mono else DENSITY[-1]) for cloud in clouds]
    if path is not None and path.label:
        named.append(Dots((), (), path.colour, path.label, "─"))
    rows = [legend(named, axes, width, palette, mono)] if frame.header else []
    rows += [draw_left(frame, row, palette, mono) + canvas.render(row) for row in reversed(range(canvas.rows))]
    return fit_rows(rows + draw_footer(frame, axes, palette, mono), width, height)


def nearest(
    x: ArrayLike, y: ArrayLike, axes: Axes, width: int, height: int, column: int, row: int, reach: float = 3.0
) -> int | None:
    """Return the index of the point (x, y) nearest to a cell of the drawing, None where none is within `reach` rows.

    column, row: counted from the upper left corner of the rows that `scatter` returned for the same axes and size.
    """
    frame = make_frame(axes, width, height, header=True)
    places = _places(frame, np.asarray(x, np.float64), np.asarray(y, np.float64))
    across = (places[0] - (column - frame.left)) / 2  # a cell is about twice as high as wide
    up = places[1] - (frame.y.cells - 1 - (row - frame.header))
    distance = np.where(places[2], np.hypot(across, up), np.inf)
    if not len(distance) or distance.min() > reach:
        return None
    return int(distance.argmin())


def _places(
    frame: Frame, x: NDArray[np.float64], y: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """Return column and row of each point, and whether it lies inside."""
    shares = frame.x.share(x), frame.y.share(y)
    inside = np.ones(len(x), bool)
    for share in shares:
        inside &= np.isfinite(share) & (share >= 0) & (share <= 1)
    column, row = (scale.cell(np.where(inside, values, scale.low)) for scale, values in ((frame.x, x), (frame.y, y)))
    return column, row, inside


def _draw_clouds(canvas: Canvas, clouds: Sequence[Cloud]) -> None:
    """Put into each cell the cloud that has most points there."""
    counts = np.zeros((len(clouds), canvas.rows, canvas.columns), np.int64)
    last = np.zeros_like(counts)
    for index, cloud in enumerate(clouds):
        x, y = np.asarray(cloud.x, np.float64), np.asarray(cloud.y, np.float64)
        column, row, inside = _places(canvas.frame, x, y)
        number = np.flatnonzero(inside)
        np.add.at(counts[index], (row[number], column[number]), 1)
        last[index][row[number], column[number]] = number
    if not counts.size:
        return
    owner = counts.argmax(axis=0)
    for up, right in np.argwhere(counts.max(axis=0) > 0).tolist():
        index = int(owner[up, right])
        cloud, count = clouds[index], int(counts[index, up, right])
        glyph = DENSITY[0 if count == 1 else 1 if count < 5 else 2]
        if cloud.characters:
            glyph = _narrow(cloud.characters[int(last[index, up, right])])
        elif canvas.mono:
            glyph = cloud.glyph
        canvas.put(right, up, glyph, cloud.colour, bold=count > 4)


def _draw_path(canvas: Canvas, path: Path) -> None:
    """Draw the line, and the characters on its points."""
    x, y = np.asarray(path.x, np.float64), np.asarray(path.y, np.float64)
    _draw_line(canvas, canvas.frame.x.share(x), canvas.frame.y.share(y), path.colour)
    for i in range(min(len(path.characters), len(x))):
        _put(canvas, x[i : i + 1], y[i : i + 1], _narrow(path.characters[i]), path.colour, bold=True)


def _draw_line(canvas: Canvas, x: NDArray[np.float64], y: NDArray[np.float64], colour: RGB) -> None:
    """Draw a line through points, given as shares 0 to 1 of the canvas, in braille; NaN is a gap."""
    size = canvas.rows * 4, canvas.columns * 2
    dots = np.zeros(size, bool)
    right, up = x * (size[1] - 1), y * (size[0] - 1)
    for i in range(len(x) - 1):
        ends = right[i : i + 2], up[i : i + 2]
        if not all(np.isfinite(end).all() for end in ends):
            continue
        count = int(min(max(float(np.abs(np.diff(end))[0]) for end in ends), 4.0 * max(size))) + 2
        columns, rows = (np.rint(np.linspace(end[0], end[1], count)).astype(int) for end in ends)
        seen = (columns >= 0) & (columns < size[1]) & (rows >= 0) & (rows < size[0])
        dots[rows[seen], columns[seen]] = True
    upright = dots[::-1].reshape(canvas.rows, 4, canvas.columns, 2)
    codes = (upright * _BITS[None, :, None, :]).sum(axis=(1, 3))[::-1]
    for place in np.argwhere(codes).tolist():
        canvas.put(place[1], place[0], chr(0x2800 + int(codes[place[0], place[1]])), colour, dim=True)


def _put(
    canvas: Canvas, x: NDArray[np.float64], y: NDArray[np.float64], glyph: str, colour: RGB, *, bold: bool = False
) -> None:
    column, row, inside = _places(canvas.frame, x, y)
    if inside[0]:
        canvas.put(int(column[0]), int(row[0]), glyph, colour, bold=bold)


def _narrow(character: str) -> str:
    """Return what stands for a character in one cell; a space would not be seen."""
    shown = printable(character)
    return "␣" if shown == " " else shown if cell_width(shown) == 1 else "?"

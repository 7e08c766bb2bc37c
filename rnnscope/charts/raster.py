"""A field of values over two labelled axes: what was measured at each x, held until the next measurement."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rnnscope.charts.axes import Axes, Scale, draw_footer, draw_left, make_frame
from rnnscope.charts.heatmap import heat_map
from rnnscope.charts.palette import Palette, Ramp, readable_on
from rnnscope.charts.series import VMark
from rnnscope.charts.spans import Row, Style, fit_rows, overwrite
from rnnscope.charts.text import cell_width, cells, printable, shorten

Floats = NDArray[np.float64]


def raster(
    x: ArrayLike,
    values: ArrayLike,
    axes: Axes,
    width: int,
    height: int,
    low: float,
    high: float,
    ramp: Ramp = "sequential",
    *,
    palette: Palette,
    mono: bool = False,
    marks: Sequence[VMark] = (),
) -> list[Row]:
    """Draw values (R, N), row 0 at the bottom, over the axes in `height` rows of `width` cells.

    x (N,), ascending: where each column was measured; it is held until the next one, and nothing is drawn before the
    first and after the last. The R rows share y_range evenly: several in one half cell are averaged, few are repeated.
    On the fixed scale low..high; below it (-inf too) is as low, NaN is nothing, +inf shows as bad.
    """
    if width < 1 or height < 1:
        return fit_rows([], max(width, 0), max(height, 0))
    frame = make_frame(axes, width, height, header=False)
    columns, rows = frame.x.cells, frame.y.cells
    at, matrix = np.asarray(x, np.float64), np.asarray(values, np.float64)
    if matrix.size and columns and rows:
        held = _held(at, frame.x)
        picture = _resampled(np.maximum(matrix, low), rows * (1 if mono else 2))
        picture = np.where(held >= 0, picture[:, np.maximum(held, 0)], np.nan)[::-1]
        body = heat_map(picture, columns, rows, low, high, ramp, palette=palette, mono=mono, nan_is_missing=True)
    else:
        body = fit_rows([], columns, rows)
    body = _marked(body, marks, frame.x, palette, mono)
    drawn = [draw_left(frame, rows - 1 - row, palette, mono) + line for row, line in enumerate(body)]
    return fit_rows(drawn + draw_footer(frame, axes, palette, mono), width, height)


def _held(x: Floats, scale: Scale) -> NDArray[np.int64]:
    """Return for each cell the index of the newest x in or before it; -1 before the first and after the last."""
    cells = np.arange(scale.cells)
    if not len(x):
        return np.full(scale.cells, -1)
    places = np.clip(scale.cell(x), -1, scale.cells)
    found: NDArray[np.int64] = np.searchsorted(places, cells, side="right") - 1
    found[cells > places[-1]] = -1
    return found


def _resampled(values: Floats, count: int) -> Floats:
    """Return `count` rows of (R, N): means without NaN of the rows that fall into each, or repeated ones."""
    total = len(values)
    edges = np.arange(count + 1) * total / count
    first, last = np.floor(edges[:-1] + 1e-9).astype(int), np.ceil(edges[1:] - 1e-9).astype(int)
    if count >= total:
        last = first + 1
    made = np.full((count, values.shape[1]), np.nan)
    for row, (start, stop) in enumerate(zip(first, last, strict=True)):
        block = values[start:stop]
        known = ~np.isnan(block)
        number = known.sum(axis=0)
        with np.errstate(invalid="ignore"):
            mean = np.where(known, block, 0.0).sum(axis=0) / np.maximum(number, 1)
        made[row] = np.where(number > 0, mean, np.nan)
    return made


def _on(row: Row, column: int, palette: Palette) -> Style:
    """Return the style in which a mark is read on what is drawn at a cell."""
    at = 0
    for span in row:
        at += cells(span.text)
        if at > column:
            ground = span.style.bg or palette.background
            return Style(fg=readable_on(ground), bg=ground)
    return Style(fg=palette.foreground, bg=palette.background)


def _marked(body: list[Row], marks: Sequence[VMark], scale: Scale, palette: Palette, mono: bool) -> list[Row]:
    """Draw an upright dashed line for each mark, with its name beside its top."""
    for number, mark in enumerate(marks):
        share = float(scale.share(mark.x))
        if not 0 <= share <= 1 or not body:
            continue
        column = int(scale.cell(mark.x))
        style = Style(bold=True) if mono else Style(fg=mark.colour, bg=palette.background)
        body = [overwrite(row, column, "┆", style if mono else _on(row, column, palette)) for row in body]
        name = "".join(c if cell_width(c) == 1 else "?" for c in printable(shorten(mark.label, scale.cells - 2)))
        if name:
            start = column + 1 if column + 1 + len(name) <= scale.cells else max(column - len(name), 0)
            place = number % len(body)  # neighbours' names one under the other
            body[place] = overwrite(body[place], start, name, style)
    return body

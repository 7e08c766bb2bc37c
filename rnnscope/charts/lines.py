"""Line charts on fixed axes. The curves are plotext's braille; frame, bands, marks and legend are drawn here.

The only file that knows plotext (5.3.2: its figure class, never the module-level API). What plotext cannot take is
kept from it: infinity and logarithms of what is not positive raise in it, and a point far outside would be
rasterised all the way. NaN is a gap.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from plotext._figure import _figure_class

from rnnscope.charts.axes import Axes, draw_footer, draw_left, make_frame
from rnnscope.charts.canvas import (
    Canvas,
    draw_bands,
    draw_dots,
    draw_grid,
    draw_hline,
    draw_marks,
    draw_vmark,
    legend,
    line_colour,
    name_hlines,
    name_vmark,
)
from rnnscope.charts.downsample import min_max
from rnnscope.charts.palette import Palette
from rnnscope.charts.series import Band, Dots, HLine, Line, Series, VMark, aligned, letters
from rnnscope.charts.spans import Row, fit_rows

__all__ = ["Axes", "Band", "Dots", "HLine", "Line", "Series", "VMark", "line_chart"]

Floats: TypeAlias = NDArray[np.float64]


def line_chart(
    series: Sequence[Series], axes: Axes, width: int, height: int, palette: Palette, mono: bool = False
) -> list[Row]:
    """Draw `series` on fixed axes in `height` rows of `width` cells, each curve on top of the ones before it.

    Values above or below y_range are marked ▲ and ▼ at the edge, NaN and infinity ✗ at the bottom of their column.
    Where colour is not to be used (mono), curves carry the letter that the legend gives them. Bad or empty input
    gives an emptier chart, never an exception.
    """
    if width < 1 or height < 1:
        return fit_rows([], max(width, 0), max(height, 0))
    header = bool(axes.y_label or any(s.label for s in series if not isinstance(s, HLine | VMark)))
    frame = make_frame(axes, width, height, header)
    canvas = Canvas(frame, palette, mono)
    if canvas.columns and canvas.rows:
        draw_bands(canvas, [s for s in series if isinstance(s, Band)])
        draw_grid(canvas)
        for mark in series:
            if isinstance(mark, HLine):
                draw_hline(canvas, mark)
            elif isinstance(mark, VMark):
                draw_vmark(canvas, mark)
        _draw_curves(canvas, [s for s in series if isinstance(s, Line)])
        for mark in series:
            if isinstance(mark, Dots):
                draw_dots(canvas, mark)
        name_hlines(canvas, [s for s in series if isinstance(s, HLine)])
        for mark in series:
            if isinstance(mark, VMark):
                name_vmark(canvas, mark)
    rows = [legend(series, axes, width, palette, mono)] if frame.header else []
    rows += [draw_left(frame, row, palette, mono) + canvas.render(row) for row in reversed(range(canvas.rows))]
    return fit_rows(rows + draw_footer(frame, axes, palette, mono), width, height)


def _draw_curves(canvas: Canvas, lines: Sequence[Line]) -> None:
    """Let plotext rasterise the curves into braille, then mark what lies outside and what is no number."""
    colours = [line_colour(line, canvas.palette) for line in lines]
    points = [_visible(line, canvas) for line in lines]
    figure = _figure_class()
    figure._limit_size(False, False)  # else it clips to the size of the terminal, or to 80x24 without one
    figure.plot_size(canvas.columns, canvas.rows)
    figure.frame(False)
    figure.xticks([])
    figure.yticks([])
    figure.xlim(0, 1)
    figure.ylim(0, 1)
    for number, (x, y) in enumerate(points):
        figure.plot(x.tolist(), y.tolist(), marker="braille", color=(number, 0, 0))  # the colour carries the number
    figure.monitor.build_plot()  # build() would go on to write escape sequences, which nobody reads
    matrix = figure.monitor.matrix
    for row in range(canvas.rows):
        owners = matrix.fullground[row]
        for column, character in enumerate(matrix.marker[row]):
            if character != " ":
                number = owners[column][0]
                canvas.put_over(column, row, character, colours[number], lines[number].bold, lines[number].faint)
    for line, colour, (x, y), letter in zip(lines, colours, points, letters(lines), strict=True):
        draw_marks(canvas, *_marked(line, canvas), colour, bad=line.mark_bad)
        if canvas.mono and letter:
            _draw_letters(canvas, x, y, letter)


def _marked(line: Line, canvas: Canvas) -> tuple[Floats, Floats]:
    """Return the points of a curve and, where they are sparse, those between them at each column.

    So what runs outside of the chart between two points is marked like the points themselves.
    """
    x, y = aligned(line.x, line.y)
    if not 1 < len(x) < canvas.columns:
        return x, y
    scale = canvas.frame.x
    between = scale.low + (np.arange(canvas.columns) + 0.5) / canvas.columns * (scale.high - scale.low)
    between = 10.0**between if scale.log else between
    between = between[(between > x[0]) & (between < x[-1])]
    with np.errstate(invalid="ignore"):
        filled = np.interp(between, x, np.where(np.isfinite(y), y, np.nan))
    known = np.isfinite(filled)
    return np.concatenate([x, between[known]]), np.concatenate([y, filled[known]])


def _visible(line: Line, canvas: Canvas) -> tuple[Floats, Floats]:
    """Return the points of a curve as shares 0..1 of the canvas: cut at its left and right edge, about two a column.

    y lies one dot outside where it is beyond the edge (out of sight, and the raster stays small), NaN at gaps.
    """
    x, y = aligned(line.x, line.y)
    x, y = canvas.frame.x.share(x), canvas.frame.y.share(np.where(np.isfinite(y), y, np.nan))
    beyond = 1.5 / max(4 * canvas.rows - 1, 1)
    first, last = int(np.searchsorted(x, 0.0, "left")), int(np.searchsorted(x, 1.0, "right"))
    inner_x, inner_y = min_max(x[first:last], np.clip(y[first:last], -beyond, 1 + beyond), canvas.columns)
    edges = []
    for outside, edge in ((first, 0.0), (last, 1.0)):  # where the curve crosses the edge between two points
        crosses = 0 < outside < len(x) and x[outside] > x[outside - 1]
        share = np.interp(edge, x[outside - 1 : outside + 1], y[outside - 1 : outside + 1]) if crosses else np.nan
        edges.append(([edge], [share]) if np.isfinite(share) else ([], []))
    (left_x, left_y), (right_x, right_y) = edges
    joined = np.concatenate([left_y, inner_y, right_y])
    return np.concatenate([left_x, inner_x, right_x]), np.clip(joined, -beyond, 1 + beyond)


def _draw_letters(canvas: Canvas, x: Floats, y: Floats, letter: str) -> None:
    """Write a curve's letter on it at three places and at its end."""
    seen = np.isfinite(y) & (y >= 0) & (y <= 1)
    if not seen.any():
        return
    x, y = x[seen], y[seen]
    for place in (0.15, 0.4, 0.65, 1.0):
        nearest = int(np.abs(x - (x[0] + place * (x[-1] - x[0]))).argmin())
        column, row = x[nearest] * (canvas.columns - 1), y[nearest] * (canvas.rows - 1)
        canvas.put(round(column), round(row), letter, None, bold=True)

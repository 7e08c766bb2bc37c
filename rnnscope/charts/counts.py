"""A histogram on labelled axes, with thresholds drawn in."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rnnscope.charts.axes import Axes, draw_footer, draw_left, make_frame
from rnnscope.charts.canvas import Canvas, draw_grid, draw_vmark, name_vmark
from rnnscope.charts.canvas import legend as chart_legend
from rnnscope.charts.palette import RISING, Palette
from rnnscope.charts.series import VMark
from rnnscope.charts.spans import RGB, Row, fit_rows


def count_chart(
    edges: ArrayLike,
    counts: ArrayLike,
    axes: Axes,
    width: int,
    height: int,
    palette: Palette,
    colour: RGB,
    mono: bool = False,
    *,
    marks: Sequence[VMark] = (),
    beyond: tuple[float, RGB] | None = None,
) -> list[Row]:
    """Draw counts (N,) between edges (N+1,), in the units of the x axis, as upright bars from the bottom of y_range.

    beyond: (threshold, colour) of the bars that lie above a threshold. A count of one still shows; a bar that is
    higher than y_range ends at its top. marks: upright dashed lines, named.
    """
    if width < 1 or height < 1:
        return fit_rows([], max(width, 0), max(height, 0))
    frame = make_frame(axes, width, height, header=bool(axes.y_label))
    canvas = Canvas(frame, palette, mono)
    bounds, heights = np.asarray(edges, np.float64), np.asarray(counts, np.float64)
    if canvas.columns and canvas.rows and len(heights):
        draw_grid(canvas)
        _draw_bars(canvas, bounds, heights, colour, beyond)
        for mark in marks:
            draw_vmark(canvas, mark)
        for mark in marks:
            name_vmark(canvas, mark)
    rows = [chart_legend([], axes, width, palette, mono)] if frame.header else []
    rows += [draw_left(frame, row, palette, mono) + canvas.render(row) for row in reversed(range(canvas.rows))]
    return fit_rows(rows + draw_footer(frame, axes, palette, mono), width, height)


def _draw_bars(
    canvas: Canvas,
    edges: NDArray[np.float64],
    counts: NDArray[np.float64],
    colour: RGB,
    beyond: tuple[float, RGB] | None,
) -> None:
    x, y = canvas.frame.x, canvas.frame.y
    centres = x.low + (np.arange(canvas.columns) + 0.5) / canvas.columns * (x.high - x.low)
    centres = 10.0**centres if x.log else centres
    places = np.searchsorted(edges, centres, side="right") - 1
    shares = np.clip(np.nan_to_num(y.share(counts), nan=0.0, neginf=0.0), 0.0, 1.0)
    for column, (place, centre) in enumerate(zip(places.tolist(), centres.tolist(), strict=True)):
        if not 0 <= place < len(counts) or not counts[place] > 0:
            continue
        eighths = max(round(float(shares[place]) * canvas.rows * 8), 1)
        ink = beyond[1] if beyond is not None and centre > beyond[0] else colour
        for row in range(min(-(-eighths // 8), canvas.rows)):
            canvas.put(column, row, RISING[min(eighths - 8 * row, 8)], ink)

"""Bars out of block characters: a meter, a table of bars, a histogram, a sparkline."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rnnscope.charts.palette import BAD_GLYPH, RISING, Palette, shares
from rnnscope.charts.spans import PLAIN, RGB, Row, Span, Style, fit, fit_rows, join
from rnnscope.charts.text import cells, printable, shorten

_GROWING = " ▏▎▍▌▋▊▉█"  # eighths of a cell from the left


def meter(share: float, width: int, palette: Palette, colour: RGB, mono: bool = False, label: str = "") -> Row:
    """Draw `share` (0 to 1, cut to it) as a bar of eighths of a cell in exactly `width` cells, `label` after it.

    A share that is NaN or infinite shows as ✗.
    """
    text = f" {shorten(printable(label), max(width - 4, 0))}" if label and width > 4 else ""
    room = max(width - cells(text), 0)
    ink = PLAIN if mono else Style(fg=colour, bg=palette.grid)
    after = Span(text, PLAIN if mono else Style(fg=palette.foreground))
    if not np.isfinite(share):
        bad = Style(bold=True) if mono else Style(fg=palette.bad)
        return fit((Span(f"{BAD_GLYPH:<{room}}"[:room], bad), after), width)
    eighths = round(min(max(float(share), 0.0), 1.0) * room * 8)
    bar = "█" * (eighths // 8) + (_GROWING[eighths % 8] if eighths % 8 else "")
    rest = ("░" if mono else " ") * (room - len(bar))
    return fit((Span(bar + rest, ink), after), width)


def bar_rows(
    labels: Sequence[str],
    filled: Sequence[float],
    texts: Sequence[str],
    width: int,
    height: int,
    palette: Palette,
    colour: RGB,
    mono: bool = False,
) -> list[Row]:
    """Draw one labelled meter a row: label, bar, text, in columns; rows that do not fit are left out."""
    names = [shorten(printable(label), max(width // 3, 1)) for label in labels]
    ends = [shorten(printable(text), max(width // 4, 1)) for text in texts]
    left, right = max(map(cells, names), default=0), max(map(cells, ends), default=0)
    rows: list[Row] = []
    for name, share, end in zip(names, filled, ends, strict=False):
        bar = meter(share, max(width - left - right - 2, 0), palette, colour, mono)
        rows.append((*fit((Span(name),), left + 1), *bar, Span(" " * (right - cells(end) + 1) + end)))
    return fit_rows(rows, max(width, 0), max(height, 0))


def columns(
    heights: ArrayLike, width: int, height: int, palette: Palette, colour: RGB, mono: bool = False
) -> list[Row]:
    """Draw upright bars, one a cell, of the given heights (N,) between 0 and 1 (cut to it); NaN and infinity as ✗."""
    given = np.atleast_1d(np.asarray(heights, dtype=np.float64))[: max(width, 0)]
    finite = np.isfinite(given)
    eighths = np.rint(np.clip(np.where(finite, given, 0.0), 0.0, 1.0) * max(height, 0) * 8).astype(int)
    ink = PLAIN if mono else Style(fg=colour)
    bad = Style(bold=True) if mono else Style(fg=palette.bad)
    rows: list[Row] = []
    for row in reversed(range(max(height, 0))):
        filled = np.clip(eighths - 8 * row, 0, 8).tolist()
        missing = (BAD_GLYPH if row == 0 else " ", bad)
        rows.append(join((RISING[f], ink) if ok else missing for f, ok in zip(filled, finite, strict=True)))
    return fit_rows(rows, max(width, 0), max(height, 0))


def histogram(
    values: ArrayLike,
    width: int,
    height: int,
    low: float,
    high: float,
    palette: Palette,
    colour: RGB,
    mono: bool = False,
) -> list[Row]:
    """Draw how often values fall into `width` equal bins of low..high, the fullest bin at full height.

    Values outside of low..high count in the outermost bins; NaN and infinity are left out.
    """
    array = np.asarray(values, dtype=np.float64).ravel()
    array = array[np.isfinite(array)]
    if width < 1 or height < 1 or not array.size or not 0 < high - low < np.inf:
        return fit_rows([], max(width, 0), max(height, 0))
    bins = np.minimum((shares(array, low, high) * width).astype(int), width - 1)
    counts = np.bincount(bins, minlength=width)
    return columns(counts / counts.max(), width, height, palette, colour, mono)


def sparkline(
    values: ArrayLike, width: int, low: float, high: float, palette: Palette, colour: RGB, mono: bool = False
) -> Row:
    """Draw values (N,) on the fixed scale low..high in one row; more than `width` are averaged in blocks.

    The lowest value still shows as ▁, so that a curve along the floor is not taken for missing data.
    """
    array: NDArray[np.float64] = np.atleast_1d(np.asarray(values, dtype=np.float64))
    if width < 1:
        return ()
    if len(array) > width:
        starts = np.arange(width) * len(array) // width
        with np.errstate(invalid="ignore", over="ignore"):
            array = np.add.reduceat(array, starts) / np.diff(starts, append=len(array))
    return columns(1 / 8 + shares(array, low, high) * 7 / 8, width, 1, palette, colour, mono)[0]

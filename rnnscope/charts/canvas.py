"""The cells inside a chart's frame, and all that is drawn on them except the curves."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from rnnscope.charts.axes import Axes, Frame
from rnnscope.charts.palette import BAD_GLYPH, Palette, blend
from rnnscope.charts.series import Band, Dots, HLine, Line, Series, VMark, letters
from rnnscope.charts.spans import PLAIN, RGB, Row, Style, fit, join
from rnnscope.charts.text import printable, shorten

BAND_SHARE = 0.3  # how much of a band's colour is mixed into the background
FAINT_SHARE = 0.5  # how much of its colour a faint curve keeps
ABOVE, BELOW = "▲", "▼"


@lru_cache(maxsize=4096)
def _style(fg: RGB | None, bg: RGB | None = None, bold: bool = False, dim: bool = False) -> Style:
    return Style(fg=fg, bg=bg, bold=bold, dim=dim)


class Canvas:
    """The cells inside the frame, row 0 at the bottom; what is put outside of them is not drawn."""

    def __init__(self, frame: Frame, palette: Palette, mono: bool) -> None:
        self.frame, self.palette, self.mono = frame, palette, mono
        self.columns, self.rows = frame.x.cells, frame.y.cells
        self.characters = [[" "] * self.columns for _ in range(self.rows)]
        self.styles = [[PLAIN] * self.columns for _ in range(self.rows)]

    def put(self, column: int, row: int, character: str, fg: RGB | None, bold: bool = False, dim: bool = False) -> None:
        """Draw one narrow character over whatever is there, keeping the background; dim where there is no colour."""
        if 0 <= column < self.columns and 0 <= row < self.rows:
            bg = self.styles[row][column].bg
            self.characters[row][column] = character
            self.styles[row][column] = _style(None if self.mono else fg, bg, bold, dim and self.mono)

    def write(self, column: int, row: int, text: str, fg: RGB | None) -> None:
        """Write text of narrow characters from `column` on."""
        for i, character in enumerate(text):
            self.put(column + i, row, character, fg)

    def render(self, row: int) -> Row:
        """Return one row of the canvas as spans."""
        return join(zip(self.characters[row], self.styles[row], strict=True))


def line_colour(line: Line, palette: Palette) -> RGB:
    """Return the colour of a curve as drawn."""
    return blend(line.colour, palette.background, FAINT_SHARE) if line.faint else line.colour


def draw_grid(canvas: Canvas) -> None:
    """Draw a line of thin dots at each tick of the y axis."""
    for row in canvas.frame.y_ticks:
        canvas.write(0, row, "┈" * canvas.columns, canvas.palette.grid)


def draw_bands(canvas: Canvas, bands: Sequence[Band]) -> None:
    """Shade the area of each band, two steps of resolution a cell; where bands overlap their colours mix."""
    if not bands:
        return
    ground = np.array(canvas.palette.background, dtype=np.float64)
    halves = np.broadcast_to(ground, (2 * canvas.rows, canvas.columns, 3)).copy()
    touched = np.zeros(halves.shape[:2], dtype=bool)
    for band in bands:
        inside = _band_cells(canvas, band)
        touched |= inside
        halves[inside] += BAND_SHARE * (np.array(band.colour, dtype=np.float64) - halves[inside])
    colours = np.rint(halves).astype(int)
    for row, column in np.argwhere(touched[0::2] | touched[1::2]).tolist():
        if canvas.mono:
            canvas.put(column, row, "░", None, dim=True)
            continue
        under: RGB = tuple(colours[2 * row, column].tolist())
        over: RGB = tuple(colours[2 * row + 1, column].tolist())
        if under == over:
            canvas.styles[row][column] = _style(None, under)
        else:
            canvas.characters[row][column] = "▄"
            canvas.styles[row][column] = _style(under, over)


def _band_cells(canvas: Canvas, band: Band) -> NDArray[np.bool_]:
    """Return which half cells (2 * rows, columns) a band covers; its edges are interpolated between its points."""
    x, y = canvas.frame.x, canvas.frame.y
    inside = np.zeros((2 * canvas.rows, canvas.columns), dtype=bool)
    at = x.share(band.x) * (2 * canvas.columns - 1) / 2  # in columns, as the curves are
    limits = np.clip(np.stack([y.share(band.low), y.share(band.high)]), -0.5, 1.5)
    good = np.isfinite(at) & np.isfinite(limits).all(axis=0)
    if not good.any():
        return inside
    order = np.argsort(at[good], kind="stable")
    at, limits = at[good][order], limits[:, good][:, order]
    centres = np.arange(canvas.columns) + 0.5
    reached = (centres >= np.floor(at[0])) & (centres <= np.floor(at[-1]) + 1)
    edges = [np.interp(centres, at, limit) * (4 * canvas.rows - 1) / 2 for limit in limits]  # in half cells
    low, high = np.minimum(*edges), np.maximum(*edges)
    half = np.arange(2 * canvas.rows)[:, None] + 0.5
    found: NDArray[np.bool_] = reached & (half >= np.floor(low)) & (half <= np.floor(high) + 1)
    return found


def draw_hline(canvas: Canvas, mark: HLine) -> None:
    """Draw a dashed line across, its name at the right end."""
    share = canvas.frame.y.share(mark.y)
    if not np.isfinite(share) or not 0 <= share <= 1:
        return
    row = int(canvas.frame.y.cell(mark.y))
    canvas.write(0, row, "╌" * canvas.columns, mark.colour)
    if mark.label:
        text = f" {shorten(printable(mark.label), max(canvas.columns - 4, 0))} "
        canvas.write(canvas.columns - len(text) - 1, row, text, mark.colour)


def draw_vmark(canvas: Canvas, mark: VMark) -> None:
    """Draw a dashed line from bottom to top, its name beside its top."""
    share = canvas.frame.x.share(mark.x)
    if not np.isfinite(share) or not 0 <= share <= 1:
        return
    column = int(canvas.frame.x.cell(mark.x))
    for row in range(canvas.rows):
        canvas.put(column, row, "┆", mark.colour)
    text = shorten(printable(mark.label), max(canvas.columns - 2, 0))
    start = column + 2 if column + 2 + len(text) <= canvas.columns else column - 1 - len(text)
    canvas.write(start, canvas.rows - 1, text, mark.colour)


def draw_dots(canvas: Canvas, dots: Dots) -> None:
    """Draw single points; those outside of y_range at the edge."""
    x, y = np.asarray(dots.x, dtype=np.float64), np.asarray(dots.y, dtype=np.float64)
    draw_marks(canvas, x, y, dots.colour, bad=True)
    shares = canvas.frame.y.share(y)
    shown = np.isfinite(x) & (shares >= 0) & (shares <= 1)
    glyph = printable(dots.glyph)[:1] or "●"
    for column, row in zip(canvas.frame.x.cell(x[shown]), canvas.frame.y.cell(y[shown]), strict=True):
        canvas.put(int(column), int(row), glyph, dots.colour)


def draw_marks(canvas: Canvas, x: NDArray[np.float64], y: NDArray[np.float64], colour: RGB, bad: bool) -> None:
    """Mark at the edges where values lie outside of y_range (▲ ▼) and, if `bad`, where they are NaN or infinite (✗).

    On a logarithmic axis zero and negative values lie below every range.
    """
    shares = canvas.frame.y.share(y)
    usable = np.isfinite(x)
    finite = np.isfinite(y)
    dot = 0.5 / max(4 * canvas.rows - 1, 1)  # what rounds into the canvas is not outside
    for mask, row, glyph, fg in (
        (usable & finite & (shares > 1 + dot), canvas.rows - 1, ABOVE, colour),
        (usable & finite & (shares < -dot), 0, BELOW, colour),
        (usable & ~finite & bad, 0, BAD_GLYPH, canvas.palette.bad),
    ):
        if mask.any():
            for column in np.unique(canvas.frame.x.cell(x[mask])).tolist():
                canvas.put(column, row, glyph, fg)


def legend(series: Sequence[Series], axes: Axes, width: int, palette: Palette, mono: bool) -> Row:
    """Return the row above the canvas: the name and unit of y, then each label in its own colour."""
    faint = Style(dim=True) if mono else Style(fg=palette.faint)
    pieces: list[tuple[str, Style]] = [(f" {printable(axes.y_label)} ", faint)] if axes.y_label else []
    lines = [s for s in series if isinstance(s, Line)]
    letter = dict(zip(map(id, lines), letters(lines), strict=True))
    for item in series:
        if not item.label or isinstance(item, HLine | VMark):
            continue
        if isinstance(item, Line):
            sign = letter[id(item)] if mono else "━" if item.bold else "─"
            colour, bold = line_colour(item, palette), item.bold
        else:
            sign, bold, colour = ("░" if mono else "█"), False, blend(item.colour, palette.background, BAND_SHARE)
            if isinstance(item, Dots):
                sign, colour = printable(item.glyph)[:1] or "●", item.colour
        style = Style(bold=bold) if mono else Style(fg=colour, bold=bold)
        text_style = style if not isinstance(item, Band) else faint
        pieces += [(" ", PLAIN), (sign + sign * (len(sign) and isinstance(item, Band)), style)]
        pieces.append((f" {printable(item.label)} ", text_style))
    return fit(join(pieces), width)

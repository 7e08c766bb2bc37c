"""The cells inside a chart's frame, and all that is drawn on them except the curves."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from rnnscope.charts.axes import Axes, Frame
from rnnscope.charts.palette import BAD_GLYPH, Palette, blend
from rnnscope.charts.series import Band, Dots, HLine, Line, Series, VMark, aligned, letters
from rnnscope.charts.spans import PLAIN, RGB, Row, Style, fit, join
from rnnscope.charts.text import cell_width, cells, printable, shorten

MONO_SHARE = 0.125  # without colour, a cell is shaded when a band covers at least so much of it
BAND_SHARE = 0.22  # how much of a band's colour is mixed into the background
FAINT_SHARE = 0.6  # how much of its colour a faint curve keeps
THROUGH_SHARE = 0.28  # how much of its colour a dashed line leaves on the ground of a cell that a curve takes from it
ABOVE, BELOW = "▲", "▼"


@lru_cache(maxsize=4096)
def _style(
    fg: RGB | None, bg: RGB | None = None, bold: bool = False, dim: bool = False, underline: bool = False
) -> Style:
    return Style(fg=fg, bg=bg, bold=bold, dim=dim, underline=underline)


class Canvas:
    """The cells inside the frame, row 0 at the bottom; what is put outside of them is not drawn."""

    def __init__(self, frame: Frame, palette: Palette, mono: bool) -> None:
        self.frame, self.palette, self.mono = frame, palette, mono
        self.columns, self.rows = frame.x.cells, frame.y.cells
        self.characters = [[" "] * self.columns for _ in range(self.rows)]
        self.styles = [[PLAIN] * self.columns for _ in range(self.rows)]
        self.grounds: dict[tuple[int, int], RGB] = {}  # (column, row) -> background, where a band lies
        self.dashed: dict[tuple[int, int], RGB] = {}  # (column, row) -> colour, where a dashed line runs
        self.named: set[tuple[int, int]] = set()  # (column, row) of the names of lines across

    def put(self, column: int, row: int, character: str, fg: RGB | None, bold: bool = False, dim: bool = False) -> None:
        """Draw one narrow character over whatever is there, keeping the background; dim where there is no colour."""
        if 0 <= column < self.columns and 0 <= row < self.rows:
            self.characters[row][column] = character
            if self.mono:
                self.styles[row][column] = _style(None, None, bold, dim)
            else:
                self.styles[row][column] = _style(fg, self.grounds.get((column, row)), bold)

    def put_over(self, column: int, row: int, character: str, fg: RGB, bold: bool = False, dim: bool = False) -> None:
        """Draw a piece of a curve so that a dashed line under it shows through: as ground, without colour as underline.

        A curve that hovers about its reference would hide it otherwise, just where the two are to be compared.
        """
        self.put(column, row, character, fg, bold, dim)
        under = self.dashed.get((column, row))
        if under is None:
            return
        if self.mono:
            self.styles[row][column] = _style(None, None, bold, dim, underline=True)
        else:
            ground = blend(under, self.grounds.get((column, row), self.palette.background), THROUGH_SHARE)
            self.styles[row][column] = _style(fg, ground, bold)

    def dash(self, column: int, row: int, character: str, colour: RGB) -> None:
        """Draw one dash of a line that is to show through curves."""
        self.put(column, row, character, colour, dim=True)
        self.dashed[column, row] = colour

    def write(self, column: int, row: int, text: str, fg: RGB | None, dim: bool = False) -> None:
        """Write text of narrow characters from `column` on."""
        for i, character in enumerate(text):
            self.put(column + i, row, character, fg, dim=dim)

    def name(self, column: int, row: int, text: str, fg: RGB) -> None:
        """Write the name of a line, which no other may cover."""
        self.write(column, row, text, fg)
        self.named.update((column + i, row) for i in range(len(text)))

    def render(self, row: int) -> Row:
        """Return one row of the canvas as spans."""
        return join(zip(self.characters[row], self.styles[row], strict=True))


def line_colour(line: Line, palette: Palette) -> RGB:
    """Return the colour of a curve as drawn."""
    return blend(line.colour, palette.background, FAINT_SHARE) if line.faint else line.colour


def draw_grid(canvas: Canvas) -> None:
    """Draw a line of thin dots at each tick of the y axis, broken where the edge of a band runs."""
    for row in canvas.frame.y_ticks:
        for column, character in enumerate(canvas.characters[row]):
            if character == " ":
                canvas.put(column, row, "┈", canvas.palette.grid, dim=True)


def draw_bands(canvas: Canvas, bands: Sequence[Band]) -> None:
    """Shade each band: a cell's background takes on its colour by how much of the cell it covers.

    So the edge of a band is soft, a band thinner than a cell is still seen, and colours mix where bands overlap.
    """
    if not bands:
        return
    covered = np.stack([_band_area(canvas, band).reshape(canvas.rows, 8, -1).mean(axis=1) for band in bands])
    for row, column in np.argwhere(covered.any(axis=0)).tolist():
        shares = covered[:, row, column].tolist()
        if canvas.mono:
            if max(shares) >= MONO_SHARE:
                canvas.put(column, row, "░", None, dim=True)
            continue
        colour = canvas.palette.background
        for band, share in zip(bands, shares, strict=True):
            if share:
                colour = blend(band.colour, colour, BAND_SHARE * share)
        canvas.grounds[column, row] = colour
        canvas.styles[row][column] = _style(None, colour)


def _band_area(canvas: Canvas, band: Band) -> NDArray[np.bool_]:
    """Return which eighths of cells (8 * rows, columns) a band covers, its edges interpolated between its points."""
    x, y = canvas.frame.x, canvas.frame.y
    inside = np.zeros((8 * canvas.rows, canvas.columns), dtype=bool)
    at, lows, highs = aligned(band.x, band.low, band.high)
    at = (0.5 + x.share(at) * (2 * canvas.columns - 1)) / 2  # in columns, as the curves are
    limits = np.stack([y.share(lows), y.share(highs)])
    good = ~np.isnan(limits).any(axis=0)
    if not good.any():
        return inside
    at, limits = at[good], np.clip(limits[:, good], -1.0, 2.0)
    centres = np.arange(canvas.columns) + 0.5
    reached = (centres >= np.floor(at[0])) & (centres <= np.floor(at[-1]) + 1)
    edges = [(0.5 + np.interp(centres, at, limit) * (4 * canvas.rows - 1)) * 2 for limit in limits]  # in eighths
    low, high = np.minimum(*edges), np.maximum(*edges)
    eighth = np.arange(8 * canvas.rows)[:, None] + 0.5
    found: NDArray[np.bool_] = reached & (eighth >= low - 0.5) & (eighth <= high + 0.5)
    return found


def draw_hline(canvas: Canvas, mark: HLine) -> None:
    """Draw a dashed line across."""
    row = _row_of(canvas, mark.y)
    if row is not None:
        for column in range(canvas.columns):
            canvas.dash(column, row, "╌", mark.colour)


def name_hlines(canvas: Canvas, marks: Sequence[HLine]) -> None:
    """Write the names of dashed lines; those of one colour that came to lie in the same row share a name."""
    together: dict[tuple[int, RGB], list[HLine]] = {}
    for mark in marks:
        row = _row_of(canvas, mark.y)
        if row is not None and mark.label:
            together.setdefault((row, mark.colour), []).append(mark)
    for (row, colour), found in together.items():
        _name_hline(canvas, row, colour, " · ".join(mark.label for mark in found))


def _name_hline(canvas: Canvas, row: int, colour: RGB, label: str) -> None:
    """Write the name of a dashed line on it as far right as no curve is in the way, else just above or under it.

    Where there is no such place it is written at the right end, over the curve, unless another name stands there.
    """
    text = f" {_narrow(shorten(label, max(canvas.columns - 4, 0)))} "
    for near in (row, row + 1, row - 1):
        start = _free(canvas, near).rfind("." * len(text), 0, max(canvas.columns - 1, 0))
        if start >= 0:
            canvas.name(start, near, text, colour)
            return
    start = max(canvas.columns - len(text) - 1, 0)
    if canvas.named.isdisjoint((column, row) for column in range(start, start + len(text))):
        canvas.name(start, row, text, colour)


def _free(canvas: Canvas, row: int, empty: str = " ┈╌") -> str:
    """Return a character for each cell of a row: "." where a name may be written, "#" where it would hide something."""
    if not 0 <= row < canvas.rows:
        return ""
    return "".join("." if character in empty else "#" for character in canvas.characters[row])


def _row_of(canvas: Canvas, y: float) -> int | None:
    """Return the row of a value, None where it is outside of the chart or no number."""
    share = float(canvas.frame.y.share(y))
    return int(canvas.frame.y.cell(y)) if 0 <= share <= 1 else None


def draw_vmark(canvas: Canvas, mark: VMark) -> None:
    """Draw a dashed line from bottom to top."""
    column = _column_of(canvas, mark.x)
    if column is not None:
        for row in range(canvas.rows):
            canvas.dash(column, row, "┆", mark.colour)


def name_vmark(canvas: Canvas, mark: VMark) -> None:
    """Write the name of an upright line beside it: at its top, or lower where something is in the way there."""
    column = _column_of(canvas, mark.x)
    if column is None or not mark.label:
        return
    text = _narrow(shorten(mark.label, max(canvas.columns - 2, 0)))
    start = column + 2 if column + 2 + len(text) <= canvas.columns else column - 1 - len(text)
    place = slice(max(start, 0), max(start, 0) + len(text))
    rows = range(canvas.rows - 1, canvas.rows // 2, -1)
    row = next((r for r in rows if "#" not in _free(canvas, r, " ┈╌┆")[place]), canvas.rows - 1)
    canvas.write(start, row, text, mark.colour)


def _column_of(canvas: Canvas, x: float) -> int | None:
    """Return the column of a value, None where it is outside of the chart or no number."""
    share = float(canvas.frame.x.share(x))
    return int(canvas.frame.x.cell(x)) if 0 <= share <= 1 else None


def _narrow(text: str) -> str:
    """Return text of which each character fills one cell, as everything on a canvas does."""
    return "".join(c if cell_width(c) == 1 else "?" for c in printable(text))


def draw_dots(canvas: Canvas, dots: Dots) -> None:
    """Draw single points; those outside of y_range at the edge."""
    x, y = aligned(dots.x, dots.y)
    draw_marks(canvas, x, y, dots.colour, bad=True)
    shares = canvas.frame.y.share(y), canvas.frame.x.share(x)
    shown = (shares[0] >= 0) & (shares[0] <= 1) & (shares[1] >= 0) & (shares[1] <= 1)
    for column, row in zip(canvas.frame.x.cell(x[shown]), canvas.frame.y.cell(y[shown]), strict=True):
        canvas.put_over(int(column), int(row), _glyph(dots), dots.colour)


def _glyph(dots: Dots) -> str:
    return _narrow(dots.glyph)[:1] or "●"


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
    """Return the row above the canvas: the name and unit of y, then each label in its own colour, as many as fit."""
    faint = Style(dim=True) if mono else Style(fg=palette.faint)
    pieces: list[tuple[str, Style]] = []
    left = width
    if axes.y_label:
        text = f" {shorten(printable(axes.y_label), width - 2)} "
        pieces.append((text, faint))
        left -= cells(text)
    lines = [s for s in series if isinstance(s, Line)]
    letter = dict(zip(map(id, lines), letters(lines), strict=True))
    for item in series:
        if not item.label or isinstance(item, HLine | VMark):
            continue
        text = f" {printable(item.label)} "
        if cells(text) + 1 > left:
            break
        left -= cells(text) + 2
        sign, style = _sign(item, letter.get(id(item), ""), palette, mono)
        pieces += [(" ", PLAIN), (sign, style), (text, faint if isinstance(item, Band) else style)]
    return fit(join(pieces), width)


def _sign(item: Line | Band | Dots, letter: str, palette: Palette, mono: bool) -> tuple[str, Style]:
    """Return the character that stands for a series in the legend, and its style."""
    if isinstance(item, Line):
        sign, colour, bold = letter or "─", line_colour(item, palette), item.bold
        sign = sign if mono else "━" if item.bold else "─"
    elif isinstance(item, Band):
        sign, colour, bold = "░" if mono else "█", blend(item.colour, palette.background, BAND_SHARE), False
    else:
        sign, colour, bold = _glyph(item), item.colour, False
    return sign, Style(bold=bold) if mono else Style(fg=colour, bold=bold)

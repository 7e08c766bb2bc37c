"""A matrix of values as coloured half blocks: two values a cell, on a scale fixed by the caller."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rnnscope.charts.palette import LEVELS, Palette, Ramp, ramp_colours, ramp_glyphs, ramp_levels
from rnnscope.charts.spans import PLAIN, Row, Span, Style, fit, fit_rows
from rnnscope.charts.text import cells, printable, shorten

_EMPTY = LEVELS + 1  # the level of a half cell that no value falls on
_CODE = _EMPTY + 1  # pairs of levels are coded as upper * _CODE + lower


def heat_map(
    values: ArrayLike,
    width: int,
    height: int,
    low: float,
    high: float,
    ramp: Ramp = "diverging",
    *,
    palette: Palette,
    mono: bool = False,
    row_labels: Sequence[str] = (),
    selected: int | None = None,
    half_blocks: bool = True,
    reduce: Literal["peak", "mean"] | None = None,
    nan_is_missing: bool = False,
) -> list[Row]:
    """Draw values (rows, columns), row 0 on top, in `height` rows of `width` cells; one column of values a cell.

    half_blocks puts two rows of values into each cell (never without colour, where a glyph shows one value).
    More rows or columns than fit are reduced by blocks: to the value of largest magnitude ("peak", the default of a
    diverging ramp, so that a single strong unit is not averaged away) or to the mean (the default of a sequential one).
    A block with a NaN or an infinity shows as bad. Fewer leave the rest empty: nothing is stretched, so that
    columns stay under the characters that they belong to. row_labels: one per row of values, shown at the left as
    far as there is a cell for each; `selected` marks the row of values with that index. nan_is_missing: where a value
    is NaN there is none, and nothing is drawn.
    """
    if width < 1 or height < 1:
        return fit_rows([], max(width, 0), max(height, 0))
    matrix = np.asarray(values, dtype=np.float64)
    matrix = matrix if matrix.ndim == 2 and matrix.size else np.empty((0, 0))
    per_cell = 1 if mono or not half_blocks else 2
    labels = _labels(row_labels, matrix.shape[0], selected, width)
    left = cells(labels[0]) if labels else 0
    how = reduce or ("peak" if ramp == "diverging" else "mean")
    row_edges = _edges(matrix.shape[0], height * per_cell)
    matrix = _reduce(_reduce(matrix, row_edges, 0, how), _edges(matrix.shape[1], width - left), 1, how)
    levels = ramp_levels(matrix, low, high)
    if nan_is_missing:
        levels[np.isnan(matrix)] = _EMPTY
    draw = _draw_glyphs if mono else _draw_halves if per_cell == 2 else _draw_whole
    rows = draw(levels, palette, ramp)
    if labels:
        firsts = range(0, len(rows) * per_cell, per_cell)
        names = [_label(labels, row_edges, first, per_cell, selected, palette, mono) for first in firsts]
        rows = [name + row for name, row in zip(names, rows, strict=True)]
    return fit_rows(rows, width, height)


def _labels(given: Sequence[str], count: int, selected: int | None, width: int) -> list[str]:
    """Return a label of equal width for each row of values; none where there is no room or nothing to say."""
    if not count or width < 12 or (not given and selected is None):
        return []
    texts = [shorten(printable(t), width // 3) for t in given[:count]]
    texts += [""] * (count - len(texts))
    size = max(map(cells, texts))
    return [" " * (size - cells(t)) + t + " " for t in texts]


def _label(
    labels: Sequence[str],
    edges: NDArray[np.int64],
    first: int,
    count: int,
    selected: int | None,
    palette: Palette,
    mono: bool,
) -> Row:
    """Return the label of the cell that shows the reduced rows first..first+count-1, marked if selected is there."""
    start, stop = edges[first], edges[min(first + count, len(edges) - 1)]
    if selected is not None and start <= selected < stop:
        style = Style(bold=True) if mono else Style(fg=palette.accent, bold=True)
        return (Span(labels[selected][:-1] + "▸", style),)
    return (Span(labels[start], Style(dim=True) if mono else Style(fg=palette.faint)),)


def _edges(count: int, room: int) -> NDArray[np.int64]:
    """Return where each of at most `room` blocks starts, and the end of the last."""
    blocks = min(count, max(room, 0))
    return np.arange(blocks + 1, dtype=np.int64) * count // max(blocks, 1)


def _reduce(values: NDArray[np.float64], edges: NDArray[np.int64], axis: int, how: str) -> NDArray[np.float64]:
    """Reduce blocks along one axis; a NaN stays a NaN, and infinity stays infinite (or NaN in a mean)."""
    blocks = len(edges) - 1
    if blocks == values.shape[axis]:
        return values
    if blocks <= 0:
        return values[:0] if axis == 0 else values[:, :0]
    starts = edges[:-1]
    with np.errstate(invalid="ignore", over="ignore"):
        if how == "mean":
            sums = np.add.reduceat(values, starts, axis=axis)
            sizes = np.diff(edges)
            mean: NDArray[np.float64] = sums / (sizes[:, None] if axis == 0 else sizes)
            return mean
        highest, lowest = np.maximum.reduceat(values, starts, axis=axis), np.minimum.reduceat(values, starts, axis=axis)
    return np.where(highest >= -lowest, highest, lowest)


@lru_cache(maxsize=16)
def _cell_styles(palette: Palette, ramp: Ramp) -> dict[int, tuple[str, Style, Span]]:
    """Return the cache that `_cell` fills: code of two levels -> character, style and the span of one such cell."""
    return {}


def _cell(code: int, palette: Palette, ramp: Ramp) -> tuple[str, Style, Span]:
    upper, lower = divmod(code, _CODE)
    colours = ramp_colours(palette, ramp)
    if upper == lower == _EMPTY:
        character, style = " ", PLAIN
    elif lower == _EMPTY:
        character, style = "▀", Style(fg=colours[upper])
    elif upper == _EMPTY:
        character, style = "▄", Style(fg=colours[lower])
    else:
        character, style = "▀", Style(fg=colours[upper], bg=colours[lower])
    return character, style, Span(character, style)


def _draw_halves(levels: NDArray[np.int64], palette: Palette, ramp: Ramp) -> list[Row]:
    """Draw two rows of levels in each row of cells, equal neighbours in one span."""
    if levels.shape[0] % 2:
        levels = np.vstack([levels, np.full((1, levels.shape[1]), _EMPTY)])
    return _draw_codes(levels[0::2] * _CODE + levels[1::2], palette, ramp)


def _draw_whole(levels: NDArray[np.int64], palette: Palette, ramp: Ramp) -> list[Row]:
    return _draw_codes(levels * _CODE + levels, palette, ramp)


def _draw_codes(codes: NDArray[np.int64], palette: Palette, ramp: Ramp) -> list[Row]:
    known = _cell_styles(palette, ramp)
    rows: list[Row] = []
    for line in codes:
        starts = np.flatnonzero(np.diff(line, prepend=-1))
        lengths = np.diff(starts, append=len(line)).tolist()
        spans: list[Span] = []
        for code, length in zip(line[starts].tolist(), lengths, strict=True):
            found = known.get(code)
            if found is None:
                found = known[code] = _cell(code, palette, ramp)
            spans.append(found[2] if length == 1 else Span(found[0] * length, found[1]))
        rows.append(tuple(spans))
    return rows


def _draw_glyphs(levels: NDArray[np.int64], palette: Palette, ramp: Ramp) -> list[Row]:
    glyphs = (*ramp_glyphs(ramp), " ")  # the last one where there is no value
    return [(Span("".join(glyphs[level] for level in line)),) for line in levels.tolist()]


def legend(
    low: float,
    high: float,
    width: int,
    ramp: Ramp = "diverging",
    *,
    palette: Palette,
    mono: bool = False,
    label: str = "",
) -> Row:
    """Return a colour bar with the numbers at its ends, `label` before it, in exactly `width` cells."""
    faint = Style(dim=True) if mono else Style(fg=palette.faint)
    ends = [f"{v:+.3g}" if ramp == "diverging" and v else f"{v:.3g}" for v in (low, high)]
    label = f"{printable(label)} " if label else ""
    room = width - sum(map(len, ends)) - 2
    label = shorten(label, max(room - 6, 0))
    bar = max(min(room - cells(label), 24), 0)
    levels = np.rint(np.linspace(0, LEVELS - 1, 2 * bar)).astype(int)
    if mono:
        glyphs = ramp_glyphs(ramp)
        middle: Row = (Span("".join(glyphs[i] for i in levels[::2])),)
    else:
        table = ramp_colours(palette, ramp)
        pairs = zip(levels[0::2].tolist(), levels[1::2].tolist(), strict=True)
        middle = tuple(Span("▌", Style(fg=table[a], bg=table[b])) for a, b in pairs)
    return fit((Span(f"{label}{ends[0]} ", faint), *middle, Span(f" {ends[1]}", faint)), width)

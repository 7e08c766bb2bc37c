"""Text whose every character is coloured by a value: what a unit does while the model reads and writes it."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike

from rnnscope.charts.heatmap import legend
from rnnscope.charts.palette import LEVELS, Palette, Ramp, blend, ramp_colours, ramp_levels, readable_on
from rnnscope.charts.spans import PLAIN, Row, Style, fit, fit_rows, join
from rnnscope.charts.text import NEWLINE_MARK, Placed, wrap

_MISSING = LEVELS + 1  # the level of a character that has no value; LEVELS is the bad one


def visible_lines(text: str, width: int, height: int, tail: bool = True) -> list[list[Placed]]:
    """Return the wrapped lines that fit, the newest if `tail`; with them a click is traced to its character."""
    area = max(width * height, 1)
    start = max(len(text) - 3 * area, 0) // area * area if tail else 0  # no need to wrap what cannot be seen
    stop = len(text) if tail else 2 * area
    lines = [[Placed(p.at + start, p.shown, p.cells) for p in line] for line in wrap(text[start:stop], width)]
    return lines[-height:] if tail else lines[:height]


def coloured_text(
    text: str,
    values: ArrayLike,
    width: int,
    height: int,
    low: float,
    high: float,
    ramp: Ramp = "diverging",
    *,
    palette: Palette,
    mono: bool = False,
    cursor: int | None = None,
    tail: bool = True,
    nan_is_missing: bool = False,
    span: tuple[int, int] | None = None,
) -> list[Row]:
    """Draw `text` in `height` rows of `width` cells, the background of character i coloured by values[i].

    values (N,) on the fixed scale low..high; characters beyond N have no value and stay plain, as do those whose
    value is NaN if `nan_is_missing` (else they show as bad, as infinities always do). tail: of a text that does not
    fit the newest lines are shown, else the first. cursor: index of a character to mark; len(text) marks the end.
    span: characters from the first up to the second are underlined (without colour its two ends are marked instead).
    Without colour: diverging, from negative to positive, underlined and reversed, underlined, plain, bold, bold and
    reversed; sequential, from low to high, dim, plain, bold, bold and reversed.
    """
    if width < 1 or height < 1:
        return fit_rows([], max(width, 0), max(height, 0))
    if cursor == len(text):
        text += " "  # a cell for it, after all that has a value
    levels = value_levels(values, len(text), low, high, nan_is_missing)
    styles, marks = level_styles(palette, ramp, mono)
    rows: list[Row] = []
    for line in visible_lines(text, width, height, tail):
        pieces: list[tuple[str, Style]] = []
        for index, shown, size in line:
            style = (marks if shown == NEWLINE_MARK else styles)[levels[index]]
            if index == cursor:
                style = cursor_style(palette, mono)
            elif span is not None and span[0] <= index < span[1]:
                style = _spanned(style, index in (span[0], span[1] - 1), palette, mono)
            if size == 0 and pieces:  # a combining character belongs to the cell before it
                pieces[-1] = (pieces[-1][0] + shown, pieces[-1][1])
            else:
                pieces.append((shown, style))
        rows.append(join(pieces))
    return fit_rows(rows, width, height)


def text_legend(
    low: float, high: float, width: int, ramp: Ramp = "diverging", *, palette: Palette, mono: bool = False, label: str
) -> Row:  # fmt: skip
    """Return in exactly `width` cells what the colours of a text mean: a bar, without colour a sample of each style.

    A sample is the upper end of the values that look like it.
    """
    if not mono:
        return legend(low, high, width, ramp, palette=palette, label=label)
    levels = _mono_styles(ramp)[:LEVELS]
    firsts = [i for i in range(LEVELS) if i == LEVELS - 1 or levels[i + 1] != levels[i]]
    samples = [(f"≤{low + (high - low) * (i + 0.5) / (LEVELS - 1):.2g}", levels[i]) for i in firsts[:-1]]
    samples.append(("more", levels[-1]))
    pieces = [(f"{label}: " if width > 40 else f"{label.split(',')[0].split()[-1]}: ", PLAIN)]
    for text, style in samples:
        pieces += [(text, style), (" ", PLAIN)]
    return fit(join(pieces), width)


def value_levels(values: ArrayLike, count: int, low: float, high: float, nan_is_missing: bool) -> list[int]:
    """Return for each of `count` characters which style of `level_styles` is its own."""
    given = np.atleast_1d(np.asarray(values, dtype=np.float64))[:count]
    levels = np.full(count, _MISSING)
    levels[: len(given)] = ramp_levels(given, low, high)
    if nan_is_missing:
        levels[: len(given)][np.isnan(given)] = _MISSING
    found: list[int] = levels.tolist()
    return found


def level_styles(palette: Palette, ramp: Ramp, mono: bool) -> tuple[tuple[Style, ...], tuple[Style, ...]]:
    """Return the styles of characters by level, and of marks of what is not really there (↵)."""
    if mono:
        return _mono_styles(ramp), _mono_styles(ramp)
    return _styles(palette, ramp, False), _styles(palette, ramp, True)


@lru_cache(maxsize=16)
def _styles(palette: Palette, ramp: Ramp, mark: bool) -> tuple[Style, ...]:
    """Return the style of each level; a mark of what is not really there (↵) stands back."""
    styles = []
    for background in ramp_colours(palette, ramp):
        front = readable_on(background)
        styles.append(Style(fg=blend(front, background, 0.45) if mark else front, bg=background))
    return (*styles, Style(fg=palette.faint) if mark else PLAIN)


@lru_cache(maxsize=2)
def _mono_styles(ramp: Ramp) -> tuple[Style, ...]:
    """Return the attributes that stand for each level without colour."""
    steps: tuple[Style, ...] = (Style(dim=True), PLAIN, Style(bold=True), Style(bold=True, reverse=True))
    if ramp == "diverging":
        negative = (Style(underline=True, reverse=True), Style(underline=True))
        steps = (*negative, PLAIN, Style(bold=True), Style(bold=True, reverse=True))
    scale = [steps[min(level * len(steps) // LEVELS, len(steps) - 1)] for level in range(LEVELS)]
    return (*scale, Style(reverse=True, underline=True, bold=True), PLAIN)


def _spanned(style: Style, end: bool, palette: Palette, mono: bool) -> Style:
    """Return the style of a character of the span; without colour an underline means something else already."""
    if mono:
        return cursor_style(palette, mono) if end else style
    return replace(style, underline=True, bold=True)


def cursor_style(palette: Palette, mono: bool) -> Style:
    """Return the style of the one character that is marked."""
    if mono:
        return Style(reverse=True, bold=True, underline=True)
    return Style(fg=readable_on(palette.accent), bg=palette.accent, bold=True)

"""What can be drawn on a pair of axes: curves, bands, dots and marks, as plain data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rnnscope.charts.spans import RGB


@dataclass(frozen=True, eq=False)
class Line:
    """A curve through (x, y), both (N,); NaN is a gap. What is NaN or infinite gets a ✗ if mark_bad."""

    x: ArrayLike
    y: ArrayLike
    colour: RGB
    label: str = ""
    bold: bool = False
    faint: bool = False
    mark_bad: bool = True


@dataclass(frozen=True, eq=False)
class Band:
    """A shaded area between low and high, each (N,) over x."""

    x: ArrayLike
    low: ArrayLike
    high: ArrayLike
    colour: RGB
    label: str = ""


@dataclass(frozen=True, eq=False)
class Dots:
    """Single points (x, y), both (N,), each one narrow character."""

    x: ArrayLike
    y: ArrayLike
    colour: RGB
    label: str = ""
    glyph: str = "●"


@dataclass(frozen=True)
class HLine:
    """A dashed line across the chart at y, named at its right end (together with others of its colour and row)."""

    y: float
    colour: RGB
    label: str = ""


@dataclass(frozen=True)
class VMark:
    """A dashed line from bottom to top at x, named at its top."""

    x: float
    colour: RGB
    label: str = ""


Series: TypeAlias = Line | Band | Dots | HLine | VMark


def aligned(*columns: ArrayLike) -> list[NDArray[np.float64]]:
    """Return flat float64 arrays, cut to the length of the shortest, by ascending first one; without points whose
    first one (x) is no number.
    """
    arrays = [np.asarray(column, dtype=np.float64).ravel() for column in columns]
    count = min(map(len, arrays))
    arrays = [array[:count] for array in arrays]
    finite = np.isfinite(arrays[0])
    if not finite.all():
        arrays = [array[finite] for array in arrays]
    if (np.diff(arrays[0]) < 0).any():
        order = np.argsort(arrays[0], kind="stable")
        arrays = [array[order] for array in arrays]
    return arrays


def letters(series: Sequence[Line]) -> list[str]:
    """Return the letters that tell curves apart without colour, "" for those without a label."""
    names = iter("abcdefghijklmnopqrstuvwxyz")
    return [next(names, "") if line.label else "" for line in series]

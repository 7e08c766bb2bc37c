"""Axes: the fixed scale of a chart, its ticks, and the frame drawn around the canvas."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rnnscope.charts.palette import Palette
from rnnscope.charts.spans import Row, Span, Style
from rnnscope.charts.text import cells, crop, printable, shorten

Range = tuple[float, float]

_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class Axes:
    """The scale of a chart, fixed by the caller: nothing drawn on it ever changes it.

    log_y, log_x: the range and all values are linear numbers, drawn on a logarithmic scale; a range that does not
    start above zero then starts six decades under its end. Ticks left None are chosen by `nice_ticks` and `log_ticks`.
    """

    x_label: str = ""
    y_label: str = ""
    x_range: Range = (0.0, 1.0)
    y_range: Range = (0.0, 1.0)
    log_y: bool = False
    log_x: bool = False
    x_integer: bool = False
    y_integer: bool = False
    x_ticks: Sequence[float] | None = None
    y_ticks: Sequence[float] | None = None


def nice_ticks(low: float, high: float, count: int, *, integer: bool = False) -> list[float]:
    """Return at most `count` multiples of 1, 2, 2.5 or 5 times a power of ten inside low..high, ascending."""
    if not 1e-300 < high - low < 1e301 or count < 1:
        return []
    magnitude = 10.0 ** math.floor(math.log10((high - low) / count))
    for factor in (1.0, 2.0, 2.5, 5.0, 10.0, 20.0, 25.0, 50.0, 100.0):
        step = factor * magnitude
        if integer and (step < 1.0 or step != round(step)):
            continue
        slack = 1e-9 * (high - low) / step
        first, last = math.ceil(low / step - slack), math.floor(high / step + slack)
        if last - first + 1 <= count:
            return [i * step for i in range(first, last + 1)]
    return []


def log_ticks(low: float, high: float, count: int) -> list[float]:
    """Return at most about `count` powers of ten inside low..high, with 2 and 5 between them where few fit."""
    if not (1e-305 < low < high and math.isfinite(high)) or count < 1:
        return []
    first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    decades = last - first + 1
    if decades >= 3 or decades > count:
        stride = next(s for s in (1, 2, 3, 5, 10, 20, 50, 100, 200, 500, 1000) if decades / s <= max(count, 1))
        return [10.0**e for e in range(first, last + 1) if e % stride == 0]
    for steps in ((1, 2, 3, 5), (1, 2, 5), (1, 3), (1,)):
        fine = [s * 10.0**e for e in range(first - 1, last + 1) for s in steps if low <= s * 10.0**e <= high]
        if 2 <= len(fine) <= count:
            return fine
    return nice_ticks(low, high, count)


def tick_labels(ticks: Sequence[float]) -> list[str]:
    """Write ticks with as few, equally many, decimals as tell them apart; thousands as 1,000, then 20k, 3M."""
    if not ticks:
        return []
    largest = max(abs(t) for t in ticks)
    gaps = [abs(b - a) for a, b in pairwise(ticks)] or [largest or 1.0]
    gap = min(g for g in gaps) or 1.0
    if largest >= 1e9 or 0 < largest < 1e-3:
        written = [["0" if t == 0 else _scientific(t, digits) for t in ticks] for digits in range(1, 6)]
        return next((labels for labels in written if len(set(labels)) == len(set(ticks))), written[-1])
    for size, unit in ((1e6, "M"), (1e3, "k")):
        if largest >= 10 * size and all(abs(t / size * 10 - round(t / size * 10)) < 1e-6 for t in ticks):
            return ["0" if t == 0 else f"{t / size:.1f}".removesuffix(".0") + unit for t in ticks]
    decimals = next((d for d in range(8) if all(abs(t - round(t, d)) < 1e-2 * gap for t in ticks)), 8)
    return [f"{t + 0.0:,.{decimals}f}" for t in ticks]


def _scientific(value: float, digits: int) -> str:
    mantissa, exponent = f"{value:.{digits}e}".split("e")
    return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"


def power_labels(ticks: Sequence[float]) -> list[str]:
    """Write ticks of a logarithmic axis: 10⁻⁶ where some are far from 1, else plain numbers (0.01, 20)."""
    if ticks and min(ticks) >= 1e-3 and max(ticks) < 1e5:
        return [f"{t:,.0f}" if t >= 1 and t == round(t) else f"{t:.6f}".rstrip("0") for t in ticks]
    labels = []
    for tick in ticks:
        exponent = math.floor(math.log10(tick) + 1e-9)
        mantissa = round(tick / 10.0**exponent)
        power = "10" + str(exponent).translate(_SUPERSCRIPT)
        labels.append(power if mantissa == 1 else f"{mantissa}·{power}")
    return labels


@dataclass(frozen=True)
class Scale:
    """One direction of the canvas: values low..high (log10 of them where `log`) over `cells` cells of `dots` dots."""

    low: float
    high: float
    log: bool
    cells: int
    dots: int  # dots of a braille character in this direction

    def share(self, values: ArrayLike) -> NDArray[np.float64]:
        """Return where values lie, 0 at low and 1 at high; -inf where a logarithm has no value, NaN stays NaN."""
        array = np.asarray(values, dtype=np.float64)
        if self.log:
            with np.errstate(divide="ignore", invalid="ignore"):
                array = np.where(array <= 0, -np.inf, np.log10(array))
        with np.errstate(invalid="ignore", over="ignore", under="ignore"):
            result: NDArray[np.float64] = (array - self.low) / (self.high - self.low)
        return result

    def cell(self, values: ArrayLike) -> NDArray[np.int64]:
        """Return the cell of each value (which must be finite), counted from the low end; outside is outside."""
        share = np.clip(self.share(values), -1e3, 1e3)  # far outside is outside, and no overflow
        dot = np.floor(np.round(0.5 + (self.cells * self.dots - 1) * share, 8))
        found: NDArray[np.int64] = (dot // self.dots).astype(np.int64)
        return found


def make_scale(wanted: Range, log: bool, count: int, dots: int) -> Scale:
    """Return the Scale of a range, mending one that is empty, reversed or not finite so that drawing cannot fail."""
    low, high = (min(max(float(v), -1e300), 1e300) if math.isfinite(v) else 0.0 for v in wanted)
    if log:
        high = high if high > 0 else 1.0
        high = max(high, 1e-290)
        low = max(low, 1e-300) if low > 0 else high * 1e-6
        low, high = math.log10(low), math.log10(high)
    if high < low:
        low, high = high, low
    if high - low <= abs(low) * 1e-12 or high == low:
        pad = 0.5 if log else max(abs(low), 1.0) * 0.5
        low, high = low - pad, high + pad
    return Scale(low, high, log, count, dots)


@dataclass(frozen=True)
class Frame:
    """Where the canvas lies inside a chart, its scales, and the ticks with their labels."""

    width: int
    height: int
    left: int  # cells left of the canvas: labels and axis
    header: int  # rows above the canvas
    footer: int  # rows under it: 0 none, 1 axis with the labels in it, 2 axis and labels
    x: Scale
    y: Scale
    x_ticks: dict[int, str]  # canvas column -> label
    y_ticks: dict[int, str]  # canvas row from the bottom -> label


def make_frame(axes: Axes, width: int, height: int, header: bool) -> Frame:
    """Lay out a chart of width x height cells; what does not fit is left out: header, then labels, then axes."""
    footer = 2 if height >= 11 else 1 if height >= 4 else 0
    top = 1 if header and height >= 5 else 0
    rows = max(height - footer - top, 0)
    y = make_scale(axes.y_range, axes.log_y, rows, 4)
    y_ticks = _y_ticks(axes, y)
    label = max((cells(t) for t in y_ticks.values()), default=0)
    left = label + 1 if width >= label + 10 and footer else 0
    columns = max(width - left, 0)
    x = make_scale(axes.x_range, axes.log_x, columns, 2)
    return Frame(width, height, left, top, footer, x, y, _x_ticks(axes, x), y_ticks if left else {})


def _y_ticks(axes: Axes, scale: Scale) -> dict[int, str]:
    if scale.cells < 2:
        return {}
    count = max(2, min(scale.cells // 2, 10))  # a label in every second row at most
    low, high = (10.0**scale.low, 10.0**scale.high) if scale.log else (scale.low, scale.high)
    ticks = (
        list(axes.y_ticks)
        if axes.y_ticks is not None
        else (log_ticks(low, high, count) if scale.log else nice_ticks(low, high, count, integer=axes.y_integer))
    )
    ticks = [t for t in ticks if math.isfinite(t) and (t > 0 or not scale.log)]
    return _place(scale, ticks, power_labels(ticks) if scale.log else tick_labels(ticks))


def _x_ticks(axes: Axes, scale: Scale) -> dict[int, str]:
    if scale.cells < 6:
        return {}
    count = max(2, min(scale.cells // 10, 12))
    if axes.x_ticks is not None:
        ticks = list(axes.x_ticks)
    elif scale.log:
        ticks = log_ticks(10.0**scale.low, 10.0**scale.high, count)
    else:
        ticks = nice_ticks(scale.low, scale.high, count, integer=axes.x_integer)
    ticks = [t for t in ticks if math.isfinite(t) and (t > 0 or not scale.log)]
    return _place(scale, ticks, power_labels(ticks) if scale.log else tick_labels(ticks))


def _place(scale: Scale, ticks: Sequence[float], labels: Sequence[str]) -> dict[int, str]:
    if not ticks:
        return {}
    places = scale.cell(np.asarray(ticks))
    return {int(p): t for p, t in zip(places, labels, strict=True) if 0 <= p < scale.cells}


def draw_left(frame: Frame, row: int, palette: Palette, mono: bool) -> Row:
    """Return the part left of canvas row `row` (from the bottom): label and axis."""
    if not frame.left:
        return ()
    label = frame.y_ticks.get(row)
    text = f"{label or '':>{frame.left - 1}}" + ("┤" if label is not None else "│")
    return (Span(text, _faint(palette, mono)),)


def draw_footer(frame: Frame, axes: Axes, palette: Palette, mono: bool) -> list[Row]:
    """Return the rows under the canvas: the x axis with its ticks, labels and name."""
    if not frame.footer:
        return []
    style = _faint(palette, mono)
    name = shorten(printable(axes.x_label), max(frame.x.cells - 8, 0))
    corner = " " * (frame.left - 1) + "└" if frame.left else ""
    if frame.footer == 1:  # labels inside the axis
        pieces = _x_labels(frame, name, " ", frame.left)
        return [(Span(corner + _line(pieces, "─", frame.left, frame.width), style),)]
    axis = corner + "".join("┬" if column in frame.x_ticks else "─" for column in range(frame.x.cells))
    numbers = _x_labels(frame, "", "", 0)
    if name:  # on the axis itself, so that it hides no number
        name = f" {name} "
        axis = crop(axis, frame.width - cells(name) - 1) + name + "─"
    return [(Span(axis, style),), (Span(_line(numbers, " ", 0, frame.width), style),)]


def _x_labels(frame: Frame, name: str, pad: str, first: int) -> list[tuple[int, str]]:
    """Place the x labels under their ticks and the name of the axis between or after them: (cell, text), ascending.

    Labels that would collide are left out. pad: put around each text; first: the first cell that may be used.
    """
    apart = 1 - len(pad)
    placed: list[tuple[int, str]] = []
    end = first
    for column, label in sorted(frame.x_ticks.items()):
        text = pad + label + pad
        start = max(min(frame.left + column - len(text) // 2, frame.width - len(text)), first)
        if start >= end:
            placed.append((start, text))
            end = start + len(text) + apart
    return _place_name(placed, f" {name} " if name else "", frame.width, first)


def _place_name(placed: list[tuple[int, str]], name: str, width: int, first: int) -> list[tuple[int, str]]:
    """Add the name of the axis in the last gap that holds it, or else in the place of the last labels."""
    size = cells(name)
    if not name or size > width - first:
        return placed
    ends = [first, *(start + len(text) for start, text in placed)]
    starts = [*(start for start, _ in placed), width]
    for i in (len(placed), len(placed) - 1):
        if i >= 0 and starts[i] - ends[i] >= size + 1:
            start = width - size if i == len(placed) else (starts[i] + ends[i] - size + 1) // 2
            return [*placed[:i], (start, name), *placed[i:]]
    kept = [piece for piece in placed if piece[0] + len(piece[1]) <= width - size]
    return [*kept, (width - size, name)]


def _line(pieces: list[tuple[int, str]], filler: str, first: int, width: int) -> str:
    """Write placed pieces into a line from cell `first` to `width`, filler between them."""
    out, at = "", first
    for start, text in pieces:
        out += filler * (start - at) + text
        at = start + cells(text)
    return crop(out + filler * (width - at), width - first)


def _faint(palette: Palette, mono: bool) -> Style:
    return Style(dim=True) if mono else Style(fg=palette.faint)

"""How units are drawn, wherever they are: their names and fixed scales, and many of them above the same characters."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rnnscope.charts.heatmap import heat_map, legend
from rnnscope.charts.palette import Ramp
from rnnscope.charts.spans import Row, Span, Style, fit, join, overwrite
from rnnscope.charts.text import cell_width, printable
from rnnscope.recording.events import Floats
from rnnscope.tui.captions import longest
from rnnscope.tui.look import Look
from rnnscope.tui.view import UnitView

GATES_0_1 = frozenset({"i", "f", "o", "r", "z"})
NAMES = {
    "h": "h output", "c": "c cell", "i": "i input gate", "f": "f forget gate", "g": "g candidate", "o": "o output gate",
    "r": "r reset gate", "z": "z update gate", "n": "n candidate",
}  # fmt: skip
BAR = 36  # cells of a colour bar, with the numbers at its ends


def scale(field: str) -> tuple[float, float, Ramp]:
    """Return the fixed scale on which a field is coloured: 0 to 1 for sigmoid gates, -1 to 1 for everything else."""
    return (0.0, 1.0, "sequential") if field in GATES_0_1 else (-1.0, 1.0, "diverging")


def unit_words(chosen: UnitView, layers: int, room: int) -> str:
    """Return what is shown of which unit, in at most `room` cells."""
    layer, field, unit = chosen.layer + 1, chosen.field, chosen.unit
    return longest(
        room,
        f"layer {layer}/{layers} · {NAMES.get(field, field)} · unit {unit}",
        f"layer {layer} · {NAMES.get(field, field)} · unit {unit}",
        f"L{layer} · {NAMES.get(field, field)} · unit {unit}",
        f"layer {layer} · {field} · unit {unit}",
        f"L{layer} {field} unit {unit}",
        f"L{layer} {field} {unit}",
    )


def window(text: str, width: int) -> list[int]:
    """Return, for each of at most `width` cells, the index of the character in it: the end of the text."""
    columns: list[int] = []
    for index in range(len(text) - 1, -1, -1):
        size = cell_width(text[index])
        if len(columns) + size > width:
            break
        columns[:0] = [index] * size
    return columns


def window_at(text: str, width: int, at: int) -> list[int]:
    """Return the same of a part of the text in which character `at` is; it moves by halves, so that it stands still."""
    half = max(width // 2, 1)
    columns = window(text[: half * (at // half + 2)], width)
    return columns if at in columns else window(text[: at + 1], width)


def ruler(text: str, columns: list[int]) -> Row:
    """Return the characters of `columns` in one row, so that each stands above its column of the map."""
    first, last = columns[0], columns[-1]
    return join([(printable(text[first : last + 1]), Style(bold=True))])


def unit_map(
    text: str,
    columns: list[int],
    values: NDArray[np.floating],
    numbers: Sequence[int],
    selected: int,
    field: str,
    width: int,
    height: int,
    look: Look,
    *,
    label: int,
    cursor: int | None = None,
) -> list[Row]:
    """Draw units over characters: the characters of `columns`, and under each what the units did at it.

    values (U, len(columns)) of the units `numbers` (U,), of which `selected` is marked. height: rows of the map; the
    ruler is one more. label: cells at the left for the numbers. cursor: character to mark in the ruler.
    """
    low, high, ramp = scale(field)
    above = ruler(text, columns)
    if cursor is not None and cursor in columns:
        above = _marked(above, columns.index(cursor), text[cursor], look)
    names = [str(unit) for unit in numbers]
    names[0] = names[0].rjust(label - 1)
    drawn = heat_map(
        values, width, height, low, high, ramp, palette=look.palette, mono=look.mono, row_labels=names,
        selected=list(numbers).index(selected) if selected in numbers else None,
    )  # fmt: skip
    return [fit((Span(" " * label), *above), width), *drawn]


def _marked(row: Row, column: int, character: str, look: Look) -> Row:
    style = Style(reverse=True, bold=True)
    if not look.mono:
        style = Style(fg=look.palette.background, bg=look.palette.accent, bold=True)
    return overwrite(row, column, printable(character), style)


def unit_legend(values: Floats, field: str, width: int, look: Look) -> Row:
    """Return the fixed scale of a field as a colour bar, and the range that `values` really have."""
    low, high, ramp = scale(field)
    finite = values[np.isfinite(values)]
    seen = f"  seen {finite.min():+.2f} … {finite.max():+.2f}" if len(finite) else "  no finite value"
    bar = min(width - len(seen), BAR) if width > 50 else min(width, BAR)
    row = legend(low, high, bar, ramp, palette=look.palette, mono=look.mono, label=f"{field} =")
    return fit((*row, Span(seen, Style(fg=look.palette.faint))) if width > 50 else row, width)

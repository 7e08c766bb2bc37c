"""The one place where rows of `charts/` become what textual draws."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from rich.color import Color
from rich.segment import Segment
from rich.style import Style as RichStyle
from textual.strip import Strip

from rnnscope.charts.palette import Palette
from rnnscope.charts.spans import RGB, Row, Style, fit


@lru_cache(maxsize=4096)
def _colour(rgb: RGB) -> Color:
    return Color.from_rgb(*rgb)


@lru_cache(maxsize=8192)
def rich_style(style: Style, palette: Palette) -> RichStyle:
    """Return `style` for textual; where it leaves a colour open, the palette's own (never the terminal's)."""
    return RichStyle(
        color=_colour(style.fg or palette.foreground),
        bgcolor=_colour(style.bg or palette.background),
        bold=style.bold,
        dim=style.dim,
        reverse=style.reverse,
        underline=style.underline,
    )


def to_strip(row: Row, width: int, palette: Palette) -> Strip:
    """Return `row` as a Strip of exactly `width` cells."""
    return Strip([Segment(span.text, rich_style(span.style, palette)) for span in fit(row, width)], width)


def to_strips(rows: Sequence[Row], width: int, height: int, palette: Palette) -> list[Strip]:
    """Return exactly `height` strips of `width` cells, blank ones below the rows given."""
    strips = [to_strip(row, width, palette) for row in rows[:height]]
    return strips + [to_strip((), width, palette)] * (height - len(strips))

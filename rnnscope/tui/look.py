"""How things look: textual's themes made from the palettes of `charts/`, and what a panel needs to know of them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from textual.theme import Theme

from rnnscope.charts.palette import DARK, LIGHT, Palette
from rnnscope.charts.spans import RGB

PALETTES: dict[str, Palette] = {"rnnscope-dark": DARK, "rnnscope-light": LIGHT}
"""Palette of each theme, by the theme's name; the light one is for projectors."""


@dataclass(frozen=True)
class Look:
    """Colours, and whether glyphs have to speak instead of them (NO_COLOR, or a terminal of 16 colours)."""

    palette: Palette = DARK
    mono: bool = False


def look_of(name: str, mono: bool) -> Look:
    """Return the look of a theme; with few colours the lesser ones (curves, warnings) become plain text."""
    palette = PALETTES.get(name, DARK)
    if mono:
        plain = palette.foreground
        palette = replace(palette, lines=(plain,) * len(palette.lines), warn=plain)
    return Look(palette, mono)


def _hex(rgb: RGB) -> str:
    return "#{:02x}{:02x}{:02x}".format(*rgb)


def theme(name: str) -> Theme:
    """Return the textual theme of a palette, for dialogs, the command palette and toasts."""
    palette = PALETTES[name]
    return Theme(
        name=name,
        primary=_hex(palette.lines[0]),
        secondary=_hex(palette.lines[1]),
        accent=_hex(palette.accent),
        warning=_hex(palette.warn),
        error=_hex(palette.bad),
        success=_hex(palette.good),
        foreground=_hex(palette.foreground),
        background=_hex(palette.background),
        surface=_hex(palette.background),
        panel=_hex(palette.grid),
        dark=palette is not LIGHT,
    )

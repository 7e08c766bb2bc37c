"""Colours and, for screens without them, glyphs: which value looks like what.

Line colours are those of Okabe and Ito (2008, "Color Universal Design"), told apart by people with any common form
of colour blindness, lightened or darkened for contrast on each background. The ramps are interpolated from a few
anchors: the sequential one follows viridis (Smith and van der Walt 2015), the diverging one runs from blue over the
background itself to orange. Colours are 24-bit; the terminal layer downgrades them to 256 or 16.
Without colour (`mono=True` in the charts) the glyph ramps below speak instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rnnscope.charts.spans import RGB

Ramp: TypeAlias = Literal["diverging", "sequential"]

LEVELS = 65
"""Steps of a ramp: odd, so that the middle of a diverging ramp is one of them. `LEVELS` itself is the bad colour."""

# Magnitude without colour, faint to full; a diverging ramp takes the first for negative, the second for positive.
SEQUENTIAL_GLYPHS = " ·:-=+*#%@"
NEGATIVE_GLYPHS = " ,-=≡"
POSITIVE_GLYPHS = " '+*#"
BAD_GLYPH = "✗"
RISING = " ▁▂▃▄▅▆▇█"  # eighths of a cell from the bottom


@dataclass(frozen=True)
class Palette:
    """Colours for one background. `diverging` and `sequential` are anchors of ramps, low to high, equally spaced."""

    name: str
    background: RGB
    foreground: RGB
    faint: RGB  # frames, tick labels, raw curves
    grid: RGB  # grid lines, the empty part of a meter
    accent: RGB  # titles, what has the focus
    good: RGB
    warn: RGB
    bad: RGB  # NaN, infinity, divergence
    floor: RGB  # exact zeros and underflow
    lines: tuple[RGB, ...]
    diverging: tuple[RGB, ...]
    sequential: tuple[RGB, ...]


DARK = Palette(
    name="dark",
    background=(18, 18, 24),
    foreground=(220, 223, 228),
    faint=(124, 130, 142),
    grid=(44, 46, 56),
    accent=(240, 228, 66),
    good=(51, 190, 140),
    warn=(240, 175, 40),
    bad=(255, 85, 120),
    floor=(150, 110, 190),
    lines=(
        (86, 180, 233),
        (240, 165, 30),
        (40, 190, 140),
        (225, 140, 185),
        (240, 228, 66),
        (235, 110, 40),
        (90, 140, 240),
    ),
    diverging=(
        (70, 170, 255),
        (42, 112, 200),
        (28, 58, 104),
        (18, 18, 24),
        (108, 52, 18),
        (206, 96, 20),
        (255, 160, 60),
    ),
    sequential=(
        (40, 22, 62),
        (66, 52, 128),
        (48, 104, 142),
        (36, 146, 138),
        (78, 194, 104),
        (176, 220, 60),
        (253, 231, 60),
    ),
)

LIGHT = Palette(
    name="light",
    background=(252, 252, 250),
    foreground=(30, 32, 38),
    faint=(112, 116, 124),
    grid=(222, 222, 218),
    accent=(0, 92, 150),
    good=(0, 125, 90),
    warn=(160, 100, 0),
    bad=(200, 20, 70),
    floor=(120, 70, 160),
    lines=(
        (0, 105, 170),
        (190, 95, 0),
        (0, 125, 70),
        (170, 70, 125),
        (130, 115, 0),
        (175, 60, 0),
        (40, 60, 150),
    ),
    diverging=(
        (0, 82, 165),
        (72, 142, 214),
        (172, 206, 238),
        (252, 252, 250),
        (252, 208, 160),
        (236, 140, 50),
        (180, 76, 0),
    ),
    sequential=(
        (250, 244, 190),
        (196, 226, 122),
        (110, 198, 110),
        (46, 156, 130),
        (44, 112, 142),
        (60, 66, 132),
        (62, 20, 84),
    ),
)


def shares(values: ArrayLike, low: float, high: float) -> NDArray[np.float64]:
    """Return where values lie on a fixed scale, 0 at low to 1 at high, cut to it; NaN where NaN or infinite.

    On a scale that is empty or infinite all lie at 0.5.
    """
    array = np.asarray(values, dtype=np.float64)
    finite = np.isfinite(array)
    with np.errstate(invalid="ignore", over="ignore"):
        span = np.float64(high) - low
    if span == 0 or not np.isfinite(span):
        return np.where(finite, 0.5, np.nan)
    inside = np.clip(np.where(finite, array, low), min(low, high), max(low, high))
    return np.where(finite, (inside - low) / span, np.nan)


def ramp_levels(values: ArrayLike, low: float, high: float) -> NDArray[np.int64]:
    """Return the ramp level 0..LEVELS-1 of each value on a fixed scale, LEVELS where it is NaN or infinite.

    Values outside low..high take the end they lie beyond. An empty or infinite scale puts all at the middle.
    """
    share = shares(values, low, high)
    levels: NDArray[np.int64] = np.where(np.isnan(share), LEVELS, np.rint(share * (LEVELS - 1))).astype(np.int64)
    return levels


@lru_cache(maxsize=16)
def _table(palette: Palette, ramp: Ramp) -> NDArray[np.uint8]:
    """Return the LEVELS + 1 colours of a ramp as (LEVELS + 1, 3) bytes, the last one the bad colour."""
    anchors = np.array(palette.diverging if ramp == "diverging" else palette.sequential, dtype=np.float64)
    at = np.linspace(0.0, len(anchors) - 1, LEVELS)
    channels = [np.interp(at, np.arange(len(anchors)), anchors[:, i]) for i in range(3)]
    table = np.vstack([np.stack(channels, axis=1), [palette.bad]])
    rounded: NDArray[np.uint8] = np.rint(table).astype(np.uint8)
    rounded.flags.writeable = False
    return rounded


@lru_cache(maxsize=16)
def ramp_colours(palette: Palette, ramp: Ramp) -> tuple[RGB, ...]:
    """Return the LEVELS + 1 colours of a ramp, by level; the last is for NaN and infinity."""
    return tuple((int(r), int(g), int(b)) for r, g, b in _table(palette, ramp))


def colours(
    values: ArrayLike, low: float, high: float, palette: Palette, ramp: Ramp = "diverging"
) -> NDArray[np.uint8]:
    """Return the colour of each value as bytes of shape (..., 3)."""
    found: NDArray[np.uint8] = _table(palette, ramp)[ramp_levels(values, low, high)]
    return found


@lru_cache(maxsize=8)
def ramp_glyphs(ramp: Ramp) -> tuple[str, ...]:
    """Return the LEVELS + 1 glyphs that stand for a ramp without colour; signs differ in shape, not only in weight."""
    if ramp == "sequential":
        at = np.linspace(0, len(SEQUENTIAL_GLYPHS) - 1, LEVELS)
        return (*(SEQUENTIAL_GLYPHS[round(i)] for i in at), BAD_GLYPH)
    half = np.linspace(-1.0, 1.0, LEVELS)
    top = len(POSITIVE_GLYPHS) - 1
    signed = ((NEGATIVE_GLYPHS if x < 0 else POSITIVE_GLYPHS)[round(abs(x) * top)] for x in half)
    return (*signed, BAD_GLYPH)


def blend(over: RGB, under: RGB, share: float) -> RGB:
    """Mix `share` of one colour into another."""
    red, green, blue = (round(share * a + (1 - share) * b) for a, b in zip(over, under, strict=True))
    return red, green, blue


def luminance(colour: RGB) -> float:
    """Relative luminance of an sRGB colour, 0 to 1 (WCAG 2)."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (v / 255 for v in colour)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: RGB, other: RGB) -> float:
    """Contrast ratio of two colours, 1 to 21 (WCAG 2)."""
    bright, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


@lru_cache(maxsize=4096)
def readable_on(background: RGB) -> RGB:
    """Return black or white, whichever reads better on `background` (a contrast of 4.5 at least)."""
    black, white = (0, 0, 0), (255, 255, 255)
    return black if contrast(black, background) >= contrast(white, background) else white

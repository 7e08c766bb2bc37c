"""Colours: fixed scales, bad values apart, readable, and told apart without seeing red or green."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from rnnscope.charts.palette import (
    DARK,
    LEVELS,
    LIGHT,
    Palette,
    Ramp,
    blend,
    colours,
    contrast,
    luminance,
    ramp_colours,
    ramp_glyphs,
    ramp_levels,
    readable_on,
)

PALETTES = pytest.mark.parametrize("palette", [DARK, LIGHT], ids=lambda p: p.name)
RAMPS = pytest.mark.parametrize("ramp", ["diverging", "sequential"])


def test_levels_are_linear_between_the_ends_and_cut_beyond_them() -> None:
    levels = ramp_levels([-1, -0.5, 0, 0.5, 1, -7, 7], -1, 1)
    assert levels.tolist() == [0, 16, 32, 48, 64, 0, 64]
    assert LEVELS == 65


def test_what_is_no_number_has_a_level_of_its_own() -> None:
    assert ramp_levels([np.nan, np.inf, -np.inf, 0], 0, 1).tolist() == [LEVELS, LEVELS, LEVELS, 0]


@pytest.mark.parametrize(("low", "high"), [(0, 0), (np.nan, 1), (0, np.inf), (-1e308, 1e308)])
def test_an_unusable_scale_shows_the_middle(low: float, high: float) -> None:
    assert ramp_levels([3.0, np.nan], low, high).tolist() == [32, LEVELS]


@PALETTES
@RAMPS
def test_ramps_run_through_their_anchors_and_end_in_the_bad_colour(palette: Palette, ramp: Ramp) -> None:
    anchors = palette.diverging if ramp == "diverging" else palette.sequential
    table = ramp_colours(palette, ramp)
    assert len(table) == LEVELS + 1
    assert (table[0], table[LEVELS - 1], table[LEVELS]) == (anchors[0], anchors[-1], palette.bad)
    looked_up = colours([0.0, 1.0, np.nan], 0, 1, palette, ramp)
    assert looked_up.dtype == np.uint8
    assert looked_up.tolist() == [list(anchors[0]), list(anchors[-1]), list(palette.bad)]


@PALETTES
def test_zero_of_a_diverging_ramp_is_the_background(palette: Palette) -> None:
    assert ramp_colours(palette, "diverging")[LEVELS // 2] == palette.background


@PALETTES
def test_a_sequential_ramp_only_gets_brighter_or_only_darker(palette: Palette) -> None:
    steps = np.diff([luminance(c) for c in ramp_colours(palette, "sequential")[:LEVELS]])
    assert (steps > 0).all() or (steps < 0).all()


@PALETTES
def test_both_signs_of_the_same_magnitude_differ_for_everybody(palette: Palette) -> None:
    """Blue against orange: the difference of the blue and red channels survives every common colour blindness."""
    table = np.array(ramp_colours(palette, "diverging")[:LEVELS], dtype=int)
    warmth = table[:, 0] - table[:, 2]
    assert (warmth[: LEVELS // 2 - 4] < 0).all()
    assert (warmth[LEVELS // 2 + 5 :] > 0).all()


@PALETTES
def test_words_and_curves_read_on_their_background(palette: Palette) -> None:
    assert contrast(palette.foreground, palette.background) > 12
    for colour in (palette.faint, palette.accent, palette.good, palette.warn, palette.bad, palette.floor):
        assert contrast(colour, palette.background) > 4
    for colour in palette.lines:
        assert contrast(colour, palette.background) > 3.5


@PALETTES
def test_line_colours_are_apart(palette: Palette) -> None:
    for one, other in combinations(palette.lines[:4], 2):
        assert sum(abs(a - b) for a, b in zip(one, other, strict=True)) > 100


@PALETTES
@RAMPS
def test_text_on_any_level_is_readable(palette: Palette, ramp: Ramp) -> None:
    assert min(contrast(readable_on(c), c) for c in ramp_colours(palette, ramp)) > 4.5


def test_contrast_of_black_and_white() -> None:
    assert contrast((0, 0, 0), (255, 255, 255)) == pytest.approx(21)
    assert blend((255, 255, 255), (0, 0, 0), 0.5) == (128, 128, 128)


def test_glyphs_tell_the_signs_apart_without_colour() -> None:
    glyphs = ramp_glyphs("diverging")
    assert "".join(dict.fromkeys(glyphs)) == "≡=-, '+*#✗"
    assert set(glyphs[: LEVELS // 2 - 8]).isdisjoint(glyphs[LEVELS // 2 + 8 :])
    assert "".join(dict.fromkeys(ramp_glyphs("sequential"))) == " ·:-=+*#%@✗"

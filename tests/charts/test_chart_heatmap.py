"""Heat maps and their colour bar."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from rich.cells import cell_len

from rnnscope.charts.heatmap import heat_map, legend
from rnnscope.charts.palette import DARK, LEVELS, ramp_colours
from rnnscope.charts.spans import RGB, Row, Style, plain

RAMP = ramp_colours(DARK, "diverging")
LOW, ZERO, HIGH, BAD = RAMP[0], RAMP[LEVELS // 2], RAMP[LEVELS - 1], RAMP[LEVELS]
VALUES = np.array([[-1, 0, 1], [1, np.nan, -1], [0, 0, 1]])


def halves(rows: list[Row]) -> list[list[tuple[RGB | None, RGB | None]]]:
    """What the eye sees: (upper, lower) colour of each cell."""
    out = []
    for row in rows:
        line: list[tuple[RGB | None, RGB | None]] = []
        for span in row:
            style = span.style
            pair = {"▀": (style.fg, style.bg), "▄": (style.bg, style.fg), " ": (style.bg, style.bg)}
            line += [pair[character] for character in span.text]
        out.append(line)
    return out


def test_two_values_a_cell() -> None:
    rows = heat_map(VALUES, 4, 3, -1, 1, palette=DARK)
    assert plain(rows) == "▀▀▀ \n▀▀▀ \n    "
    nothing = (None, None)
    assert halves(rows) == [
        [(LOW, HIGH), (ZERO, BAD), (HIGH, LOW), nothing],
        [(ZERO, None), (ZERO, None), (HIGH, None), nothing],
        [nothing] * 4,
    ]


def test_one_value_a_cell() -> None:
    rows = heat_map(VALUES, 3, 3, -1, 1, palette=DARK, half_blocks=False)
    assert halves(rows)[1] == [(HIGH, HIGH), (BAD, BAD), (LOW, LOW)]


def test_without_colour_glyphs_carry_sign_and_magnitude() -> None:
    rows = heat_map(
        [[-1, -0.5, -0.2, 0, 0.2, 0.5, 1], [np.nan, np.inf, 0, 0, 0, 0, 0]], 8, 3, -1, 1, palette=DARK, mono=True
    )
    assert plain(rows) == "≡-, '+# \n✗✗      \n        "
    assert {span.style for row in rows for span in row} <= {Style()}
    assert plain(heat_map([[0, 0.25, 0.5, 1]], 4, 1, 0, 1, "sequential", palette=DARK, mono=True)) == " :=@"


def test_more_than_fits_is_reduced_to_the_strongest_or_to_the_mean() -> None:
    values = np.zeros((8, 6))
    values[5, 4] = -0.75
    values[5, 5] = 0.5
    peak = halves(heat_map(values, 3, 2, -1, 1, palette=DARK))
    assert peak[1] == [(ZERO, ZERO), (ZERO, ZERO), (RAMP[8], ZERO)]
    mean = halves(heat_map(values, 3, 2, -1, 1, palette=DARK, reduce="mean"))
    assert mean[1][2] == (RAMP[LEVELS // 2 - 2], ZERO)  # (-0.75 + 0.5) / 4 = -0.0625, two levels of 1/32


def test_a_block_with_a_nan_shows_as_bad() -> None:
    values = np.zeros((8, 6))
    values[0, 0], values[7, 5] = np.nan, np.inf
    for how in ("peak", "mean"):
        seen = halves(heat_map(values, 3, 2, -1, 1, palette=DARK, reduce=how))  # type: ignore[arg-type]
        assert (seen[0][0][0], seen[1][2][1]) == (BAD, BAD)
        assert sum(colour == BAD for line in seen for pair in line for colour in pair) == 2


def test_blocks_are_even() -> None:
    """Each of 7 rows lands in one of 4 half rows, in order, none twice."""
    values = np.arange(7)[:, None] / 6
    seen = [pair for line in halves(heat_map(values, 1, 2, 0, 1, palette=DARK)) for pair in line]
    blocks = [np.arange(7)[i * 7 // 4 : (i + 1) * 7 // 4].max() / 6 for i in range(4)]
    expected = [RAMP[round(b * (LEVELS - 1))] for b in blocks]
    assert [colour for pair in seen for colour in pair] == expected


def test_row_labels_and_the_selected_row() -> None:
    rows = heat_map(VALUES, 16, 2, -1, 1, palette=DARK, row_labels=["u1", "u2", "u3"], selected=1)
    assert plain(rows) == "u2▸▀▀▀          \nu3 ▀▀▀          "
    assert rows[0][0].style == Style(fg=DARK.accent, bold=True)
    assert rows[1][0].style == Style(fg=DARK.faint)


def test_labels_give_way_where_it_is_narrow() -> None:
    assert plain(heat_map(VALUES, 6, 1, -1, 1, palette=DARK, row_labels=["u1", "u2", "u3"])) == "▀▀▀   "


@pytest.mark.parametrize("values", [[], [[]], np.zeros((0, 5)), np.zeros(3), np.zeros((2, 2, 2))])
def test_nothing_to_draw_is_an_empty_map(values: object) -> None:
    assert plain(heat_map(values, 3, 2, -1, 1, palette=DARK)) == "   \n   "  # type: ignore[arg-type]


def test_legend() -> None:
    assert plain([legend(-1, 1, 30, palette=DARK, mono=True, label="h")]) == "h -1 ≡≡==---,,,   ''+++**## +1"
    bar = legend(0, 1, 30, "sequential", palette=DARK, label="p")
    assert plain([bar]) == "p 0 ▌▌▌▌▌▌▌▌▌▌▌▌▌▌▌▌▌▌▌▌▌▌▌▌ 1"
    table = ramp_colours(DARK, "sequential")
    assert (bar[1].style.fg, bar[-2].style.bg) == (table[0], table[LEVELS - 1])


@given(st.integers(-1, 40), st.booleans(), st.text(st.characters(codec=None), max_size=12))
def test_legend_is_exact_for_any_label(width: int, mono: bool, label: str) -> None:
    row = legend(-1.25, 1.25, width, palette=DARK, mono=mono, label=label)
    assert cell_len("".join(span.text for span in row)) == max(width, 0)


@settings(max_examples=150, deadline=None)
@given(
    hnp.arrays(np.float32, hnp.array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=30)),
    st.integers(-1, 30),
    st.integers(-1, 12),
    st.floats(),
    st.floats(),
    st.sampled_from(["diverging", "sequential"]),
    st.booleans(),
    st.booleans(),
    st.lists(st.text(st.characters(codec=None), max_size=6), max_size=6),
    st.none() | st.integers(-1, 40),
)
def test_nothing_raises_and_the_size_is_exact(
    values: np.ndarray, width: int, height: int, low: float, high: float, ramp, mono: bool, half: bool,
    labels: list[str], selected: int | None,
) -> None:  # fmt: skip
    rows = heat_map(
        values, width, height, low, high, ramp, palette=DARK, mono=mono, half_blocks=half, row_labels=labels,
        selected=selected,
    )  # fmt: skip
    assert len(rows) == max(height, 0)
    assert all(cell_len("".join(span.text for span in row)) == max(width, 0) for row in rows)


def test_a_large_matrix_costs_little_more_than_one_that_fits() -> None:
    generator = np.random.default_rng(0)
    fits, large = generator.uniform(-1, 1, (80, 120)), generator.uniform(-1, 1, (512, 480))

    def seconds(values: np.ndarray) -> float:
        began = time.process_time()
        heat_map(values, 120, 40, -1, 1, palette=DARK)
        return time.process_time() - began

    seconds(fits)
    assert min(seconds(large) for _ in range(7)) < 8 * min(seconds(fits) for _ in range(7))

"""A field over two axes: which measurement stands where, and what is nothing, floor or bad."""

from __future__ import annotations

import numpy as np
import pytest

from rnnscope.charts.axes import Axes
from rnnscope.charts.palette import DARK, LEVELS, ramp_colours
from rnnscope.charts.raster import raster
from rnnscope.charts.series import VMark
from rnnscope.charts.spans import plain, width

AXES = Axes("step", "", (0, 100), (0, 3), x_integer=True, y_integer=True)


def test_each_measurement_is_held_until_the_next_and_the_last_ends_the_picture() -> None:
    values = np.array([[0.0, -4.0, 0.0], [-4.0, -4.0, -4.0]])
    rows = raster([0, 40, 80], values, Axes("", "", (0, 100), (0, 1)), 20, 2, -4, 0, palette=DARK, mono=True)
    assert plain(rows) == "                    \n@@@@@@@@       @    "  # 80 steps of 100 in 16 of 20 cells


def test_rows_share_the_height_from_the_bottom_up() -> None:
    values = np.array([[0.0] * 2, [-1.0] * 2, [-3.0] * 2, [-4.0] * 2])
    rows = raster([0, 100], values, AXES, 16, 9, -4, 0, palette=DARK, mono=True)
    assert plain(rows).split("\n") == [
        "3┤              ",
        " │              ",
        "2┤::::::::::::::",
        " │::::::::::::::",
        " │##############",
        "1┤##############",
        " │@@@@@@@@@@@@@@",
        "0┤@@@@@@@@@@@@@@",
        " └ 0 ───── step ",
    ]


def test_missing_floor_and_bad_are_told_apart() -> None:
    values = np.array([[np.nan, -np.inf, -1.0, np.inf]])
    rows = raster([0, 25, 50, 75], values, Axes("", "", (0, 100), (0, 1)), 8, 1, -2, 0, palette=DARK)
    seen = [(span.style.fg, span.style.bg) for row in rows for span in row for _ in span.text]
    ramp = ramp_colours(DARK, "sequential")
    assert seen[0] == (None, None)
    assert seen[2] == (ramp[0], ramp[0])
    assert seen[4] == (ramp[LEVELS // 2], ramp[LEVELS // 2])
    assert seen[5] == (ramp[LEVELS], ramp[LEVELS])
    assert seen[7] == (None, None)
    mono = raster([0, 25, 50, 75], values, Axes("", "", (0, 100), (0, 1)), 8, 1, -2, 0, palette=DARK, mono=True)
    assert plain(mono) == "    =✗  "


def test_marks_stand_on_the_field_with_their_names() -> None:
    values = np.zeros((4, 2))
    rows = raster([0, 100], values, AXES, 40, 8, -1, 0, palette=DARK, marks=[VMark(50, DARK.bad, "clip off")])
    lines = plain(rows).split("\n")
    column = lines[1].index("┆")
    assert all(line[column] == "┆" for line in lines[: len(lines) - 1])
    assert lines[0][column + 1 :].startswith("clip off")


def test_a_mark_outside_or_without_room_is_left_out() -> None:
    rows = raster([0], np.zeros((1, 1)), AXES, 30, 6, -1, 0, palette=DARK, marks=[VMark(500, DARK.bad, "far")])
    assert "far" not in plain(rows)


@pytest.mark.parametrize("size", [(0, 0), (1, 1), (5, 2), (12, 4), (80, 20)])
@pytest.mark.parametrize("mono", [False, True])
def test_any_size_and_empty_data(size: tuple[int, int], mono: bool) -> None:
    for x, values in (([], np.zeros((0, 0))), ([3, 9], np.full((5, 2), np.nan)), ([1, 2, 3], np.zeros((50, 3)))):
        rows = raster(x, values, AXES, *size, -4, 0, palette=DARK, mono=mono, marks=[VMark(2, DARK.bad, "x")])
        assert len(rows) == size[1]
        assert all(width(row) == size[0] for row in rows)

"""Histograms on axes."""

from __future__ import annotations

import numpy as np
import pytest

from rnnscope.charts.axes import Axes
from rnnscope.charts.counts import count_chart
from rnnscope.charts.palette import DARK
from rnnscope.charts.series import VMark
from rnnscope.charts.spans import plain, width

LOG = Axes("norm", "steps", (1, 1000), (0, 4), log_x=True, y_integer=True)
BLUE = DARK.lines[0]


def test_bars_on_a_logarithmic_axis_with_the_threshold_drawn_in() -> None:
    rows = count_chart([1, 10, 100, 1000], [1, 4, 0], LOG, 30, 8, DARK, BLUE, marks=[VMark(30, DARK.warn, "at 30")])
    assert plain(rows).split("\n") == [
        " steps                        ",
        "4┤┈┈┈┈┈┈┈┈┈████┆█at 30┈┈┈┈┈┈┈┈",
        " │         ████┆█████         ",
        "2┤┈┈┈┈┈┈┈┈┈████┆█████┈┈┈┈┈┈┈┈┈",
        " │         ████┆█████         ",
        " │▄▄▄▄▄▄▄▄▄████┆█████         ",
        "0┤█████████████┆█████┈┈┈┈┈┈┈┈┈",
        " └ 1 ───────────── 100 ─ norm ",
    ]


def test_what_lies_beyond_the_threshold_has_its_own_colour() -> None:
    rows = count_chart([1, 10, 100, 1000], [4, 4, 4], LOG, 32, 8, DARK, BLUE, beyond=(10, DARK.warn))
    colours = [span.style.fg for span in rows[4] for character in span.text if character == "█"]
    assert colours == [BLUE] * 10 + [DARK.warn] * 20


def test_one_of_very_many_still_shows_and_nothing_does_not() -> None:
    axes = Axes("", "", (0, 3), (0, 10_000))
    last = plain(count_chart([0, 1, 2, 3], [1, 0, 10_000], axes, 9, 3, DARK, BLUE)).split("\n")[-1]
    assert last == "▁▁▁   ███"


@pytest.mark.parametrize("size", [(0, 0), (3, 2), (20, 5), (60, 12)])
def test_any_size_and_bad_numbers(size: tuple[int, int]) -> None:
    for counts in ([], [np.nan, np.inf, -1.0], [0, 0, 0]):
        rows = count_chart([1, 2, 3, 4][: len(counts) + 1], counts, LOG, *size, DARK, BLUE, True)
        assert len(rows) == size[1]
        assert all(width(row) == size[0] for row in rows)

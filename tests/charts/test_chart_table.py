"""Tables."""

from __future__ import annotations

import pytest

from rnnscope.charts.palette import DARK
from rnnscope.charts.spans import Span, plain, width
from rnnscope.charts.table import Column, first_row, table

COLUMNS = (Column("name", right=False), Column("norm"), Column("more"))
ROWS = [[Span("a[b]"), Span("1.0"), Span("x")], [Span("layers.0.weight_hh"), Span("0.01"), Span("y\x1b[2J")]]


def test_names_left_numbers_right_one_row_selected() -> None:
    rows = table(COLUMNS[:2], [row[:2] for row in ROWS], 30, 4, DARK, selected=1)
    assert plain(rows).split("\n") == [
        " name                norm     ",
        " a[b]                 1.0     ",
        "▸layers.0.weight_hh  0.01     ",
        "                              ",
    ]
    assert rows[2][0].style.bg == DARK.grid


def test_text_is_made_printable_and_cut_and_columns_that_do_not_fit_are_left_out() -> None:
    assert "y␛[2J" in plain(table(COLUMNS, ROWS, 60, 3, DARK))
    narrow = plain(table(COLUMNS, ROWS, 24, 3, DARK)).split("\n")
    assert narrow[0].split() == ["name", "norm"]
    assert narrow[2].startswith(" layers.0.weight_…  0.01")


def test_the_selected_row_is_seen_and_pages_stand_still() -> None:
    assert [first_row(10, 4, at) for at in range(10)] == [0] * 4 + [4] * 4 + [6] * 2
    many = [[Span(f"row {i}"), Span("1"), Span("2")] for i in range(10)]
    assert "▸row 9" in plain(table(COLUMNS, many, 40, 5, DARK, selected=9))


@pytest.mark.parametrize("size", [(0, 0), (1, 1), (7, 3), (40, 2)])
def test_any_size(size: tuple[int, int]) -> None:
    for rows in ([], ROWS):
        drawn = table(COLUMNS, rows, *size, DARK, True, selected=0)
        assert len(drawn) == size[1]
        assert all(width(row) == size[0] for row in drawn)

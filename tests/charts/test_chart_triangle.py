"""The square of losses and states."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnscope.charts.palette import DARK, LIGHT
from rnnscope.charts.spans import plain, width
from rnnscope.charts.triangle import triangle, viewport

VALUES = np.array([[0.0, np.nan, np.nan], [-1.0, 0.0, np.nan], [-np.inf, -1.0, 0.0]])


def test_characters_stand_on_both_axes() -> None:
    rows = triangle(VALUES, "bcd", "abc", 10, 4, -2, 0, (2, 1), palette=DARK, mono=True)
    assert plain(rows).split("\n") == [
        "0   abc   ",
        "0 b @     ",
        "1 c =@    ",
        "2 d  ◎@   ",
    ]


def test_two_rows_of_values_a_cell() -> None:
    rows = triangle(VALUES, "bcd", "abc", 10, 3, -2, 0, (1, 0), palette=DARK)
    assert plain(rows).split("\n") == [
        "0    abc  ",
        "0 bc ◎▄   ",
        "2 d  ▀▀▀  ",
    ]
    accent = [span.text for row in rows for span in row if span.style.bg == DARK.accent]
    assert accent == ["a", "c"]  # the cursor is marked on both texts


def test_wide_characters_take_two_cells_a_column() -> None:
    rows = triangle(VALUES, "순환 ", "a순환", 14, 4, -2, 0, (0, 0), palette=DARK, mono=True)
    assert plain(rows).split("\n")[0] == "0    a 순환   "
    assert all(width(row) == 14 for row in rows)


def test_what_is_seen_follows_the_cursor_and_a_click_is_traced_back() -> None:
    view = viewport(100, 60, 21, (99, 98))
    assert view.first_row + view.rows == 100
    assert view.first_column <= 98 < view.first_column + view.columns
    assert viewport(100, 60, 21, (0, 0)).first_row == 0
    place = view.at(view.left + 3, 1 + 2)
    assert place == (view.first_row + 4, view.first_column + 3)
    assert view.at(0, 3) is None
    assert view.at(view.left, 0) is None


@given(st.integers(1, 200), st.integers(8, 120), st.integers(2, 60), st.data())
def test_the_cursor_is_always_seen(count: int, columns: int, height: int, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, count - 1)), data.draw(st.integers(0, count - 1))
    view = viewport(count, columns, height, at, mono=data.draw(st.booleans()))
    assert view.first_row <= at[0] < view.first_row + view.rows <= count
    if view.columns:
        assert view.first_column <= at[1] < view.first_column + view.columns <= count


@pytest.mark.parametrize("size", [(0, 0), (3, 1), (9, 2), (80, 30)])
@pytest.mark.parametrize("mono", [False, True])
def test_any_size_and_bad_numbers(size: tuple[int, int], mono: bool) -> None:
    for values, text in ((np.zeros((0, 0)), ""), (np.full((4, 4), np.inf), "\x1b[2J"), (VALUES, "a\u0301bc")):
        rows = triangle(values, text, text, *size, -2, 0, (0, 0), palette=LIGHT, mono=mono)
        assert len(rows) == size[1]
        assert all(width(row) == size[0] for row in rows)
        assert "\x1b" not in plain(rows)

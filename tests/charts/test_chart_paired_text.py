"""Two texts, aligned character by character."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnscope.charts.coloured_text import cursor_style
from rnnscope.charts.paired_text import Marks, beside, common_lines, paired_text
from rnnscope.charts.palette import DARK
from rnnscope.charts.spans import Span, plain, width
from rnnscope.charts.text import cell_width

texts = st.text(alphabet="ab \n한\u0301\x1b", max_size=40)


def test_a_newline_in_either_text_ends_the_line_of_both() -> None:
    assert common_lines("ab\ncdef", "xyzuv\nw", 10) == [(0, 3), (3, 6), (6, 7)]
    assert common_lines("", "", 10) == []
    assert common_lines("abcd", "ab", 3) == [(0, 3), (3, 4)]


@given(texts, texts, st.integers(1, 12))
def test_every_character_is_in_one_line_that_fits(left: str, right: str, columns: int) -> None:
    lines = common_lines(left, right, columns)
    assert [n for start, stop in lines for n in range(start, stop)] == list(range(max(len(left), len(right))))
    for start, stop in lines:
        sizes = [
            max(1, *(cell_width(c) for c in left[n : n + 1] + right[n : n + 1])) if left[n : n + 1] + right[n : n + 1]
            else 1
            for n in range(start, stop)
        ]  # fmt: skip
        assert sum(sizes) <= max(columns, 2) or len(sizes) == 1
        assert "\n" not in left[start : stop - 1] + right[start : stop - 1]


@given(texts, texts, st.booleans())
def test_the_same_index_stands_in_the_same_column_of_both(left: str, right: str, mono: bool) -> None:
    lines = common_lines(left, right, 9)
    panes = paired_text((left, right), (np.zeros(40), np.zeros(40)), lines, (10, 10), 6, (0, 1), Marks(),
                        palette=DARK, mono=mono)  # fmt: skip
    for rows in panes:
        assert len(rows) == 6
        assert all(width(row) == 10 for row in rows)
        assert not any(ord(c) < 32 for c in plain(rows) if c != "\n")


def test_wide_characters_push_their_partner_apart_too() -> None:
    texts, none = ("한a", "xy"), np.zeros(2)
    left, right = paired_text(texts, (none, none), common_lines(*texts, 6), (7, 7), 1, (0, 1), Marks(), palette=DARK)
    assert plain(left) == " 한a   "
    assert plain(right) == " x y   "


@pytest.mark.parametrize("mono", [False, True])
def test_both_marks_are_seen_in_both_panes_and_tell_apart(mono: bool) -> None:
    marks = Marks(cursor=1, parted=4, given=0)
    panes = paired_text(("abcdef", "abcdxy"), (np.full(6, 0.5), np.full(6, 0.5)), [(0, 3), (3, 6)], (7, 7), 2, (0, 1),
                        marks, palette=DARK, mono=mono)  # fmt: skip
    for rows in panes:
        assert [row[0].text[0] for row in rows] == ["▸", "≠"]
        cursor = next(span.style for span in rows[0] if span.text == "b")
        parted = next(span.style for span in rows[1] if span.text in "ex")
        assert parted == cursor_style(DARK, mono)
        assert cursor != parted


def test_what_was_given_has_no_value_and_the_rest_is_on_the_fixed_scale() -> None:
    left, _ = paired_text(("pqab", "pqab"), (np.array([0.0, 1.0]), np.array([0.0, np.inf])), [(0, 4)], (5, 5), 1,
                          (0, 1), Marks(given=2), palette=DARK)  # fmt: skip
    styles = {span.text: span.style for span in left[0]}
    assert styles["pq"].bg is None
    assert styles["a"].bg == DARK.sequential[0]
    assert styles["b"].bg == DARK.sequential[-1]


def test_beside_joins_blocks() -> None:
    assert plain(beside([(Span("a"),)], [(Span("b"),)], 6, Span("│"))) == "a │b  "

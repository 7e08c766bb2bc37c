"""Text coloured by values."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from rnnscope.charts.coloured_text import coloured_text, text_legend, visible_lines
from rnnscope.charts.palette import DARK, LEVELS, Ramp, contrast, ramp_colours
from rnnscope.charts.spans import Row, Style, plain, width

RAMP = ramp_colours(DARK, "diverging")


def style_of(rows: list[Row], character: str) -> Style:
    (style,) = {span.style for row in rows for span in row if character in span.text}
    return style


def draw(text: str, values: list[float], width: int = 8, height: int = 4, **options: object) -> list[Row]:
    return coloured_text(text, values, width, height, -1, 1, palette=DARK, **options)  # type: ignore[arg-type]


def test_each_character_lies_on_the_colour_of_its_value() -> None:
    rows = draw("abc", [-1, 0, 1], height=1)
    assert plain(rows) == "abc     "
    backgrounds = [span.style.bg for span in rows[0]]
    assert backgrounds == [RAMP[0], RAMP[LEVELS // 2], RAMP[LEVELS - 1], None]
    for span in rows[0][:3]:
        assert span.style.fg is not None
        assert span.style.bg is not None
        assert contrast(span.style.fg, span.style.bg) > 4.5


def test_wrapping_with_wide_combining_and_control_characters() -> None:
    rows = draw("ab\n한국어 e\u0301\x1b[0m", [0.0] * 12, width=6, height=5)
    assert plain(rows) == "ab↵   \n한국어\n e\u0301␛[0m\n      \n      "


def test_a_value_stays_with_its_character_behind_wide_ones() -> None:
    rows = draw("한e\u0301x", [0, 0, 0, 1], height=1)
    assert style_of(rows, "x").bg == RAMP[LEVELS - 1]
    assert style_of(rows, "e\u0301").bg == RAMP[LEVELS // 2]


def test_the_newest_lines_are_kept_or_the_first() -> None:
    text = "one\ntwo\nthree\nfour"
    assert plain(draw(text, [], height=2)) == "three↵  \nfour    "
    assert plain(draw(text, [], height=2, tail=False)) == "one↵    \ntwo↵    "


def test_no_value_is_plain_and_a_bad_one_is_bad() -> None:
    rows = draw("abcd", [np.nan, np.inf, 0.0], height=1)
    assert [style_of(rows, c).bg for c in "abcd"] == [DARK.bad, DARK.bad, RAMP[LEVELS // 2], None]
    rows = draw("abc", [np.nan, np.inf, 0.0], height=1, nan_is_missing=True)
    assert [style_of(rows, c).bg for c in "abc"] == [None, DARK.bad, RAMP[LEVELS // 2]]


def test_a_span_is_underlined_or_its_ends_are_marked() -> None:
    rows = draw("abcde", [0, 1, 1, 1, 0], height=1, span=(1, 4))
    assert [style_of(rows, c).underline for c in "abcde"] == [False, True, True, True, False]
    assert style_of(rows, "c").bg == RAMP[LEVELS - 1]
    mono = draw("abcde", [0, 0.4, 0.4, 0.4, 0], height=1, span=(1, 4), mono=True)
    assert [style_of(mono, c).reverse for c in "abcde"] == [False, True, False, True, False]


def test_the_cursor_marks_a_character_or_the_end() -> None:
    assert style_of(draw("abc", [0, 0, 0], cursor=1), "b").bg == DARK.accent
    rows = draw("abc", [0, 0, 0], height=1, cursor=3)
    assert (plain(rows), rows[0][1].text, rows[0][1].style.bg) == ("abc     ", " ", DARK.accent)
    rows = draw("abcd\n", [0] * 5, width=5, height=2, cursor=5)
    assert rows[1][0].style.bg == DARK.accent


def test_without_colour_attributes_carry_the_value() -> None:
    rows = draw("abcde?", [-1, -0.5, 0, 0.5, 1, np.nan], height=1, mono=True)
    styles = [style_of(rows, c) for c in "abcde?"]
    assert len(set(styles)) == 6
    assert {(s.fg, s.bg) for s in styles} == {(None, None)}
    assert styles[2] == Style()
    assert (styles[1].underline, styles[3].bold) == (True, True)
    sequential = coloured_text("abcd", [0, 0.3, 0.6, 1], 4, 1, 0, 1, "sequential", palette=DARK, mono=True)
    assert [style_of(sequential, c) for c in "abcd"] == [
        Style(dim=True), Style(), Style(bold=True), Style(bold=True, reverse=True),
    ]  # fmt: skip


@pytest.mark.parametrize("tail", [True, False])
def test_only_the_visible_part_of_a_long_text_is_wrapped(tail: bool) -> None:
    text = "".join(chr(97 + i % 26) for i in range(100_003))
    lines = visible_lines(text, 50, 4, tail)
    assert len(lines) == 4
    shown = [placed.at for line in lines for placed in line]
    assert shown == (list(range(100_003 - len(shown), 100_003)) if tail else list(range(200)))
    assert lines[0][0].at % 50 == 0  # the wrap does not shift while text is added
    assert all(text[placed.at] == placed.shown for line in lines for placed in line)


@settings(max_examples=200, deadline=None)
@given(
    st.text(st.characters(codec=None) | st.sampled_from("ab\n한e\u0301👍\x1b"), max_size=80),
    st.lists(st.floats(), max_size=90),
    st.integers(-1, 20),
    st.integers(-1, 8),
    st.floats(),
    st.floats(),
    st.sampled_from(["diverging", "sequential"]),
    st.booleans(),
    st.none() | st.integers(-1, 90),
    st.booleans(),
    st.booleans(),
)
def test_nothing_raises_and_the_size_is_exact(
    text: str, values: list[float], width: int, height: int, low: float, high: float, ramp, mono: bool,
    cursor: int | None, tail: bool, missing: bool,
) -> None:  # fmt: skip
    rows = coloured_text(
        text, values, width, height, low, high, ramp, palette=DARK, mono=mono, cursor=cursor, tail=tail,
        nan_is_missing=missing,
    )  # fmt: skip
    assert len(rows) == max(height, 0)
    assert all(cell_len("".join(span.text for span in row)) == max(width, 0) for row in rows)


@pytest.mark.parametrize("ramp", ["sequential", "diverging"])
def test_without_colour_the_legend_shows_each_style_and_where_it_ends(ramp: Ramp) -> None:
    row = text_legend(0.0, 1.0, 60, ramp, palette=DARK, mono=True, label="probability p")
    assert width(row) == 60
    found = {span.text.strip(): span.style for span in row}
    samples = {text: style for text, style in found.items() if text.startswith("≤") or text == "more"}
    for text, style in samples.items():
        value = 0.99 if text == "more" else float(text[1:]) - 0.02
        (drawn,) = coloured_text("x", [value], 1, 1, 0.0, 1.0, ramp, palette=DARK, mono=True)
        assert drawn[0].style == style
    assert len(samples) == (4 if ramp == "sequential" else 5)
    coloured = text_legend(0.0, 1.0, 30, ramp, palette=DARK, label="p")
    assert width(coloured) == 30
    assert "▌" in plain([coloured])

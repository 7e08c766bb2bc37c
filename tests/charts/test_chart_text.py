"""Text from outside: nothing that a terminal obeys gets through, and cells are counted as the screen counts them."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from rnnscope.charts.text import cell_width, cells, crop, printable, shorten, wrap

anything = st.text(st.characters(codec=None), max_size=60)


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("plain text", "plain text"),
        ("a\nb", "a↵b"),
        ("\x1b[31m", "␛[31m"),
        ("\x00\t\r\x7f", "␀␉␍␡"),
        ("\x9b31m", "�31m"),  # C1: a one-character CSI
        ("a\u202eb\u200bc\u2028d\ufeff", "a·b·c·d·"),
        ("\ud800\ue000", "��"),
        ("🇰🇷", "KR"),
        ("❤\ufe0f👍🏽", "❤·👍·"),
        ("한국어", "한국어"),
        ("\u3164", "·"),
    ],
)
def test_printable(raw: str, shown: str) -> None:
    assert printable(raw) == shown


def test_no_control_character_of_all_gets_through_and_lengths_stay() -> None:
    everything = "".join(map(chr, range(0x110000)))
    shown = printable(everything)
    assert len(shown) == len(everything)
    assert {unicodedata.category(c) for c in set(shown)}.isdisjoint({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
    assert shown.encode()


def test_widths_are_those_of_the_screen() -> None:
    """The screen (textual) counts with rich: any difference would break the alignment of columns."""
    planes = [*range(0x10000), *range(0x1D000, 0x1D800), *range(0x1F000, 0x20100), *range(0xE0000, 0xE0200)]
    wrong = [hex(c) for c in planes if cell_len(printable(chr(c))) != cell_width(chr(c))]
    assert wrong == []


@pytest.mark.parametrize(
    ("text", "width"), [("abc", 3), ("한국어", 6), ("e\u0301", 1), ("👍", 2), ("a\nb", 3), ("각", 2)]
)
def test_cells(text: str, width: int) -> None:
    assert cells(text) == width


@pytest.mark.parametrize(
    ("text", "width", "shown"),
    [
        ("abc", 5, "abc  "),
        ("abc", 2, "ab"),
        ("한국", 3, "한 "),
        ("e\u0301x", 1, "e\u0301"),
        ("한", 1, " "),
        ("", 2, "  "),
    ],
)
def test_crop(text: str, width: int, shown: str) -> None:
    assert crop(text, width) == shown


@pytest.mark.parametrize(
    ("text", "width", "shown"),
    [
        ("validation", 20, "validation"),
        ("validation", 6, "valid…"),
        ("한국어", 4, "한…"),
        ("ab", 1, "…"),
        ("ab", 0, ""),
    ],
)
def test_shorten(text: str, width: int, shown: str) -> None:
    assert shorten(text, width) == shown


def lines(text: str, width: int) -> list[str]:
    return ["".join(placed.shown for placed in line) for line in wrap(text, width)]


def test_wrap_keeps_wide_and_combining_characters_whole() -> None:
    assert lines("ab한국어", 5) == ["ab한", "국어"]
    assert lines("abe\u0301d", 3) == ["abe\u0301", "d"]
    assert lines("한", 1) == ["?"]


def test_wrap_shows_the_newline_and_breaks_the_line() -> None:
    assert lines("KING:\nWhat\n\nis", 10) == ["KING:↵", "What↵", "↵", "is"]
    assert lines("a\n\u0301b", 10) == ["a↵", "◌b"]  # a combining accent on a newline has nothing to combine with
    assert lines("", 10) == [""]


@given(anything, st.integers(1, 30))
def test_wrapped_lines_fit_and_lose_no_character(text: str, width: int) -> None:
    wrapped = wrap(text, width)
    assert [placed.at for line in wrapped for placed in line] == list(range(len(text)))
    for line in wrapped:
        assert sum(placed.cells for placed in line) <= width
        assert cell_len("".join(placed.shown for placed in line)) == sum(placed.cells for placed in line)


@given(anything, st.integers(0, 30))
def test_crop_gives_exactly_the_width(text: str, width: int) -> None:
    assert cells(crop(printable(text), width)) == width
    assert cells(shorten(printable(text), width)) <= width

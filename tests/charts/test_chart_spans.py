"""Rows of spans."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rnnscope.charts.spans import PLAIN, Span, Style, fit, fit_rows, join, plain, width
from rnnscope.charts.text import printable

RED = Style(fg=(255, 0, 0))


def test_width_counts_cells() -> None:
    assert width((Span("ab", RED), Span("한국"))) == 6


def test_fit_pads_in_the_style_asked_for_and_crops_on_cell_boundaries() -> None:
    row = (Span("ab", RED), Span("한국"))
    assert fit(row, 8, RED) == (*row, Span("  ", RED))
    assert fit(row, 5) == (Span("ab", RED), Span("한 "))
    assert fit(row, 2) == (Span("ab", RED),)
    assert fit(row, 0) == ()


def test_fit_rows_crops_and_pads_both_ways() -> None:
    assert plain(fit_rows([(Span("abc"),), (Span("d"),)], 2, 3)) == "ab\nd \n  "
    assert plain(fit_rows([(Span("abc"),), (Span("d"),)], 2, 1)) == "ab"
    assert fit_rows([(Span("abc"),)], 0, 1) == [()]


def test_join_merges_equal_styles() -> None:
    assert join([("a", RED), ("b", Style(fg=(255, 0, 0))), ("c", PLAIN)]) == (Span("ab", RED), Span("c"))
    assert join([]) == ()


@given(st.lists(st.text(st.characters(codec=None), max_size=8), max_size=5), st.integers(0, 40))
def test_fit_is_exact_for_any_text(texts: list[str], wanted: int) -> None:
    row = tuple(Span(printable(text)) for text in texts)
    assert width(fit(row, wanted)) == wanted

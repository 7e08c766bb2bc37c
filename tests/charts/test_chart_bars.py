"""Bars as literal text."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from rnnscope.charts.bars import bar_rows, columns, histogram, meter, sparkline
from rnnscope.charts.palette import DARK
from rnnscope.charts.spans import Row, Style, plain

BLUE = DARK.lines[0]
anything = st.text(st.characters(codec=None), max_size=12)


@pytest.mark.parametrize(
    ("share", "shown"),
    [(0, "        "), (0.5, "████    "), (1, "████████"), (7, "████████"), (-1, "        "), (0.45, "███▋    ")],
)
def test_meter(share: float, shown: str) -> None:
    assert plain([meter(share, 8, DARK, BLUE)]) == shown


def test_meter_with_a_label_without_colour_and_without_a_number() -> None:
    assert plain([meter(0.43, 20, DARK, BLUE, label="43%")]) == "██████▉          43%"
    assert plain([meter(0.5, 8, DARK, BLUE, mono=True)]) == "████░░░░"
    bad = meter(np.nan, 8, DARK, BLUE)
    assert (plain([bad]), bad[0].style) == ("✗       ", Style(fg=DARK.bad))


def test_bar_rows_align_labels_of_any_width() -> None:
    rows = bar_rows(["scan", "fused", "한국"], [0.3, 0.9, 1.2], ["3 ms", "9 ms", "x"], 24, 4, DARK, BLUE)
    assert plain(rows).split("\n") == [
        "scan  ███▉          3 ms",
        "fused ███████████▊  9 ms",
        "한국  █████████████    x",
        "                        ",
    ]


def test_histogram_counts_and_keeps_outliers_in_the_outermost_bins() -> None:
    rows = histogram([0, 0, 0, 0, 1, 1, 2, np.nan, np.inf, 9], 4, 3, 0, 3, DARK, BLUE)
    assert plain(rows) == "█   \n█▄  \n██▆▆"
    assert plain(histogram([np.nan], 4, 1, 0, 3, DARK, BLUE)) == "    "


def test_columns_show_what_is_no_number() -> None:
    rows = columns([0.5, np.nan, 1, 0], 5, 2, DARK, BLUE)
    assert plain(rows) == "  █  \n█✗█  "


def test_sparkline() -> None:
    assert plain([sparkline([0, 1, 2, 3, np.nan, 5, 6, 7], 10, 0, 7, DARK, BLUE)]) == "▁▂▃▄✗▆▇█  "
    assert plain([sparkline(np.arange(80), 8, 4, 74, DARK, BLUE)]) == "▁▂▃▄▅▆▇█"
    assert plain([sparkline([3, 3], 3, 3, 3, DARK, BLUE)]) == "▄▄ "


def widths(rows: list[Row]) -> set[int]:
    return {cell_len("".join(span.text for span in row)) for row in rows}


@given(st.floats(), st.integers(-1, 30), anything, st.booleans())
def test_a_meter_is_exact_for_any_label(share: float, width: int, label: str, mono: bool) -> None:
    assert widths([meter(share, width, DARK, BLUE, mono, label)]) == {max(width, 0)}


@given(st.lists(st.tuples(anything, st.floats(), anything), max_size=5), st.integers(-1, 40), st.integers(-1, 6))
def test_bar_rows_are_exact(items: list[tuple[str, float, str]], width: int, height: int) -> None:
    labels, shares, texts = ([item[i] for item in items] for i in range(3))
    rows = bar_rows(labels, shares, texts, width, height, DARK, BLUE)  # type: ignore[arg-type]
    assert len(rows) == max(height, 0)
    assert widths(rows) <= {max(width, 0)}


@given(
    st.lists(st.floats(), max_size=40), st.integers(-1, 20), st.integers(-1, 5), st.floats(), st.floats(), st.booleans()
)
def test_upright_bars_are_exact(
    values: list[float], width: int, height: int, low: float, high: float, mono: bool
) -> None:
    for rows in (
        columns(values, width, height, DARK, BLUE, mono),
        histogram(values, width, height, low, high, DARK, BLUE, mono),
    ):
        assert len(rows) == max(height, 0)
        assert widths(rows) <= {max(width, 0)}
    assert widths([sparkline(values, width, low, high, DARK, BLUE, mono)]) == {max(width, 0)}

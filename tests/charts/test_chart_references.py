"""What a curve is read against: ticks in the row of their value, and dashed lines that no curve hides."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from rnnscope.charts.axes import Axes, make_frame
from rnnscope.charts.canvas import THROUGH_SHARE
from rnnscope.charts.lines import Dots, HLine, Line, Series, VMark, line_chart
from rnnscope.charts.palette import DARK, blend
from rnnscope.charts.spans import Row, Style, plain

BLUE, ORANGE, GREEN = DARK.lines[:3]


def drawn(rows: list[Row]) -> list[str]:
    return [f"{line}|" for line in plain(rows).split("\n")]


def style_at(row: Row, column: int) -> Style:
    for span in row:
        column -= cell_len(span.text)
        if column < 0:
            return span.style
    raise IndexError


def labelled_rows(rows: list[Row]) -> dict[float, int]:
    """Return the row of the chart in which each label of the y axis stands."""
    found = {}
    for row, line in enumerate(plain(rows).split("\n")):
        label, axis, _ = line.partition("┤")
        if axis:
            found[float(label.replace(",", ""))] = row
    return found


@pytest.mark.parametrize("height", [5, 8, 11, 14, 21, 40])
@pytest.mark.parametrize("ends", [(1.0, 4.5), (0.0, 4.5), (-12.0, 1.0), (0.0, 2.0), (0.0, 10.0)])
@pytest.mark.parametrize("kind", ["line", "dots", "dashes"])
def test_what_lies_at_a_tick_is_drawn_in_the_row_of_the_tick(height: int, ends: tuple[float, float], kind: str) -> None:
    axes = Axes(x_range=(0, 20), y_range=ends)
    ticks = labelled_rows(line_chart([], axes, 40, height, DARK))
    assert len(ticks) >= 2
    for tick, row in ticks.items():
        series: dict[str, Series] = {
            "line": Line([0, 20], [tick, tick], BLUE),
            "dots": Dots([10], [tick], ORANGE),
            "dashes": HLine(tick, GREEN),
        }
        lines = plain(line_chart([series[kind]], axes, 40, height, DARK)).split("\n")
        marks = {"line": {chr(c) for c in range(0x2801, 0x2900)}, "dots": {"●"}, "dashes": {"╌"}}[kind]
        assert [y for y, line in enumerate(lines) if marks & set(line)] == [row], tick


@settings(max_examples=60, deadline=None)
@given(st.floats(-5, 5), st.floats(0.5, 30), st.integers(6, 50), st.floats(0, 1))
def test_a_value_is_drawn_at_most_half_a_row_from_where_the_ticks_put_it(
    low: float, span: float, height: int, share: float
) -> None:
    """The rows of two ticks say where a value lies between them; so do they for curves and for dots."""
    axes = Axes(x_range=(0, 20), y_range=(low, low + span))
    frame = make_frame(axes, 40, height, False)
    value = low + share * span
    exact = (0.5 + (4 * frame.y.cells - 1) * share) / 4  # in rows from the bottom, edges of rows at whole numbers
    for series in (Line([0, 20], [value, value], BLUE), Dots([10], [value], ORANGE)):
        lines = plain(line_chart([series], axes, 40, height, DARK)).split("\n")[: frame.y.cells]
        (row,) = [y for y, line in enumerate(reversed(lines)) if "●" in line or any("⠀" < c <= "⣿" for c in line)]
        assert abs(row + 0.5 - exact) <= 0.5 + 1e-6


HOVERING: list[Series] = [HLine(1.0, ORANGE), VMark(5, GREEN), Line(np.arange(11), [1.0] * 11, BLUE)]
HOVER_AXES = Axes(x_range=(0, 10), y_range=(0, 2))


def test_a_dashed_line_shows_through_the_curve_on_it() -> None:
    rows = line_chart(HOVERING, HOVER_AXES, 24, 8, DARK)
    (row,) = [row for row in rows if "⠒⠒" in plain([row])]
    through = blend(ORANGE, DARK.background, THROUGH_SHARE)
    assert {style_at(row, column) for column in range(2, 24) if column != 13} == {Style(fg=BLUE, bg=through)}
    assert style_at(row, 13) == Style(fg=BLUE, bg=blend(GREEN, DARK.background, THROUGH_SHARE))


def test_and_without_colour_it_is_underlined() -> None:
    rows = line_chart(HOVERING, HOVER_AXES, 24, 8, DARK, mono=True)
    (row,) = [row for row in rows if "⠒⠒" in plain([row])]
    assert {style_at(row, column).underline for column in range(2, 24)} == {True}
    others = [style_at(other, 13).underline for other in rows if other is not row]
    assert not any(others)


def test_a_dashed_line_fills_every_cell_that_no_curve_takes() -> None:
    series: list[Series] = [HLine(1.0, ORANGE), Line([4, 6], [0, 2], BLUE)]
    lines = drawn(line_chart(series, HOVER_AXES, 22, 8, DARK))
    (line,) = [line for line in lines if "╌" in line]
    assert line.count("╌") >= 18
    assert line[2] == line[21] == "╌"


def test_the_name_of_a_line_finds_a_place_beside_it_where_a_curve_covers_all_of_it() -> None:
    series: list[Series] = [HLine(1.0, ORANGE, "ref"), Line(np.arange(11), [1.0] * 11, BLUE)]
    assert drawn(line_chart(series, HOVER_AXES, 24, 8, DARK)) == [
        "2┤┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈|",
        " │                      |",
        " │                 ref  |",
        "1┤⠒⠒⠒⠒⠒⠒⠒⠒⠒⠒⠒⠒⠒⠒⠒⠒⠒⠒⠒⠒⠒⠒|",
        " │                      |",
        " │                      |",
        "0┤┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈|",
        " └ 0 ─────────────── 10 |",
    ]


def test_names_of_upright_lines_do_not_cover_each_other() -> None:
    series: list[Series] = [VMark(2, ORANGE, "lr x1.25"), VMark(4, GREEN, "clip off")]
    text = plain(line_chart(series, HOVER_AXES, 40, 10, DARK))
    assert "lr x1.25" in text
    assert "clip off" in text


def test_lines_of_one_colour_in_one_row_share_a_name() -> None:
    series: list[Series] = [HLine(1.0, ORANGE, "one"), HLine(1.01, ORANGE, "two"), HLine(0.0, ORANGE, "zero")]
    lines = drawn(line_chart(series, HOVER_AXES, 30, 8, DARK))
    assert [line.split("╌")[-2].strip() for line in lines if "╌" in line] == ["one · two", "zero"]


def test_a_name_is_left_out_rather_than_written_over_another() -> None:
    full = Line([0, 10], [1.0, 1.0], BLUE)
    above, below = Line([0, 10], [1.3, 1.3], BLUE), Line([0, 10], [0.7, 0.7], BLUE)
    marks: list[Series] = [HLine(1.0, ORANGE, "first"), HLine(1.0, GREEN, "second")]
    text = plain(line_chart([*marks, full, above, below], HOVER_AXES, 24, 8, DARK))
    assert text.count("first") == 1
    assert "seco" not in text

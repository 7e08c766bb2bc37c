"""Line charts as literal text."""

from __future__ import annotations

import time

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from rnnscope.charts.lines import Axes, Band, Dots, HLine, Line, Series, VMark, line_chart
from rnnscope.charts.palette import DARK, LIGHT
from rnnscope.charts.spans import RGB, Row, Style, plain

BLUE, ORANGE, GREEN = DARK.lines[:3]
nan, inf = np.nan, np.inf
X = np.arange(21)
FALLING = Line(X, 4 - X / 10, BLUE, "train")
AXES = Axes("step", "nats", (0, 20), (2, 4), x_integer=True)


def drawn(rows: list[Row]) -> list[str]:
    """The characters of a chart; the border keeps trailing spaces visible."""
    return [f"{line}|" for line in plain(rows).split("\n")]


def style_at(rows: list[Row], row: int, column: int) -> Style:
    for span in rows[row]:
        column -= cell_len(span.text)
        if column < 0:
            return span.style
    raise IndexError


def styles_of(rows: list[Row], character: str) -> set[Style]:
    return {span.style for row in rows for span in row if character in span.text}


def test_a_curve_on_labelled_axes() -> None:
    assert drawn(line_chart([FALLING], AXES, 36, 12, DARK)) == [
        " nats  ─ train                      |",
        "4┤⠑⠤⣀⣀┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈|",
        " │    ⠑⠢⣀                           |",
        " │       ⠉⠒⠤⢄                       |",
        " │           ⠉⠒⠤⡀                   |",
        "3┤┈┈┈┈┈┈┈┈┈┈┈┈┈┈⠈⠑⠒⠢⣀┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈|",
        " │                   ⠑⠢⢄⡀           |",
        " │                      ⠈⠉⠢⢄⡀       |",
        " │                          ⠈⠑⠤⣀⡀   |",
        "2┤┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈⠈⠑⠢⣀|",
        " └┬────────────────┬───────── step ─|",
        "  0               10              20|",
    ]


def test_a_low_chart_writes_its_labels_into_the_axis() -> None:
    assert drawn(line_chart([FALLING], AXES, 36, 8, DARK)) == [
        " nats  ─ train                      |",
        "4┤⠑⠒⠤⠤⣀⡀┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈|",
        " │     ⠈⠒⠤⠤⣀⡀                       |",
        "3┤┈┈┈┈┈┈┈┈┈┈⠈⠉⠒⠒⠤⢄⣀⡀┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈|",
        " │                 ⠈⠒⠤⢄⣀⡀           |",
        " │                      ⠈⠉⠒⠢⠤⢄      |",
        "2┤┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈⠉⠒⠢⠤⢄⣀|",
        " └ 0 ──────────── 10 ─── step ── 20 |",
    ]


def test_what_is_outside_and_what_is_no_number_is_marked() -> None:
    series = [Line([0, 5, 10, 15, 20], [1, nan, 3, 9, -inf], BLUE, "a"), Dots([0, 10, 20], [0, 2, -5], ORANGE, "val")]
    rows = line_chart(series, Axes("step", "loss", (0, 20), (0, 4)), 30, 8, DARK)
    assert drawn(rows) == [
        " loss  ─ a  ● val             |",
        "4┤┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈▲▲▲▲▲▲┈┈┈┈┈┈┈|",
        " │              ⠤⠒⠁           |",
        "2┤┈┈┈┈┈┈┈┈┈┈┈┈┈┈●┈┈┈┈┈┈┈┈┈┈┈┈┈|",
        " │                            |",
        " │⠂                           |",
        "0┤●┈┈┈┈┈┈✗┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈▼|",
        " └ 0 ──────── step ─────── 20 |",
    ]
    assert styles_of(rows, "▲") == {Style(fg=BLUE)}
    assert styles_of(rows, "✗") == {Style(fg=DARK.bad)}
    assert styles_of(rows, "▼") == {Style(fg=ORANGE)}


def test_gaps_may_be_left_unmarked() -> None:
    rows = line_chart([Line([0, 5, 10], [1, nan, 3], BLUE, mark_bad=False)], AXES, 30, 8, DARK)
    assert "✗" not in plain(rows)


def test_a_logarithmic_axis_takes_zero_as_below_every_range() -> None:
    line = Line([0, 10, 20], [1e-6, 1e-3, 0.0], BLUE, "g")
    assert drawn(line_chart([line], Axes("lag", "norm", (0, 20), (1e-6, 1), log_y=True), 30, 12, DARK)) == [
        " norm  ─ g                    |",
        " 10⁰┤┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈|",
        "    │                         |",
        "    │                         |",
        "10⁻²┤┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈|",
        "    │           ⢀⠔⢄           |",
        "10⁻⁴┤┈┈┈┈┈┈┈┈⢀⡠⠊⠁┈┈⠑⠢⡀┈┈┈┈┈┈┈┈|",
        "    │      ⡠⠒⠁       ⠈⠒⢄      |",
        "    │   ⡠⠔⠉             ⠑⠢⡀   |",
        "10⁻⁶┤⣀⠔⠊┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈⠈⠒⢄▼|",
        "    └┬────────────────── lag ─|",
        "     0                      20|",
    ]


def test_bands_and_marks() -> None:
    series: list[Series] = [
        Band([0, 20], [0, 2], [2, 4], BLUE, "10-90%"),
        HLine(1.0, GREEN, "floor"),
        VMark(10, ORANGE, "lr"),
    ]
    rows = line_chart(series, Axes("t", "", (0, 20), (0, 4)), 30, 10, DARK)
    assert drawn(rows) == [
        " █ 10-90%                     |",
        "4┤┈┈┈┈┈┈┈┈┈┈┈┈┈┈┆┈lr┈┈┈┈┈┈┈┈┈┈|",
        " │              ┆             |",
        " │              ┆             |",
        "2┤┈┈┈┈┈┈┈┈┈┈┈┈┈┈┆┈┈┈┈┈┈┈┈┈┈┈┈┈|",
        " │              ┆             |",
        " │╌╌╌╌╌╌╌╌╌╌╌╌╌╌┆╌╌╌╌╌ floor ╌|",
        " │              ┆             |",
        "0┤┈┈┈┈┈┈┈┈┈┈┈┈┈┈┆┈┈┈┈┈┈┈┈┈┈┈┈┈|",
        " └ 0 ───────── t ───────── 20 |",
    ]
    shade = style_at(rows, 3, 20).bg
    assert shade is not None
    assert shade != DARK.background
    edge = style_at(rows, 3, 9).bg  # partly covered: between the two
    assert edge is not None
    assert all(min(x) <= mid <= max(x) for mid, x in zip(edge, zip(shade, DARK.background, strict=True), strict=True))
    assert edge not in (shade, DARK.background)
    assert style_at(rows, 1, 4).bg in (None, DARK.background)
    assert style_at(rows, 5, 16) == Style(fg=ORANGE, bg=shade)  # what is drawn on the band keeps its ground


def test_overlapping_bands_mix() -> None:
    both = [Band([0, 20], [0, 0], [4, 4], BLUE), Band([0, 20], [0, 0], [4, 4], ORANGE)]
    axes = Axes("t", "", (0, 20), (0, 4))
    grounds = [style_at(line_chart(bands, axes, 30, 10, DARK), 1, 10).bg for bands in (both[:1], both[1:], both)]
    assert len(set(grounds)) == 3


def test_the_name_of_a_line_keeps_clear_of_curves() -> None:
    series: list[Series] = [Line([10, 20], [1, 1], BLUE), HLine(1.0, GREEN, "floor")]
    rows = line_chart(series, Axes("", "", (0, 20), (0, 2)), 30, 7, DARK)
    assert [line for line in drawn(rows) if "floor" in line] == ["1┤╌╌╌╌╌╌╌ floor ⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀|"]


def test_curves_and_legend_share_colours_and_later_curves_lie_on_top() -> None:
    faint, bold = Line(X, X * 0 + 3, BLUE, "raw", faint=True), Line(X, X * 0 + 3, ORANGE, "smoothed", bold=True)
    rows = line_chart([faint, bold], AXES, 36, 8, DARK)
    legend = {span.text.strip(): span.style for span in rows[0] if span.text.strip()}
    assert legend["━ smoothed"] == Style(fg=ORANGE, bold=True)
    raw = legend["─ raw"].fg
    assert raw is not None
    assert sum(raw) < sum(BLUE)
    assert style_at(rows, 3, 10) == Style(fg=ORANGE, bold=True)


def test_without_colour_curves_carry_letters() -> None:
    series = [FALLING, Line(X, X / 5, ORANGE, "test", faint=True), Band(X, X * 0 + 3, X * 0 + 4, BLUE)]
    rows = line_chart(series, Axes("step", "nats", (0, 20), (0, 4)), 36, 10, DARK, mono=True)
    assert drawn(rows) == [
        " nats  a train  b test              |",
        "4┤⠑⠒⠤⠤⠤⢄⣀░░░░░░░░░░░░░░░░░░░░░░░⣀⣀⠤b|",
        " │░░░░░a░⠉⠉⠒⠒⠒⠤a⣀⡀░░░░░░░░░░⣀⠤⠔⠊░░░░|",
        " │░░░░░░░░░░░░░░░⠈⠉⠑⠒⠒⠢b⣀⠔⠒⠉░░░░░░░░|",
        "2┤┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈⣀⡠⠔⠉⠉┈┈⠉⠉⠉⠑⠒⠤⢄⣀⣀a|",
        " │             b⡠⠒⠉                 |",
        " │        ⢀⣀⠤⠊⠉⠁                    |",
        " │    ⢀b⠔⠊⠁                         |",
        "0┤⣀⠔⠒⠊⠁┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈|",
        " └ 0 ──────────── 10 ─── step ── 20 |",
    ]
    assert {(span.style.fg, span.style.bg) for row in rows for span in row} == {(None, None)}


def test_an_empty_chart_keeps_its_axes() -> None:
    assert drawn(line_chart([], AXES, 20, 6, DARK)) == [
        " nats               |",
        "4┤┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈|",
        " │                  |",
        " │                  |",
        "2┤┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈|",
        " └ 0 ─── step ── 20 |",
    ]


def test_a_single_point_and_a_tiny_chart() -> None:
    axes = Axes(x_range=(0, 6), y_range=(0, 2))
    assert drawn(line_chart([Line([3], [1], BLUE)], axes, 14, 5, DARK)) == [
        "2┤┈┈┈┈┈┈┈┈┈┈┈┈|",
        " │      ⡀     |",
        " │            |",
        "0┤┈┈┈┈┈┈┈┈┈┈┈┈|",
        " └ 0 ───── 5 ─|",
    ]
    assert drawn(line_chart([Line([0, 6], [0, 2], BLUE)], axes, 4, 2, DARK)) == ["  ⡠⠊|", "⡠⠊  |"]
    assert line_chart([], axes, 0, 0, DARK) == []


def test_the_scale_is_the_callers() -> None:
    """A vanished gradient must not look healthy: the same axes, whatever is drawn on them."""
    small = line_chart([Line(X, 2 + X * 1e-9, BLUE)], AXES, 36, 12, DARK)
    large = line_chart([Line(X, 2 + X * 1e9, BLUE)], AXES, 36, 12, DARK)
    assert [line[:2] for line in drawn(small)] == [line[:2] for line in drawn(large)]
    assert [line[2:-1] for line in drawn(small)[:-2] if "⣀" in line] == ["⣀" * 34]
    assert [line[2:-1] for line in drawn(large)[:-2] if "▲" in line] == ["▲" * 34]


def test_zooming_in_keeps_the_line_between_points_that_are_not_visible() -> None:
    whole = Line([0, 100], [0, 4], BLUE)
    rows = line_chart([whole], Axes("", "", (40, 60), (0, 4)), 20, 8, DARK)
    braille = [sum("\u2800" < c <= "\u28ff" for c in line) for line in drawn(rows)]
    assert sum(braille) >= 18
    assert "▲" not in plain(rows)


def test_a_wide_or_dangerous_label_cannot_break_the_frame() -> None:
    series: list[Series] = [
        Line(X, X / 5, BLUE, "\x1b[31m한국어"),
        HLine(2, GREEN, "한\nx"),
        VMark(5, GREEN, "\x9b2J"),
        Dots([3], [3], ORANGE, "dots", glyph="한"),
    ]
    rows = line_chart(series, Axes("스텝\x07", "손실\x1b", (0, 20), (0, 4)), 40, 12, DARK)
    assert {cell_len(line) for line in plain(rows).split("\n")} == {40}
    assert not {"\x1b", "\x9b", "\x07"} & set(plain(rows).replace("\n", ""))


def test_light_palette_and_size_beyond_the_terminal() -> None:
    rows = line_chart([FALLING], AXES, 190, 50, LIGHT)
    assert {cell_len(line) for line in plain(rows).split("\n")} == {190}
    assert len(rows) == 50


numbers = st.lists(st.floats(width=32) | st.sampled_from([nan, inf, -inf, 0.0, 1e300, -1e300]), max_size=12)
bound = st.floats() | st.integers(-5, 5).map(float)
label = st.text(st.characters(codec=None), max_size=8)
colour: st.SearchStrategy[RGB] = st.sampled_from(DARK.lines)
series_of_any_kind = st.one_of(
    st.builds(Line, numbers, numbers, colour, label, st.booleans(), st.booleans(), st.booleans()),
    st.builds(Band, numbers, numbers, numbers, colour, label),
    st.builds(Dots, numbers, numbers, colour, label, label),
    st.builds(HLine, bound, colour, label),
    st.builds(VMark, bound, colour, label),
)
any_axes = st.builds(
    Axes, label, label, st.tuples(bound, bound), st.tuples(bound, bound), st.booleans(), st.booleans(), st.booleans(),
    st.none() | numbers, st.none() | numbers,
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.lists(series_of_any_kind, max_size=4), any_axes, st.integers(-1, 60), st.integers(-1, 20), st.booleans())
def test_nothing_raises_and_the_size_is_exact(
    series: list[Series], axes: Axes, width: int, height: int, mono: bool
) -> None:
    rows = line_chart(series, axes, width, height, DARK, mono)
    assert len(rows) == max(height, 0)
    assert all(cell_len("".join(span.text for span in row)) == max(width, 0) for row in rows)


def test_twenty_thousand_points_cost_little_more_than_two_hundred() -> None:
    def cost(count: int) -> float:
        x = np.arange(count)
        y = np.sin(x / count * 20) + np.cos(x) / 3
        began = time.process_time()  # not the wall's: others share the machine
        line_chart([Line(x, y, BLUE)], Axes("", "", (0, count), (-2, 2)), 120, 30, DARK)
        return time.process_time() - began

    cost(200)
    assert min(cost(20_000) for _ in range(7)) < 8 * min(cost(200) for _ in range(7))  # without downsampling about 25

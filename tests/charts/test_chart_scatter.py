"""Points on two axes."""

from __future__ import annotations

import numpy as np
import pytest

from rnnscope.charts.axes import Axes
from rnnscope.charts.palette import DARK
from rnnscope.charts.scatter import DENSITY, Cloud, Path, nearest, scatter
from rnnscope.charts.spans import plain, width

AXES = Axes(x_label="left", y_label="right", x_range=(0, 1), y_range=(0, 1))
RED, BLUE = DARK.lines[0], DARK.lines[1]


def drawn(*clouds: Cloud, size: tuple[int, int] = (24, 14), mono: bool = False, **options) -> list[str]:  # type: ignore[no-untyped-def]
    rows = scatter(clouds, AXES, *size, DARK, mono, **options)
    assert {width(row) for row in rows} == {size[0]}
    assert len(rows) == size[1]
    return plain(rows).split("\n")


def inside(lines: list[str]) -> list[str]:
    """Return what is inside of the axes."""
    left = lines[-2].index("└") + 1
    return [line[left:] for line in lines[1:-2]]


def test_points_lie_where_their_numbers_say() -> None:
    lines = drawn(Cloud([0.0, 1.0, 0.0], [0.0, 1.0, 1.0], RED, "units"))
    canvas = inside(lines)
    assert canvas[-1][0] == canvas[0][-1] == canvas[0][0] == DENSITY[0]
    assert sum(line.count(DENSITY[0]) for line in canvas) == 3
    assert "● units" in lines[0]
    assert [float(word) for word in lines[-1].split()] == sorted({0.0, 1.0, *map(float, lines[-1].split())})


def test_many_points_in_a_cell_are_denser_and_the_larger_cloud_wins() -> None:
    few, many = Cloud([0.5] * 2, [0.5] * 2, RED, "few", "a"), Cloud([0.5] * 6, [0.5] * 6, BLUE, "many", "b")
    assert sum(line[4:].count(DENSITY[2]) for line in drawn(few, many)[1:]) == 1
    rows = scatter([few, many], AXES, 24, 14, DARK)
    assert [span.style.fg for row in rows[1:] for span in row if DENSITY[2] in span.text] == [BLUE]
    text = "\n".join(drawn(few, many, mono=True)[1:-2])
    assert "b" in text
    assert "a" not in text


def test_characters_stand_in_for_their_points() -> None:
    text = "\n".join(drawn(Cloud([0.2, 0.5, 0.8], [0.2, 0.5, 0.8], RED, characters="x 한"))[1:-2])
    assert [text.count(c) for c in "x␣?"] == [1, 1, 1]


def test_what_is_no_number_or_outside_is_not_drawn() -> None:
    lines = drawn(
        Cloud([np.nan, np.inf, 2.0, 0.5], [0.5, 0.5, 0.5, -np.inf], RED), path=Path([np.nan, 0.5], [0, 1], BLUE)
    )
    assert not any(glyph in "\n".join(lines[1:]) for glyph in DENSITY)
    assert not any(0x2800 < ord(c) < 0x2900 for c in "\n".join(lines))


def test_a_path_joins_its_points_in_their_order_even_backwards() -> None:
    lines = drawn(path=Path([1.0, 0.0, 1.0], [0.0, 0.5, 1.0], BLUE, "text", "abc"))
    canvas = inside(lines)
    assert canvas[-1][-1] == "a"
    assert canvas[0][-1] == "c"
    assert any(line[0] == "b" for line in canvas)
    rows_with_line = [any(0x2800 < ord(c) < 0x2900 for c in line) for line in canvas]
    assert all(rows_with_line[1:-1])
    # Two arms leave the left end: the further from the middle row, the further right.
    right_most = [max(i for i, c in enumerate(line) if c not in " ┈") for line in canvas]
    assert right_most[0] > right_most[len(canvas) // 2] < right_most[-1]


def test_a_straight_path_is_a_straight_line_of_dots() -> None:
    canvas = inside(drawn(path=Path([0.0, 1.0], [0.0, 0.0], BLUE)))
    assert canvas[-1] == "⣀" * len(canvas[-1])


def test_the_cursor_is_on_top() -> None:
    lines = drawn(Cloud([0.5], [0.5], RED), path=Path([0.5, 0.5], [0.5, 0.5], BLUE, characters="xy"), cursor=(0.5, 0.5))
    assert "\n".join(lines).count("◎") == 1
    assert "x" not in "\n".join(lines[1:-2])


@pytest.mark.parametrize("size", [(1, 1), (8, 3), (60, 18), (0, 0)])
def test_every_size_is_kept(size: tuple[int, int]) -> None:
    rows = scatter([Cloud([0.5], [0.5], RED, "one")], AXES, *size, DARK, diagonal=True)
    assert len(rows) == size[1]
    assert all(width(row) == size[0] for row in rows)


def test_a_click_finds_the_point_under_it() -> None:
    x, y = np.array([0.1, 0.9, 0.5, np.nan]), np.array([0.9, 0.1, 0.5, 0.5])
    size = (40, 16)
    for index in range(3):
        lines = plain(scatter([Cloud(x[index : index + 1], y[index : index + 1], RED)], AXES, *size, DARK)).split("\n")
        ((row, column),) = [(r, line.index(DENSITY[0])) for r, line in enumerate(lines) if DENSITY[0] in line and r > 0]
        assert nearest(x, y, AXES, *size, column, row) == index
    assert nearest(x, y, AXES, *size, 39, 1, reach=1.0) is None
    assert nearest([], [], AXES, *size, 3, 3) is None

"""Axis ranges: fixed, and growing only in visible steps."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnscope.tui import ranges


@pytest.mark.parametrize(
    ("largest", "top"), [(math.nan, 4.5), (4.2, 4.5), (4.6, 5.5), (5.6, 10.0), (11.0, 20.0), (30.0, 50.0)]
)
def test_loss_axis_of_65_characters(largest: float, top: float) -> None:
    assert ranges.loss_top(65, largest) == top


@given(st.floats(1e-6, 1e6))
def test_loss_axis_holds_the_largest_loss(largest: float) -> None:
    assert ranges.loss_top(65, largest) >= largest * (1 - 1e-9)


@given(st.floats(1e-6, 1e6))
def test_a_snug_end_holds_the_value_and_wastes_little(value: float) -> None:
    assert value * (1 - 1e-9) <= ranges.snug(value) <= 1.51 * value


def test_snug_ends() -> None:
    assert [ranges.snug(v) for v in (1.0, 1.2, 5.3, 8.1, 0.011)] == [1, 1.5, 6, 10, 0.015]


@given(st.integers(0, 10**7))
def test_step_axis_holds_the_last_step_and_wastes_at_most_half(last: int) -> None:
    end = ranges.steps_end(last)
    assert last <= end <= max(50, 1.6 * last)


def test_step_axis_changes_rarely() -> None:
    assert len({ranges.steps_end(last) for last in range(1, 10_000)}) < 25


def test_gradient_axis_never_shrinks() -> None:
    first = ranges.log_range([-7.5, 0.3])
    assert first == (-8, 1)
    wider = ranges.log_range([-20.0, 3.0], first)
    assert wider == (-24, 4)
    assert ranges.log_range([-1.0, 0.0], wider) == wider


def test_gradient_axis_without_a_number() -> None:
    assert ranges.log_range([np.nan, -np.inf]) == (-4, 1)


@given(st.lists(st.floats(-45, 38), min_size=1))
def test_gradient_axis_holds_everything(values: list[float]) -> None:
    low, high = ranges.log_range(values)
    assert low <= min(values)
    assert max(values) <= high


def test_close_up_is_in_whole_quarters() -> None:
    assert ranges.close_up([1.61, 1.9, np.nan]) == (1.5, 2.0)
    assert ranges.close_up([1.6, 1.6]) == (1.5, 2.0)
    assert ranges.close_up([]) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("top", "smallest", "bottom"),
    [(4.5, math.nan, 1.0), (4.5, 1.0, 1.0), (4.5, 0.999, 0.0), (4.5, 0.0, 0.0), (2.0, 1.5, 0.0), (20.0, 1.2, 1.0)],
)
def test_a_linear_loss_axis_begins_at_1_until_a_loss_is_smaller(top: float, smallest: float, bottom: float) -> None:
    assert ranges.linear_bottom(top, smallest) == bottom


def test_log_bottom() -> None:
    assert ranges.loss_bottom(1.4) == 1.0
    assert ranges.loss_bottom(0.26) == 0.2
    assert ranges.loss_bottom(math.nan) == 1.0

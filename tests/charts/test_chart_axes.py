"""Ticks, labels and scales."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnscope.charts.axes import log_ticks, make_scale, nice_ticks, power_labels, tick_labels

number = st.floats(allow_nan=True, allow_infinity=True)


@pytest.mark.parametrize(
    ("low", "high", "count", "labels"),
    [
        (0, 20, 5, "0 5 10 15 20"),
        (0, 1, 4, "0.0 0.5 1.0"),
        (1.0, 4.5, 6, "1 2 3 4"),
        (-22, 2, 6, "-20 -15 -10 -5 0"),
        (0, 2000, 5, "0 500 1,000 1,500 2,000"),
        (0.8, 0.9, 3, "0.80 0.85 0.90"),
        (0, 123456, 6, "0 25k 50k 75k 100k"),
        (0, 4e7, 5, "0 10M 20M 30M 40M"),
        (0, 3e-4, 4, "0 1e-4 2e-4 3e-4"),
        (0, 2e-3, 5, "0.0000 0.0005 0.0010 0.0015 0.0020"),
        (100_000, 100_003, 4, "100,000 100,001 100,002 100,003"),
        (0, 1e12, 5, "0 2.5e11 5e11 7.5e11 1e12"),
    ],
)
def test_ticks_are_round_and_labels_short(low: float, high: float, count: int, labels: str) -> None:
    assert " ".join(tick_labels(nice_ticks(low, high, count))) == labels


def test_integer_ticks_never_fall_between_integers() -> None:
    assert nice_ticks(0, 3, 9) == [0, 0.5, 1, 1.5, 2, 2.5, 3]
    assert nice_ticks(0, 3, 9, integer=True) == [0, 1, 2, 3]
    assert nice_ticks(0, 12, 6, integer=True) == [0, 5, 10]


@pytest.mark.parametrize(
    ("low", "high", "count", "labels"),
    [
        (1e-12, 1, 5, "10⁻¹² 10⁻⁹ 10⁻⁶ 10⁻³ 10⁰"),
        (1e-40, 1, 6, "10⁻⁴⁰ 10⁻³⁰ 10⁻²⁰ 10⁻¹⁰ 10⁰"),
        (1e-3, 10, 5, "0.001 0.01 0.1 1 10"),
        (0.5, 8, 5, "0.5 1 2 3 5"),
        (0.5, 8, 4, "0.5 1 2 5"),
        (1.5, 1.9, 4, "1.6 1.8"),  # less than an octave: plain round numbers
        (2e-6, 7e-6, 4, "2·10⁻⁶ 3·10⁻⁶ 5·10⁻⁶"),
    ],
)
def test_log_ticks(low: float, high: float, count: int, labels: str) -> None:
    assert " ".join(power_labels(log_ticks(low, high, count))) == labels


@given(number, number, st.integers(-1, 12), st.booleans())
def test_ticks_lie_inside_and_are_few(low: float, high: float, count: int, integer: bool) -> None:
    ticks = nice_ticks(low, high, count, integer=integer)
    assert len(ticks) <= max(count, 0)
    slack = 1e-6 * (high - low) if ticks else 0
    assert all(low - slack <= t <= high + slack for t in ticks)
    assert ticks == sorted(set(ticks))
    assert len(tick_labels(ticks)) == len(ticks)


@given(number, number, st.integers(-1, 12))
def test_log_ticks_lie_inside(low: float, high: float, count: int) -> None:
    ticks = log_ticks(low, high, count)
    assert all(low * (1 - 1e-6) <= t <= high * (1 + 1e-6) for t in ticks)
    assert len(power_labels(ticks)) == len(ticks)


@given(number, number, st.booleans(), st.integers(1, 50))
def test_any_range_gives_a_usable_scale(low: float, high: float, log: bool, count: int) -> None:
    scale = make_scale((low, high), log, count, 4)
    assert math.isfinite(scale.low)
    assert scale.low < scale.high
    ends = [10.0**scale.low, 10.0**scale.high] if log else [scale.low, scale.high]
    assert scale.cell(ends).tolist() == [0, count - 1]


def test_cells_of_a_scale() -> None:
    scale = make_scale((0, 4), False, 10, 2)
    assert scale.cell([0, 2, 4, -1, 5, 1e300]).tolist() == [0, 5, 9, -3, 12, 9500]
    logarithmic = make_scale((1e-4, 1), True, 5, 4)
    np.testing.assert_allclose(logarithmic.share([1e-4, 1e-2, 1, 0, -3, np.nan]), [0, 0.5, 1, -np.inf, -np.inf, np.nan])

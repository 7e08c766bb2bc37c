"""Series of bounded size and smoothing, against plain numpy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from rnnscope.recording.series import Series, smooth

values_with_trouble = st.floats(-1e6, 1e6) | st.sampled_from([math.nan, math.inf, -math.inf])


@settings(max_examples=60, deadline=None)
@given(
    values=st.lists(values_with_trouble, min_size=1, max_size=300),
    gaps=st.integers(1, 9),
    first=st.integers(0, 1000),
    pieces=st.integers(1, 7),
)
def test_buckets_are_what_numpy_says(values: list[float], gaps: int, first: int, pieces: int) -> None:
    step = first + gaps * np.arange(len(values))
    value = np.array(values)
    series = Series(capacity=16)
    for part in np.array_split(np.arange(len(value)), pieces):
        series.append(step[part], value[part])
    got = series.buckets()
    assert len(got) == len(series) <= 16
    width = got.width
    assert width & (width - 1) == 0
    assert width == 1 or (step[-1] - first) // (width // 2) >= 16  # no wider than needed
    row = 0
    for start in range(first, int(step[-1]) + 1, width):
        inside = (step >= start) & (step < start + width)
        if not inside.any():
            continue
        finite = value[inside][np.isfinite(value[inside])]
        assert got.step[row] == step[inside][-1]
        assert (got.count[row], got.bad[row]) == (len(finite), inside.sum() - len(finite))
        expected = [finite.min(), finite.max(), finite.mean(), finite[-1]] if len(finite) else [math.nan] * 4
        measured = [got.low[row], got.high[row], got.mean[row], got.last[row]]
        assert_allclose(measured, expected, rtol=1e-9, atol=1e-9 * 1e6)
        row += 1
    assert row == len(got)
    bad = np.flatnonzero(~np.isfinite(value))
    assert series.first_bad == (step[bad[0]] if len(bad) else None)


def test_one_at_a_time_is_the_same_as_all_at_once() -> None:
    rng = np.random.default_rng(0)
    value = rng.normal(size=1000)
    one, all_at_once = Series(64), Series(64)
    for step in range(1000):
        one.append(step, value[step])
    all_at_once.append(np.arange(1000), value)
    a, b = one.buckets(), all_at_once.buckets()
    for name in ("step", "low", "high", "count", "bad", "last"):
        assert_array_equal(getattr(a, name), getattr(b, name))
    assert_allclose(a.mean, b.mean)


def test_a_spike_stays_visible_in_a_million_steps() -> None:
    value = np.ones(1_000_000)
    value[123_456] = 50.0
    value[777_777] = math.nan
    series = Series()
    series.append(np.arange(1, 1_000_001), value)
    got = series.buckets()
    assert len(got) <= 8192
    assert got.high.max() == 50.0
    assert abs(got.step[got.high.argmax()] - 123_457) < got.width
    assert abs(got.step[got.bad.argmax()] - 777_778) < got.width
    assert series.first_bad == 777_778


def test_buckets_made_elsewhere_merge() -> None:
    rng = np.random.default_rng(0)
    value = rng.normal(size=512)
    straight, merged = Series(16), Series(16)
    straight.append(np.arange(512), value)
    groups = value.reshape(-1, 8)
    merged.merge(np.arange(7, 512, 8), groups.mean(1), groups.min(1), groups.max(1), np.full(64, 8), np.zeros(64))
    merged.append(512, 1.0)
    straight.append(512, 1.0)
    a, b = straight.buckets(), merged.buckets()
    # The merged one starts at its first step, 7, so its buckets are shifted; their contents together are the same.
    assert_allclose((a.mean * a.count).sum(), (b.mean * b.count).sum())
    assert (a.count.sum(), a.low.min(), a.high.max()) == (b.count.sum(), b.low.min(), b.high.max())


def test_edges() -> None:
    series = Series(4)
    assert len(series.buckets()) == 0
    series.append([], [])
    series.append(10, math.inf)
    assert series.buckets().bad.tolist() == [1]
    assert math.isnan(series.buckets().mean[0])
    with pytest.raises(ValueError, match="before the series' first step"):
        series.append(9, 1.0)
    for capacity in (0, 1, 7):
        with pytest.raises(ValueError, match="capacity"):
            Series(capacity)


def slow_average(step: list[float], value: list[float], span: float) -> list[float]:
    """The definition: weights exp(-(s - s_i)/span), normalised."""
    out = []
    for n in range(len(value)):
        weights = [math.exp(-(step[n] - step[i]) / span) if math.isfinite(value[i]) else 0.0 for i in range(n + 1)]
        total = sum(w * value[i] for i, w in enumerate(weights) if w)
        out.append(total / sum(weights) if sum(weights) > 0 else math.nan)
    return out


@settings(max_examples=60, deadline=None)
@given(
    values=st.lists(values_with_trouble, min_size=1, max_size=70),
    gaps=st.lists(st.integers(0, 20), min_size=70, max_size=70),
    span=st.floats(0.5, 1000),
)
def test_smoothing_is_its_definition(values: list[float], gaps: list[int], span: float) -> None:
    step = np.cumsum(gaps[: len(values)]).astype(float)
    expected = slow_average(step.tolist(), values, span)
    got = smooth(step, values, span)
    # Weights so small that they are subnormal have few digits, in the definition too.
    assert_allclose(got, expected, rtol=1e-7, atol=1e-5)


def test_smoothing_starts_at_the_first_value_and_does_not_depend_on_what_follows() -> None:
    rng = np.random.default_rng(0)
    value = 4 + rng.normal(size=3000)
    step = np.arange(3000)
    whole = smooth(step, value, 100.0)
    assert whole[0] == value[0]
    assert_allclose(smooth(step[:500], value[:500], 100.0), whole[:500], rtol=1e-12)
    assert np.std(whole[1000:]) < 0.15


def test_smoothing_of_buckets_is_close_to_that_of_the_steps() -> None:
    step = np.arange(1, 40_001)
    value = 1.5 + 2.5 * np.exp(-step / 5000) + np.random.default_rng(0).normal(0, 0.1, len(step))
    series = Series(1024)
    series.append(step, value)
    got = series.buckets()
    assert got.width == 64
    coarse = smooth(got.step, got.mean, 2000.0, got.count)
    fine = smooth(step, value, 2000.0)[got.step - 1]
    assert np.abs(coarse - fine)[5:].max() < 0.02


def test_smoothing_refuses_nonsense() -> None:
    for span in (0.0, -1.0, math.nan):
        with pytest.raises(ValueError, match="span"):
            smooth([1], [1], span)
    with pytest.raises(ValueError, match="decrease"):
        smooth([2, 1], [1, 1], 1.0)
    assert len(smooth([], [], 1.0)) == 0
    assert np.isnan(smooth([1, 2], [math.nan, math.inf], 1.0)).all()

"""Min/max downsampling keeps peaks and gaps."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rnnscope.charts.downsample import min_max


def test_short_series_come_back_whole() -> None:
    x, y = min_max([1, 2, 3, 4], [5.0, np.nan, 7.0, 8.0], 2)
    assert x.tolist() == [1, 2, 3, 4]
    np.testing.assert_array_equal(y, [5, np.nan, 7, 8])


def test_smallest_and_largest_of_each_bucket_in_their_order() -> None:
    x, y = min_max(np.arange(9), [3, 9, 1, 5, 5, 5, 2, 0, 8], 3)
    assert list(zip(x, y, strict=True)) == [(1, 9), (2, 1), (3, 5), (7, 0), (8, 8)]


def test_one_spike_in_many_survives() -> None:
    y = np.zeros(20_001)
    y[12_345] = 7
    x, kept = min_max(np.arange(20_001), y, 100)
    assert len(kept) <= 200
    assert x[kept.argmax()] == 12_345


def test_a_gap_stays_a_gap_and_infinity_is_not_the_largest_value() -> None:
    y = np.ones(100)
    y[20:40] = np.nan
    y[55] = np.inf
    x, kept = min_max(np.arange(100), y, 10)
    assert np.isnan(kept[(x >= 20) & (x < 40)]).all()
    assert (kept[(x < 20) | (x >= 40)] == 1).all()


@given(st.lists(st.floats(), max_size=200), st.integers(-1, 30))
def test_extremes_are_kept_and_points_are_few(values: list[float], buckets: int) -> None:
    y = np.array(values)
    x, kept = min_max(np.arange(len(y)), y, buckets)
    assert len(x) == len(kept) <= max(2 * max(buckets, 1), len(y) if len(y) <= 2 * max(buckets, 1) else 0)
    assert (np.diff(x) > 0).all()
    finite = y[np.isfinite(y)]
    if finite.size:
        known = kept[np.isfinite(kept)]
        assert (known.min(), known.max()) == (finite.min(), finite.max())

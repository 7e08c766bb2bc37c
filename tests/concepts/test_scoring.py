"""AUC against its definition, R² against least squares."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnscope.concepts.scoring import deviations, prepared, scores, sizes


def auc_by_definition(values: np.ndarray, labels: np.ndarray) -> float:
    """The probability that a yes has the higher value than a no, a tie counting half: every pair is looked at."""
    yes, no = values[labels == 1], values[labels == 0]
    return float(np.mean((yes[:, None] > no) + 0.5 * (yes[:, None] == no)))


@given(
    st.lists(
        st.sampled_from([-np.inf, -2.0, -1e-45, -0.0, 0.0, 1e-45, 1.0, 1.5, 3e38, np.inf]), min_size=2, max_size=40
    ),
    st.randoms(use_true_random=False),
)
@settings(max_examples=60, deadline=None)
def test_auc_is_that_of_the_definition_with_ties(values: list[float], random: object) -> None:
    row = np.array(values, np.float32)
    labels = np.array([random.random() < 0.4 for _ in values], float)  # type: ignore[attr-defined]
    far = deviations(row[None], labels, False)[0]
    if labels.min() == labels.max():
        assert np.isnan(far)
    else:
        assert far == pytest.approx(auc_by_definition(row, labels) - 0.5, abs=1e-12)


def test_many_units_are_scored_at_once() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(7, 300)).astype(np.float32)
    values[3] = np.maximum(values[3], 0)  # as a ReLU's
    values[4] = 1
    labels = (rng.random(300) < 0.2).astype(float)
    expected = [abs(auc_by_definition(row, labels) - 0.5) + 0.5 for row in values]
    np.testing.assert_allclose(scores(values, labels, False), expected, atol=1e-12)


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_r2_is_that_of_least_squares(scale: float) -> None:
    rng = np.random.default_rng(1)
    counts = rng.integers(0, 60, 200).astype(float)
    values = ((rng.normal(size=(5, 200)) + 0.02 * counts) * scale).astype(np.float32)
    for row, found in zip(values, scores(values, counts, True), strict=True):
        design = np.stack([np.ones(200), row.astype(np.float64) / scale], 1)
        coefficients = np.linalg.lstsq(design, counts, rcond=None)[0]
        explained = 1 - np.var(counts - design @ coefficients) / np.var(counts)
        assert found == pytest.approx(explained, abs=1e-6)
    assert deviations(-values, counts, True) == pytest.approx(-deviations(values, counts, True))


def test_what_cannot_be_scored_is_not_a_number() -> None:
    values = np.zeros((4, 6), np.float32)
    values[0], values[1, 2], values[2, 2] = np.arange(6), np.nan, np.inf
    labels = np.array([0, 0, 0, 1, 1, 1.0])
    far = deviations(values, labels, False)
    assert far[0] == 0.5
    assert np.isnan(far[1])
    assert far[2] == pytest.approx(auc_by_definition(values[2], labels) - 0.5)  # an infinite value has a rank
    assert far[3] == 0
    far = deviations(values, labels, True)
    assert np.isnan(far[[1, 2]]).all()
    assert far[3] == 0  # a constant unit explains nothing
    for count in (False, True):
        assert np.isnan(deviations(values, np.ones(6), count)).all()
        assert np.isnan(deviations(np.full((2, 6), np.nan), labels, count)).all()


def test_large_constants_are_not_taken_for_a_signal() -> None:
    values = np.full((1, 1000), 0.1, np.float32) * np.float32(1e6)
    assert deviations(values, np.arange(1000.0), True)[0] == 0


def test_sizes_of_stretches_are_those_of_each_alone() -> None:
    labels = np.random.default_rng(2).integers(0, 4, 50).astype(np.float32)
    begins = np.array([0, 7, 30])
    for begin, size in zip(begins, sizes(labels, begins, 20, True), strict=True):
        assert size == pytest.approx(labels[begin : begin + 20].std() * 20)
    labels = (labels > 2).astype(np.float32)
    for begin, size in zip(begins, sizes(labels, begins, 20, False), strict=True):
        yes = labels[begin : begin + 20].sum()
        assert size == yes * (20 - yes)


def test_ranks_are_exact_for_long_texts() -> None:
    values = np.random.default_rng(3).permutation(70_001).astype(np.float32)[None]
    ranks, bad = prepared(np.concatenate([values, values // 2]), False)
    assert not bad.any()
    np.testing.assert_array_equal(ranks[0], values[0] - 35_000)
    assert ranks[1].astype(np.float64).sum() == 0

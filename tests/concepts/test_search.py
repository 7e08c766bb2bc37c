"""Concept search finds what was planted, and is not fooled by slow units."""

from __future__ import annotations

import numpy as np
import pytest

from rnnscope.concepts.search import NEAREST, linear_probes, search, shifts_of
from rnnscope.concepts.table import CONCEPTS, NAMES, labels_of
from rnnscope.corpus.builtin import generate

N = 20_000
QUOTES, LINE = NAMES["inside quotes"], NAMES["position in line"]
COUNTS = [False, True]


@pytest.fixture(scope="module")
def labels() -> np.ndarray:
    return labels_of((QUOTES, LINE), "".join(generate("play", N)))


def slow_units(count: int, width: int, seed: int = 0) -> np.ndarray:
    """Moving averages of noise, (count, N)."""
    noise = np.random.default_rng(seed).normal(size=(count, N + width))
    sums = np.cumsum(noise, 1)
    return ((sums[:, width:] - sums[:, :-width]) / width**0.5).astype(np.float32)


def auc(values: np.ndarray, yes: np.ndarray) -> float:
    """By Mann and Whitney's sum, for values without ties."""
    rank = np.empty(len(values))
    rank[values.argsort()] = np.arange(len(values))
    count = yes.sum()
    return float((rank[yes == 1].sum() - count * (count - 1) / 2) / (count * (len(yes) - count)))


def test_a_planted_unit_ranks_first_with_its_score_and_passes_the_null(labels: np.ndarray) -> None:
    rng = np.random.default_rng(1)
    layers = [rng.normal(size=(12, N)).astype(np.float32) for _ in range(2)]
    layers[1][5] = 2 * labels[0] + rng.normal(size=N)
    layers[0][3] = -labels[1] + 10 * rng.normal(size=N)
    found = search(layers, labels, COUNTS, shifts_of(100, N), kept=4)
    assert (found.layers[0, 0], found.units[0, 0], found.signs[0, 0]) == (1, 5, 1)
    assert (found.layers[1, 0], found.units[1, 0], found.signs[1, 0]) == (0, 3, -1)
    half = N // 2
    assert found.scores[0, 0] == pytest.approx(auc(layers[1][5, half:], labels[0, half:]), abs=1e-5)
    correlation = np.corrcoef(layers[0][3, half:], labels[1, half:])[0, 1]
    assert found.scores[1, 0] == pytest.approx(correlation**2, abs=1e-5)
    noise = [n for n, at in enumerate(zip(found.layers[0], found.units[0], strict=True)) if at not in ((1, 5), (0, 3))]
    assert noise
    assert found.scores[0, 0] > 0.9 > 0.6 > found.nulls[0] > found.scores[0][noise].max()
    assert found.scores[1, 0] > 0.5 > 0.2 > found.nulls[1]
    probes = linear_probes(layers, labels, COUNTS)
    assert probes[0] == pytest.approx(found.scores[0, 0], abs=0.01)
    assert probes[1] == pytest.approx(found.scores[1, 0], abs=0.01)


def test_a_count_told_the_other_way_in_the_second_half_is_not_told(labels: np.ndarray) -> None:
    turned = np.where(np.arange(N) < N // 2, labels[1], -labels[1]).astype(np.float32)
    found = search([turned[None]], labels[1:], [True], shifts_of(20, N), kept=1)
    assert found.signs[0, 0] == 1
    assert found.scores[0, 0] == 0


def test_a_unit_that_knows_the_opposite_has_a_negative_sign(labels: np.ndarray) -> None:
    unit = (-labels[:1] + np.random.default_rng(2).normal(size=(1, N))).astype(np.float32)
    found = search([unit], labels[:1], [False], shifts_of(20, N), kept=1)
    assert found.signs[0, 0] == -1
    assert found.scores[0, 0] > 0.7


def test_slow_units_pass_shuffled_labels_but_not_shifted_ones(labels: np.ndarray) -> None:
    """Both nulls are found in the same way, for the same units; of those found best, most would pass the easy one."""
    rng = np.random.default_rng(3)
    shuffled = np.stack([labels[0], *(rng.permutation(labels[0]) for _ in range(20))])
    passed = {"shifted": 0, "shuffled": 0}
    for seed in range(6):
        slow = slow_units(32, 400, seed)
        found = search([slow], shuffled, [False] * 21, shifts_of(100, N), kept=8)
        passed["shifted"] += int((found.scores[0] > found.nulls[0]).sum())
        passed["shuffled"] += int((found.scores[0] > np.quantile(found.scores[1:, 0], 0.95)).sum())
    assert passed["shifted"] <= 3
    assert passed["shuffled"] >= 12  # of 48


def test_the_null_is_that_of_rolled_labels(labels: np.ndarray) -> None:
    """Against the same search run on labels rolled by hand, one shift at a time."""
    units = slow_units(9, 50)
    shifts = shifts_of(7, N)
    found = search([units], labels, COUNTS, shifts, kept=1)
    for c in range(2):
        best = []
        for shift in shifts:
            rolled = np.roll(labels[c], shift)[None]
            best.append(search([units], rolled, COUNTS[c : c + 1], shifts_of(1, N), kept=1).scores[0, 0])
        assert found.nulls[c] == pytest.approx(np.quantile(best, 0.95), abs=1e-5)


def test_units_are_ranked_by_the_first_half(labels: np.ndarray) -> None:
    units = np.random.default_rng(4).normal(size=(3, N)).astype(np.float32)
    half = N // 2
    units[0, :half] += 3 * labels[0, :half]  # knows it there only
    units[1, half:] += 3 * labels[0, half:]
    found = search([units], labels[:1], [False], shifts_of(5, N), kept=3)
    assert found.units[0, 0] == 0
    assert found.scores[0, 0] < 0.55
    late = found.scores[0][found.units[0] == 1]
    assert abs(late - 0.5) > 0.4  # found out too late, and perhaps with the wrong sign


def test_constant_labels_are_left_out(labels: np.ndarray) -> None:
    half = N // 2
    never, once, late = np.zeros(N), np.zeros(N), np.zeros(N)
    once[5], late[half + 5 :] = 1, labels[1, half + 5 :]
    units = slow_units(4, 30)
    given = np.stack([never, once, late, labels[0]]).astype(np.float32)
    counts = [False, False, True, False]
    found = search([units], given, counts, shifts_of(20, N), kept=2)
    assert np.isnan(found.scores[:3]).all()
    assert np.isnan(found.nulls[:2]).all()
    assert np.isfinite(found.scores[3]).all()
    assert np.isfinite(found.nulls[3])
    probes = linear_probes([units], given, counts)
    assert np.isnan(probes[:3]).all()
    assert np.isfinite(probes[3])


def test_units_that_are_no_numbers_take_no_part(labels: np.ndarray) -> None:
    units = slow_units(4, 30)
    units[0] += 3 * labels[0]
    units[0, 7], units[1, N - 1], units[2, 3] = np.nan, np.nan, np.inf
    found = search([units], labels, COUNTS, shifts_of(20, N), kept=4)
    assert np.isnan(found.scores[0][found.units[0] == 0]).all()
    assert np.isnan(found.scores[0][found.units[0] == 1]).all()
    assert np.isfinite(found.scores[0][found.units[0] >= 2]).all()
    assert np.isfinite(found.scores[1][found.units[1] == 3]).all()
    assert np.isfinite(linear_probes([units], labels, COUNTS)).all()
    nothing = np.full((3, N), np.nan, np.float32)
    found = search([nothing], labels, COUNTS, shifts_of(20, N), kept=2)
    assert np.isnan(found.scores).all()
    assert np.isnan(found.nulls).all()
    assert (found.signs == 0).all()
    assert linear_probes([nothing], labels, COUNTS)[0] == pytest.approx(0.5)


def test_the_linear_probe_is_ridge_regression(labels: np.ndarray) -> None:
    """Against least squares on the data with the penalty written as rows of its own."""
    n, half = 600, 300
    units = slow_units(5, 3)[:, :n] * np.array([[1], [5], [0.1], [2], [1]], np.float32) + 1
    yes = labels_of((NAMES["vowel"],), "".join(generate("play", n)))
    z = (units - units.mean(1, keepdims=True)) / units.std(1, keepdims=True)
    first = z[:, :half] - z[:, :half].mean(1, keepdims=True)
    design = np.concatenate([first.T, np.sqrt(1e-3 * half) * np.eye(5)])
    target = np.concatenate([yes[0, :half] - yes[0, :half].mean(), np.zeros(5)])
    weights = np.linalg.lstsq(design.astype(np.float64), target.astype(np.float64), rcond=None)[0]
    expected = auc(weights @ z[:, half:], yes[0, half:])
    assert linear_probes([units], yes, [False])[0] == pytest.approx(expected, abs=1e-4)


def test_shifts_are_spread_over_the_text_and_not_near_its_ends() -> None:
    shifts = shifts_of(100, 100_000)
    assert len(set(shifts.tolist())) == 100
    assert shifts[0] == NEAREST
    assert shifts[-1] == 100_000 - NEAREST
    assert shifts_of(3, 80).tolist() == [10, 40, 70]


def test_progress_is_told_and_can_end_it(labels: np.ndarray) -> None:
    shares: list[float] = []
    search([slow_units(3, 9), slow_units(2, 9)], labels, COUNTS, shifts_of(5, N), kept=2, report=shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == 1

    def stop(share: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search([slow_units(3, 9)], labels, COUNTS, shifts_of(5, N), kept=2, report=stop)


def test_wide_layers_tell_often_how_far_they_are(labels: np.ndarray) -> None:
    wide, short = [slow_units(200, 9)[:, :2000]], labels[:, :2000]
    shares: list[float] = []
    search(wide, short, COUNTS, shifts_of(5, 2000), kept=2, report=shares.append)
    assert shares == sorted(shares)
    assert shares.count(0.0) == 2 * 4  # ranks, and values at variance 1, of four times 64 units at most
    shares.clear()
    probed = linear_probes(wide, short, COUNTS, report=shares.append)
    assert len(shares) == 4 + 1 + len(COUNTS)
    np.testing.assert_array_equal(probed, linear_probes(wide, short, COUNTS))


def test_every_concept_can_be_searched_for() -> None:
    text = "".join(generate("code", 4_000))
    found = search(
        [np.random.default_rng(5).normal(size=(6, 4_000)).astype(np.float32)],
        labels_of(CONCEPTS, text),
        [concept.measure == "R2" for concept in CONCEPTS],
        shifts_of(100, 4_000),
    )
    speakers = [concept.name for concept in CONCEPTS].index("speaker name")
    assert np.isnan(found.scores[speakers]).all()
    assert np.isfinite(np.delete(found.scores, speakers, 0)).all()

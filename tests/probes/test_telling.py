"""The held-out probe against the same objective minimised in its primal form, and AUC by counting."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from rnnscope.probes import telling
from rnnscope.probes.telling import auc, held_out_auc


def states(seed: int, shape: tuple[int, ...], shift: float = 0.0) -> Tensor:
    found = torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    found[..., 0] += shift
    return found


def by_counting(negative: Tensor, positive: Tensor) -> float:
    pairs = [(float(p), float(n)) for p in positive for n in negative]
    return float(np.mean([1.0 if p > n else 0.5 if p == n else 0.0 for p, n in pairs]))


def primal_scores(one: Tensor, other: Tensor, new: Tensor) -> Tensor:
    """Minimise the penalised logistic loss over the weights themselves by LBFGS."""
    x = torch.cat([one, other])
    y = torch.cat([torch.zeros(len(one)), torch.ones(len(other))]).double()
    middle = x.mean(0)
    within = (one.var(0, correction=0) + other.var(0, correction=0)) / 2
    scale = 1 / ((within + telling.FAINT * x.var(0, correction=0).mean()) * x.shape[1]).sqrt()
    x, new = (x - middle) * scale, (new - middle) * scale
    w = torch.zeros(x.shape[1], dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS(
        [w], max_iter=500, tolerance_grad=1e-12, tolerance_change=1e-16, line_search_fn="strong_wolfe"
    )

    def loss() -> Tensor:
        optimiser.zero_grad()
        found = torch.nn.functional.binary_cross_entropy_with_logits(x @ w, y, reduction="sum")
        found = found + telling.PENALTY / 2 * w @ w
        found.backward()
        return found

    optimiser.step(loss)
    return (new @ w).detach()


@pytest.mark.parametrize(("pairs", "units", "shift"), [(8, 3, 0.5), (11, 40, 2.0), (2, 5, 1.0)])
def test_it_is_logistic_regression_on_the_other_half(
    pairs: int, units: int, shift: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telling, "TOGETHER", 3)
    one, other = states(1, (5, pairs, units)), states(2, (5, pairs, units), shift)
    even = torch.arange(pairs) % 2 == 0
    found = held_out_auc(one, other)
    for block in ([0, 1, 2], [3, 4]):
        expected = []
        for half in (even, ~even):
            x, y = one[block][:, half].flatten(0, 1), other[block][:, half].flatten(0, 1)
            new = [primal_scores(x, y, new[block][:, ~half]) for new in (one, other)]
            got = telling.scores(
                one[block][:, half], other[block][:, half], *(z[block][:, ~half] for z in (one, other))
            )
            torch.testing.assert_close(got, tuple(new), rtol=1e-6, atol=1e-8)
            expected.append([by_counting(a, b) for a, b in zip(*new, strict=True)])
        assert found[block].tolist() == pytest.approx(np.mean(expected, 0))


def test_what_is_the_same_cannot_be_told_apart() -> None:
    one = states(3, (5, 12, 30))
    assert (held_out_auc(one, one.clone()) == 0.5).all()
    nothing = torch.zeros(5, 12, 30)
    assert (held_out_auc(nothing, nothing.clone()) == 0.5).all()
    assert (held_out_auc(nothing, nothing + 1) == 1).all()


def test_what_differs_can_and_what_does_not_can_only_by_chance() -> None:
    one = states(4, (40, 64, 50))
    assert held_out_auc(one, states(5, (40, 64, 50), 8.0)).mean() > 0.99
    assert abs(held_out_auc(one, states(6, (40, 64, 50))).mean() - 0.5) < 0.04


def test_auc_counts_pairs() -> None:
    negative, positive = torch.tensor([[1.0, 2.0, 2.0]]), torch.tensor([[2.0, 0.0, 5.0, 2.0]])
    assert auc(negative, positive).tolist() == pytest.approx([by_counting(negative[0], positive[0])])


def test_states_that_are_no_numbers_give_none() -> None:
    one = states(7, (20, 6, 4))
    other = one.clone()
    other[1, 2, 0] = torch.nan
    other[18, 5, 1] = torch.inf
    found = held_out_auc(one, other)
    assert found[:8].isnan().all()
    assert (found[8:16] == 0.5).all()
    assert found[16:].isnan().all()
    assert held_out_auc(one[:, :1], other[:, :1]).isnan().all()

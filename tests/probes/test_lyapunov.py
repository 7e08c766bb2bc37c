"""Lyapunov exponents against determinants, linear chains, and the values known of random tanh networks."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor

from rnnscope.config import ModelConfig
from rnnscope.model import CharRNN
from rnnscope.probes import lyapunov
from rnnscope.probes.linearised import Trajectory
from tests.probes.lab import CELLS, V, make, random_state


def linear(weight: Tensor, rows: Tensor, start: int, stop: int) -> Tensor:
    """Pull through the chain s_t = W s_{t-1}, step by step, in the precision of both."""
    for _ in range(stop - start):
        rows = rows @ weight
    return rows


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_an_orthogonal_chain_keeps_everything(dtype: torch.dtype) -> None:
    weight = torch.linalg.qr(torch.randn(64, 64, generator=seeded(), dtype=torch.float64))[0].to(dtype)
    found = lyapunov.exponents(partial(linear, weight), 64, 200, 20, 64, seeded(), dtype)
    assert (found.shape, found.dtype) == ((64,), torch.float64)
    assert found.abs().max() < 1e-5


@pytest.mark.parametrize("w", [0.5, 1.1, 1e-3])
def test_a_scalar_chain(w: float) -> None:
    found = lyapunov.exponents(partial(linear, torch.tensor([[w]], dtype=torch.float64)), 1, 50, 5, 20, seeded())
    assert found.tolist() == [pytest.approx(math.log(w), rel=1e-12)]


@pytest.mark.parametrize(
    ("dtype", "exact"),
    [
        (torch.float64, [10.0, 0.0, -10.0, -20.0]), (torch.float32, [2.0, 0.0, -2.0, -4.0]),
        (torch.float64, [-100.0] * 3), (torch.float32, [-12.0] * 3), (torch.float32, [30.0] * 3),
    ],
)  # fmt: skip
def test_more_than_the_numbers_hold_between_two_decompositions(dtype: torch.dtype, exact: list[float]) -> None:
    """Exponents so far apart, or all so small or so large, that 16 steps lose them: the steps are made again."""
    weight = torch.diag(torch.tensor(exact).double().exp()).to(dtype)
    turned = torch.linalg.qr(torch.randn(len(exact), len(exact), generator=seeded(), dtype=torch.float64))[0].to(dtype)
    found = lyapunov.exponents(partial(linear, turned.t() @ weight @ turned), len(exact), 40, 10, 4, seeded(), dtype)
    tolerance = 0.2 if exact[0] != exact[-1] else 1e-5
    torch.testing.assert_close(found, torch.tensor(exact).double(), rtol=0, atol=tolerance)


def test_directions_that_die_are_no_rounding_noise() -> None:
    turned = torch.linalg.qr(torch.randn(6, 6, generator=seeded(), dtype=torch.float64))[0]
    weight = turned.t() @ torch.diag(torch.tensor([1.0, 1.0, 0.5, 0.5, 0.0, 0.0]).double()) @ turned
    found = lyapunov.exponents(partial(linear, weight), 6, 40, 10, 6, seeded())
    half = math.log(0.5)
    torch.testing.assert_close(found[:4], torch.tensor([0.0, 0.0, half, half]).double(), rtol=0, atol=1e-6)
    assert found[4:].tolist() == [-math.inf] * 2


def test_a_relu_network_has_as_many_exponents_as_its_states_have_dimensions() -> None:
    model = make("relu", 1).double()
    ids = torch.randint(V, (60,), generator=seeded())
    path = Trajectory(model, ids, random_state(model, 1))
    found = lyapunov.exponents(path.pull, path.size, 40, 20, path.size, seeded())
    eye = torch.eye(path.size, dtype=torch.float64)
    ranks = [int(torch.linalg.matrix_rank(path.pull(eye, t, t + 1))) for t in range(40)]
    assert min(ranks) < path.size  # some units are off
    assert int(found.isfinite().sum()) <= min(ranks)


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("cell", [cell for cell in CELLS if cell not in ("relu", "lnrnn")])  # those lose directions
def test_all_exponents_add_up_to_the_log_determinant(cell: str, layers: int) -> None:
    model = make(cell, layers)
    ids = torch.randint(V, (60,), generator=seeded())
    path = Trajectory(model, ids, random_state(model, 1))
    found = lyapunov.exponents(path.pull, path.size, 50, 10, path.size, seeded())
    eye = torch.eye(path.size, dtype=torch.float64)
    exact = sum(torch.linalg.slogdet(path.pull(eye, t, t + 1)).logabsdet for t in range(50)) / 50
    assert len(found) == path.size
    assert float(found.sum()) == pytest.approx(float(exact), rel=1e-9)
    assert found.tolist() == sorted(found.tolist(), reverse=True)


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("cell", CELLS)
def test_the_largest_is_the_growth_of_a_small_difference(cell: str, layers: int) -> None:
    """Carried forwards by the plain definition, from finite differences: 400 steps, driven by a text."""
    model = make(cell, layers)
    if cell == "relu":
        with torch.no_grad():  # more of its units live
            for layer in model.layers:
                layer.get_parameter("bias_ih_l0").add_(2.0)
    ids = torch.randint(V, (500,), generator=seeded())
    event = lyapunov.measure(model, ids, count=1, steps=400, burn_in=50)
    state, growth = model.initial_state(1), 0.0
    tiny = 1e-7
    change = [torch.randn(s.shape, generator=seeded(), dtype=s.dtype) for layer in state for s in layer]
    for t, x in enumerate(ids[:450]):
        size = torch.cat(change, 1).norm()
        if t >= 50:
            growth += float(size.log())
        step = iter([part / size * tiny for part in change])
        apart = tuple(tuple(s + next(step) for s in layer) for layer in state)
        (_, there), (_, state) = model.step(x.view(1), apart), model.step(x.view(1), state)
        change = [(b - a) / tiny for x, y in zip(there, state, strict=True) for b, a in zip(x, y, strict=True)]
    assert event.exponents[0] == pytest.approx(growth / 400, abs=0.03)


@pytest.mark.parametrize("cell", CELLS)
def test_in_the_networks_own_precision_they_are_the_same(cell: str) -> None:
    torch.manual_seed(1)
    model, ids = CharRNN(ModelConfig(cell=cell, layers=2, hidden=64), V), torch.randint(V, (180,), generator=seeded())
    found = lyapunov.measure(model, ids, count=5, steps=120, burn_in=30).exponents
    exact = lyapunov.measure(model.double(), ids, count=5, steps=120, burn_in=30).exponents
    np.testing.assert_allclose(found, exact, atol=1e-5)


def test_what_float32_loses_is_found_in_float64() -> None:
    model = random_tanh(2, 1.0, 0)
    with torch.no_grad():
        model.layers[0].get_parameter("weight_hh_l0").copy_(torch.tensor([[0.9, 0.0], [0.3, 1e-8]]))
    found = lyapunov.measure(model, None, count=2, steps=100, burn_in=100).exponents
    np.testing.assert_allclose(found, [math.log(0.9), math.log(1e-8)], atol=1e-3)


def random_tanh(hidden: int, gain: float, seed: int) -> CharRNN:
    torch.manual_seed(seed)
    return CharRNN(ModelConfig(cell="tanh", layers=1, hidden=hidden, init="gaussian", gain=gain), 5)


def test_the_textbook_experiment() -> None:
    """h <- tanh(W h), W_ij ~ N(0, 4/512): 0.150, one network's standard deviation 0.005."""
    found = [lyapunov.measure(random_tanh(512, 2.0, seed), None, count=1, seed=seed) for seed in range(2)]
    assert np.mean([event.exponents[0] for event in found]) == pytest.approx(0.150, abs=0.012)
    assert all(event.zero_input and event.steps == 1500 and event.burn_in == 300 for event in found)


def test_below_gain_one_it_is_the_spectral_radius_that_counts() -> None:
    model = random_tanh(48, 0.8, 0)
    radius = torch.linalg.eigvals(model.layers[0].get_parameter("weight_hh_l0").detach().double()).abs().max()
    found = lyapunov.measure(model, None, count=3, steps=1200, burn_in=300)
    assert found.exponents[0] == pytest.approx(float(radius.log()), abs=2e-3)


def test_no_input_leaves_the_bias() -> None:
    """A bias that saturates tanh makes everything fade; what the text would have been does not matter."""
    model = random_tanh(16, 2.0, 0)
    alone = lyapunov.measure(model, None, count=2, steps=50, burn_in=10).exponents
    with torch.no_grad():
        model.layers[0].get_parameter("weight_ih_l0").mul_(100)
    np.testing.assert_array_equal(lyapunov.measure(model, None, count=2, steps=50, burn_in=10).exponents, alone)
    with torch.no_grad():
        model.layers[0].get_parameter("bias_ih_l0").fill_(6.0)
    assert (lyapunov.measure(model, None, count=2, steps=50, burn_in=10).exponents < alone - 1).all()


def test_a_short_text_is_used_in_proportion() -> None:
    model, ids = make("gru"), torch.zeros(100, dtype=torch.long)
    event = lyapunov.measure(model, ids, count=3, steps=800, burn_in=100)
    assert (event.steps, event.burn_in, len(event.exponents)) == (80, 10, 3)
    empty = lyapunov.measure(model, ids[:0], count=3)
    assert empty.steps == 0
    assert np.isnan(empty.exponents).all()


@pytest.mark.parametrize("cell", CELLS)
def test_while_learning(cell: str) -> None:
    text = np.random.default_rng(0).integers(V, size=1000).astype(np.uint8)
    model = make(cell)
    random = torch.get_rng_state()
    event = lyapunov.while_learning(model, text, 7)
    assert (event.steps, event.burn_in) == (lyapunov.LIVE_STEPS, lyapunov.LIVE_BURN_IN)
    assert len(event.exponents) == 10
    assert not np.isnan(event.exponents).any()
    assert torch.equal(torch.get_rng_state(), random)
    np.testing.assert_array_equal(lyapunov.while_learning(model, text, 7).exponents, event.exponents)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_diverged_network(cell: str, value: float) -> None:
    model = make(cell)
    with torch.no_grad():
        model.layers[0].get_parameter("weight_hh_l0")[0, 0] = value
        model.layers[0].get_parameter("weight_ih_l0")[1] = float("nan")
    event = lyapunov.measure(model, torch.ones(30, dtype=torch.long), count=4, steps=20, burn_in=5)
    assert np.isnan(event.exponents).all()

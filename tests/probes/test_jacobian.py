"""Jacobian products against torch.autograd.functional.jacobian of the unrolled network, and numbers known exactly."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from rnnscope.config import ModelConfig
from rnnscope.model import CharRNN, State
from rnnscope.probes import jacobian
from rnnscope.probes.jacobian import of_products
from rnnscope.probes.linearised import Trajectory
from tests.probes.lab import CELLS, T, V, make, random_state, window


def unrolled(model: CharRNN, ids: Tensor, state: State, k: int) -> Tensor:
    """d s_T / d s_{T-k} (D, D), by autograd over a loop of the plain steps; ids (T,)."""
    sizes = [s.shape[1] for layer in state for s in layer]

    def run(flat: Tensor, ids: Tensor) -> Tensor:
        parts = iter(flat.split(sizes))
        now = [tuple(next(parts).unsqueeze(0) for _ in model.cell.states) for _ in model.layers]
        for x_id in ids:
            x = model.embed(x_id.view(1))
            for index, layer in enumerate(model.layers):
                now[index] = model.cell.step(x, now[index], layer)
                x = now[index][0]
        return torch.cat([s.squeeze(0) for layer in now for s in layer])

    before = torch.cat([s.squeeze(0) for layer in state for s in layer])
    early = len(ids) - k
    return torch.autograd.functional.jacobian(lambda s: run(s, ids[early:]), run(before, ids[:early]).detach())


def logs(matrix: Tensor, count: int) -> np.ndarray:
    return torch.linalg.svdvals(matrix)[:count].log10().numpy()


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("cell", CELLS)
def test_products(cell: str, layers: int) -> None:
    """Of vectors from either side to 1e-9, and the singular values."""
    model = make(cell, layers)
    ids, _ = window(1)
    state = random_state(model, 1)
    path = Trajectory(model, ids[:, 0], state)
    eye = torch.eye(path.size, dtype=torch.float64)
    for k in (1, 2, 4):
        exact = unrolled(model, ids[:, 0], state, k)
        torch.testing.assert_close(path.pull(eye, T - k, T), exact, rtol=1e-9, atol=1e-13)
        torch.testing.assert_close(path.push(eye, T - k, T), exact.t(), rtol=1e-9, atol=1e-13)
    event = jacobian.measure(model, ids, state)
    assert event.spans.tolist() == [1, 2, 4]
    count = min(8, path.size)
    for k, found in zip(event.spans, event.singular, strict=True):
        expected = logs(unrolled(model, ids[:, 0], state, int(k)), count)
        told = expected > expected[0] - 12
        np.testing.assert_allclose(found[told], expected[told], rtol=1e-5, atol=1e-6)
        assert (found[~told] <= expected[0] - 11).all()


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("cell", CELLS)
def test_a_large_state(cell: str, layers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The subspace finds what the full decomposition does: within the error that its residual allows."""
    model = make(cell, layers, hidden=48 // layers)
    ids, _ = window(1, 9)
    path = Trajectory(model, ids[:, 0], random_state(model, 1))
    exact = jacobian.of_formed(path, 4)
    monkeypatch.setattr(jacobian, "MORE", 0)
    for tolerance in (1e-3, jacobian.TOLERANCE):
        monkeypatch.setattr(jacobian, "TOLERANCE", tolerance)
        for ours, theirs in zip(jacobian.of_products(path, 4), exact, strict=True):
            told = theirs > theirs[0] - 8
            torch.testing.assert_close(ours[told], theirs[told], rtol=0, atol=math.log10(1 + tolerance))


@pytest.mark.parametrize("cell", CELLS)
def test_a_large_state_in_the_networks_own_precision(cell: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a run measures it, against products formed and decomposed in float64."""
    torch.manual_seed(0)
    model = CharRNN(ModelConfig(cell=cell, layers=2, hidden=160, embedding=4), V)
    ids, state = window(2, 9)[0], random_state(model, 2)
    used: list[torch.dtype] = []
    monkeypatch.setattr(
        jacobian, "of_products", lambda path, count: used.append(path.dtype) or of_products(path, count)
    )
    event = jacobian.measure(model, ids, state)
    assert used == [torch.float32]
    assert event.spans.tolist() == [1, 2, 4, 8]
    first = tuple(tuple(s[:1] for s in layer) for layer in state)
    exact = torch.stack(jacobian.of_formed(Trajectory(model, ids[:, 0], first), 8)).numpy()
    np.testing.assert_allclose(event.singular, exact, atol=math.log10(1 + jacobian.TOLERANCE))


def test_what_float32_loses_of_a_large_state_is_found_in_float64(monkeypatch: pytest.MonkeyPatch) -> None:
    """A recurrence that is diagonal, h -> W h, from 1 down to 1e-7: float32's rounding is 1e-7 of the largest."""
    monkeypatch.setattr(jacobian, "FORMED", 0)
    model = CharRNN(ModelConfig(cell="relu", layers=1, hidden=8, embedding=1), 2)
    sizes = torch.logspace(0, -7, 8)
    with torch.no_grad():
        for parameter in model.layers.parameters():
            parameter.zero_()
        model.layers[0].get_parameter("weight_hh_l0").copy_(torch.diag(sizes))
    event = jacobian.measure(model, torch.zeros(2, 1, dtype=torch.long), ((torch.ones(1, 8),),))
    np.testing.assert_allclose(event.singular, [-np.arange(8.0)], atol=math.log10(1 + jacobian.TOLERANCE))


def test_spectrum_of_the_default_initialisation() -> None:
    """torch.nn.RNN, H=256, zero state: gradients fade by the radius, although a singular value is above 1."""
    for seed in range(2):
        torch.manual_seed(seed)
        model = CharRNN(ModelConfig(cell="tanh", layers=1, hidden=256), 5)
        event = jacobian.measure(model, torch.zeros(2, 1, dtype=torch.long), model.initial_state(1))
        assert -0.56 < math.log(event.spectral_radius[0]) < -0.50
        assert 1.1 < event.largest_singular[0] < 1.18
        assert event.bound == 1


@pytest.mark.parametrize("cell", CELLS)
def test_the_bound_is_that_of_elman_cells(cell: str) -> None:
    model = make(cell, 3)
    event = jacobian.measure(model, *window(1)[:1], random_state(model, 1))
    assert event.spectral_radius.shape == event.largest_singular.shape == (3,)
    if cell in ("tanh", "relu"):
        weight = model.layers[1].get_parameter("weight_hh_l0").detach().numpy()
        assert event.spectral_radius[1] == pytest.approx(np.abs(np.linalg.eigvals(weight)).max(), rel=1e-12)
        assert event.largest_singular[1] == pytest.approx(np.linalg.norm(weight, 2), rel=1e-12)
        assert event.bound == 1
    else:
        assert np.isnan([event.spectral_radius, event.largest_singular]).all()
        assert event.bound is None


def chain(w: float) -> CharRNN:
    """One ReLU unit, nothing but its recurrent weight: h_t = w h_{t-1} for w, h > 0."""
    model = CharRNN(ModelConfig(cell="relu", layers=1, hidden=1, embedding=1), 2).double()
    for parameter in model.layers.parameters():
        nn.init.zeros_(parameter)
    nn.init.constant_(model.layers[0].get_parameter("weight_hh_l0"), w)
    return model


@pytest.mark.parametrize("w", [0.5, 1.1, 1e-12, 1e6])
@pytest.mark.parametrize("formed", [True, False])
def test_a_scalar_chain_does_not_underflow(w: float, formed: bool) -> None:
    path = Trajectory(chain(w), torch.zeros(33, dtype=torch.long), ((torch.full((1, 1), 1e100, dtype=torch.float64),),))
    found = (jacobian.of_formed if formed else jacobian.of_products)(path, 1)
    assert len(found) == 6
    for k, values in zip((1, 2, 4, 8, 16, 32), found, strict=True):
        assert float(values) == pytest.approx(k * math.log10(w), rel=1e-12)


@pytest.mark.parametrize("decomposed", [True, False])
def test_dead_units_have_no_singular_values(decomposed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not decomposed:
        monkeypatch.setattr(jacobian, "FORMED", 0)
    event = jacobian.measure(chain(-1.0), torch.zeros(4, 1, dtype=torch.long), ((torch.ones(1, 1).double(),),))
    assert np.isneginf(event.singular).all()


@pytest.mark.parametrize("decomposed", [True, False])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("cell", CELLS)
def test_a_diverged_network(cell: str, value: float, decomposed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not decomposed:
        monkeypatch.setattr(jacobian, "FORMED", 0)
    model = make(cell)
    with torch.no_grad():
        model.layers[0].get_parameter("weight_hh_l0")[0, 0] = value
        model.layers[0].get_parameter("weight_ih_l0")[1] = float("nan")
    event = jacobian.measure(model, *window(1)[:1], random_state(model, 1))
    assert np.isnan(event.singular).all()
    assert np.isnan(event.spectral_radius[0])


@pytest.mark.parametrize("cell", CELLS)
def test_measuring_touches_nothing(cell: str) -> None:
    model = make(cell).train()
    ids, _ = window(1)
    state = random_state(model, 1)
    weights, start, random = copy.deepcopy(model.state_dict()), copy.deepcopy(state), torch.get_rng_state()
    jacobian.measure(model, ids, state)
    assert all(p.grad is None and p.requires_grad for p in model.parameters())
    assert torch.equal(torch.get_rng_state(), random)
    assert all(torch.equal(value, weights[name]) for name, value in model.state_dict().items())
    assert all(torch.equal(a, b) for x, y in zip(state, start, strict=True) for a, b in zip(x, y, strict=True))


def test_a_window_of_one_step() -> None:
    event = jacobian.measure(make("gru"), window(1)[0][:1], random_state(make("gru"), 1))
    assert event.spans.tolist() == [1]
    assert np.isfinite(event.singular).all()

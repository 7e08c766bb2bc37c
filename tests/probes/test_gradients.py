"""dL/dh_t against autograd and against numbers known exactly."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn

from rnnscope import registry
from rnnscope.config import ModelConfig
from rnnscope.model import CharRNN, State
from rnnscope.probes.gradients import LOSSES, _norms, direct_gradient, hidden_gradients, measure, summarise
from rnnscope.verify import exact_gradients

CELLS = list(registry.CELLS)
B, T, V, H, L = 3, 8, 9, 5, 2


def make(cell: str, kernel: str = "scan", **options: object) -> CharRNN:
    torch.manual_seed(0)
    values = {"layers": L, "hidden": H, "embedding": 4} | options
    return CharRNN(ModelConfig(cell=cell, **values), V, kernel=kernel).double()


def window() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    ids, targets = torch.randint(V, (2, T, B))
    return ids, targets


def random_state(model: CharRNN) -> State:
    return tuple(tuple(torch.randn_like(s) for s in layer) for layer in model.initial_state(B))


def kernels(cell: str) -> tuple[str, ...]:
    return ("scan",) if cell == "lnrnn" else ("scan", "fused")


@pytest.mark.parametrize("losses", LOSSES)
@pytest.mark.parametrize(("cell", "kernel"), [(cell, kernel) for cell in CELLS for kernel in kernels(cell)])
def test_total_derivatives(cell: str, kernel: str, losses: str) -> None:
    """Every layer, time step and state, to 1e-9, from a carried state."""
    model = make(cell, kernel)
    ids, targets = window()
    state = random_state(model)
    measured = hidden_gradients(model, ids, targets, state, losses)
    visited = exact_gradients(make(cell), ids, targets, state, losses)
    assert len(measured) == L
    for layer in range(L):
        assert set(measured[layer]) == set(model.cell.states)
        for index, name in enumerate(model.cell.states):
            exact = torch.stack([at_t[layer][index] for at_t in visited])
            torch.testing.assert_close(measured[layer][name], exact, rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("cell", CELLS)
def test_reach_is_a_product_of_jacobians(cell: str) -> None:
    """dL/ds_t = dL/ds_T J_T ... J_{t+1}, each J from torch.func over the plain step; one layer, one sample."""
    model = make(cell, layers=1)
    ids, targets = window()
    ids, targets = ids[:, :1], targets[:, :1]
    start = tuple(s[:1] for s in random_state(model)[0])
    state, count, jacobians = start, len(start), []
    for t in range(T):
        x = model.embed(ids[t])

        def step(flat: torch.Tensor, x: torch.Tensor = x) -> torch.Tensor:
            return torch.cat(model.cell.step(x, tuple(flat.view(count, 1, H)), model.layers[0])).flatten()

        flat = torch.cat(state).flatten().detach()
        jacobians.append(torch.func.jacrev(step)(flat).detach())
        state = tuple(step(flat).detach().view(count, 1, H))
    h = state[0].clone().requires_grad_()
    nn.functional.cross_entropy(model.decoder(h), targets[-1]).backward()
    gradient = torch.cat([h.grad.flatten(), torch.zeros((count - 1) * H).double()])
    measured = hidden_gradients(model, ids, targets, (start,), "reach")[0]
    for t in range(T - 1, 0, -1):
        gradient = gradient @ jacobians[t]
        torch.testing.assert_close(measured["h"][t - 1].flatten(), gradient[:H], rtol=1e-9, atol=1e-15)


def _chain(cell: str, **weights: float) -> CharRNN:
    """A network of one unit whose weights are zero but for those given by block name."""
    model = CharRNN(ModelConfig(cell=cell, layers=1, hidden=1, embedding=1), 2).double()
    nn.init.zeros_(model.embedding.weight)
    layer = model.layers[0]
    for name, parameter in layer.named_parameters():
        nn.init.zeros_(parameter)
        for gate, row in zip(model.cell.gates, parameter, strict=False):
            if f"{name}_{gate}" in weights:
                nn.init.constant_(row, weights[f"{name}_{gate}"])
    return model


def _decay(model: CharRNN, start: float, name: str, steps: int = 12) -> float:
    """(dL/ds_1 / dL/ds_T) ** (1 / (T-1)) of the reach, T = `steps`, from h_0 (and c_0) = start."""
    ids = torch.zeros(steps, 1, dtype=torch.long)
    state = tuple(tuple(torch.full_like(s, start) for s in layer) for layer in model.initial_state(1))
    gradient = hidden_gradients(model, ids, ids, state, "reach")[0][name].flatten()
    return float((gradient[0] / gradient[-1]) ** (1 / (steps - 1)))


@pytest.mark.parametrize("w", [0.5, 0.9, 1.1])
def test_scalar_linear_chain(w: float) -> None:
    """ReLU of a positive state is linear: dL/dh_t falls by exactly w a step. tanh near zero does nearly the same."""
    assert _decay(_chain("relu", weight_hh_l0_h=w), 1.0, "h") == pytest.approx(w, rel=1e-12)
    assert _decay(_chain("tanh", weight_hh_l0_h=w), 1e-9, "h") == pytest.approx(w, rel=1e-12)


@pytest.mark.parametrize("b", [0.0, 1.0, 5.0])
def test_lstm_forget_bias_is_the_decay_of_the_cell(b: float) -> None:
    """With no recurrent weights dL/dc_t falls by sigmoid(b) a step (c_0 = 0, so the last step's tanh is linear)."""
    model = _chain("lstm", bias_ih_l0_f=b)
    assert _decay(model, 0.0, "c") == pytest.approx(1 / (1 + np.exp(-b)), rel=1e-12)


@pytest.mark.parametrize("b", [-1.0, 2.0])
def test_gru_update_bias_is_the_decay_of_the_state(b: float) -> None:
    assert _decay(_chain("gru", bias_ih_l0_z=b), 0.3, "h") == pytest.approx(1 / (1 + np.exp(-b)), rel=1e-12)


def test_orthogonal_linear_recurrence_keeps_the_norm() -> None:
    """ReLU kept in its linear range, W orthogonal, T=200: the reach is constant to 1e-5 in float32."""
    model = CharRNN(ModelConfig(cell="relu", layers=1, hidden=32, embedding=2, init="orthogonal"), V)
    layer = model.layers[0]
    start = torch.full((1, 32), 2.0)
    with torch.no_grad():
        # h = 10 + W (h - 10) stays positive, so that ReLU is the identity
        weight = layer.get_parameter("weight_hh_l0")
        layer.get_parameter("bias_ih_l0").copy_(10 - weight @ torch.full((32,), 10.0))
        layer.get_parameter("weight_ih_l0").zero_()
    ids = torch.zeros(200, 1, dtype=torch.long)
    state = ((start.fill_(10.0) + 0.1 * torch.randn(1, 32),),)
    norms = hidden_gradients(model, ids, ids, state, "reach")[0]["h"].norm(dim=-1).flatten()
    torch.testing.assert_close(norms / norms[-1], torch.ones(200), rtol=0, atol=1e-5)


@pytest.mark.parametrize("cell", CELLS)
def test_measuring_touches_nothing(cell: str) -> None:
    """No .grad, no random state, no weight, and not the state it is given; dropout is left out."""
    model = make(cell, dropout=0.5, recurrent_dropout=0.5)
    ids, targets = window()
    state = random_state(model)
    weights, start, random = copy.deepcopy(model.state_dict()), copy.deepcopy(state), torch.get_rng_state()
    first = hidden_gradients(model, ids, targets, state, "total")
    measure(model, ids, targets, state, lambda ids: "")
    again = hidden_gradients(model, ids, targets, state, "total")
    assert all(torch.equal(a[name], b[name]) for a, b in zip(first, again, strict=True) for name in a)
    assert all(p.grad is None for p in model.parameters())
    assert torch.equal(torch.get_rng_state(), random)
    assert all(torch.equal(value, weights[name]) for name, value in model.state_dict().items())
    assert all(torch.equal(a, b) for x, y in zip(state, start, strict=True) for a, b in zip(x, y, strict=True))


@pytest.mark.parametrize("cell", ["lstm", "tanh"])
def test_event(cell: str) -> None:
    model = make(cell)
    ids, targets = window()
    state = random_state(model)
    event = measure(model, ids, targets, state, lambda ids: "".join("abcdefghi"[i] for i in ids))
    for losses, mean, low, high in (
        ("reach", event.reach, event.reach_low, event.reach_high),
        ("total", event.total, event.total_low, event.total_high),
    ):
        gradients = hidden_gradients(model, ids, targets, state, losses)
        logs = np.stack([g["h"].norm(dim=-1).log10().numpy() for g in gradients])
        np.testing.assert_allclose(mean, logs.mean(-1), rtol=1e-5)
        np.testing.assert_allclose(low, np.quantile(logs, 0.1, axis=-1), rtol=1e-5)
        np.testing.assert_allclose(high, np.quantile(logs, 0.9, axis=-1), rtol=1e-5)
        assert mean.dtype == np.float32
    assert not event.reach_floor.any()
    assert not event.total_bad.any()
    assert event.cell_reach.shape == event.cell_total.shape == ((L, T) if cell == "lstm" else (0, 0))
    assert event.text == "".join("abcdefghi"[i] for i in ids[:, 0])
    assert event.seconds > 0


def test_a_batch_with_zeros_nan_and_infinity() -> None:
    """Each is counted, and left out of mean and band."""
    nan, inf = float("nan"), float("inf")
    norms = np.array([[[1.0, 100.0, 0.0, 0.0], [nan, inf, 0.1, 0.1], [0, 0, 0, 0], [nan, nan, inf, 0]]])
    mean, low, high, floor, bad = summarise(norms)
    np.testing.assert_allclose(mean, [[1.0, -1.0, nan, nan]])
    np.testing.assert_allclose(low, [[0.2, -1.0, nan, nan]], rtol=1e-6)
    np.testing.assert_allclose(high, [[1.8, -1.0, nan, nan]], rtol=1e-6)
    np.testing.assert_allclose(floor, [[0.5, 0, 1, 0.25]])
    np.testing.assert_allclose(bad, [[0, 0.5, 0, 0.75]])


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_diverged_network_is_measured(cell: str, value: float) -> None:
    model = make(cell)
    with torch.no_grad():
        model.decoder.weight[0, 0] = value
    event = measure(model, *window(), random_state(model), lambda ids: "")
    assert (event.total_bad == 1).all()
    assert np.isnan(event.total).all()


def test_all_zero_gradients_are_at_the_floor() -> None:
    model = make("tanh")
    nn.init.zeros_(model.decoder.weight)
    event = measure(model, *window(), random_state(model), lambda ids: "")
    assert (event.reach_floor == 1).all()
    assert np.isnan(event.reach).all()


def _split(model: CharRNN, ids: torch.Tensor, targets: torch.Tensor, state: State, losses: str) -> list[torch.Tensor]:
    """Direct and recurrent part of dL/dh_t, each (L, T, B, H): h_t is copied where it goes up and where it goes on."""
    up, on, logits = [], [], []
    for x_ids in ids:
        x, after = model.embed(x_ids), []
        for layer, layer_state in zip(model.layers, state, strict=True):
            h, *others = model.cell.step(x, layer_state, layer)
            x, later = h.clone(), h.clone()
            after.append((later, *others))
            up.append(x)
            on.append(later)
        state = tuple(after)
        logits.append(model.decoder(x))
    used, goals = (logits[-1:], targets[-1:]) if losses == "reach" else (logits, targets)
    loss = nn.functional.cross_entropy(torch.cat(used), goals.flatten(), reduction="sum")
    layers, batch = len(model.layers), ids.shape[1]
    grads = torch.autograd.grad(loss, up + on, allow_unused=True, materialize_grads=True)
    return list(torch.stack(grads).view(2, len(ids), layers, batch, -1).transpose(1, 2))


@pytest.mark.parametrize("losses", LOSSES)
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("cell", CELLS)
def test_direct_and_recurrent_parts(cell: str, layers: int, losses: str) -> None:
    model = make(cell, layers=layers)
    ids, targets = window()
    state = random_state(model)
    exact = [part.norm(dim=-1) for part in _split(model, ids, targets, state, losses)]
    logits, runs = model.runs(ids, state)
    with torch.no_grad():
        found = _norms(model, runs, state, direct_gradient(model, logits, targets, losses))
    event = measure(model, ids, targets, state, lambda ids: "")
    for ours, theirs, name in zip(found, exact, ("direct", "recurrent"), strict=False):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-15)
        with np.errstate(divide="ignore"):
            logs = np.log10(theirs.numpy()).mean(-1)
        logs[np.isinf(logs)] = np.nan
        np.testing.assert_allclose(getattr(event, f"{losses}_{name}"), logs, rtol=1e-4, atol=1e-5)
    assert np.isnan(event.total_recurrent[:, -1]).all()  # nothing comes back to the last time step


def test_what_rounding_leaves_is_no_recurrent_part() -> None:
    """Recurrent weights of 1e-12 in float32: the difference of total and direct gradient is rounding."""
    model = make("tanh").float()
    for layer in model.layers:
        nn.init.constant_(layer.get_parameter("weight_hh_l0"), 1e-12)
    state = tuple(tuple(s.float() for s in layer) for layer in random_state(model))
    assert np.isnan(measure(model, *window(), state, lambda ids: "").total_recurrent).all()


def test_band_of_the_cell_state() -> None:
    model = make("lstm")
    ids, targets = window()
    state = random_state(model)
    event = measure(model, ids, targets, state, lambda ids: "")
    for losses in LOSSES:
        found = hidden_gradients(model, ids, targets, state, losses)
        logs = np.stack([g["c"].norm(dim=-1).log10().numpy() for g in found])
        for name, expected in (
            ("", logs.mean(-1)), ("_low", np.quantile(logs, 0.1, -1)), ("_high", np.quantile(logs, 0.9, -1)),
        ):  # fmt: skip
            np.testing.assert_allclose(getattr(event, f"cell_{losses}{name}"), expected, rtol=1e-5)

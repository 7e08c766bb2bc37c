"""The black box's finding names the place where something was planted."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from rnnscope import registry
from rnnscope.config import ModelConfig
from rnnscope.model import CharRNN, State
from rnnscope.probes import incident
from rnnscope.recording.lab_events import Incident

V, T, B = 7, 40, 3
CELLS = list(registry.CELLS)


def network(cell: str, layers: int = 3, hidden: int = 16, dtype: torch.dtype = torch.float32) -> CharRNN:
    torch.manual_seed(0)
    kind = (
        ModelConfig(cell, layers, hidden, 5, init="orthogonal")
        if cell == "relu"
        else ModelConfig(cell, layers, hidden, 5)
    )
    return CharRNN(kind, V).to(dtype)


def window() -> tuple[Tensor, Tensor]:
    torch.manual_seed(1)
    ids = torch.randint(V, (T + 1, B))
    return ids[:-1], ids[1:]


def measure(model: CharRNN, state: State | None = None) -> Incident:
    ids, targets = window()
    return incident.measure(
        model, ids, targets, state or model.initial_state(B), loss=1.0, grad_norm=2.0, rewind_to=5, again_from=5,
        decode=lambda ids: "".join(chr(97 + int(i)) for i in ids),
    )  # fmt: skip


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("kernel", ["scan", "fused"])
def test_nothing_bad_is_found_in_a_sound_network(cell: str, layers: int, kernel: str) -> None:
    model = network(cell, layers)
    if kernel == "fused" and cell != "lnrnn":
        model.kernel = "fused"
    ids, targets = window()
    assert incident.first_bad(model, ids, targets, model.initial_state(B)) is None
    found = measure(model)
    assert (found.reason, found.phase) == ("spike", "update")
    assert found.total.shape == (layers, T)
    assert len(found.text) == T


@pytest.mark.parametrize("cell", CELLS)
def test_a_planted_nan_in_a_weight(cell: str) -> None:
    model = network(cell)
    with torch.no_grad():
        model.layers[1].get_parameter("weight_hh_l0")[2, 3] = math.nan
    found = measure(model)
    assert (found.reason, found.phase, found.layer) == ("nan", "forward", 1)
    assert found.parameter == "layers.1.weight_hh_l0"


@pytest.mark.parametrize("cell", CELLS)
def test_a_planted_inf_in_the_embedding(cell: str) -> None:
    model = network(cell)
    assert model.embedding is not None
    with torch.no_grad():
        model.embedding.weight[4, 0] = math.inf
    found = measure(model)
    assert (found.reason, found.parameter, found.layer, found.phase) == ("inf", "embedding.weight", None, "forward")


@pytest.mark.parametrize("cell", CELLS)
def test_a_carried_state_that_is_no_number(cell: str) -> None:
    model = network(cell)
    state = model.initial_state(B)
    state[2][0][1, 4] = math.nan
    found = measure(model, state)
    assert (found.reason, found.quantity, found.layer, found.row) == ("nan", "h carried into the window", 2, 1)


def test_an_explosion_forward_names_layer_and_time_step() -> None:
    """h grows by 30 a step: it overflows where the plain loop says."""
    model = network("relu")
    with torch.no_grad():
        model.layers[0].get_parameter("weight_hh_l0").mul_(0).fill_diagonal_(30.0)
        model.layers[0].get_parameter("bias_hh_l0").fill_(1.0)
    ids, _ = window()
    state = model.initial_state(B)
    oracle = None
    for t in range(T):
        _, state = model.step(ids[t], state)
        bad = [layer for layer, (h,) in enumerate(state) if not torch.isfinite(h).all()]
        if bad:
            oracle = (bad[0], t)
            break
    assert oracle is not None
    found = measure(model)
    assert (found.layer, found.t, found.phase, found.quantity, found.reason) == (*oracle, "forward", "h", "inf")
    assert f"layer {oracle[0] + 1} at time step {oracle[1] + 1}" in found.explanation


def test_an_explosion_backward_names_the_time_step_nearest_the_end() -> None:
    """With h = 0 nothing grows forward, while dL/dh_t grows by 1e4 a step back: found by a loop of autograd."""
    model = network("tanh", layers=1)
    with torch.no_grad():
        for name, p in model.layers[0].named_parameters():
            p.zero_()
            if name == "weight_hh_l0":
                p.fill_diagonal_(1e4)
    _, targets = window()
    (h,) = model.initial_state(B)[0]
    states, losses = [], []
    for t in range(T):
        h = torch.tanh(h @ model.layers[0].get_parameter("weight_hh_l0").t()).requires_grad_()
        h.retain_grad()
        states.append(h)
        losses.append(torch.nn.functional.cross_entropy(model.decoder(h), targets[t], reduction="sum"))
    torch.stack(losses).sum().backward()
    bad = [t for t, h in enumerate(states) if h.grad is not None and not torch.isfinite(h.grad).all()]
    found = measure(model)
    assert (found.phase, found.quantity, found.layer, found.t) == ("backward", "dL/dh", 0, max(bad))
    assert math.isfinite(found.total[0, -1])
    assert "a factor of 1e+04 a step" in found.explanation


def test_the_growth_is_that_of_the_chain() -> None:
    model = network("relu", layers=1)
    with torch.no_grad():
        model.layers[0].get_parameter("weight_hh_l0").zero_().fill_diagonal_(1.5)
        model.layers[0].get_parameter("bias_hh_l0").fill_(1.0)
        model.layers[0].get_parameter("weight_ih_l0").zero_()
    found = measure(model)
    t = found.total[0]
    assert float(t[0] - t[1]) == pytest.approx(math.log10(1.5), abs=0.02)
    assert (found.layer, found.t) == (0, 0)


def test_measuring_changes_nothing() -> None:
    model = network("lstm")
    model.config = ModelConfig("lstm", 3, 16, 5, dropout=0.5)
    model.train()
    weights = {name: p.detach().clone() for name, p in model.named_parameters()}
    window()  # as `measure` does
    random = torch.get_rng_state()
    measure(model)
    assert torch.equal(torch.get_rng_state(), random)
    assert all(p.grad is None and torch.equal(p, weights[name]) for name, p in model.named_parameters())

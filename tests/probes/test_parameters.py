"""Norms, ratios, idle units and histograms of every tensor around one update, against plain numpy and by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from rnnscope.probes import parameters
from rnnscope.probes.parameters import EDGES, idle_shares, log_histogram
from rnnscope.training.step import train_step
from tests.probes.lab import CELLS, make, random_state, window


@pytest.mark.parametrize(("clip", "by"), [(None, "norm"), (1e-3, "norm"), (1e-4, "value")])
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("cell", CELLS)
def test_around_one_update(cell: str, layers: int, clip: float | None, by: str) -> None:
    """SGD moves by lr times the clipped gradient; the gradient's norm is of the one before clipping, whatever clips."""
    model = make(cell, layers)
    ids, targets = window()
    state = random_state(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    weights = {name: p.detach().numpy().copy() for name, p in model.named_parameters()}
    taken = []
    result = train_step(model, optimizer, ids, targets, state, clip, by, lambda: taken.append(parameters.before(model)))
    assert result.applied
    event = parameters.measure(model, taken[0], ids, state)
    assert event.names == tuple(weights)

    twin = make(cell, layers)
    logits, _ = twin(ids, state)
    nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten()).backward()
    gradients = {name: p.grad.numpy() for name, p in twin.named_parameters()}
    total = math.sqrt(sum((g**2).sum() for g in gradients.values()))
    for name, norm, weight_norm, ratio in zip(
        event.names, event.gradient_norm, event.weight_norm, event.update_ratio, strict=True
    ):
        g = gradients[name]
        assert norm == pytest.approx(np.linalg.norm(g), rel=1e-9)
        size = np.linalg.norm(weights[name])
        assert weight_norm == pytest.approx(size, rel=1e-12)
        used = g if clip is None else np.clip(g, -clip, clip) if by == "value" else g * min(1, clip / (total + 1e-6))
        update = 0.1 * np.linalg.norm(used)
        expected = update / size if size else math.inf if update else math.nan
        assert ratio == pytest.approx(expected, rel=1e-6, nan_ok=True)
    np.testing.assert_array_equal(event.weight_histogram.sum(1), [w.size for w in weights.values()])
    np.testing.assert_array_equal(np.isnan(event.idle), [not name.startswith("layers.") for name in event.names])


def test_looking_changes_no_update() -> None:
    models = make("lstm"), make("lstm")
    ids, targets = window()
    for model, looks in zip(models, (False, True), strict=True):
        optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
        for _ in range(3):
            state = model.initial_state(3)
            look = (lambda model=model: parameters.before(model)) if looks else None
            train_step(model, optimizer, ids, targets, state, 0.1, "norm", look)
            if looks:
                parameters.measure(model, parameters.before(model), ids, state)
    for a, b in zip(models[0].parameters(), models[1].parameters(), strict=True):
        assert torch.equal(a, b)


def test_an_update_left_out_has_ratio_zero() -> None:
    model = make("tanh")
    with torch.no_grad():
        model.decoder.weight[0, 0] = math.inf
    ids, targets = window()
    taken = []
    look = lambda: taken.append(parameters.before(model))  # noqa: E731
    result = train_step(
        model, torch.optim.SGD(model.parameters()), ids, targets, model.initial_state(3), 1.0, look=look
    )
    assert not result.applied
    event = parameters.measure(model, taken[0], ids, model.initial_state(3))
    rows = dict(zip(event.names, event.update_ratio, strict=True))
    assert rows["embedding.weight"] == 0
    assert np.isnan(rows["decoder.weight"])  # inf - inf
    assert event.weight_norm[event.names.index("decoder.weight")] == math.inf


def test_histogram_by_hand() -> None:
    """Bins of half a decade from 1e-12 to 1e4; zero and too small in the first, too large in the last."""
    values = [0.0, -1e-30, 1.2e-12, 1.01, -3.0, 3.2, 2e3, 1e5, -1e30, math.nan, math.inf, -math.inf]
    counts = log_histogram(torch.tensor(values, dtype=torch.float64))
    expected = np.zeros(32, int)
    expected[0] = 3
    expected[24] = 2  # 10**0 to 10**0.5
    expected[25] = 1
    expected[30] = 1
    expected[31] = 2
    np.testing.assert_array_equal(counts, expected)
    assert EDGES[24] == 0
    inside = np.random.default_rng(0).lognormal(0, 4, 5000)
    found = log_histogram(torch.from_numpy(inside))
    by_numpy, _ = np.histogram(np.clip(np.log10(inside), -12, 4), EDGES)
    np.testing.assert_array_equal(found, by_numpy)


def test_dead_relu_units() -> None:
    """Two of five units held below zero in the second layer."""
    model = make("relu")
    with torch.no_grad():
        for index, low in ((0, 0), (1, 2)):
            bias = model.layers[index].get_parameter("bias_ih_l0")
            bias.fill_(50.0)
            bias[:low] = -1e6
            for name in ("weight_ih_l0", "weight_hh_l0"):
                model.layers[index].get_parameter(name).zero_()
    ids, _ = window()
    assert idle_shares(model, ids, model.initial_state(3)) == [0.0, pytest.approx(0.4)]


@pytest.mark.parametrize(("cell", "name", "rows"), [("tanh", "bias_ih_l0", 1), ("lnrnn", "norm_bias_l0", 1)])
def test_saturated_tanh_units(cell: str, name: str, rows: int) -> None:
    model = make(cell, layers=1)
    layer = model.layers[0]
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.zero_()
        layer.get_parameter(name)[:2] = torch.tensor([2.0, -2.0])  # tanh 0.96
        layer.get_parameter(name)[2] = 1.8  # tanh 0.947: not yet
    assert idle_shares(model, window()[0], model.initial_state(3)) == [pytest.approx(0.4)]


@pytest.mark.parametrize(("cell", "gates"), [("lstm", 4), ("gru", 3)])
def test_saturated_gates(cell: str, gates: int) -> None:
    """One unit by its first gate, another by its last, a third by both ways: three of five."""
    model = make(cell, layers=1)
    layer = model.layers[0]
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.zero_()
        bias = layer.get_parameter("bias_ih_l0").view(gates, 5)
        bias[0, 0], bias[1, 1], bias[0, 2], bias[1, 2] = 3.0, -3.0, 3.0, 3.0  # sigmoid 0.953, 0.047
        bias[0, 3], bias[1, 4] = 2.9, -2.9  # 0.948: not yet
    assert idle_shares(model, window()[0], model.initial_state(3)) == [pytest.approx(0.6)]


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_diverged_network_is_measured(cell: str, value: float) -> None:
    model = make(cell)
    ids, targets = window()
    with torch.no_grad():
        model.layers[0].get_parameter("weight_hh_l0")[0, 0] = value
    taken = []
    look = lambda: taken.append(parameters.before(model))  # noqa: E731
    train_step(model, torch.optim.SGD(model.parameters()), ids, targets, random_state(model), 1.0, look=look)
    event = parameters.measure(model, taken[0], ids, random_state(model))
    row = event.names.index("layers.0.weight_hh_l0")
    assert not math.isfinite(event.weight_norm[row])
    assert event.weight_histogram[row].sum() == model.layers[0].get_parameter("weight_hh_l0").numel() - 1

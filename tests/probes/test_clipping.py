"""Each time step's part of the gradient of W_hh against autograd, and the identities of clipping."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from rnnscope.model import CharRNN, State
from rnnscope.probes.clipping import contributions, measure
from rnnscope.training.step import train_step
from tests.probes.lab import CELLS, H, T, make, random_state, window


def parts_by_autograd(model: CharRNN, ids: Tensor, targets: Tensor, state: State) -> list[list[Tensor]]:
    """Return [t][layer] the part of dL/dW_hh that enters through time step t: each step has a W_hh of its own."""
    weights, logits = [], []
    names = [f"layers.{index}.weight_hh_l0" for index in range(len(model.layers))]
    own = dict(model.named_parameters())
    for ids_t in ids:
        copies = [own[name].detach().clone().requires_grad_() for name in names]
        x, after = model.embed(ids_t), []
        for layer, weight, layer_state in zip(model.layers, copies, state, strict=True):
            p = nn.functional.linear(x, layer.get_parameter("weight_ih_l0"), model.cell.bias(layer))
            layer_state = model.cell.recur(p, layer_state, (weight, *model.cell.recurrent(layer)[1:]))
            after.append(layer_state)
            x = layer_state[0]
        state = tuple(after)
        weights.append(copies)
        logits.append(nn.functional.linear(x, model.decoder.weight, model.decoder.bias))
    nn.functional.cross_entropy(torch.stack(logits).flatten(0, 1), targets.flatten()).backward()
    return [[weight.grad for weight in copies] for copies in weights]


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("cell", CELLS)
def test_contributions_are_the_norms_of_the_parts(cell: str, layers: int) -> None:
    """Of every layer and time step, to 1e-9; and the parts add up to the gradient that training uses."""
    model = make(cell, layers)
    ids, targets = window()
    state = random_state(model)
    parts = parts_by_autograd(model, ids, targets, state)
    exact = np.array([[float(part.norm()) for part in at_t] for at_t in parts]).T
    found = contributions(model, ids, targets, state)
    assert found.shape == (layers, T)
    assert (exact > 0).mean() > 0.8  # a ReLU layer may be dead at a time step
    np.testing.assert_allclose(found, exact, rtol=1e-9)
    logits, _ = model(ids, state)
    nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten()).backward()
    for index, layer in enumerate(model.layers):
        whole = torch.stack([at_t[index] for at_t in parts]).sum(0)
        torch.testing.assert_close(layer.get_parameter("weight_hh_l0").grad, whole, rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("cell", ["tanh", "lstm", "gru"])
def test_the_fused_kernel_gives_the_same(cell: str) -> None:
    ids, targets = window()
    model = make(cell)
    state = random_state(model)
    fused = contributions(make(cell, kernel="fused"), ids, targets, state)
    np.testing.assert_allclose(fused, contributions(model, ids, targets, state), rtol=1e-9)


def test_rows_that_cancel_are_never_negative() -> None:
    """Two equal rows with opposite gradients: the part is exactly zero, log10 is -inf, and nothing is NaN."""
    model = make("tanh", layers=1, hidden=1)
    nn.init.zeros_(model.decoder.weight)
    event = measure(model, *window(), random_state(model), [], threshold=None, by="norm")
    assert (event.contributions == -np.inf).all()
    assert (event.layer, event.t) == (-1, -1)


def test_the_dominant_part_is_named() -> None:
    model = make("gru", layers=3)
    ids, targets = window()
    state = random_state(model)
    event = measure(model, ids, targets, state, [(1.0, 1.0)], threshold=5.0, by="norm")
    exact = contributions(model, ids, targets, state)
    assert event.contributions.dtype == np.float32
    np.testing.assert_allclose(event.contributions, np.log10(exact), rtol=1e-6)
    assert exact[event.layer, event.t] == exact.max()


@pytest.mark.parametrize("by", ["norm", "value"])
def test_norms_before_and_after(by: str) -> None:
    """after = min(before, threshold) up to the 1e-6 that torch adds; how often it fired, and the scale."""
    threshold = 0.3 if by == "norm" else 0.02
    model = make("lstm", hidden=H)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.3)
    norms = []
    for seed in range(30):
        ids, targets = torch.randint(9, (2, T, 3), generator=torch.Generator().manual_seed(seed))
        result = train_step(model, optimizer, ids, targets, model.initial_state(3), threshold, by)
        norms.append((result.grad_norm, result.grad_norm_clipped))
        if by == "norm":
            assert result.grad_norm_clipped == pytest.approx(min(result.grad_norm, threshold), rel=1e-5)
    norms += [(0.01, 0.01)] * 5 + [(math.nan, math.nan), (math.inf, math.inf)]
    event = measure(model, ids, targets, model.initial_state(3), norms, threshold=threshold, by=by)
    np.testing.assert_array_equal(np.stack([event.before, event.after], 1), np.array(norms))
    fired = [(before, after) for before, after in norms if after < before]
    assert 0 < len(fired) < len(norms)
    assert event.fired == len(fired) / len(norms)
    assert event.scale == pytest.approx(sum(after / before for before, after in fired) / len(fired), rel=1e-12)
    assert (event.threshold, event.by) == (threshold, by)


def test_nothing_was_clipped_yet() -> None:
    model = make("tanh")
    event = measure(model, *window(), random_state(model), [], threshold=None, by="norm")
    assert event.before.shape == event.after.shape == (0,)
    assert (event.fired, event.scale, event.threshold) == (0.0, 1.0, None)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_diverged_network_is_measured(cell: str, value: float) -> None:
    model = make(cell)
    with torch.no_grad():
        model.layers[0].get_parameter("weight_hh_l0")[0, 0] = value
    event = measure(model, *window(), random_state(model), [(value, value)], threshold=5.0, by="norm")
    assert event.contributions.shape == (2, T)
    assert event.fired == 0

"""The triangle against autograd, one loss and one time step after another."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from rnnscope.model import CharRNN, State
from rnnscope.probes.gradients import hidden_gradients
from rnnscope.probes.triangle import LONGEST, adjoints, measure
from tests.probes.lab import CELLS, T, make, random_state, window


def each_loss(model: CharRNN, ids: Tensor, targets: Tensor, state: State) -> list[list[State]]:
    """d loss_t / d s_s as [t][s][layer][state], by a loop of steps and one backward pass a loss."""
    visited, losses = [], []
    for x_ids, target in zip(ids, targets, strict=True):
        x, after = model.embed(x_ids), []
        for layer, layer_state in zip(model.layers, state, strict=True):
            after.append(model.cell.step(x, layer_state, layer))
            x = after[-1][0]
        state = tuple(after)
        visited.append(state)
        losses.append(functional.cross_entropy(model.decoder(x), target))
    flat = [tensor for at_s in visited for layer in at_s for tensor in layer]
    states = len(model.cell.states)
    found = []
    for loss in losses:
        grads = iter(torch.autograd.grad(loss, flat, retain_graph=True, allow_unused=True, materialize_grads=True))
        found.append([tuple(tuple(next(grads) for _ in range(states)) for _ in model.layers) for _ in visited])
    return found


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("cell", CELLS)
def test_every_loss_with_respect_to_every_state(cell: str, layers: int) -> None:
    model = make(cell, layers)
    ids, targets = window(1)
    state = random_state(model, 1)
    exact = each_loss(model, ids, targets, state)
    measured = adjoints(model, ids, targets, state)
    event = measure(model, ids, targets, state, lambda ids: "")
    assert len(measured) == layers
    for layer in range(layers):
        for index in range(len(model.cell.states)):
            for t in range(T):
                for s in range(T):
                    theirs = exact[t][s][layer][index][0]
                    torch.testing.assert_close(measured[layer][index][s, t], theirs, rtol=1e-9, atol=1e-15)
                    if s <= t and index == 0:
                        assert event.norms[layer, t, s] == pytest.approx(float(theirs.norm().log10()), rel=1e-5)
    assert (np.isnan(event.norms) == np.triu(np.ones((T, T), bool), 1)).all()


@pytest.mark.parametrize("kernel", ["scan", "fused"])
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("cell", CELLS)
def test_the_vectors_add_up_to_the_total_gradient(cell: str, layers: int, kernel: str) -> None:
    if cell == "lnrnn" and kernel == "fused":
        pytest.skip("torch has no fused layer for it")
    model = make(cell, layers, kernel)
    ids, targets = window(1)
    state = random_state(model, 1)
    total = hidden_gradients(model, ids, targets, state, "total")
    for layer, parts in enumerate(adjoints(model, ids, targets, state)):
        for name, part in zip(model.cell.states, parts, strict=True):
            torch.testing.assert_close(part.sum(1), total[layer][name][:, 0], rtol=1e-9, atol=1e-15)


def test_the_event_is_of_the_first_sample_and_of_the_beginning_of_a_long_window() -> None:
    model = make("tanh")
    ids, targets = window(steps=LONGEST + 20)
    state = random_state(model)
    event = measure(model, ids, targets, state, lambda ids: "".join("abcdefghi"[i] for i in ids))
    short = measure(model, ids[:LONGEST, :1], targets[:LONGEST, :1], tuple((h[:1],) for (h,) in state), lambda ids: "")
    assert event.norms.shape == (2, LONGEST, LONGEST)
    assert event.norms.dtype == np.float32
    np.testing.assert_array_equal(event.norms, short.norms)
    assert event.text == "".join("abcdefghi"[i] for i in ids[:LONGEST, 0])
    assert event.targets == "".join("abcdefghi"[i] for i in targets[:LONGEST, 0])


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_diverged_network(cell: str, value: float) -> None:
    model = make(cell)
    with torch.no_grad():
        model.layers[0].get_parameter("weight_hh_l0")[0, 0] = value
    event = measure(model, *window(1), random_state(model, 1), lambda ids: "")
    below = np.tril(np.ones((T, T), bool))
    assert not np.isnan(event.norms[:, below]).any()
    assert np.isposinf(event.norms[:, below]).any()


def test_a_gradient_that_is_zero() -> None:
    model = make("relu")
    torch.nn.init.zeros_(model.decoder.weight)
    event = measure(model, *window(1), random_state(model, 1), lambda ids: "")
    assert np.isneginf(event.norms[:, np.tril(np.ones((T, T), bool))]).all()

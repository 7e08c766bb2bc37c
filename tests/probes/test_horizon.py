"""Half-lives in closed form, and the loss from k characters against a loop that reads one character at a time."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from rnnscope import registry
from rnnscope.config import ModelConfig
from rnnscope.model import CharRNN
from rnnscope.probes import horizon
from rnnscope.probes.horizon import carried_loss, context_loss, gate_half_lives, half_life, measure, places
from tests.probes.lab import CELLS, H, V, make, random_state, window

TEXT = np.random.default_rng(3).integers(0, V, 400).astype(np.uint8)


def no_floor(logs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.zeros_like(logs), np.zeros_like(logs)


@pytest.mark.parametrize("life", [0.3, 1.0, 4.0, 9.7])
def test_half_life_of_an_exponential(life: float) -> None:
    logs = (-np.arange(40)[::-1] * math.log10(2) / life)[None]
    np.testing.assert_allclose(half_life(logs, *no_floor(logs)), [life], rtol=1e-12)


def test_half_life_between_two_lags() -> None:
    """Down by 0.2 a decade in one lag and 0.4 in the next: log10(2) is passed a quarter into the second."""
    logs = np.array([[-9.0, -0.6, -0.2, 0.0]])
    np.testing.assert_allclose(half_life(logs, *no_floor(logs)), [1 + (math.log10(2) - 0.2) / 0.4])


def test_half_life_at_the_edges() -> None:
    nan = np.nan
    logs = np.array([[0.1, 0.0, 0.0], [nan, nan, 0.0], [nan, -0.1, 0.0], [-1.0, -1.0, nan], [-5.0, nan, 0.0]])
    floor = np.array([[0, 0, 0], [1, 1, 0], [0, 0, 0], [0, 0, 1], [0, 0, 0]], float)
    bad = np.array([[0, 0, 0], [0, 0, 0], [1, 0, 0], [0, 0, 0], [0, 1, 0]], float)
    np.testing.assert_array_equal(half_life(logs, floor, bad), [np.inf, 1.0, np.inf, np.nan, 2.0])
    assert half_life(np.array([[0.0]]), np.zeros((1, 1)), np.zeros((1, 1))) == [np.inf]


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("k", [1, 2, 5, 16])
def test_loss_from_exactly_k_characters(cell: str, k: int) -> None:
    """Character by character from a zero state, by the plain step, to 1e-9."""
    model = make(cell)
    where = places(len(TEXT), 32, streams=3, each=4, apart=7).last_read
    assert len(where) == 12
    losses = []
    for last in where:
        state = model.initial_state(1)
        for i in range(last - k + 1, last + 1):
            logits, state = model.step(torch.tensor([int(TEXT[i])]), state)
        losses.append(float(nn.functional.cross_entropy(logits, torch.tensor([int(TEXT[last + 1])]))))
    assert context_loss(model, TEXT, where, k) == pytest.approx(np.mean(losses), rel=1e-9)


@pytest.mark.parametrize("cell", CELLS)
def test_loss_with_the_state_carried(cell: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = make(cell)
    where = places(len(TEXT), 32, streams=3, each=4, apart=7)
    losses = []
    for start in where.starts:
        state = model.initial_state(1)
        for i in range(where.offsets[-1] + 1):
            logits, state = model.step(torch.tensor([int(TEXT[start + i])]), state)
            if i in where.offsets:
                target = torch.tensor([int(TEXT[start + i + 1])])
                losses.append(float(nn.functional.cross_entropy(logits, target)))
    assert carried_loss(model, TEXT, where) == pytest.approx(np.mean(losses), rel=1e-9)
    whole = [context_loss(model, TEXT, where.last_read, k) for k in (1, 8)]
    monkeypatch.setattr(horizon, "BLOCK", 40)  # in small pieces: the same
    assert carried_loss(model, TEXT, where) == pytest.approx(np.mean(losses), rel=1e-9)
    assert [context_loss(model, TEXT, where.last_read, k) for k in (1, 8)] == pytest.approx(whole, rel=1e-12)


def test_a_memoryless_network_needs_one_character() -> None:
    """Without recurrent weights every context gives the same loss, also the whole text."""
    model = make("tanh")
    for layer in model.layers:
        nn.init.zeros_(layer.get_parameter("weight_hh_l0"))
    event = measure(model, *window(), random_state(model), TEXT)
    np.testing.assert_allclose(event.loss, event.full_loss, rtol=1e-12)
    np.testing.assert_array_equal(event.contexts, [1, 2, 4, 8, 16, 32, 64])
    assert event.half_life.tolist() == [1.0, 1.0]  # nothing comes back through time: gone at lag 1
    assert event.chars >= 100


@pytest.mark.parametrize("length", [2, 3, 5, 20, 65, 66, 130, 1000])
@pytest.mark.parametrize("warm_up", [1, 64, 128])
def test_places_fit_any_text(length: int, warm_up: int) -> None:
    """Every context and target lies in the text, every stretch within it; the same places every time."""
    where = places(length, warm_up)
    last = where.last_read
    assert len(last) >= 1
    assert where.starts.min() == 0
    assert last.max() <= length - 2
    assert last.min() >= min(warm_up, length - 1) - 1
    np.testing.assert_array_equal(last, places(length, warm_up).last_read)
    if length == 1000:
        assert last.max() == length - 2  # up to the end
        assert len(last) == horizon.STREAMS * horizon.EACH


@pytest.mark.parametrize(("length", "contexts"), [(1, 0), (2, 1), (6, 3), (65, 7)])
def test_a_short_text(length: int, contexts: int) -> None:
    model = make("gru")
    event = measure(model, *window(), random_state(model), TEXT[:length])
    assert len(event.contexts) == len(event.loss) == contexts
    assert math.isfinite(event.full_loss) == (contexts > 0)


def test_longest_context_is_the_carried_state_of_the_first_prediction() -> None:
    """One prediction a stretch, warm-up as long as the context: both read the very same characters."""
    model = make("lstm")
    where = places(len(TEXT), 64, streams=8, each=1)
    assert carried_loss(model, TEXT, where) == pytest.approx(context_loss(model, TEXT, where.last_read, 64), rel=1e-12)


def gated(cell: str, gate: str, biases: list[float]) -> CharRNN:
    """A network without weights, whose gate has these biases."""
    model = CharRNN(ModelConfig(cell=cell, layers=1, hidden=len(biases), embedding=2), V).double()
    for parameter in model.parameters():
        nn.init.zeros_(parameter)
    row = model.cell.gates.index(gate)
    bias = model.layers[0].get_parameter("bias_ih_l0").data.view(len(model.cell.gates), -1)
    bias[row] = torch.tensor(biases)
    return model


@pytest.mark.parametrize(("cell", "gate"), [("lstm", "f"), ("gru", "z")])
def test_gates_in_closed_form(cell: str, gate: str) -> None:
    """ln 2 / -ln sigmoid(b): 1.0, 2.2, 5.5 and 103 steps."""
    biases = [0.0, 1.0, 2.0, 5.0]
    model = gated(cell, gate, biases)
    ids, _ = window()
    lives = gate_half_lives(model, ids, model.initial_state(3))
    exact = [math.log(2) / math.log(1 + math.exp(-b)) for b in biases]
    np.testing.assert_allclose(lives, [exact], rtol=1e-6)
    np.testing.assert_allclose(lives[0], [1.0, 2.2, 5.5, 103], rtol=0.02)


def test_a_gate_that_is_fully_open_or_shut() -> None:
    model = gated("lstm", "f", [1e3, -1e3])
    lives = gate_half_lives(model, window()[0], model.initial_state(3))
    np.testing.assert_array_equal(lives, [[np.inf, 0.0]])


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("layers", [1, 3])
def test_event(cell: str, layers: int) -> None:
    model = make(cell, layers, dropout=0.5, recurrent_dropout=0.5)
    model.train()
    ids, targets = window()
    random = torch.get_rng_state()
    event = measure(model, ids, targets, random_state(model), TEXT)
    again = measure(model, ids, targets, random_state(model), TEXT)
    assert event.half_life.shape == (layers,)
    gate = {"lstm": "f", "gru": "z"}.get(cell, "")
    assert event.gate == gate
    assert event.gate_half_lives.shape == ((layers, H) if gate else (0, 0))
    np.testing.assert_array_equal(event.loss, again.loss)
    assert event.full_loss == again.full_loss
    assert model.training
    assert torch.equal(torch.get_rng_state(), random)
    assert all(p.grad is None for p in model.parameters())
    assert set(horizon.GATES) <= set(registry.CELLS)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_diverged_network_is_measured(cell: str, value: float) -> None:
    model = make(cell)
    with torch.no_grad():
        model.layers[0].get_parameter("weight_hh_l0")[0, 0] = value
        model.decoder.weight[0, 0] = value
    event = measure(model, *window(), random_state(model), TEXT)
    assert not math.isfinite(event.full_loss)
    assert event.half_life.shape == (2,)

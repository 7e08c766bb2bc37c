"""What every unit did on a text, against the plain step; the order of the units against what was planted."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from rnnscope.probes import activations
from rnnscope.probes.activations import LARGEST, longest, measure, order
from rnnscope.recording.codec import decode_event, encode_event
from rnnscope.recording.requests import Request
from rnnscope.registry import CELLS
from tests.probes.neuron import corpus, subject

PROMPT = Request(source="prompt", prompt='she said "it is so late"')


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("cell", CELLS)
def test_states_and_expectations_are_those_of_the_plain_step(cell: str, layers: int) -> None:
    looked_at = subject(cell, layers)
    model, decode = looked_at.model, looked_at.corpus.vocabulary.decode
    event = measure(looked_at, PROMPT)
    assert event.text == PROMPT.prompt
    assert event.fields == CELLS[cell].shown
    assert event.units.shape == (len(event.fields), layers, len(event.text), 6)
    assert event.units.dtype == np.float16
    assert event.order.shape == (layers, 6)
    assert (np.sort(event.order, 1) == np.arange(6)).all()
    assert np.isnan(event.probability[0])
    ids = looked_at.corpus.vocabulary.encode(event.text)
    state = model.initial_state(1)
    for n, symbol in enumerate(ids):
        logits, state = model.step(torch.tensor([symbol]), state)
        probability = torch.softmax(logits[0], -1).numpy()
        for layer, layer_state in enumerate(state):
            for name, values in zip(model.cell.states, layer_state, strict=True):
                np.testing.assert_allclose(
                    event.units[event.fields.index(name), layer, n], values[0].numpy(), atol=2e-3, rtol=2e-3
                )
        best = np.argsort(-probability, kind="stable")[:5]
        assert "".join(row[n] for row in event.top) == decode(best)
        np.testing.assert_allclose(event.top_probability[:, n], probability[best], rtol=1e-4)
        if n + 1 < len(ids):
            assert event.probability[n + 1] == pytest.approx(probability[ids[n + 1]], rel=1e-4)


def test_gates_make_the_cell_state() -> None:
    event = measure(subject("lstm"), PROMPT)
    values = {name: event.units[event.fields.index(name)].astype(np.float64) for name in event.fields}
    before = np.concatenate([np.zeros((2, 1, 6)), values["c"][:, :-1]], 1)
    np.testing.assert_allclose(values["c"], values["f"] * before + values["i"] * values["g"], atol=3e-3)
    np.testing.assert_allclose(values["h"], values["o"] * np.tanh(values["c"]), atol=3e-3)


def test_the_event_is_stored_and_read_back_whole() -> None:
    event = measure(subject(), Request(prompt="Ann", length=10))
    assert event.prompt == 3
    assert len(event.text) == 13
    again = decode_event("activations", *encode_event(event))
    assert isinstance(again, activations.Activations)
    assert again.top == event.top
    np.testing.assert_array_equal(again.units, event.units)
    np.testing.assert_array_equal(again.order, event.order)


@pytest.mark.parametrize("source", ["generate", "prompt", "train"])
def test_a_text_too_large_is_cut_and_says_so(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at = subject("lstm", 2)
    assert longest(looked_at.model) == LARGEST // (6 * 2 * 6 * 2)
    monkeypatch.setattr(activations, "LARGEST", 10 * 6 * 2 * 6 * 2)
    event = measure(looked_at, Request(source=source, prompt="it is so late she said", length=40))  # type: ignore[arg-type]
    assert len(event.text) == 10
    assert event.units.nbytes == 10 * 6 * 2 * 6 * 2
    assert event.prompt == 10
    assert ", cut to 10 characters" in event.source
    assert "cut" not in measure(looked_at, Request(source="train", length=10)).source


def test_few_symbols_and_a_single_character() -> None:
    event = measure(subject(text=corpus("ab" * 9, "ba" * 9)), Request(source="prompt", prompt="a"))
    assert len(event.top) == 2
    assert event.order.tolist() == [list(range(6))] * 2


def test_model_and_random_state_are_left_as_they_were() -> None:
    looked_at = subject()
    looked_at.model.train()
    weights, random = [p.clone() for p in looked_at.model.parameters()], torch.get_rng_state()
    measure(looked_at, Request(length=5))
    assert looked_at.model.training
    assert all(torch.equal(a, b) for a, b in zip(weights, looked_at.model.parameters(), strict=True))
    assert all(p.grad is None for p in looked_at.model.parameters())
    assert torch.equal(torch.get_rng_state(), random)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 3e38])
@pytest.mark.parametrize("cell", CELLS)
def test_a_diverged_network(cell: str, value: float) -> None:
    looked_at = subject(cell)
    with torch.no_grad():
        looked_at.model.layers[1].get_parameter("weight_hh_l0")[0, 0] = value
        looked_at.model.layers[0].get_parameter("weight_hh_l0").mul_(100)
    event = measure(looked_at, PROMPT)
    assert (np.sort(event.order, 1) == np.arange(6)).all()
    assert len(event.top) == 5


def brute_force(x: NDArray[np.floating]) -> list[int]:
    """Average linkage by its definition: the mean correlation over all pairs of two groups, and the best turn."""
    alike = np.corrcoef(x.T)
    groups = [[unit] for unit in range(x.shape[1])]
    while len(groups) > 1:
        pairs = [(alike[np.ix_(a, b)].mean(), a, b) for a, b in itertools.combinations(groups, 2)]
        _, a, b = max(pairs)
        turns = [(alike[p[-1], q[0]], p + q) for p in (a, a[::-1]) for q in (b, b[::-1])]
        groups = [group for group in groups if group not in (a, b)] + [max(turns)[1]]
    return groups[0]


@pytest.mark.parametrize("seed", range(5))
def test_order_is_that_of_average_linkage(seed: int) -> None:
    random = np.random.default_rng(seed)
    x = random.normal(size=(30, 4)) @ random.normal(size=(4, 12)) + random.normal(size=(30, 12))
    found, wanted = order(x).tolist(), brute_force(x)
    assert found in (wanted, wanted[::-1])


def test_units_that_follow_one_signal_are_neighbours_and_idle_ones_come_last() -> None:
    random = np.random.default_rng(0)
    signals = random.normal(size=(200, 5))
    member = random.permutation(np.repeat(np.arange(5), 8))
    x = signals[:, member] + 0.3 * random.normal(size=(200, 40))
    x = np.concatenate([np.zeros((200, 1)), x, np.full((200, 1), 0.7), np.full((200, 1), np.nan)], 1)
    found = order(x.astype(np.float32))
    assert found[40:].tolist() == [0, 41, 42]
    assert np.count_nonzero(np.diff(member[found[:40] - 1])) == 4
    assert (order(x) == order(x.copy())).all()

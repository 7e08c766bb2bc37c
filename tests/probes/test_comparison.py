"""Teacher forcing beside free running, against the plain definition read one character at a time."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from rnnscope.config import ModelConfig
from rnnscope.corpus import Vocabulary
from rnnscope.model import CharRNN
from rnnscope.probes import comparison, sample
from rnnscope.recording.events import Comparison

VOCABULARY = Vocabulary(tuple("\nabcdefg"))
TEXT = np.random.default_rng(3).integers(0, len(VOCABULARY), 400).astype(np.uint8)


def make(cell: str = "lstm", layers: int = 2, hidden: int = 6) -> CharRNN:
    torch.manual_seed(5)
    model = CharRNN(ModelConfig(cell=cell, layers=layers, hidden=hidden, embedding=4, dropout=0.5), len(VOCABULARY))
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(3)
    return model


def compare(model: CharRNN, *, length: int = 30, temperature: float = 0.8, text: np.ndarray = TEXT) -> Comparison:
    return comparison.measure(model, VOCABULARY, text, length=length, temperature=temperature, seed=11)


def read(model: CharRNN, text: str) -> tuple[Tensor, Tensor]:
    """Return p(next) (N, V) and all layers' h side by side (N, L*H) after each character."""
    state, probability, hidden = model.initial_state(1), [], []
    for symbol in VOCABULARY.encode(text):
        logits, state = model.step(torch.tensor([symbol]), state)
        probability.append(torch.softmax(logits[0], -1))
        hidden.append(torch.cat([layer[0][0] for layer in state]))
    return torch.stack(probability), torch.stack(hidden)


@pytest.mark.parametrize("cell", ["lstm", "gru", "tanh"])
def test_every_number_is_that_of_the_plain_steps(cell: str) -> None:
    model = make(cell)
    found = compare(model)
    start = len(found.prefix)
    assert found.prefix + found.truth in VOCABULARY.decode(TEXT)
    given, forced = read(model, found.prefix + found.truth)
    own, free = read(model, found.prefix + found.free)
    for n in range(30):
        p = float(given[start + n - 1, VOCABULARY.encode(found.truth[n])[0]])
        assert found.probability[n] == pytest.approx(p, rel=1e-4)
        assert found.nll[n] == pytest.approx(-np.log(p), rel=1e-4, abs=1e-5)
        q = float(own[start + n - 1, VOCABULARY.encode(found.free[n])[0]])
        assert found.free_probability[n] == pytest.approx(q, rel=1e-4)
        gap = (forced[start + n] - free[start + n]).norm() / forced[start + n].norm()
        assert found.distance[n] == pytest.approx(float(gap), rel=1e-3, abs=1e-5)
    apart = next(n for n in range(30) if found.truth[n] != found.free[n])
    assert (found.distance[:apart] == 0).all()
    assert (found.distance[apart:] > 0).all()
    assert found.reference > 0


def test_cold_free_running_takes_the_likeliest() -> None:
    model = make()
    found = compare(model, temperature=0)
    given, _ = read(model, found.prefix + found.free)
    start = len(found.prefix)
    assert found.free == VOCABULARY.decode(given[start - 1 : start - 1 + 30].argmax(-1).numpy())


@pytest.mark.parametrize("size", [2, 3, 5, 40])
def test_a_short_text_shortens_it(size: int) -> None:
    found = compare(make(), length=100, text=TEXT[:size])
    assert found.prefix + found.truth == VOCABULARY.decode(TEXT[:size])
    assert len(found.free) == len(found.distance) == len(found.nll) == len(found.truth) >= 1


def test_measuring_leaves_model_and_random_state_alone() -> None:
    model = make()
    model.train()
    before = torch.get_rng_state()
    first = compare(model)
    event = sample.measure(model, VOCABULARY, length=10, temperature=1.0, seed=4)
    assert torch.equal(torch.get_rng_state(), before)
    assert model.training
    assert all(weight.grad is None for weight in model.parameters())
    torch.rand(3)
    assert compare(model).free == first.free
    assert sample.measure(model, VOCABULARY, length=10, temperature=1.0, seed=4).text == event.text


def test_a_model_of_nan_is_compared_all_the_same() -> None:
    model = make()
    with torch.no_grad():
        model.decoder.weight.fill_(float("nan"))
    found = compare(model)
    assert np.isnan(found.nll).all()
    assert len(found.free) == 30

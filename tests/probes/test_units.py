"""Concept search in a network, end to end."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from rnnscope.concepts.scoring import scores
from rnnscope.concepts.table import CONCEPTS, chosen, find
from rnnscope.errors import UserError
from rnnscope.probes import units
from rnnscope.probes.subject import Cancelled, Subject
from rnnscope.recording.requests import Request
from rnnscope.registry import CELLS
from tests.probes.neuron import corpus, subject


def planted() -> Subject:
    """A network whose unit 2 is on after a capital letter, and unit 4 off after a space, and the others know little."""
    looked_at = subject("tanh", 1)
    model, symbols = looked_at.model, looked_at.corpus.vocabulary.symbols
    torch.manual_seed(0)
    with torch.no_grad():
        layer = model.layers[0]
        layer.get_parameter("weight_hh_l0").mul_(0.1)
        layer.get_parameter("weight_hh_l0")[[2, 4]] = 0
        weight = layer.get_parameter("weight_ih_l0")
        weight[[2, 4]] = 0
        weight[2, 0], weight[4, 1] = 3, -3
        assert model.embedding is not None
        model.embedding.weight[:, 0] = torch.tensor([float(s.isupper()) for s in symbols])
        model.embedding.weight[:, 1] = torch.tensor([float(s.isspace()) for s in symbols])
    return looked_at


def test_the_unit_that_knows_is_found_with_its_sign() -> None:
    event = units.measure(planted(), Request(chars=2000, shifts=100))
    assert event.chars == 2000
    assert event.concepts == tuple(concept.name for concept in CONCEPTS)
    capital, space = event.concepts.index("capital"), event.concepts.index("whitespace")
    for concept, unit, sign in ((capital, 2, 1), (space, 4, -1)):
        assert (event.layers[concept, 0], event.units[concept, 0], event.signs[concept, 0]) == (0, unit, sign)
        assert event.scores[concept, 0] == pytest.approx(1)
        assert event.nulls[concept] < 0.99
        assert event.probes[concept] > 0.99
    assert event.measures[capital] == "AUC"


def test_scores_are_of_the_second_half() -> None:
    looked_at = subject("gru", 2)
    event = units.measure(looked_at, Request(chars=1500, field="z", concept=("the b=[BO]",)))
    text = looked_at.corpus.vocabulary.decode(looked_at.corpus.validation[:1500])
    ids = torch.from_numpy(looked_at.corpus.validation[:1500].astype(np.int64))[:, None]
    traced = looked_at.model.trace(ids, looked_at.model.initial_state(1))[2]
    assert event.concepts[-1] == "the b"
    for c, concept in enumerate((*CONCEPTS, find("the b=[BO]"))):
        labels = concept.labels(text)
        assert event.shares[c] == pytest.approx(labels.mean(), rel=1e-5)
        for k in range(event.units.shape[1]):
            values = traced[event.layers[c, k]]["z"][:, 0, event.units[c, k]].numpy()
            second = scores(values[None, 750:], labels[750:], concept.measure == "R2")[0]
            found = event.scores[c, k]
            oriented = max(found, 1 - found) if concept.measure == "AUC" else found
            assert oriented == pytest.approx(second, abs=1e-3) or (np.isnan(second) and np.isnan(found))


@pytest.mark.parametrize("cell", list(CELLS))
@pytest.mark.parametrize("layers", [1, 3])
def test_every_cell_and_depth(cell: str, layers: int) -> None:
    event = units.measure(subject(cell, layers), Request(chars=900, shifts=10, field=CELLS[cell].shown[-1]))
    shape = (len(CONCEPTS), min(10, 6 * layers))
    assert event.layers.shape == event.units.shape == event.scores.shape == event.signs.shape == shape
    assert set(np.unique(event.layers)) <= set(range(layers))
    vowel = event.concepts.index("vowel")
    assert 0.5 < event.scores[vowel, 0] <= 1
    assert 0.5 < event.nulls[vowel] < 1
    comment = event.concepts.index("comment")  # there is none in the text
    assert np.isnan(event.scores[comment]).all()
    assert np.isnan(event.nulls[comment])
    assert event.shares[comment] == 0


@pytest.mark.parametrize("cell", list(CELLS))
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_diverged_network_knows_nothing(cell: str, value: float) -> None:
    looked_at = subject(cell, 2)
    for parameter in looked_at.model.parameters():
        parameter.data.fill_(value)
    event = units.measure(looked_at, Request(chars=400, shifts=5))
    assert np.isnan(event.scores).all()


def test_one_broken_unit_does_not_hide_the_others() -> None:
    looked_at = planted()
    looked_at.model.layers[0].get_parameter("bias_ih_l0").data[4] = math.nan
    looked_at.model.layers[0].get_parameter("weight_hh_l0").data[:, 4] = 0  # NaN times 0 is NaN: all know it next step
    event = units.measure(looked_at, Request(chars=400, shifts=5))
    assert np.isnan(event.scores).all()
    assert not event.signs.any()


def test_a_short_text_or_a_wrong_concept_is_refused() -> None:
    with pytest.raises(UserError, match="at least 200 characters; there are 150"):
        units.measure(subject(text=corpus("ab" * 50, "ab" * 25)), Request())
    with pytest.raises(UserError, match="no regular expression"):
        units.measure(subject(), Request(concept=("x=(",)))
    with pytest.raises(UserError, match="at least 200"):
        units.measure(subject(), Request(chars=100))


def test_it_tells_how_far_it_is_and_can_be_cancelled() -> None:
    shares: list[float] = []
    units.measure(subject(report=lambda share, what: shares.append(share)), Request(chars=500, shifts=3))
    assert shares == sorted(shares)
    assert 0 <= shares[0] < shares[-1] <= 1

    def cancel(share: float, what: str) -> None:
        if share > 0.6:
            raise Cancelled

    with pytest.raises(Cancelled):
        units.measure(subject(report=cancel), Request(chars=500, shifts=3))


def test_a_large_network_is_read_on_less_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(units, "LARGEST", 4 * 2 * 6 * 300)
    assert units.measure(subject(), Request(chars=2000, shifts=3)).chars == 300


def test_every_concept_of_the_table_can_be_chosen() -> None:
    assert chosen(("vowel",)) == CONCEPTS

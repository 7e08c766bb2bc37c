"""Recovery from one wrong character, against the plain definition read one character at a time."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from rnnscope.errors import UserError
from rnnscope.model import CharRNN
from rnnscope.probes import recovery
from rnnscope.probes.recovery import until_below
from rnnscope.probes.subject import Cancelled, Subject
from rnnscope.recording.reading_events import Recovery
from rnnscope.recording.requests import Request
from rnnscope.registry import CELLS
from tests.probes.neuron import corpus, subject
from tests.probes.test_exposure import curve, plain

P, N = 6, 15


def measure(found: Subject, **options: object) -> Recovery:
    return recovery.measure(found, Request(**({"prefixes": P, "length": N, "seed": 3} | options)))


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("cell", CELLS)
def test_every_number_is_that_of_the_plain_steps(cell: str, layers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[np.ndarray] = []
    compare = recovery._compare

    def listen(found: Subject, given: np.ndarray, wrong: np.ndarray, following: np.ndarray) -> object:
        read[:] = given, wrong, following
        return compare(found, given, wrong, following)

    monkeypatch.setattr(recovery, "_compare", listen)
    found = subject(cell, layers)
    model = found.model.double()
    event = measure(found, position=9)
    given, wrong, following = (torch.from_numpy(ids) for ids in read)
    assert given.shape == (10, P)
    assert torch.equal(given[:9], wrong[:9])
    assert (given[9] != wrong[9]).all()
    decode = found.corpus.vocabulary.decode
    text = decode(found.corpus.validation)
    for n in range(P):  # all of it is true text but for the one character
        assert decode(torch.cat([given, following])[:, n].numpy()) in text
    assert event.text + event.following == decode(torch.cat([wrong, following])[:, 0].numpy())
    assert (event.was, event.became) == (decode(given[9:, 0].numpy()), decode(wrong[9:, 0].numpy()))
    assert event.text[event.position] == event.became

    (log_p, h), (log_q, other) = (plain(model, torch.cat([x, following])) for x in (given, wrong))
    clean, corrupt = (-x[9:-1].gather(2, following[..., None])[..., 0].numpy() for x in (log_p, log_q))
    np.testing.assert_allclose(event.clean, clean[:, 0], rtol=1e-5)
    np.testing.assert_allclose(event.corrupt, corrupt[:, 0], rtol=1e-5)
    np.testing.assert_allclose(event.gain, curve(corrupt - clean), rtol=1e-4, atol=1e-7)
    h, other = h[10:], other[10:]
    gap = ((h - other).norm(dim=-1) / h.norm(dim=-1)).numpy()
    np.testing.assert_allclose(event.distance, curve(gap), rtol=1e-5)
    apart = [float(((h[:, i] - h[:, i - 3]).norm(dim=-1) / h[:, i].norm(dim=-1)).mean()) for i in range(P)]
    assert event.reference == pytest.approx(np.mean(apart), rel=1e-5)
    for n in range(P):
        below = [k for k in range(N) if (gap[k:, n] < 0.1 * np.mean(apart)).all()]
        assert event.after[n] == (below[0] + 1 if below else -1)


def test_characters_until_the_state_stays_back() -> None:
    columns = np.array([[1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 0, 1], [0, 0, 0, 0], [1, 1, 1, 1], [0, math.nan, 0, 0]]).T
    assert until_below(columns, 0.5).tolist() == [3, 4, -1, 1, -1, 3]
    assert until_below(columns, math.nan).tolist() == [-1] * 6


def test_a_network_without_memory_recovers_at_once() -> None:
    """W_hh = 0: the state is a function of the last character alone, so only the first prediction is worse."""
    found = subject("tanh", 1)
    with torch.no_grad():
        found.model.layers[0].get_parameter("weight_hh_l0").zero_()
    event = measure(found, prefixes=20)
    assert (event.after == 1).all()
    assert (event.distance == 0).all()
    assert (event.gain[0, 1:] == 0).all()
    assert event.gain[1, 0] != event.gain[2, 0]


def test_the_seed_chooses_places_and_characters() -> None:
    first, again, other = (measure(subject("gru"), seed=seed) for seed in (3, 3, 4))
    assert (first.text, first.following) == (again.text, again.following)
    assert first.text != other.text
    assert len(first.text) == 64
    assert first.position == 63
    assert first.was != first.became


def test_the_example_can_be_chosen() -> None:
    found = subject("gru")
    text = found.corpus.vocabulary.decode(found.corpus.validation)
    event = measure(found, start=100, position=0)
    assert event.text == event.became
    assert event.was + event.following == text[100 : 101 + N]


def test_characters_come_as_often_as_in_training() -> None:
    text = corpus(train="aab" * 400 + "c" + "d" * 400, validation="d" * 3000)
    found = subject(text=text)
    right = np.full(4000, text.vocabulary.encode("d")[0])
    drawn = text.vocabulary.decode(recovery._other(text, right, 1))
    assert set(drawn) <= {"a", "b", "c"}
    assert drawn.count("a") / 4000 == pytest.approx(800 / 1201, abs=0.03)
    assert measure(found).was == "d"


@pytest.mark.parametrize("size", [2, 5, 40])
def test_a_short_text_shortens_it(size: int) -> None:
    event = measure(subject(text=corpus(validation="Ann: Bob: (so) late? she said. No, go on"[:size])))
    assert len(event.following) == event.gain.shape[1] >= 1
    assert len(event.after) == event.prefixes


@pytest.mark.parametrize(
    ("options", "size", "says"),
    [({}, 1, "--position"), ({"position": 30}, 31, "--position"), ({"start": 31}, 31, "--start")],
)
def test_what_cannot_be_done_is_said(options: dict[str, int], size: int, says: str) -> None:
    text = corpus(validation="Ann: Bob: (so) late? she said. No, go on"[:size])
    with pytest.raises(UserError, match=says):
        measure(subject(text=text), **options)


def test_a_text_of_one_character_is_refused() -> None:
    with pytest.raises(UserError, match="only one"):
        measure(subject(text=corpus(train="a" * 100, validation="a" * 90)))


@pytest.mark.parametrize("cell", CELLS)
def test_a_model_of_nan_is_measured_all_the_same(cell: str) -> None:
    found = subject(cell)
    with torch.no_grad():
        for weight in found.model.parameters():
            weight.fill_(math.nan)
    event = measure(found)
    assert (event.after == -1).all()
    assert np.isnan(event.gain).all()


def test_it_tells_how_far_it_is_leaves_all_alone_and_can_be_broken_off() -> None:
    told: list[float] = []
    found = subject("lstm", report=lambda share, what: told.append(share))
    found.model.train()
    before = torch.get_rng_state()
    measure(found, length=100)
    assert torch.equal(torch.get_rng_state(), before)
    assert found.model.training
    assert told == sorted(told)
    assert told[0] == 0

    def enough(share: float, what: str) -> None:
        if share > 0.5:
            raise Cancelled

    model: CharRNN = found.model
    with pytest.raises(Cancelled):
        measure(Subject(model, found.corpus, found.config, 1, found.folder, report=enough), length=100)

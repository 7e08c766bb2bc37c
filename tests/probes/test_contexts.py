"""Places that excite and inhibit a unit, and spans where units are on together, against brute force."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from rnnscope.errors import UserError
from rnnscope.probes import contexts
from rnnscope.probes.contexts import AFTER, APART, BEFORE, extremes, limits_of, peaks, throughout_spans
from rnnscope.probes.subject import Cancelled, Subject
from rnnscope.recording.requests import Request
from rnnscope.registry import CELLS
from tests.probes.neuron import corpus, subject

N = 900


def states(looked_at: Subject, field: str = "h", layer: int = 0) -> np.ndarray:
    ids = torch.from_numpy(looked_at.corpus.train[:N].astype(np.int64))[:, None]
    return looked_at.model.trace(ids, looked_at.model.initial_state(1))[2][layer][field][:, 0].numpy()


def test_peaks_are_the_highest_that_are_far_enough_apart() -> None:
    values = np.array([0, 5, 9, 8, 1, 7, 9, 2, -np.inf])
    assert peaks(values, 9, 1).tolist() == [2, 6, 3, 5, 1, 7, 4, 0]
    assert peaks(values, 9, 2).tolist() == [2, 6, 4, 0]
    assert peaks(values, 9, 4).tolist() == [2, 6]
    assert peaks(np.full(3, -np.inf), 2, 1).tolist() == []
    assert peaks(np.zeros(0), 2, 1).tolist() == []


@pytest.mark.parametrize("cell", list(CELLS))
@pytest.mark.parametrize("layer", [0, 2])
def test_snippets_are_where_the_unit_is_highest_and_lowest(cell: str, layer: int) -> None:
    looked_at = subject(cell, 3)
    field = CELLS[cell].shown[-1]
    event = contexts.measure(looked_at, Request(chars=N, layer=layer, units=(3,), field=field))
    values = states(looked_at, field, layer)[:, 3]
    text = looked_at.corpus.vocabulary.decode(looked_at.corpus.train[:N])
    places = event.offsets + event.peaks
    exciting, inhibiting = (places[event.groups == group] for group in (1, -1))
    assert values[exciting[0]] == pytest.approx(values.max(), abs=1e-5)
    assert values[inhibiting[0]] == pytest.approx(values.min(), abs=1e-5)
    for group in (exciting, inhibiting):
        assert len(group) > 5
        assert np.diff(np.sort(group)).min() >= APART
    assert (np.diff(event.scores[event.groups == 1]) <= 0).all()
    assert (np.diff(event.scores[event.groups == -1]) >= 0).all()
    for k, snippet in enumerate(event.snippets):
        offset = event.offsets[k]
        assert snippet == text[offset : places[k] + AFTER]
        assert len(snippet) <= BEFORE + AFTER
        assert event.scores[k] == pytest.approx(values[places[k]], abs=1e-5)
        np.testing.assert_allclose(event.values[k, : len(snippet)], values[offset:][: len(snippet)], atol=2e-3)
        assert np.isnan(event.values[k, len(snippet) :]).all()
    assert (event.span, event.chars, len(event.on)) == ("", N, 0)


def test_what_is_no_number_is_nowhere() -> None:
    values = np.zeros(600, np.float32)
    values[[5, 300]], values[[50, 400]], values[200] = np.nan, np.inf, -np.inf
    found = extremes(values)
    assert found.places[found.groups == 1][:2].tolist() == [50, 400]
    assert found.places[found.groups == -1][0] == 200
    assert not np.isnan(found.scores).any()
    assert len(extremes(np.full(9, np.nan, np.float32)).places) == 0


@pytest.mark.parametrize("length", range(1, 10))
def test_spans_that_are_on_throughout_are_found(length: int) -> None:
    on = np.random.default_rng(length).random((40, 3, 2)) < 0.8
    expected = np.array([on[t : t + length].all(0) for t in range(40 - length + 1)])
    np.testing.assert_array_equal(throughout_spans(on, length), expected)
    assert len(throughout_spans(on[:4], 9)) == 0


@pytest.mark.parametrize("cell", list(CELLS))
@pytest.mark.parametrize("span", [(4, 5), (10, 13), (3, 80)])
def test_matching_spans_are_those_of_brute_force(cell: str, span: tuple[int, int]) -> None:
    looked_at = subject(cell, 1, hidden=12)
    threshold, (begin, end) = -0.2, span
    request = Request(
        source="validation", length=90, span=span, threshold=threshold, units=(1,), chars=N, field=CELLS[cell].shown[0]
    )
    event = contexts.measure(looked_at, request)
    values = states(looked_at)
    selected = torch.from_numpy(looked_at.corpus.validation[:90].astype(np.int64))[:, None]
    own = looked_at.model.trace(selected, looked_at.model.initial_state(1))[2][0]["h"][:, 0].numpy()
    largest = np.maximum(values.max(0), own[:end].max(0))
    limits = np.where(largest > 0, threshold * largest, np.inf)
    on = np.flatnonzero((own[begin:end] > limits).all(0))
    assert event.on.tolist() == on.tolist()
    assert event.span == looked_at.corpus.vocabulary.decode(selected[begin:end, 0].numpy())
    length = end - begin
    held = np.array([(values[t : t + length] > limits).all(0) for t in range(N - length + 1)])
    share = held[:, on].sum(1) / max(len(on), 1)
    places = event.offsets + event.peaks
    assert (event.groups == 0).all()
    if not len(on) or share.max() == 0:
        assert not len(places)
        return
    np.testing.assert_allclose(event.scores, share[places], atol=1e-6)
    assert event.scores[0] == share.max()
    others = held.sum(1) - held[:, on].sum(1)
    assert others[places[0]] == others[share == share.max()].min()
    assert (np.diff(event.scores) <= 0).all()
    text = looked_at.corpus.vocabulary.decode(looked_at.corpus.train[:N])
    assert all(text[p : p + 5] == s[k : k + 5] for p, s, k in zip(places, event.snippets, event.peaks, strict=True))


def test_a_pattern_is_found_again_where_it_was_selected() -> None:
    looked_at = subject("lstm", 2, hidden=16)
    request = Request(source="train", start=0, length=200, span=(120, 126), threshold=0.2, layer=1, chars=N)
    event = contexts.measure(looked_at, request)
    assert len(event.on) > 0
    assert event.scores[0] == 1
    assert event.span in event.snippets[0]


def test_a_unit_is_on_above_its_share_of_its_largest_value() -> None:
    limits = limits_of(np.array([2.0, -1.0, 0.0, np.nan, np.inf], np.float32), 0.25)
    assert limits.tolist() == [0.5, math.inf, math.inf, math.inf, math.inf]


@pytest.mark.parametrize(
    ("span", "said"),
    [((5, 5), "has 90 characters"), ((80, 91), "has 90 characters"), ((0, 0), ""), ((1, 0), "has 90 characters")],
)
def test_a_span_outside_the_text_is_refused(span: tuple[int, int], said: str) -> None:
    request = Request(source="validation", length=90, span=span, chars=300)
    if not said:
        assert contexts.measure(subject(), request).span == ""
        return
    with pytest.raises(UserError, match=said):
        contexts.measure(subject(), request)


def test_a_very_long_span_is_refused() -> None:
    with pytest.raises(UserError, match="at most 200"):
        contexts.measure(subject(), Request(source="train", length=300, span=(0, 201)))


@pytest.mark.parametrize("cell", list(CELLS))
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_diverged_network_is_searched(cell: str, value: float) -> None:
    looked_at = subject(cell, 2)
    for parameter in looked_at.model.parameters():
        parameter.data.fill_(value)
    event = contexts.measure(looked_at, Request(chars=400))
    assert not np.isnan(event.scores).any()
    event = contexts.measure(looked_at, Request(chars=400, source="train", span=(3, 6)))
    assert event.span == looked_at.corpus.vocabulary.decode(looked_at.corpus.train[3:6])


def test_a_text_shorter_than_a_snippet_is_searched() -> None:
    event = contexts.measure(subject(text=corpus("ab", "ab")), Request())
    assert event.snippets == ("ab", "ab")
    assert event.chars == 2


def test_it_can_be_cancelled() -> None:
    def cancel(share: float, what: str) -> None:
        if share > 0:
            raise Cancelled

    with pytest.raises(Cancelled):
        contexts.measure(subject(report=cancel), Request(chars=500))
    with pytest.raises(Cancelled):
        contexts.measure(subject(report=cancel), Request(chars=500, source="train", span=(3, 6)))

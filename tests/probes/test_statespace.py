"""Principal components of states, against numpy on all of them at once."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from rnnscope.concepts.table import CONCEPTS, NAMES
from rnnscope.errors import UserError
from rnnscope.probes import statespace
from rnnscope.probes.statespace import POINTS, Moments
from rnnscope.recording.requests import Request
from rnnscope.registry import CELLS
from tests.probes.neuron import TEXT, subject

N = 900


@pytest.mark.parametrize("cell", list(CELLS))
@pytest.mark.parametrize("layers", [1, 3])
def test_points_are_those_of_a_singular_value_decomposition(cell: str, layers: int) -> None:
    looked_at = subject(cell, layers)
    field, layer = CELLS[cell].shown[-1], layers - 1
    request = Request(source="prompt", prompt='she said "go" (12).', field=field, layer=layer, chars=N)
    event = statespace.measure(looked_at, request)
    ids = torch.from_numpy(looked_at.corpus.validation[:N].astype(np.int64))[:, None]
    traced = looked_at.model.trace(ids, looked_at.model.initial_state(1))[2]
    x = traced[layer][field][:, 0].double().numpy()
    _, singular, axes = np.linalg.svd(x - x.mean(0), full_matrices=False)
    np.testing.assert_allclose(event.explained, (singular**2 / (singular**2).sum())[:3], atol=1e-6)
    expected = (x - x.mean(0)) @ axes[:3].T
    found = event.points[: -event.trajectory].astype(np.float64)
    signs = np.sign((expected * found).sum(0))
    np.testing.assert_allclose(found, expected * signs, atol=2e-4 * np.abs(x).max())
    own = torch.from_numpy(looked_at.corpus.vocabulary.encode(request.prompt))[:, None]
    way = looked_at.model.trace(own, looked_at.model.initial_state(1))[2][layer][field][:, 0].double().numpy()
    drawn = event.points[-event.trajectory :]
    np.testing.assert_allclose(drawn, (way - x.mean(0)) @ axes[:3].T * signs, atol=2e-4 * np.abs(x).max())


def test_text_and_labels_go_with_the_points() -> None:
    looked_at = subject()
    event = statespace.measure(looked_at, Request(source="train", length=len(TEXT), chars=N, concept=("B=B",)))
    validation = looked_at.corpus.vocabulary.decode(looked_at.corpus.validation[:N])
    assert event.text == validation + TEXT
    assert event.trajectory == len(TEXT)
    assert event.points.shape == (len(event.text), 3)
    assert event.concepts == (*(concept.name for concept in CONCEPTS), "B")
    assert event.labels.shape == (len(event.concepts), len(event.text))
    quotes = event.labels[event.concepts.index("inside quotes")]
    expected = [NAMES["inside quotes"].labels(text) for text in (validation, TEXT)]
    np.testing.assert_array_equal(quotes, np.concatenate(expected))
    np.testing.assert_array_equal(event.labels[-1], [character == "B" for character in event.text])


def test_of_a_long_text_a_part_of_the_points_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statespace, "POINTS", 100)
    looked_at = subject()
    event = statespace.measure(looked_at, Request(source="prompt", prompt="she", chars=N))
    kept = len(event.points) - 3
    assert kept == 100
    text = looked_at.corpus.vocabulary.decode(looked_at.corpus.validation[:N])
    assert event.text == text[::9] + "she"
    np.testing.assert_array_equal(event.labels[event.concepts.index("vowel"), :kept], NAMES["vowel"].labels(text)[::9])
    monkeypatch.setattr(statespace, "POINTS", POINTS)
    every = statespace.measure(looked_at, Request(source="prompt", prompt="she", chars=N))
    np.testing.assert_array_equal(event.explained, every.explained)
    np.testing.assert_allclose(event.points[:kept], every.points[:N:9], atol=1e-6)


def test_components_of_states_far_from_zero_keep_their_precision() -> None:
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(4000, 6)) * [3, 2, 1, 0.5, 0.1, 0.01] + 1000).astype(np.float32)
    moments = Moments(6)
    for part in np.split(x, 8):
        moments.add(part)
    found = moments.components()
    exact = x.astype(np.float64)
    variances = np.linalg.eigvalsh(np.cov(exact.T, bias=True))[::-1]
    np.testing.assert_allclose(found.explained, variances[:3] / variances.sum(), rtol=1e-9)
    np.testing.assert_allclose(found.mean, exact.mean(0), rtol=1e-12)
    np.testing.assert_allclose(found.axes.T @ found.axes, np.eye(3), atol=1e-12)
    assert (found.axes[np.abs(found.axes).argmax(0), range(3)] > 0).all()


def test_a_network_of_two_units_has_two_components() -> None:
    event = statespace.measure(subject("tanh", 1, hidden=2), Request(source="train", length=10, chars=500))
    assert event.explained[:2].sum() == pytest.approx(1)
    assert event.explained[2] == 0
    assert not event.points[:, 2].any()


@pytest.mark.parametrize("cell", list(CELLS))
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_diverged_network_has_no_points(cell: str, value: float) -> None:
    looked_at = subject(cell, 2)
    for parameter in looked_at.model.parameters():
        parameter.data.fill_(value)
    event = statespace.measure(looked_at, Request(source="train", length=10, chars=300))
    assert len(event.points) == 310
    assert not np.isinf(event.points).any()
    assert np.isfinite(event.explained).all()


def test_states_that_are_no_numbers_are_left_out_of_the_components() -> None:
    x = np.random.default_rng(1).normal(size=(50, 4)).astype(np.float32)
    moments, clean = Moments(4), Moments(4)
    clean.add(x[10:])
    x[:5, 1], x[5:10, 2] = np.nan, np.inf
    moments.add(x[:10])
    moments.add(x[10:])
    np.testing.assert_array_equal(moments.components().explained, clean.components().explained)
    assert moments.count == 40


def test_a_wrong_concept_is_refused() -> None:
    with pytest.raises(UserError, match="no regular expression"):
        statespace.measure(subject(), Request(source="train", concept=("x=(",)))

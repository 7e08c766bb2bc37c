"""A long text read in streams side by side: each is what it would be read alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rnnscope.model import CharRNN
from rnnscope.probes import streams
from rnnscope.probes.streams import Streams, gather, held_out, read
from rnnscope.registry import CELLS
from tests.probes.neuron import corpus, subject

PLAN = Streams(3, 150, 20)


def alone(model: CharRNN, ids: np.ndarray, field: str, layer: int) -> np.ndarray:
    """Each stream by the plain step, one character after the other, from the zero state before its warm-up; (N, H)."""
    rows = []
    for start in range(0, PLAN.chars, PLAN.length):
        first = max(0, start - PLAN.warm_up)
        given = torch.from_numpy(ids[first : start + PLAN.length])[:, None]
        rows.append(model.trace(given, model.initial_state(1))[2][layer][field][start - first :, 0].numpy())
    return np.concatenate(rows)


@pytest.mark.parametrize("kernel", ["scan", "fused"])
@pytest.mark.parametrize("cell", list(CELLS))
@pytest.mark.parametrize("layers", [1, 3])
def test_streams_are_what_each_would_be_read_alone(cell: str, layers: int, kernel: str) -> None:
    looked_at = subject(cell, layers)
    model = looked_at.model.train()
    if kernel == "fused":
        if cell == "lnrnn":
            pytest.skip("torch has no fused layer for it")
        model.kernel = "fused"
    ids = looked_at.corpus.train[:460].astype(np.int64)
    for fields in (("h",), CELLS[cell].shown):
        found = [np.full((450, model.config.hidden), np.nan) for _ in fields]
        counted = np.zeros(450, int)
        for piece in read(model, ids, fields, [layers - 1], cut=PLAN):
            counted[piece.places] += 1
            for field, values in zip(fields, found, strict=True):
                values[piece.places] = piece.values[0][field]
        assert (counted == 1).all()
        for field, values in zip(fields, found, strict=True):
            np.testing.assert_allclose(values, alone(model, ids, field, layers - 1), atol=2e-5)
    assert model.training


def test_the_first_stream_begins_where_the_text_does() -> None:
    looked_at = subject()
    ids = looked_at.corpus.train[:450].astype(np.int64)
    first = next(read(looked_at.model, ids, ("h",), [1], cut=PLAN)).values[0]["h"][0, 0]
    _, state = looked_at.model.step(torch.from_numpy(ids[:1]), looked_at.model.initial_state(1))
    np.testing.assert_allclose(first, state[1][0][0].numpy(), atol=1e-6)


def test_what_is_gathered_is_in_the_order_of_the_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "SHORTEST", 150)
    monkeypatch.setattr(streams, "streams_for", lambda model, chars: PLAN)
    looked_at = subject("gru", 2)
    ids = looked_at.corpus.train[:455].astype(np.int64)
    shares: list[float] = []
    found = gather(looked_at.model, ids, "z", [0, 1], report=shares.append)
    for layer in range(2):
        np.testing.assert_allclose(found[layer].T, alone(looked_at.model, ids, "z", layer), atol=1e-5)
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0, 1)


@pytest.mark.parametrize("plan", [Streams(1, 450, 0), Streams(1, 450, 200), Streams(3, 150, 0)])
def test_every_character_is_read_once(plan: Streams) -> None:
    looked_at = subject("tanh", 1)
    ids = looked_at.corpus.train[:450].astype(np.int64)
    places = np.concatenate([piece.places for piece in read(looked_at.model, ids, ("h",), [0], cut=plan)])
    assert places.T.ravel().tolist() == list(range(450))


@pytest.mark.parametrize(
    ("chars", "expected"),
    [(1, (1, 1, 1)), (1999, (1, 1999, 200)), (5000, (2, 2500, 200)), (1_000_003, (128, 7812, 200))],
)
def test_texts_are_cut_into_streams_that_are_not_too_short(chars: int, expected: tuple[int, ...]) -> None:
    plan = streams.streams_for(subject().model, chars)
    assert plan == expected
    assert 0 <= chars - plan.chars < plan.streams


def test_held_out_text_comes_first_and_the_training_text_before_it() -> None:
    text = corpus("abcdef", "fed")
    decode = text.vocabulary.decode
    assert [decode(held_out(text, n)) for n in (1, 3, 5, 9, 99)] == ["f", "fed", "effed", "abcdeffed", "abcdeffed"]

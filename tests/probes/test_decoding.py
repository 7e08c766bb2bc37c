"""Decoding against the plain steps, and its figures by brute force."""

from __future__ import annotations

import math
from itertools import islice

import numpy as np
import pytest
import torch

from rnnscope.errors import UserError
from rnnscope.generating import uniforms
from rnnscope.probes import decoding
from rnnscope.probes.subject import Cancelled, Subject
from rnnscope.recording.reading_events import Decoding
from rnnscope.recording.requests import Request
from rnnscope.registry import CELLS
from tests.probes.neuron import subject

PROMPT = "Ann: "


@torch.no_grad()
def by_hand(found: Subject, request: Request, temperature: float) -> tuple[str, float]:
    """Return text and mean nats, drawn by the plain definition from the cumulative sums of the distribution."""
    model, vocabulary = found.model, found.corpus.vocabulary
    state = model.initial_state(1)
    for symbol in vocabulary.encode(PROMPT):
        logits, state = model.step(torch.tensor([symbol]), state)
    ids, nats = [], []
    for u in islice(uniforms(request.seed, 1, torch.device("cpu")), request.length):
        z = logits[0].numpy() / (temperature or 1e-9)
        p = np.exp(z - z.max())
        p /= p.sum()
        order = sorted(range(len(p)), key=lambda i: (-p[i], i))
        kept = set(order[: request.top_k or len(p)])
        q = np.array([p[i] if i in kept else 0 for i in range(len(p))])
        if request.top_p < 1:
            held, nucleus = 0.0, set()
            for i in order:
                if held < request.top_p:
                    nucleus.add(i)
                held += q[i] / q.sum()
            q = np.array([q[i] if i in nucleus else 0 for i in range(len(p))])
        drawn = int(np.searchsorted(np.cumsum(q) / q.sum(), float(u), side="right"))
        nats.append(-float(torch.log_softmax(logits[0], -1)[drawn]))
        ids.append(drawn)
        logits, state = model.step(torch.tensor([drawn]), state)
    return vocabulary.decode(np.array(ids)), float(np.mean(nats))


@pytest.mark.parametrize("options", [{}, {"top_k": 3}, {"top_p": 0.7}, {"top_k": 5, "top_p": 0.6}])
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("cell", CELLS)
def test_columns_are_drawn_as_by_hand(cell: str, layers: int, options: dict[str, float]) -> None:
    found = subject(cell, layers)
    found.model.double()
    request = Request(prompt=PROMPT, length=40, seed=3, temperatures=(0.0, 0.5, 1.0, 2.0), **options)
    event = decoding.measure(found, request)
    assert event.done
    assert event.prompt == PROMPT
    for n, temperature in enumerate(request.temperatures):
        text, nats = by_hand(found, request, temperature)
        assert event.texts[n] == text
        assert event.nats[n] == pytest.approx(nats, rel=1e-6)


def test_names_say_what_was_done() -> None:
    request = Request(length=3, temperatures=(0.0, 0.5, 2.0), top_k=10, top_p=0.9)
    assert decoding.measure(subject(), request).names == ("greedy", "T 0.5, top 10, p 0.9", "T 2, top 10, p 0.9")


def test_the_same_way_twice_is_the_same_text() -> None:
    event = decoding.measure(subject("gru"), Request(length=80, temperatures=(0.9, 0.9)))
    assert event.texts[0] == event.texts[1]
    assert len(event.texts[0]) == 80


def test_figures_are_those_of_the_texts() -> None:
    found = subject("tanh")
    event = decoding.measure(found, Request(length=200, temperatures=(0.0, 0.7, 1.5)))
    training = found.corpus.vocabulary.decode(found.corpus.train)
    for n, text in enumerate(event.texts):
        sizes = [max(size for size in range(len(text) - i + 1) if text[i : i + size] in training) for i in range(200)]
        assert event.copied[n] == max(sizes)
        start = sizes.index(max(sizes))
        assert event.copies[n] == text[start : start + max(sizes)]
        words = text.split()
        for k in (1, 2, 3):
            grams = [tuple(words[i : i + k]) for i in range(len(words) - k + 1)]
            expected = len(set(grams)) / len(grams) if grams else math.nan
            assert event.distinct[n, k - 1] == pytest.approx(expected, nan_ok=True)
        lines = [line for line in text.split("\n") if line.strip()]
        assert event.repeated[n] == pytest.approx(1 - len(set(lines)) / len(lines) if lines else math.nan, nan_ok=True)


def test_texts_are_drafted_while_they_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "DRAFT_EVERY", 0.0)
    drafts: list[Decoding] = []
    found = subject(draft=drafts.append)
    event = decoding.measure(found, Request(length=30, temperatures=(0.5, 1.0)))
    assert len(drafts) == 30
    for n, draft in enumerate(drafts, 1):
        assert not draft.done
        assert draft.names == event.names
        assert draft.texts == tuple(text[:n] for text in event.texts)
        assert np.isnan(draft.nats).all()


def test_it_can_be_broken_off() -> None:
    def enough(share: float, what: str) -> None:
        if share > 0.5:
            raise Cancelled

    with pytest.raises(Cancelled):
        decoding.measure(subject(report=enough), Request(length=100))


def test_a_model_of_nan_writes_all_the_same() -> None:
    found = subject("lstm")
    with torch.no_grad():
        found.model.decoder.weight.fill_(math.nan)
    event = decoding.measure(found, Request(length=50, temperatures=(0.0, 1.0)))
    assert [len(text) for text in event.texts] == [50, 50]
    assert np.isnan(event.nats).all()


def test_a_prompt_of_unknown_characters_is_refused() -> None:
    with pytest.raises(UserError, match="§"):
        decoding.measure(subject(), Request(prompt="§"))

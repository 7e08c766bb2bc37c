"""N-gram models against dictionaries of counts written down from the textbook, and the figures that are known."""

from __future__ import annotations

import math
import time
from collections import Counter
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnscope.ngrams import KneserNey, Unsmoothed, build, count, kneser_ney_nats, unsmoothed_nats, write

SHAKESPEARE = Path(__file__).parents[2].parent / "shared" / "data" / "shakespeare.txt"
V = 4
texts = st.lists(st.integers(0, V - 1), min_size=0, max_size=40)


class Textbook:
    """Interpolated Kneser-Ney with dictionaries, one context at a time."""

    def __init__(self, text: list[int], order: int, symbols: int) -> None:
        self.order, self.symbols = order, symbols
        grams = {n: [tuple(text[i : i + n]) for i in range(len(text) - n + 1)] for n in range(1, order + 1)}
        self.counts: dict[int, Counter[tuple[int, ...]]] = {order: Counter(grams[order])}
        for n in range(1, order):
            self.counts[n] = Counter(gram[1:] for gram in set(grams[n + 1]))  # how many symbols stand before it
        self.discount = {}
        for n, counts in self.counts.items():
            once, twice = (sum(c == k for c in counts.values()) for k in (1, 2))
            self.discount[n] = once / (once + 2 * twice) if once else 0.5

    def p(self, context: tuple[int, ...], symbol: int, n: int | None = None) -> float:
        n = self.order if n is None else n
        if n == 0:
            return 1 / self.symbols
        if len(context) < n - 1:
            return self.p(context, symbol, n - 1)
        context = context[len(context) - n + 1 :]
        below = self.p(context[1:], symbol, n - 1)
        after = [c for gram, c in self.counts[n].items() if gram[:-1] == context]
        if not after:
            return below
        own = max(self.counts[n][(*context, symbol)] - self.discount[n], 0) / sum(after)
        return own + self.discount[n] * len(after) / sum(after) * below


@settings(max_examples=30, deadline=None)
@given(texts, texts, st.integers(1, 4))
def test_kneser_ney_is_the_textbook_s(text: list[int], held_out: list[int], order: int) -> None:
    model, slow = build(np.array(text, np.int64), order, V), Textbook(text, order, V)
    wanted = [-math.log(slow.p(tuple(held_out[:t]), symbol)) for t, symbol in enumerate(held_out)]
    np.testing.assert_allclose(model.nats(np.array(held_out, np.int64)), wanted, rtol=1e-12)
    for context in product(range(V), repeat=min(order - 1, 2)):
        p = model.probability(np.array(context, np.int64))
        np.testing.assert_allclose(p, [slow.p(context, symbol) for symbol in range(V)], rtol=1e-12)


@settings(max_examples=60, deadline=None)
@given(texts, st.integers(1, 6))
def test_kneser_ney_adds_up_to_one_in_every_context_seen_or_not(text: list[int], order: int) -> None:
    model = build(np.array(text, np.int64), order, V)
    contexts = np.array(list(product(range(V), repeat=min(order, 4))))  # one symbol more than is looked at
    p = model.probability(contexts)
    assert p.shape == (len(contexts), V)
    assert (p > 0).all()
    np.testing.assert_allclose(p.sum(-1), 1, rtol=1e-12)


@settings(max_examples=60, deadline=None)
@given(texts, texts, st.integers(1, 5))
def test_unsmoothed_is_counting_by_hand(text: list[int], held_out: list[int], order: int) -> None:
    wanted = []
    for t, symbol in enumerate(held_out):
        context = held_out[max(0, t - order + 1) : t]
        after = [
            text[i + len(context)] for i in range(len(text) - len(context)) if text[i : i + len(context)] == context
        ]
        wanted.append(-math.log(after.count(symbol) / len(after)) if symbol in after else math.inf)
    model = Unsmoothed(count(np.array(text, np.int64), order, V), order)
    np.testing.assert_allclose(model.nats(np.array(held_out, np.int64)), wanted, rtol=1e-12, atol=1e-15)


def test_a_text_counted_by_hand() -> None:
    """abracadabra: after a come b, c, d, b; before b stands a alone, before a stand r, c, d."""
    text = np.array(["abcdr".index(letter) for letter in "abracadabra"])
    second = Unsmoothed(count(text, 2, 5), 2)
    assert second.probability(np.array([0])).tolist() == [0, 0.5, 0.25, 0.25, 0]
    assert second.nats(np.array([0, 1, 4]))[1:].tolist() == [math.log(2), 0]
    # bigrams ab 2, br 2, ra 2, ac, ca, ad, da: n1 = 4, n2 = 3, D = 0.4. Unigrams, by what stands before them:
    # a 3, b 1, c 1, d 1, r 1: n1 = 4, n2 = 0, D = 1.
    below = np.array([2, 0, 0, 0, 0]) / 7 + 1 * 5 / 7 / 5
    wanted = np.array([0, 1.6, 0.6, 0.6, 0]) / 4 + 0.4 * 3 / 4 * below
    np.testing.assert_allclose(build(text, 2, 5).probability(np.array([0])), wanted, rtol=1e-14)


def test_all_orders_in_one_pass_are_each_order_alone() -> None:
    random = np.random.default_rng(0)
    text, held_out = random.integers(0, V, 300), random.integers(0, V, (3, 40))
    table = count(text, 5, V)
    for order, nats in enumerate(kneser_ney_nats(table, held_out, 5), 1):
        np.testing.assert_allclose(nats, build(text, order, V).nats(held_out), rtol=1e-13)
    for order, nats in enumerate(unsmoothed_nats(table, held_out, 5), 1):
        np.testing.assert_array_equal(nats, Unsmoothed(table, order).nats(held_out))


def test_a_text_known_by_heart_is_no_surprise() -> None:
    """A cycle of 8 different symbols: whoever saw it often knows what comes; the discount is all that is left."""
    text = np.tile(np.arange(8), 500)
    model = build(text, 4, 8)
    assert model.nats(text)[3:].max() < 0.01
    assert np.abs(Unsmoothed(model.table, 4).nats(text)[1:]).max() == 0
    assert Unsmoothed(model.table, 4).nats(text)[0] == pytest.approx(math.log(8))


def test_the_first_characters_are_judged_by_what_there_is() -> None:
    text = np.random.default_rng(1).integers(0, V, 200)
    sixth, held_out = build(text, 6, V), text[50:60]
    for t in range(10):
        assert sixth.nats(held_out)[t] == pytest.approx(
            -np.log(sixth.probability(held_out[:t])[held_out[t]]), rel=1e-12
        )


def test_ids_that_are_no_symbols_are_refused() -> None:
    with pytest.raises(ValueError, match="not all below 4"):
        count(np.array([0, 4]), 2, 4)
    with pytest.raises(ValueError, match="order 0"):
        count(np.array([0, 1]), 0, 4)


def test_what_is_written_has_the_model_s_frequencies() -> None:
    text = np.random.default_rng(2).integers(0, V, 400)
    for model in (build(text, 3, V), Unsmoothed(count(text, 3, V), 3)):
        prompts = np.tile([1, 2], (20_000, 1))
        drawn = write(model, prompts, 2, seed=5)
        expected = model.probability(np.array([1, 2]))
        error = np.sqrt(expected * (1 - expected) / len(drawn))
        assert (np.abs(np.bincount(drawn[:, 0], minlength=V) / len(drawn) - expected) <= 5 * error + 1e-12).all()
        both = drawn[drawn[:, 0] == 3, 1]
        expected = model.probability(np.array([2, 3]))
        error = np.sqrt(expected * (1 - expected) / len(both))
        assert (np.abs(np.bincount(both, minlength=V) / len(both) - expected) <= 5 * error + 1e-12).all()


def test_writing_is_seeded_and_never_stuck() -> None:
    text = np.array([0, 1, 2, 0, 1, 3])  # nothing follows 3
    model = Unsmoothed(count(text, 3, V), 3)
    one, again, other = (write(model, np.array([0]), 200, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert one.shape == (200,)
    assert not np.array_equal(one, other)
    assert set(one.tolist()) == {0, 1, 2, 3}  # went on after a 3
    pairs = set(zip(one[:-1].tolist(), one[1:].tolist(), strict=True))
    assert {pair for pair in pairs if pair[0] != 3} == {(0, 1), (1, 2), (1, 3), (2, 0)}
    assert write(model, np.empty(0, np.int64), 5, 1).shape == (5,)


@pytest.mark.skipif(not SHAKESPEARE.exists(), reason="shakespeare.txt is not at hand")
def test_shakespeare_s_figures_within_the_time() -> None:
    """FACTS.md, section 2: orders 1 to 7 on the last tenth; all models of both kinds in under 20 s."""
    text = np.frombuffer(SHAKESPEARE.read_bytes(), np.uint8)
    symbols, ids = np.unique(text, return_inverse=True)
    cut = int(0.9 * len(ids))
    began = time.perf_counter()
    table = count(ids[:cut], 10, len(symbols))
    found = [float(nats.mean()) for nats in kneser_ney_nats(table, ids[cut:], 9)]
    unseen = [float(np.isinf(nats).mean()) for nats in unsmoothed_nats(table, ids[cut:], 10)]
    assert time.perf_counter() - began < 20
    np.testing.assert_allclose(found[:7], [3.347, 2.484, 2.045, 1.729, 1.579, 1.558, 1.565], atol=0.001)
    assert unseen == sorted(unseen)
    began = time.perf_counter()
    drawn = write(KneserNey(table, 6), ids[:20], 400, seed=1)
    assert time.perf_counter() - began < 2
    assert float(KneserNey(table, 6).nats(drawn).mean()) == pytest.approx(
        1.5, abs=0.3
    )  # about as surprising as the text


def test_writing_tells_how_far_it_is_and_can_be_broken_off() -> None:
    model, shares = build(np.array([0, 1, 2, 1, 0, 2]), 2, 3), []
    told = write(model, np.array([0]), 100, 1, writing=shares.append)
    assert shares == [0.0, 0.32, 0.64, 0.96]
    assert told.tolist() == write(model, np.array([0]), 100, 1).tolist()

    def stop(share: float) -> None:
        if share:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        write(model, np.array([0]), 100, 1, writing=stop)

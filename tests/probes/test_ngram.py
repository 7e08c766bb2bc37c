"""The probe of the n-gram rival: figures of the run's own split, texts, and how it is broken off."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from rnnscope.config import Config, ModelConfig, TextConfig
from rnnscope.corpus import load
from rnnscope.errors import UserError
from rnnscope.model import CharRNN
from rnnscope.ngrams import Unsmoothed, build, count
from rnnscope.probes import ngram
from rnnscope.probes.subject import Cancelled, Subject
from rnnscope.recording.requests import Request

HERE = Path(__file__)
SHAKESPEARE = HERE.parents[2].parent / "shared" / "data" / "shakespeare.txt"


def subject(texts: tuple[str, ...] = ("play",), **text: object) -> Subject:
    config = Config(texts, TextConfig(**{"length": 20_000, **text}), ModelConfig(hidden=4, layers=1, embedding=3))
    corpus = load(config.texts, config.text)
    return Subject(CharRNN(config.model, len(corpus.vocabulary)), corpus, config, 0, Path())


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RNNSCOPE_CACHE", str(tmp_path))


def test_each_order_is_judged_as_its_model_alone_judges() -> None:
    asked = subject()
    corpus, V = asked.corpus, len(asked.corpus.vocabulary)
    found = ngram.measure(asked, Request(orders=(12, 3, 1, 3, 9), length=50))
    assert found.orders.tolist() == [1, 3, 9, 12]
    assert found.chars == len(corpus.validation)
    for n, kneser_ney, unsmoothed, unseen in zip(
        found.orders.tolist(), found.kneser_ney, found.unsmoothed, found.unseen, strict=True
    ):
        if n <= 9:
            assert kneser_ney == pytest.approx(build(corpus.train, n, V).nats(corpus.validation).mean(), rel=1e-12)
        else:
            assert math.isnan(kneser_ney)
        nats = Unsmoothed(count(corpus.train, n, V), n).nats(corpus.validation)
        assert unseen == pytest.approx(np.isinf(nats).mean(), abs=1e-15)
        assert unsmoothed == pytest.approx(nats[np.isfinite(nats)].mean(), rel=1e-12)


def test_texts_are_of_the_slides_orders_and_kneser_ney_and_seeded() -> None:
    asked = subject()
    one, again = (ngram.measure(asked, Request(length=80, seed=4)) for _ in range(2))
    assert one.names == ("unsmoothed 4-gram", "unsmoothed 10-gram", "Kneser-Ney 6-gram")
    assert one.texts == again.texts
    assert [len(text) for text in one.texts] == [80] * 3
    other = ngram.measure(asked, Request(length=80, seed=5))
    assert other.texts != one.texts
    training = asked.corpus.vocabulary.decode(asked.corpus.train)
    assert all(one.texts[0][i : i + 4] in training for i in range(77))
    assert all(one.texts[1][i : i + 10] in training for i in range(71))
    low = ngram.measure(asked, Request(length=10, orders=(1, 2)))
    assert low.names == ("unsmoothed 2-gram", "Kneser-Ney 2-gram")


def test_a_prompt_is_gone_on_from() -> None:
    asked = subject()
    training = asked.corpus.vocabulary.decode(asked.corpus.train)
    found = ngram.measure(asked, Request(prompt=training[1000:1020], length=1, orders=(10,)))
    assert training[1011:1020] + found.texts[0] in training
    with pytest.raises(UserError, match="has no 'ж'"):
        ngram.measure(asked, Request(prompt="ж"))


def test_it_tells_how_far_it_is_and_can_be_broken_off_at_every_order() -> None:
    asked = subject()
    told: list[tuple[float, str]] = []
    said = Subject(
        asked.model, asked.corpus, asked.config, 0, asked.folder, report=lambda share, what: told.append((share, what))
    )
    ngram.measure(said, Request(length=20))
    shares = [share for share, _ in told]
    assert shares == sorted(shares)
    assert 0 < shares[0] < 0.2
    assert 0.9 < shares[-1] < 1
    assert "counting 10-grams" in [what for _, what in told]
    for stop in (0, 12, len(told) - 1):
        calls = 0

        def report(share: float, what: str, stop: int = stop) -> None:
            nonlocal calls
            calls += 1
            if calls > stop:
                raise Cancelled

        stopped = Subject(asked.model, asked.corpus, asked.config, 0, asked.folder, report=report)
        with pytest.raises(Cancelled):
            ngram.measure(stopped, Request(length=20))
        assert calls == stop + 1


def test_a_text_of_which_nothing_was_seen_before(tmp_path: Path) -> None:
    """The second half is the first backwards: no pair of characters returns."""
    text = tmp_path / "text.txt"
    text.write_text("abcdefgh" * 100 + "hgfedcba" * 100)
    found = ngram.measure(subject((str(text),), split="50/50"), Request(length=5, orders=(1, 3)))
    assert found.unseen.tolist() == pytest.approx([0, 799 / 800])  # but for the first character
    # each character had one other before it, and one after: n1 = 8, n2 = 0, D = 1, and all is left to 1 / V
    assert found.kneser_ney[1] == pytest.approx(math.log(8), rel=1e-9)


@pytest.mark.skipif(not SHAKESPEARE.exists(), reason="shakespeare.txt is not at hand")
def test_shakespeare_s_figures() -> None:
    found = ngram.measure(subject((str(SHAKESPEARE),), split="90/10"), Request(orders=(2, 4, 6)))
    np.testing.assert_allclose(found.kneser_ney, [2.484, 1.729, 1.558], atol=0.005)

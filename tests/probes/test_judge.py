"""The judge that the other probes ask."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rnnscope.config import Config, ModelConfig, TextConfig
from rnnscope.corpus import load
from rnnscope.model import CharRNN
from rnnscope.ngrams import build
from rnnscope.probes import judge as judging
from rnnscope.probes.subject import Subject


def subject(length: int = 30_000) -> Subject:
    config = Config(text=TextConfig(length=length), model=ModelConfig(hidden=4, layers=1, embedding=3))
    corpus = load(config.texts, config.text)
    return Subject(CharRNN(config.model, len(corpus.vocabulary)), corpus, config, 0, Path())


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RNNSCOPE_CACHE", str(tmp_path))


def test_it_is_the_best_order_and_built_once() -> None:
    asked = subject()
    name, model = judging.judge(asked)
    corpus, V = asked.corpus, len(asked.corpus.vocabulary)
    means = [build(corpus.train, order, V).nats(corpus.validation).mean() for order in range(1, 7)]
    assert model.order == 1 + int(np.argmin(means))
    assert model.order > 1
    assert name == f"Kneser-Ney {model.order}-gram"
    assert model.nats(corpus.validation).mean() == pytest.approx(min(means), rel=1e-12)
    assert judging.judge(asked)[1] is model
    other = judging.judge(subject(20_000))[1]
    assert other is not model


def test_a_long_text_is_counted_from_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "COUNTED", 5_000)
    asked = subject(31_000)
    _, model = judging.judge(asked)
    assert int(model.table.levels[0].count.sum()) == 5_000
    last = np.bincount(asked.corpus.train[-5_000:], minlength=len(asked.corpus.vocabulary))
    np.testing.assert_array_equal(model.table.levels[0].count, last)

"""The training loop: validation against the plain steps, the schedule, and the smallest sizes there are."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
import torch

from rnnscope.config import Config, ModelConfig, TextConfig, TrainingConfig
from rnnscope.corpus import Corpus, Vocabulary
from rnnscope.probes import comparison, gradients, sample
from rnnscope.training.loop import Trainer
from rnnscope.training.schedule import scheduled_lr

CPU = torch.device("cpu")


def corpus(symbols: int, train: int = 300, validation: int = 60) -> Corpus:
    ids = np.random.default_rng(1).integers(0, symbols, train + validation).astype(np.uint8)
    vocabulary = Vocabulary(tuple(chr(97 + n) for n in range(symbols)))
    return Corpus("text", vocabulary, ids[:train], ids[train:], ids[:0], 0, "sha")


def trainer(
    text: Corpus, model: ModelConfig, training: TrainingConfig, kernel: str = "scan", **text_options: str
) -> Trainer:
    config = Config(text=TextConfig(**text_options), model=model, training=training)  # type: ignore[arg-type]
    return Trainer(config, text, device=CPU, kernel=kernel, precision="float32")


@pytest.mark.parametrize("validation", [2, 9, 17, 400])
def test_validation_is_the_mean_of_the_plain_steps(validation: int) -> None:
    text = corpus(5, validation=validation)
    one = trainer(text, ModelConfig(hidden=7, dropout=0.5), TrainingConfig(batch=2, bptt=5, validation_chars=200))
    found = one.validate(window=3)
    used = text.validation[:201]
    columns = max(1, min(32, (len(used) - 1) // 8))
    length = (len(used) - 1) // columns
    losses = []
    for column in range(columns):
        state = one.model.initial_state(1)
        for t in range(column * length, (column + 1) * length):
            logits, state = one.model.step(torch.tensor([int(used[t])]), state)
            losses.append(-float(torch.log_softmax(logits[0], -1)[int(used[t + 1])]))
    assert found.chars == len(losses)
    assert found.loss == pytest.approx(np.mean(losses), rel=1e-5)
    assert one.model.training


def test_the_rate_depends_on_the_step_alone() -> None:
    training = TrainingConfig(lr=1.0, lr_decay=0.5, lr_decay_every=10)
    assert [scheduled_lr(step, training) for step in (1, 10, 11, 20, 21)] == [1, 1, 0.5, 0.5, 0.25]


SMALLEST = [
    *itertools.product(["tanh", "relu", "lstm", "gru", "lnrnn"], ["scan"], ["stateful", "stateless"]),
    *itertools.product(["tanh", "relu", "lstm", "gru"], ["fused"], ["stateful"]),
]


@pytest.mark.filterwarnings("ignore:dropout option adds dropout")
@pytest.mark.parametrize(("cell", "kernel", "batches"), SMALLEST)
@pytest.mark.parametrize(("batch", "bptt", "hidden", "one_hot"), [(1, 1, 1, False), (1, 1, 1, True), (3, 1, 2, False)])
def test_the_smallest_sizes(
    cell: str, kernel: str, batches: str, batch: int, bptt: int, hidden: int, one_hot: bool
) -> None:
    """One layer, one unit, one time step, one sequence, two symbols, two held-out characters."""
    text = corpus(2, train=12, validation=2)
    model = ModelConfig(cell=cell, layers=1, hidden=hidden, embedding=1, one_hot=one_hot)
    one = trainer(text, model, TrainingConfig(batch=batch, bptt=bptt), kernel, batches=batches)
    for _ in range(25):  # over an epoch's end
        window = one.next_window()
        assert window.x.shape == (bptt, batch)
        event = gradients.measure(one.model, window.x, window.y, window.state, text.vocabulary.decode)
        assert event.reach.shape == event.total.shape == (1, bptt)
        assert np.allclose(event.reach, event.total, equal_nan=True)  # one time step: the same loss
        assert one.update(window).finite
    assert one.validate().chars == 1
    shown = comparison.measure(one.model, text.vocabulary, text.validation, length=9, temperature=1.0, seed=1)
    assert len(shown.truth) == 1
    written = sample.measure(one.model, text.vocabulary, length=3, temperature=1.0, seed=1)
    assert written.units.shape[1:] == (1, 4, hidden)


def test_budgets_of_nothing_and_of_part_of_an_epoch() -> None:
    text = corpus(3)
    base = TrainingConfig(batch=2, bptt=10)
    for changes, total in (({"steps": 0}, 0), ({"epochs": 0.0}, 0), ({"epochs": 0.5}, 7), ({"minutes": 1.0}, None)):
        one = trainer(text, ModelConfig(hidden=2), dataclasses.replace(base, **changes))  # type: ignore[arg-type]
        assert one.total_steps == total

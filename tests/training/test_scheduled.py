"""Scheduled sampling: its decays by hand, its inputs by the plain steps, and training that stays exact."""

from __future__ import annotations

import dataclasses
import itertools
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from rnnscope.config import ModelConfig, TrainingConfig
from rnnscope.generating import ALMOST_ONE
from rnnscope.training.blackbox import BlackBox
from rnnscope.training.loop import Trainer, Update
from rnnscope.training.scheduled import own_inputs, truth_share
from tests.probes.lab import CELLS, V, make, random_state
from tests.training.test_loop import corpus, trainer

DECAYS = ("linear", "exponential", "sigmoid")


def schedule(kind: str, half: int = 100, floor: float = 0.0) -> TrainingConfig:
    return TrainingConfig(scheduled_sampling=kind, sampling_steps=half, sampling_floor=floor)  # type: ignore[arg-type]


def shares(training: TrainingConfig, *updates: int) -> list[float]:
    return [truth_share(i, training) for i in updates]


def test_the_decays_are_those_of_the_paper() -> None:
    assert shares(schedule("none"), 0, 10**6) == [1, 1]
    assert shares(schedule("linear"), 0, 50, 100, 150, 300) == pytest.approx([1, 0.75, 0.5, 0.25, 0])
    assert shares(schedule("exponential"), 0, 100, 200, 300) == pytest.approx([1, 0.5, 0.25, 0.125])
    low, high = 1.0, 100.0
    while high - low > 1e-12:  # k ln k = 100, by bisection
        middle = (low + high) / 2
        low, high = (middle, high) if middle * math.log(middle) < 100 else (low, middle)
    expected = [low / (low + math.exp(i / low)) for i in (0, 40, 100, 250)]
    assert expected[2] == pytest.approx(0.5)
    assert shares(schedule("sigmoid"), 0, 40, 100, 250) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("kind", DECAYS)
@pytest.mark.parametrize("half", [1, 7, 5000])
def test_every_decay_falls_from_one_through_a_half_to_the_floor(kind: str, half: int) -> None:
    training = schedule(kind, half, 0.1)
    found = shares(training, *range(0, 20 * half, max(1, half // 50)))
    assert all(1 >= a >= b >= 0.1 for a, b in itertools.pairwise(found))
    assert truth_share(half, training) == pytest.approx(0.5)
    assert truth_share(10**9, training) == 0.1


@torch.no_grad()
def by_hand(x: Tensor, seed: int, share: float, cell: str) -> tuple[Tensor, Tensor]:
    """Return the inputs by the plain definition, and which were replaced."""
    model = make(cell, 2)
    state = random_state(model, x.shape[1])
    coins, numbers = torch.rand((2, len(x) - 1, x.shape[1]), generator=torch.Generator().manual_seed(seed))
    found, replaced = [x[0]], [torch.zeros(x.shape[1], dtype=torch.bool)]
    for truth, coin, u in zip(x[1:], coins, numbers, strict=True):
        logits, state = model.step(found[-1], state)
        drawn = [
            int(np.searchsorted(np.cumsum(torch.softmax(row, -1).numpy()), float(one) * ALMOST_ONE, side="right"))
            for row, one in zip(logits, u, strict=True)
        ]
        replaced.append(coin >= share)
        found.append(torch.where(replaced[-1], torch.tensor(drawn), truth))
    return torch.stack(found), torch.stack(replaced)


@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("cell", CELLS)
def test_inputs_are_drawn_from_the_predictions_after_the_inputs_so_far(cell: str, share: float) -> None:
    model = make(cell, 2)
    x = torch.randint(V, (20, 6), generator=torch.Generator().manual_seed(9))
    before = torch.get_rng_state()
    found = own_inputs(model, x, random_state(model, 6), share, torch.Generator().manual_seed(4))
    assert torch.equal(torch.get_rng_state(), before)
    expected, replaced = by_hand(x, 4, share, cell)
    assert torch.equal(found, expected)
    assert torch.equal(found[~replaced], x[~replaced])
    assert float(replaced[1:].double().mean()) == pytest.approx(1 - share, abs=0.15)
    assert not found.is_inference()
    assert all(weight.grad is None for weight in model.parameters())


def test_a_window_of_one_character_and_a_model_of_nan() -> None:
    model = make("lstm", 1)
    x = torch.tensor([[3, 4]])
    assert torch.equal(own_inputs(model, x, random_state(model, 2), 0.0, torch.Generator()), x)
    with torch.no_grad():
        model.decoder.weight.fill_(math.nan)
    found = own_inputs(model, x.expand(50, 2), random_state(model, 2), 0.0, torch.Generator())
    assert 0 <= int(found.min()) < int(found.max()) < V


def training_run(cell: str = "lstm", batches: str = "stateful", **options: object) -> Trainer:
    model = ModelConfig(cell, 2, 6, 4, dropout=0.2)
    training = dataclasses.replace(TrainingConfig(batch=3, bptt=5, lr=0.01), **options)  # type: ignore[arg-type]
    return trainer(corpus(5), model, training, batches=batches)


def train(one: Trainer, steps: int) -> list[Update]:
    return [one.update(one.next_window()) for _ in range(steps)]


def same_weights(one: Trainer, other: Trainer) -> bool:
    pairs = zip(one.model.parameters(), other.model.parameters(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("kind", DECAYS)
@pytest.mark.parametrize("cell", CELLS)
def test_with_true_inputs_alone_it_is_ordinary_training_bit_for_bit(cell: str, kind: str) -> None:
    usual = training_run(cell)  # one after the other: dropout draws from torch's own generator
    expected = train(usual, 12)
    scheduled = training_run(cell, scheduled_sampling=kind, sampling_steps=2, sampling_floor=1.0)
    assert train(scheduled, 12) == expected
    assert same_weights(usual, scheduled)


def test_its_windows_hold_samples_and_true_targets() -> None:
    usual, scheduled = training_run(), training_run(scheduled_sampling="linear", sampling_steps=3)
    replaced = []
    for _ in range(12):
        mine, theirs = scheduled.next_window(), usual.next_window()
        assert torch.equal(mine.y, theirs.y)
        assert torch.equal(mine.x[0], theirs.x[0])
        replaced.append(float((mine.x != theirs.x).double().mean()))
        assert scheduled.update(mine).finite
    assert replaced[0] == 0
    assert replaced[-1] > 0.4


@pytest.mark.parametrize("batches", ["stateful", "stateless"])
@pytest.mark.parametrize("cell", CELLS)
def test_a_resumed_run_repeats_an_uninterrupted_one(cell: str, batches: str, tmp_path: Path) -> None:
    options = {"scheduled_sampling": "sigmoid", "sampling_steps": 6}
    one = training_run(cell, batches, **options)
    train(one, 9)
    name = one.save(tmp_path)
    expected = train(one, 15)
    other = training_run(cell, batches, **options)
    train(other, 2)
    other.load(tmp_path / name)
    assert train(other, 15) == expected
    assert same_weights(one, other)


def test_what_was_rewound_happens_again() -> None:
    one = training_run(scheduled_sampling="exponential", sampling_steps=4)
    box, updates = BlackBox(one, every=4), []
    for _ in range(14):
        box.watch()
        updates += train(one, 1)
    assert box.rewind(9)
    assert train(one, 5) == updates[9:]


def test_it_can_be_switched_on_later(tmp_path: Path) -> None:
    usual = training_run()
    train(usual, 4)
    name = usual.save(tmp_path)
    ordinary = train(usual, 8)
    found = []
    for _ in range(2):
        one = training_run(scheduled_sampling="linear", sampling_steps=3)
        one.load(tmp_path / name)
        found.append(train(one, 8))
    assert found[0] == found[1]
    assert found[0] != ordinary

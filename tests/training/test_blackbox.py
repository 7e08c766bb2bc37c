"""The black box: going back and training again gives the same numbers, bit for bit."""

from __future__ import annotations

import dataclasses
import itertools

import pytest
import torch

from rnnscope.config import ModelConfig, TrainingConfig
from rnnscope.training.blackbox import BlackBox
from rnnscope.training.loop import Trainer, Update
from tests.training.test_loop import corpus, trainer

CELLS = ["tanh", "relu", "lstm", "gru", "lnrnn"]
OPTIMISERS = ["adam", "adamw", "rmsprop", "sgd"]


def make(cell: str = "tanh", batches: str = "stateful", kernel: str = "scan", **training: object) -> Trainer:
    model = ModelConfig(cell, 2, 6, 4, dropout=0.2)
    options = dataclasses.replace(TrainingConfig(batch=3, bptt=5, lr=0.01, momentum=0.5), **training)  # type: ignore[arg-type]
    return trainer(corpus(5), model, options, kernel, batches=batches)


def train(one: Trainer, steps: int, box: BlackBox | None = None) -> list[Update]:
    updates = []
    for _ in range(steps):
        if box is not None:
            box.watch()
        updates.append(one.update(one.next_window()))
    return updates


@pytest.mark.parametrize(("cell", "optimizer"), [*itertools.product(CELLS, OPTIMISERS)])
@pytest.mark.parametrize("batches", ["stateful", "stateless"])
def test_what_was_rewound_happens_again(cell: str, optimizer: str, batches: str) -> None:
    one = make(cell, batches, optimizer=optimizer)
    box = BlackBox(one, every=4, kept=3)
    first = train(one, 22, box)
    weights = {name: tensor.clone() for name, tensor in one.model.state_dict().items()}
    assert box.rewind(13)
    again = train(one, 9, box)
    assert again == first[13:]
    assert all(torch.equal(tensor, weights[name]) for name, tensor in one.model.state_dict().items())


def test_only_the_last_updates_are_kept() -> None:
    one = make()
    box = BlackBox(one, every=4, kept=3)
    train(one, 22, box)
    oldest = box.oldest()
    assert oldest is not None
    assert oldest.step == 12
    assert not box.rewind(11)
    assert one.step == 22


def test_a_replay_does_not_cross_a_change() -> None:
    one = make()
    box = BlackBox(one, every=100)
    train(one, 5, box)
    one.scale_recurrent(1.5)
    one.lr_scale, one.clip, one.clip_by = 0.5, 0.01, "value"
    one.set_bptt(7)
    one.reset_state()
    box.mark()
    first = train(one, 6, box)
    assert box.rewind(8)
    assert train(one, 3, box) == first[3:]
    assert box.rewind(5)
    assert (one.lr_scale, one.clip, one.clip_by, one.batches.bptt) == (0.5, 0.01, "value", 7)
    assert train(one, 6, box) == first


def test_after_a_rewind_another_future_is_kept() -> None:
    one = make()
    box = BlackBox(one, every=2)
    first = train(one, 9, box)
    box.rewind(4)
    one.lr_scale = 0.1
    box.mark()
    other = train(one, 5, box)
    assert other[0].loss == first[4].loss
    assert other[1].loss != first[5].loss
    box.rewind(6)
    assert train(one, 3, box) == other[2:]


def test_many_changes_cost_no_way_back_but_a_replay_through_one_that_was_forgotten() -> None:
    one = make()
    box = BlackBox(one, every=10, kept=2)
    first = train(one, 4, box)
    for rate in (0.9, 0.8, 0.7):  # after updates 4, 6 and 8: of two of them a snapshot is kept
        one.lr_scale = rate
        box.mark()
        first += train(one, 2, box)
    before = {name: tensor.clone() for name, tensor in one.model.state_dict().items()}
    assert not box.rewind(5)  # from step 0 through the first change, of which nothing is known
    assert not box.rewind(4)
    assert one.step == 10
    assert all(torch.equal(tensor, before[name]) for name, tensor in one.model.state_dict().items())
    oldest, unchanged = box.oldest(), box.unchanged()
    assert oldest is not None
    assert unchanged is not None
    assert (oldest.step, unchanged.step) == (0, 8)
    for step in (9, 7, 6, 3, 0):
        assert box.rewind(step)
        assert one.step == step
        if step > 5:
            assert train(one, 1) == first[step : step + 1]
    assert train(one, 4, box) == first[:4]


def test_a_change_where_one_was_forgotten_is_known_again() -> None:
    one = make()
    box = BlackBox(one, every=100)
    train(one, 2, box)
    for _ in range(3):
        box.mark()
        train(one, 2, box)
    assert not box.replay(3)
    assert box.rewind(1)
    train(one, 1, box)
    box.mark()
    again = train(one, 3, box)
    assert box.replay(3)
    assert train(one, 2, box) == again[1:]


def test_marks_are_kept_as_long_as_their_time_and_forgotten_with_it() -> None:
    one = make()
    box = BlackBox(one, every=4, kept=2)
    train(one, 3, box)
    box.clear()  # brought to here by other means
    box.mark()
    first = train(one, 6, box)
    oldest = box.oldest()
    assert oldest is not None
    assert oldest.step == 3  # not given up for the first regular one, at step 7
    assert box.replay(5)
    assert train(one, 4, box) == first[2:]
    train(one, 10, box)
    unchanged = box.unchanged()
    assert unchanged is not None
    assert unchanged.step == 11  # the change was so long ago that nothing before it can be replayed
    assert not box.replay(10)


def test_a_snapshot_shares_nothing() -> None:
    one = make(optimizer="adam")
    train(one, 3)
    kept = one.snapshot()
    before = {name: tensor.clone() for name, tensor in kept.weights.items()}
    train(one, 3)
    one.restore(kept)
    train(one, 3)
    assert all(torch.equal(tensor, before[name]) for name, tensor in kept.weights.items())
    assert kept.step == 3


def test_scaling_one_layer() -> None:
    one = make("lstm")
    before = [layer.weight_hh_l0.detach().clone() for layer in one.model.layers]
    one.scale_recurrent(2.0, 1)
    after = [layer.weight_hh_l0.detach() for layer in one.model.layers]
    assert torch.equal(after[0], before[0])
    assert torch.equal(after[1], 2 * before[1])

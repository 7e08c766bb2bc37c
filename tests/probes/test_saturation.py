"""Shares of the time that gates are shut and open."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from rnnscope.probes import saturation
from rnnscope.recording.neuron_events import Saturation
from rnnscope.recording.requests import Request
from rnnscope.registry import CELLS, PROBES
from tests.probes.neuron import subject
from tests.sessions import config, run


@pytest.mark.parametrize("cell", list(CELLS))
@pytest.mark.parametrize("layers", [1, 3])
def test_shares_are_those_counted_by_hand(cell: str, layers: int) -> None:
    looked_at = subject(cell, layers)
    for parameter in looked_at.model.parameters():
        parameter.data.mul_(2)  # so that some saturate
    event = saturation.measure(looked_at, Request(chars=700))
    assert event.chars == 700
    assert event.fields == CELLS[cell].shown
    assert event.left.shape == event.right.shape == (len(event.fields), layers, 6)
    ids = torch.from_numpy(looked_at.corpus.validation[:700].astype(np.int64))[:, None]
    traced = looked_at.model.trace(ids, looked_at.model.initial_state(1))[2]
    limits = {"c": 1.4722195, **dict.fromkeys("ifrzo", 0.1)}
    for index, field in enumerate(event.fields):
        for layer in range(layers):
            values = traced[layer][field][:, 0].numpy()
            low = limits.get(field, 0.9)
            if cell == "relu":
                assert event.low[index] == 0
                left, right = (values <= 0).mean(0), (values >= event.high[index]).mean(0)
            elif field in "ifrzo":
                left, right = (values < 0.1).mean(0), (values > 0.9).mean(0)
            else:
                left, right = (values < -low).mean(0), (values > low).mean(0)
            np.testing.assert_allclose(event.left[index, layer], left, atol=1e-6)
            np.testing.assert_allclose(event.right[index, layer], right, atol=1e-6)
    assert event.left.any()
    if cell == "relu":
        all_values = np.concatenate([layer["h"].numpy().ravel() for layer in traced])
        assert (all_values >= event.high[0]).mean() == pytest.approx(0.001, abs=0.001)


def test_a_closed_gate_is_shut_all_the_time() -> None:
    looked_at = subject("lstm", 1)
    with torch.no_grad():
        bias = looked_at.model.layers[0].get_parameter("bias_ih_l0")
        bias[0] = -100.0  # of the first unit's input gate
        bias[6 + 1] = 100.0  # of the second one's forget gate
    event = saturation.measure(looked_at, Request(chars=300))
    assert event.left[event.fields.index("i"), 0, 0] == 1
    assert event.right[event.fields.index("f"), 0, 1] == 1


@pytest.mark.parametrize("cell", list(CELLS))
def test_while_learning_a_few_thousand_characters_are_read(cell: str) -> None:
    looked_at = subject(cell, 2)
    event = saturation.while_learning(looked_at.model, looked_at.corpus)
    assert event.chars == 3200
    again = saturation.while_learning(looked_at.model, looked_at.corpus)
    np.testing.assert_array_equal(event.left, again.left)
    if cell == "lstm":
        full = saturation.measure(looked_at, Request(chars=3200))
        np.testing.assert_allclose(event.left, full.left, atol=0.02)  # the same text, read in one stream


@pytest.mark.parametrize("cell", list(CELLS))
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_diverged_network_is_measured(cell: str, value: float) -> None:
    looked_at = subject(cell, 2)
    for parameter in looked_at.model.parameters():
        parameter.data.fill_(value)
    event = saturation.measure(looked_at, Request(chars=300))
    assert np.isfinite(event.left).all()
    assert (event.left + event.right <= 1).all()


def test_a_dead_relu_is_never_open() -> None:
    looked_at = subject("relu", 1)
    for parameter in looked_at.model.parameters():
        parameter.data.fill_(-1.0)
    looked_at.model.embedding.weight.data.fill_(1.0)  # type: ignore[union-attr]
    event = saturation.measure(looked_at, Request(chars=300))
    assert (event.left == 1).all()
    assert (event.right == 0).all()
    assert event.high[0] == math.inf


def test_it_is_taken_while_training_and_changes_nothing(tmp_path: Path) -> None:
    off = {entry.cadence: 0 for entry in PROBES.values()}
    every = off | {"saturation_every": 2, "probe_budget": 1.0}
    _, heard = run(tmp_path / "a", config(training={"steps": 6}, probes=every))
    _, bare = run(tmp_path / "b", config(training={"steps": 6}, probes=off))
    found = [(step, event) for step, event in heard.events if isinstance(event, Saturation)]
    assert [step for step, _ in found] == [2, 4, 6]
    assert not bare.of(Saturation)
    assert heard.losses == bare.losses
    now = heard.session.trainer
    last = saturation.while_learning(now.model, now.corpus)
    np.testing.assert_array_equal(found[-1][1].left, last.left)
    assert not np.array_equal(found[0][1].left, last.left)

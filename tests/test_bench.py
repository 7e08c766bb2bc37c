"""bench: what it times is the same computation, and its report has the promised shape."""

from __future__ import annotations

import json
import math

import pytest
import torch

from rnnscope import bench
from rnnscope.config import ModelConfig
from rnnscope.model import CharRNN, from_torch
from rnnscope.probes.gradients import hidden_gradients

TINY = (
    bench.Setting("lstm tiny", ModelConfig("lstm", 2, 8, 4), 3, 5),
    bench.Setting("relu tiny", ModelConfig("relu", 2, 256, 4), 2, 5),
)


def test_report(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(bench, "SETTINGS", TINY)
    assert bench.main(["--json", "--seconds", "0.01"]) == 0
    report = json.loads(capsys.readouterr().out)
    keys = {"name", "torch_chars_per_s", "every_step_ratio", "default_ratio", "handmade_ratio"}
    assert [case["name"] for case in report["cases"]] == ["lstm tiny", "relu tiny"]
    for case in report["cases"]:
        assert set(case) == keys
        assert all(case[key] > 0 for key in keys - {"name"})
    mean = math.prod(case["default_ratio"] for case in report["cases"]) ** 0.5
    assert report["geomean_default_ratio"] == pytest.approx(mean)
    assert [case["name"] for case in report["bf16"]] == ["relu tiny"]
    assert bench.main(["--seconds", "0.01"]) == 0
    assert "geometric mean" in capsys.readouterr().out


@pytest.mark.parametrize("cell", ["tanh", "relu", "lstm", "gru"])
def test_all_sides_compute_the_same(cell: str) -> None:
    """torch, handmade and ours give the same loss; handmade's norms are our dL/dh_t, as its mean loss has them."""
    torch.manual_seed(0)
    config = ModelConfig(cell, 2, 6, 4)
    bare, handmade = bench.Bare(config).double(), bench.HandMade(config).double()
    ours = CharRNN(config, bench.VOCABULARY).double()
    from_torch(ours, bare.recurrent.state_dict())
    ours.embedding.load_state_dict(bare.embedding.state_dict())
    ours.decoder.load_state_dict(bare.decoder.state_dict())
    handmade.embedding.load_state_dict(bare.embedding.state_dict())
    handmade.decoder.load_state_dict(bare.decoder.state_dict())
    for layer, unrolled in zip(ours.layers, handmade.cells, strict=True):
        unrolled.load_state_dict({k.removesuffix("_l0"): v for k, v in layer.state_dict().items()})
    ids, targets = torch.randint(bench.VOCABULARY, (2, 5, 3))
    state = ours.initial_state(3)
    logits = [bare(ids, None)[0], handmade(ids, None)[0], ours(ids, state)[0]]
    torch.testing.assert_close(logits[1], logits[0])
    torch.testing.assert_close(logits[2], logits[0])
    torch.nn.functional.cross_entropy(logits[1].flatten(0, 1), targets.flatten()).backward()
    exact = hidden_gradients(ours, ids, targets, state, "total")
    for norms, layer in zip(handmade.norms(), exact, strict=True):
        torch.testing.assert_close(norms * targets.numel(), layer["h"].norm(dim=-1))


def test_alternating_takes_turns() -> None:
    calls: list[str] = []
    steps = {name: (lambda name=name: calls.append(name)) for name in ("a", "b")}
    took = bench.alternate(steps, 0.0, 4, torch.device("cpu"))
    turn = bench.TURN + 1  # one is not timed
    assert calls == ["a", "b"] + (["a"] * turn + ["b"] * turn) * 4
    assert all(0 < seconds < 0.1 for seconds in took.values())

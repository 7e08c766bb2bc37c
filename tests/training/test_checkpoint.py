"""Checkpoints are whole or absent, hold what they were given, and say what is wrong with them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from rnnscope.config import ModelConfig
from rnnscope.errors import RunFailed, UserError
from rnnscope.model import CharRNN
from rnnscope.training import checkpoint


def small(**changes: int) -> CharRNN:
    torch.manual_seed(0)
    return CharRNN(ModelConfig(**{"hidden": 5, "embedding": 3, **changes}), 7)


def test_state_survives_the_round_trip(tmp_path: Path) -> None:
    block = torch.arange(6.0).reshape(2, 3)
    state = {
        "step": 3,
        "optimizer": {"state": {0: {"step": torch.tensor(3.0), "v": block[0]}, 1: {"v": block[1]}}, "lr": 1e-3},
        "carried": ((torch.ones(2), torch.zeros(2)), (torch.full((2,), torch.inf),)),
        "random": torch.get_rng_state(),
        "nothing": None,
    }
    checkpoint.save_state(state, tmp_path / "s.safetensors")
    back = checkpoint.load_state(tmp_path / "s.safetensors")
    assert back["step"] == 3
    assert back["nothing"] is None
    assert list(back["optimizer"]["state"]) == [0, 1]  # keys keep their type
    assert torch.equal(back["optimizer"]["state"][1]["v"], block[1])
    assert torch.equal(back["random"], state["random"])
    assert [len(layer) for layer in back["carried"]] == [2, 1]


def test_weights_load_into_the_same_model_only(tmp_path: Path) -> None:
    model, path = small(), tmp_path / "w.safetensors"
    checkpoint.save_weights(model, path)
    other = CharRNN(model.config, 7)
    checkpoint.load_weights(other, path)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), other.parameters(), strict=True))
    with pytest.raises(UserError, match=r"does not fit the configuration: decoder\.weight is \(7, 5\)"):
        checkpoint.load_weights(small(hidden=6), path)
    with pytest.raises(UserError, match="missing"):
        checkpoint.load_weights(small(layers=3), path)


@pytest.mark.parametrize("keep", [0, 4, 60, 400])
def test_truncated_files_are_one_clear_line(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "step-1.safetensors"
    checkpoint.save_weights(small(), path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(UserError, match="corrupt or truncated") as found:
        checkpoint.load_weights(small(), path)
    assert "\n" not in str(found.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is missing"):
        checkpoint.load_state(tmp_path / "none.safetensors")


def test_weights_are_no_state(tmp_path: Path) -> None:
    checkpoint.save_weights(small(), tmp_path / "w.safetensors")
    with pytest.raises(UserError, match="holds no training state"):
        checkpoint.load_state(tmp_path / "w.safetensors")


def test_only_whole_pairs_count(tmp_path: Path) -> None:
    for step in (5, 20, 100):
        weights = tmp_path / checkpoint.weights_name(step)
        checkpoint.save_state({"step": step}, checkpoint.state_path(weights))
        checkpoint.save_weights(small(), weights)
    (tmp_path / "step-7.safetensors").write_bytes(b"")
    (tmp_path / "best.safetensors").write_bytes(b"")
    assert checkpoint.saved_steps(tmp_path) == [5, 20, 100]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a"
    checkpoint.write_atomically(path, b"old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RunFailed, match="No space left on device"):
        checkpoint.write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["a"]

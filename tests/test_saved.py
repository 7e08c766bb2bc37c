"""Checkpoints are judged by their headers as the model itself would judge them."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from rnnscope.config import ModelConfig
from rnnscope.errors import UserError
from rnnscope.model import CharRNN
from rnnscope.registry import CELLS
from rnnscope.saved import check_fit, read_shapes, saved_steps
from rnnscope.training.checkpoint import save_state, save_weights

V = 11


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("one_hot", [False, True])
def test_the_weights_of_every_cell_fit_their_own_configuration_alone(tmp_path: Path, cell: str, one_hot: bool) -> None:
    model = ModelConfig(cell=cell, layers=2, hidden=7, embedding=5, one_hot=one_hot)
    path = tmp_path / "weights.safetensors"
    save_weights(CharRNN(model, V), path)
    shapes, _ = read_shapes(path)
    check_fit(path, shapes, model, V)
    others: list[dict[str, Any]] = [{"layers": 1}, {"layers": 3}, {"hidden": 8}, {"one_hot": not one_hot}]
    if not one_hot:
        others.append({"embedding": 6})
    for changes in others:
        with pytest.raises(UserError, match="does not fit the configuration"):
            check_fit(path, shapes, dataclasses.replace(model, **changes), V)
    with pytest.raises(UserError, match="does not fit the configuration"):
        check_fit(path, shapes, model, V + 1)


def test_a_checkpoint_without_its_state_is_none(tmp_path: Path) -> None:
    model = CharRNN(ModelConfig(cell="tanh", layers=1, hidden=3, embedding=2), V)
    for step in (0, 12, 5):
        save_weights(model, tmp_path / f"step-{step}.safetensors")
    for step in (12, 0, 7):
        save_state({"step": step}, tmp_path / f"step-{step}.state.safetensors")
    assert saved_steps(tmp_path) == [0, 12]

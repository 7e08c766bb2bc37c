"""Checkpoints are judged by their headers as the model itself would, and thinned evenly."""

from __future__ import annotations

import dataclasses
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnscope.config import ModelConfig
from rnnscope.errors import UserError
from rnnscope.model import CharRNN
from rnnscope.registry import CELLS
from rnnscope.saved import BEST, KEPT, check_fit, kept, read_shapes, resumable_steps, saved_steps, thin, weights_steps
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


# -- thinning ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("every", [1, 7, 1000])
def test_a_long_run_keeps_few_checkpoints_evenly_spread(every: int) -> None:
    """One after the other, as a run makes them: what is left after any number of them."""
    left: set[int] = {0}
    for number in range(1, 5 * KEPT + 3):
        left = kept({*left, number * every}, every)
        assert len(left) <= KEPT + 2
        steps = sorted(left)
        assert steps[0] == 0
        assert steps[-2:] == [(number - 1) * every, number * every]
        gaps = {later - earlier for earlier, later in pairwise(steps)}
        regular = {later - earlier for earlier, later in pairwise(steps[:-2])}
        assert len(regular) <= 1  # the newest two may lie closer
        assert max(gaps) <= number * every / (KEPT / 2) or number <= KEPT
    assert len(left) > KEPT / 2


@given(
    steps=st.sets(st.integers(0, 300_000), min_size=1, max_size=300),
    every=st.sampled_from([0, 1, 50, 1000]),
    asked=st.sets(st.integers(0, 300_000), max_size=5),
)
def test_wherever_sessions_end_and_whatever_is_asked_for(steps: set[int], every: int, asked: set[int]) -> None:
    left = kept(steps, every, asked)
    assert left <= steps
    assert {min(steps), max(steps)} | (asked & steps) | set(sorted(steps)[-2:]) <= left
    assert len(left) <= KEPT + 2 + len(asked)
    assert kept(left, every, asked) == left  # once is enough
    stretch = 2 * (max(steps) + 1) / KEPT + max(every, 1)
    for step in steps:  # none that goes is far from one that stays
        assert min(abs(step - other) for other in left) <= stretch


def test_no_checkpoints_no_thinning(tmp_path: Path) -> None:
    assert kept(set(), 1000) == set()
    thin(tmp_path, 1000)


def write(folder: Path, *steps: int) -> None:
    for step in steps:
        (folder / f"step-{step}.safetensors").write_bytes(b"weights")
        (folder / f"step-{step}.state.safetensors").write_bytes(b"state")


def test_thinning_removes_what_it_should_alone(tmp_path: Path) -> None:
    write(tmp_path, 0, *range(1000, 131_000, 1000), 65_432)
    others = [BEST, "run.db", "lock", "step-1.txt", "notes-step-3.safetensors"]
    for name in [*others, ".step-9.safetensors.77.tmp", ".best.safetensors.1.tmp", ".step-8.state.safetensors.5.tmp"]:
        (tmp_path / name).write_bytes(b"")
    thin(tmp_path, 1000, {65_432, 77_000})
    assert weights_steps(tmp_path) == sorted([*range(0, 129_000, 4000), 65_432, 77_000, 129_000, 130_000])
    assert saved_steps(tmp_path) == [65_432, 77_000, 129_000, 130_000]
    names = {path.name for path in tmp_path.iterdir()}
    assert set(others) <= names
    assert not [name for name in names if name.endswith(".tmp")]


def test_a_state_whose_weights_were_never_written_goes(tmp_path: Path) -> None:
    write(tmp_path, 0, 10, 20)
    (tmp_path / "step-30.state.safetensors").write_bytes(b"the worker was killed here")
    assert saved_steps(tmp_path) == [0, 10, 20]
    thin(tmp_path, 10)
    assert saved_steps(tmp_path) == [10, 20]
    assert not (tmp_path / "step-30.state.safetensors").exists()


class Killed(BaseException):
    """Stands in for kill -9: nothing runs after it."""


def test_killed_between_any_two_removals_the_newest_two_are_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unlink = Path.unlink
    for left in range(200):
        folder = tmp_path / str(left)
        folder.mkdir()
        write(folder, *range(0, 90_000, 1000))
        remaining = left

        def deadly(path: Path, missing_ok: bool = False) -> None:
            nonlocal remaining
            if remaining == 0:
                raise Killed
            remaining -= 1
            unlink(path, missing_ok)

        monkeypatch.setattr(Path, "unlink", deadly)
        try:
            thin(folder, 1000)
            break
        except Killed:
            assert saved_steps(folder)[-2:] == [88_000, 89_000]
        monkeypatch.undo()
        thin(folder, 1000)
        assert saved_steps(folder) == [88_000, 89_000]
        assert weights_steps(folder) == sorted([*range(0, 90_000, 2000), 89_000])
    else:
        pytest.fail("thinning never came to its end")
    assert left > 100


def test_a_file_that_cannot_be_removed_is_no_reason_to_stop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, missing_ok: bool = False) -> None:
        raise PermissionError(13, "Permission denied")

    write(tmp_path, *range(0, 90_000, 1000))
    monkeypatch.setattr(Path, "unlink", refuse)
    thin(tmp_path, 1000)
    assert len(saved_steps(tmp_path)) == 90


def test_a_run_whose_states_were_removed_is_not_taken_for_a_new_one(tmp_path: Path) -> None:
    assert resumable_steps(tmp_path) == []
    write(tmp_path, 0, 12)
    assert resumable_steps(tmp_path) == [0, 12]
    for path in tmp_path.glob("*.state.safetensors"):
        path.unlink()
    with pytest.raises(UserError, match=r"step-12\.state\.safetensors is missing"):
        resumable_steps(tmp_path)

"""Checkpoints as a session keeps them: those asked for, and those of a future that was given up."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rnnscope.config import Config
from rnnscope.keeping import NEAR, Keeper
from rnnscope.recording.writer import Writer
from rnnscope.saved import LEFT_BEHIND, saved_steps, state_path, weights_name, weights_steps
from rnnscope.training.loop import Snapshot


class FakeTrainer:
    """Writes what a trainer writes, without the numbers."""

    def __init__(self) -> None:
        self.step = 0

    def save(self, folder: Path, more: dict[str, Any]) -> str:
        weights = folder / weights_name(self.step)
        state_path(weights).write_bytes(b"state")
        weights.write_bytes(b"weights")
        return weights.name

    def save_snapshot(self, folder: Path, snapshot: Snapshot, more: dict[str, Any]) -> str:
        here, self.step = self.step, snapshot.step
        name = self.save(folder, more)
        self.step = here
        return name


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[Writer]:
    with Writer.create(tmp_path / "run", Config()) as made:
        yield made


def trained(keeper: Keeper, *steps: int, asked: int | None = None) -> Any:
    trainer: Any = FakeTrainer()
    for step in steps:
        trainer.step = step
        assert keeper.save(trainer, {}, asked=step == asked) == f"step-{step}.safetensors"
    return trainer


def test_what_was_asked_for_is_remembered_by_the_next_session(writer: Writer) -> None:
    trained(Keeper(writer.folder, writer, 10), *range(0, 101, 10), 107, asked=40)
    again = Keeper(writer.folder, writer, 10)
    assert again.asked == {40}
    trained(again, *range(110, 2000, 10))
    assert saved_steps(writer.folder) == [40, 1980, 1990]
    assert 107 not in weights_steps(writer.folder)


def test_a_rewound_run_has_a_whole_checkpoint_to_go_on_from_and_none_of_its_other_future(writer: Writer) -> None:
    keeper = Keeper(writer.folder, writer, 10)
    trainer = trained(keeper, *range(0, 61, 10), asked=50)
    trainer.step = 33
    assert keeper.rewound(trainer, {}) == "step-33.safetensors"
    assert saved_steps(writer.folder)[-1] == 33
    assert weights_steps(writer.folder) == [0, 10, 20, 30, 33]
    assert keeper.asked == Keeper(writer.folder, writer, 10).asked == set()


def snapshots(*steps: int) -> list[Snapshot]:
    return [Snapshot(step, {}, {}) for step in steps]


def test_ways_back_survive_thinning_weights_and_training_state_until_a_later_incident_is_far_off(
    writer: Writer,
) -> None:
    keeper = Keeper(writer.folder, writer, 1000)
    trainer = trained(keeper, *range(0, 3000, 1000))
    assert keeper.keep(trainer, snapshots(1472, 1500), 1530, {}) == ["step-1472.safetensors", "step-1500.safetensors"]
    again = Keeper(writer.folder, writer, 1000)  # another session knows of them
    trained(again, *range(3000, 200_000, 1000))
    assert saved_steps(writer.folder) == [1472, 1500, 198_000, 199_000]
    assert {1472, 1500} <= set(weights_steps(writer.folder))
    assert again.asked == set()
    assert again.ways_back_from(1531) == [1472, 1500]
    assert again.ways_back_from(1500) == [1472]
    assert again.ways_back_from(1500 + NEAR) == [1500]
    again.keep(trainer, snapshots(1500), 1540, {})  # after a rewind, say: from before the change one can still begin
    assert again.ways_back_from(1541) == [1472, 1500]
    again.keep(trainer, snapshots(199_001), 199_050, {})
    assert saved_steps(writer.folder) == [199_000, 199_001]
    assert again.ways_back_from(1531) == []


def test_a_rewind_keeps_the_ways_back_before_it_and_forgets_those_after(writer: Writer) -> None:
    keeper = Keeper(writer.folder, writer, 10)
    trainer = trained(keeper, *range(0, 61, 10))
    keeper.keep(trainer, snapshots(21, 33), 40, {})
    trainer.step = 25
    keeper.rewound(trainer, {})
    trained(keeper, 30, 40, 50)
    assert saved_steps(writer.folder) == [21, 40, 50]
    assert keeper.ways_back_from(51) == Keeper(writer.folder, writer, 10).ways_back_from(51) == [21]


def test_a_rewind_puts_weights_aside_that_somebody_asked_for(writer: Writer) -> None:
    keeper = Keeper(writer.folder, writer, 10)
    trainer = trained(keeper, 0, 10)
    for _ in range(2):  # two ways, each left behind
        trainer.step = 20
        keeper.save(trainer, {}, asked=True)
        trained(keeper, 30)
        trainer.step = 10
        keeper.rewound(trainer, {})
    aside = sorted(path.name for path in (writer.folder / LEFT_BEHIND).iterdir())
    assert aside == ["step-20-1.safetensors", "step-20.safetensors"]
    assert weights_steps(writer.folder) == [0, 10]
    assert keeper.asked == set()


class Killed(BaseException):
    """Stands in for kill -9: nothing runs after it."""


@pytest.mark.parametrize("left", range(8))
def test_killed_while_it_rewinds_a_run_resumes_from_one_branch_or_the_other(
    writer: Writer, monkeypatch: pytest.MonkeyPatch, left: int
) -> None:
    keeper = Keeper(writer.folder, writer, 10)
    trainer = trained(keeper, *range(0, 61, 10), asked=50)
    trainer.step = 33
    unlink = Path.unlink

    def deadly(path: Path, missing_ok: bool = False) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise Killed
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", deadly)
    try:
        keeper.rewound(trainer, {})
    except Killed:
        assert saved_steps(writer.folder)[-1] in (33, 50, 60)

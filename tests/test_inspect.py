"""`rnnscope inspect`: which run and which weights the screen is opened on."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from rnnscope.cli import main
from rnnscope.errors import EXIT_OK
from rnnscope.tui.inspection import Weights
from tests.fakes import make_fake_run
from tests.tui.screen import opened


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    make_fake_run(tmp_path / "checkpoints" / "mine", steps=3)
    for name in ("step-3.safetensors", "step-3.state.safetensors", "best.safetensors"):
        (tmp_path / "checkpoints" / "mine" / name).write_bytes(b"weights")
    (tmp_path / "model.pt").write_bytes(b"weights")
    (tmp_path / "step-3.safetensors").write_bytes(b"weights")
    return tmp_path


@pytest.mark.parametrize(
    ("words", "weights"),
    [
        (["mine"], Weights()),
        (["checkpoints/mine"], Weights()),
        (["checkpoints/mine/step-3.safetensors"], Weights(3)),
        (["mine", "--device", "cuda:1"], Weights(None, "cuda:1")),
    ],
)
def test_what_is_opened(words: list[str], weights: Weights, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    monkeypatch.setattr("rnnscope.tui.app.run", lambda folder, **options: seen.append((folder, options)) or EXIT_OK)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert main(["inspect", *words]) == EXIT_OK
    ((folder, options),) = seen
    assert folder.resolve() == here / "checkpoints" / "mine"
    assert (options["weights"], options["start"], options["owns_worker"]) == (weights, "neurons", None)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("minf", "did you mean mine?"),
        ("model.pt", "rnnscope import model.pt --vocab"),
        ("step-3.safetensors", "is not a checkpoint step-N.safetensors in a run's folder"),
        ("checkpoints/mine/best.safetensors", "is not a checkpoint step-N.safetensors"),
        ("checkpoints/mine/step-3.state.safetensors", "is not a checkpoint step-N.safetensors"),
        ("checkpoints/mine/step-4.safetensors", "no such file"),
        ("mine", "inspect needs a terminal; use rnnscope probe"),
    ],
)
def test_refusals(name: str, said: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", name]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert said in err


async def test_the_screen_to_begin_with(finished: Path) -> None:
    async with opened(finished, start="gradients") as pilot:
        assert pilot.app.current.name == "gradients"  # type: ignore[attr-defined]
        assert pilot.app.screen.name == "gradients"
    async with opened(finished, start="nothing of that name") as pilot:
        assert pilot.app.screen.name == "live"


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    make_fake_run(tmp_path / "run", steps=30)
    return tmp_path / "run"

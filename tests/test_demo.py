"""The demo: it is made by a command, it is small, names no machine, and one of its units knows quotes."""

from __future__ import annotations

import json
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rnnscope import demo
from rnnscope.cli import main
from rnnscope.examining import examine
from rnnscope.folders import shipped_demo
from rnnscope.probes import interventions
from rnnscope.recording.reader import Reader
from rnnscope.recording.requests import Request
from rnnscope.recording.runs import find_run, run_info
from rnnscope.saved import weights_steps
from rnnscope.tui.source import Source
from tests.fakes import make_fake_run
from tests.probed import state_of

ROOT = Path(__file__).resolve().parents[1]
QUOTES = 7
"""The unit of the shipped demo that knows."""
HERE = re.compile(rb"/(?:home|root|tmp|work|Users|var|mnt)/|localhost")


@pytest.fixture(scope="module")
def shipped() -> Path:
    found = shipped_demo()
    assert found is not None
    return found


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder without runs."""
    monkeypatch.setenv("RNNSCOPE_CACHE", str(cache))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def check(folder: Path) -> None:
    """Look for all that every demo must be."""
    names = {path.name for path in folder.iterdir()}
    steps = weights_steps(folder)
    assert names == {"run.db", *(f"step-{step}.safetensors" for step in steps)}
    for path in folder.iterdir():
        assert not HERE.search(path.read_bytes()), path
    with Reader(folder) as reader:
        recorded = [one.event.name for one in reader.poll() if one.event.kind == "checkpoint"]
        assert recorded == [f"step-{step}.safetensors" for step in steps]
        assert reader.config.run.run is None
        assert len(reader.scalars()) <= demo.ROWS
        kinds = {"gradients", "sample", "comparison", "validation", "started", "settings"}
        assert all(reader.newest(kind) for kind in kinds)
    assert run_info(folder).state == "finished"


def test_it_is_made_by_a_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    threads = torch.get_num_threads()
    try:
        assert demo.main([str(tmp_path / "small"), "--steps", "40"]) == 0
        assert demo.main([str(tmp_path / "small")]) == 2
    finally:
        torch.set_num_threads(threads)
    assert "exists already" in capsys.readouterr().err
    check(tmp_path / "small")
    assert weights_steps(tmp_path / "small")[-1] == 40


def test_the_shipped_one_is_small_and_of_this_text(shipped: Path) -> None:
    check(shipped)
    assert sum(path.stat().st_size for path in shipped.iterdir()) < 1_000_000
    assert len(weights_steps(shipped)) >= 4  # for the birth of a unit
    subject = examine(shipped)  # raises where the built-in play is no longer what it was trained on: make it anew
    assert subject.corpus.name == "play"
    assert subject.config == demo.CONFIG


def test_one_of_its_units_knows_that_it_is_inside_quotes(shipped: Path) -> None:
    subject = examine(shipped)
    ids = subject.corpus.validation[:15_000].astype(np.int64)
    text = subject.corpus.vocabulary.decode(ids)
    start = text.index('"', text.index("SCENE"))  # an opening one: no quotation runs over a scene's end
    inside = np.array([text[start : n + 1].count('"') % 2 == 1 for n in range(start, len(text))])
    _, _, layers = subject.model.trace(torch.from_numpy(ids)[:, None], subject.model.initial_state(1))
    values = layers[0]["h"][start:, 0].numpy()
    ranks = values.argsort(0).argsort(0)
    ones = int(inside.sum())
    area = (ranks[inside].sum(0) - ones * (ones - 1) / 2) / (ones * (len(inside) - ones))
    best, next_best = np.sort(np.maximum(area, 1 - area))[:-3:-1]
    assert best > 0.95
    assert next_best < 0.8
    assert np.maximum(area, 1 - area).argmax() == QUOTES


def test_without_that_unit_the_closing_quotes_go_wrong(shipped: Path) -> None:
    """The demonstration of README: 12 texts go on inside a quotation, and the speech ends with quotes closed or not."""
    subject = examine(shipped)
    prompt = '\n\nALDA:\nThe king told me, "Thou hast'
    closed = {"control": 0, "changed": 0}
    for seed in range(12):
        request = Request(
            source="prompt", prompt=prompt, length=300, seed=seed, temperature=0.7, how="mean", units=(QUOTES,)
        )
        event = interventions.measure(subject, request)
        for name in closed:
            speech = (prompt + getattr(event, name)).split("\n\n")[1]
            closed[name] += speech.count('"') % 2 == 0
    assert closed["control"] >= 10
    assert closed["changed"] <= 4


def test_demo_names_it_wherever_a_run_is_asked_for(
    shipped: Path, elsewhere: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = state_of(shipped)
    assert find_run("demo") == shipped
    assert main(["sample", "demo", "--length", "30"]) == 0
    assert main(["probe", "demo", "activations", "--json"]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert len(found["text"]) == 401
    assert main(["stop", "demo"]) == 2
    assert main(["train", "--resume", "demo", "--headless"]) == 2
    assert "no training state to go on from" in capsys.readouterr().err
    seen: list[Any] = []
    monkeypatch.setattr("rnnscope.tui.app.run", lambda folder, **options: seen.append(folder) or 0)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    for command in ("watch", "inspect"):
        assert main([command, "demo"]) == 0
    assert main(["inspect", str(shipped / f"step-{weights_steps(shipped)[1]}.safetensors")]) == 0
    assert seen == [shipped] * 3
    snapshot = Source(shipped).poll()
    assert (snapshot.word, snapshot.notice, snapshot.text) == ("finished", (), "play")
    assert state_of(shipped) == before


def test_ones_own_run_of_that_name_comes_first(elsewhere: Path, shipped: Path) -> None:
    make_fake_run(elsewhere / "checkpoints" / "demo", steps=2)
    assert find_run("demo").resolve() == elsewhere / "checkpoints" / "demo"
    assert find_run("demo", elsewhere / "nowhere") == shipped


def test_it_is_part_of_the_wheel_and_of_the_sources() -> None:
    targets = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]
    assert targets["wheel"]["force-include"] == {"checkpoints/demo": "rnnscope/checkpoints/demo"}
    assert "checkpoints/demo" in targets["sdist"]["include"]

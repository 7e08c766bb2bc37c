"""`rnnscope probe`: every probe on every cell, its forms of output, and a run that stays as it was."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest

from rnnscope import probe_report, probing
from rnnscope.cli import main
from rnnscope.options import Probe
from rnnscope.probe_report import Probed
from rnnscope.recording.events import EVENTS
from rnnscope.registry import ASKED, CELLS, lab_probes
from tests.probed import STEPS, asked_json, make_run, state_of

NAMES = list(lab_probes())


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def own_cache(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RNNSCOPE_CACHE", str(cache))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RNNSCOPE_CACHE", str(cache))
        return make_run(tmp_path_factory.mktemp("probed") / "run")


def quick(name: str) -> list[str]:
    """Return options with which a probe does not take long."""
    return ["--steps", "60", "--burn-in", "10"] if name == "lyapunov" else []


@pytest.fixture
def measured_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let all forms of output tell of one measurement."""
    found: dict[tuple[Path, str], Probed] = {}

    def remember(run: Path, asked: Probe, progress: object = None) -> Probed:
        key = run, asked.name
        if key not in found:
            found[key] = take(run, asked)
        return found[key]

    take = probing.take
    monkeypatch.setattr(probing, "take", remember)


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.usefixtures("measured_once")
def test_every_probe_on_every_cell(cell: str, layers: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Through the registry and the command line: all fields of the event come, and the run is left as it was."""
    folder = make_run(tmp_path / "run", cell, layers)
    before = state_of(folder)
    for name in NAMES:
        found = asked_json(capsys, str(folder), name, *quick(name))
        assert found.pop("probe") == name
        assert found.pop("step") == STEPS
        fields = {"steps", "reach"} if name == "waterfall" else {f.name for f in dataclasses.fields(EVENTS[name])}
        assert set(found) == fields
        assert main(["probe", str(folder), name, *quick(name)]) == 0
        table = capsys.readouterr().out
        assert table.startswith(name)
        assert max(map(len, table.splitlines())) < 150
    assert state_of(folder) == before


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.usefixtures("measured_once")
def test_a_diverged_network(cell: str, value: float, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = make_run(tmp_path / "run", cell, 2, spoil=value)
    for name in NAMES:
        asked_json(capsys, str(folder), name, *quick(name))
        assert main(["probe", str(folder), name, *quick(name)]) == 0
        assert capsys.readouterr().out.startswith(name)


@pytest.mark.parametrize("name", NAMES)
def test_an_archive_holds_what_json_says(
    name: str, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["probe", str(run), name, "--npz", str(tmp_path / "numbers")]) == 0  # the very name that was given
    assert capsys.readouterr().out == f"wrote {tmp_path / 'numbers'}\n"
    found = asked_json(capsys, str(run), name)
    with np.load(tmp_path / "numbers") as archive:
        assert set(archive.files) == set(found)
        for field, value in found.items():
            stored = archive[field]
            if field != "seconds" and stored.dtype.kind in "fi":
                np.testing.assert_allclose(stored, np.array(value, float).reshape(stored.shape), rtol=1e-6)
            elif stored.dtype.kind == "U":
                assert stored.tolist() == value


def test_any_checkpoint(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, last = (asked_json(capsys, str(run), "gradients", "--checkpoint", str(step)) for step in (0, STEPS))
    assert (first["step"], last["step"]) == (0, STEPS)
    assert first["reach"] != last["reach"]
    early = asked_json(capsys, str(run), "clipping", "--checkpoint", "0")
    assert early["before"] == []


def test_weights_whose_training_state_is_gone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As thinning leaves them: measured on the first window of the text, from a zero state; no update from there."""
    folder = make_run(tmp_path / "run")
    whole = {name: asked_json(capsys, str(folder), name, "--checkpoint", "0") for name in ("gradients", "clipping")}
    (folder / "step-0.state.safetensors").unlink()
    for name, found in whole.items():  # at step 0 that is where training begins
        again = asked_json(capsys, str(folder), name, "--checkpoint", "0")
        assert {**again, "seconds": 0} == {**found, "seconds": 0}
    assert main(["probe", str(folder), "parameters", "--checkpoint", "0"]) == 2
    assert "no training state" in capsys.readouterr().err
    (folder / f"step-{STEPS}.state.safetensors").unlink()
    assert asked_json(capsys, str(folder), "horizon")["step"] == STEPS


def test_clipping_tells_of_the_recorded_steps(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = asked_json(capsys, str(run), "clipping")
    assert len(found["before"]) == STEPS
    assert (found["threshold"], found["by"]) == (0.3, "norm")
    np.testing.assert_allclose(found["after"], np.minimum(found["before"], 0.3), rtol=1e-5)
    assert found["fired"] == np.mean(np.array(found["before"]) > 0.3)


def test_waterfall_is_the_recorded_reach(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = asked_json(capsys, str(run), "waterfall")
    assert found["steps"] == [1, 2, 3, 4]
    assert np.array(found["reach"], float).shape == (4, 1, 12)
    first = asked_json(capsys, str(run), "gradients", "--checkpoint", "0")  # of the window that step 1 trained on
    np.testing.assert_allclose(np.array(found["reach"][0], float), np.array(first["reach"], float), rtol=1e-5)


def test_parameters_makes_the_update_that_training_would(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = asked_json(capsys, str(run), "parameters", "--checkpoint", "0")
    before, after = (torch_weights(run / f"step-{step}.safetensors") for step in (0, STEPS))
    assert found["names"] == list(before)
    for name, norm, ratio in zip(found["names"], found["weight_norm"], found["update_ratio"], strict=True):
        assert norm == pytest.approx(np.linalg.norm(before[name]), rel=1e-6)
        assert 0 < ratio < np.linalg.norm(after[name] - before[name]) / norm * STEPS
    total = math.sqrt(sum(norm**2 for norm in found["gradient_norm"]))
    assert total == pytest.approx(asked_json(capsys, str(run), "clipping")["before"][0], rel=1e-5)


def torch_weights(path: Path) -> dict[str, np.ndarray]:
    import safetensors.numpy

    names = [name for name, _ in probing._trainer(path.parent).model.named_parameters()]
    found = safetensors.numpy.load_file(path)
    return {name: found[name] for name in names}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "name a run and a probe"),
        (["RUN"], "name a run and a probe"),
        (["RUN", "gradient"], "did you mean gradients?"),
        (["RUN", "x\x1b[31m"], "there is no probe"),
        (["RUN", "gradients", "--checkpoint", "3"], "there are: 0, 4"),
        (["RUN", "waterfall", "--checkpoint", "-1"], "there are: 0, 4"),
        (["RUN", "horizon", "--zero-input"], "--zero-input is for the probe lyapunov"),
        (["RUN", "lyapunov", "--steps", "0"], "must be at least 1"),
        (["RUN", "gradients", "--units", "3"], "--units is for contexts, birth, interventions, attribution; gradients"),
        (["RUN", "gradients", "--npz", "/nowhere/x.npz"], "--npz /nowhere/x.npz: No such file"),
        (["nothing-of-that-name", "gradients"], "no run called"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(
    words: list[str], said: str, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["probe", *(str(run) if word == "RUN" else word for word in words)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("rnnscope: ")
    assert err.count("\n") == 1
    assert "\x1b" not in err
    assert said in err


def test_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["probe", "--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [*NAMES, *ASKED]
    assert [name for name in NAMES if name in EVENTS or name == "waterfall"] == NAMES
    assert NAMES[:2] == ["gradients", "waterfall"]


def test_numbers_that_json_lacks() -> None:
    array = np.array([1.0, np.nan, np.inf, -np.inf])
    values = {"a": array, "b": math.nan, "c": None, "d": ("x",), "e": np.float32(-np.inf)}
    found = json.loads(probe_report.as_json(Probed("horizon", 7, values)))
    assert found == {
        "probe": "horizon", "step": 7, "a": [1.0, None, "Infinity", "-Infinity"], "b": None, "c": None, "d": ["x"],
        "e": "-Infinity",
    }  # fmt: skip
    np.testing.assert_array_equal(np.array(found["a"], float), array)  # numpy reads it back


def test_texts_of_the_run_reach_the_terminal_as_pictures() -> None:
    lines = list(probe_report.table(Probed("gradients", 0, {"text": "a\x1b[2J\nb", "reach": np.zeros((1, 2))})))
    assert all(line.isprintable() for line in lines)


def test_asked_for_directly(run: Path) -> None:
    found = probing.take(run, Probe(str(run), "horizon"))
    assert found.values["contexts"].tolist() == [1, 2, 4, 8, 16, 32, 64, 128]
    assert found.values["chars"] > 500

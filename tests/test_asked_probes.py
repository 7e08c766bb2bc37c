"""Every probe that can be asked for, through the registry and the command line, on any cell and on a broken network."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnscope.cli import main
from rnnscope.errors import UserError
from rnnscope.options import Probe
from rnnscope.probing import take
from rnnscope.recording.codec import decode_event, encode_event
from rnnscope.recording.events import EVENTS
from rnnscope.recording.requests import TAKES, Request
from rnnscope.registry import ASKED, CELLS
from tests.probed import STEPS, asked_json, make_run, state_of

QUICK: dict[str, dict[str, Any]] = {
    "activations": {"length": 40},
    "units": {"chars": 2000, "shifts": 4},
    "contexts": {"chars": 3000, "length": 40},
    "saturation": {"chars": 2000},
    "statespace": {"chars": 1000, "length": 40},
    "birth": {"length": 40},
    "interventions": {"length": 30},
    "attribution": {"length": 12},
    "exposure": {"length": 10, "prefixes": 4},
    "recovery": {"length": 20, "prefixes": 8},
    "decoding": {"length": 60, "temperatures": (0.5, 1.0)},
    "ngram": {"orders": (1, 2, 3), "length": 40},
}
"""What makes each quick here."""

OTHERWISE = Request(
    source="validation", prompt="The ", file="nothing", start=7, length=33, seed=2, temperature=0.4,
    layer=1, units=(3,), field="f", chars=1777, shifts=3, concept=("e=e",), span=(1, 3), threshold=0.3,
    how="flip", value=0.5, ranked=True, method="occlusion", position=3, target="e", of_unit=True,
    prefixes=3, temperatures=(0.3,), top_k=3, top_p=0.5, orders=(2,),
)  # fmt: skip
"""Every field differs from its default."""


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
        return make_run(tmp_path_factory.mktemp("asked") / "run", layers=2)


def flags(probe: str) -> list[str]:
    """Return QUICK as words of a command line."""
    words = []
    for name, value in QUICK[probe].items():
        words += ["--" + name, *(map(str, value) if isinstance(value, tuple) else [str(value)])]
    return words


def asked(folder: Path, probe: str, **more: Any) -> dict[str, Any]:
    return dict(take(folder, Probe(str(folder), probe, request=Request(**{**QUICK[probe], **more}))).values)


@pytest.mark.parametrize("probe", ASKED)
def test_as_json_archive_and_text(probe: str, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = state_of(run)
    found = asked_json(capsys, str(run), probe, *flags(probe))
    assert (found["probe"], found["step"]) == (probe, STEPS)
    names = [field.name for field in dataclasses.fields(EVENTS[probe])]
    assert set(found) == {"probe", "step", *names}
    assert main(["probe", str(run), probe, *flags(probe), "--npz", str(tmp_path / "numbers")]) == 0
    capsys.readouterr()
    with np.load(tmp_path / "numbers") as archive:  # without pickle
        assert set(archive.files) == set(found)
        for name in names:
            value = list(found[name].values()) if isinstance(found[name], dict) else found[name]
            if archive[name].dtype.kind == "U":
                assert archive[name].tolist() == value
            elif archive[name].dtype.kind in "fi" and name != "seconds":
                np.testing.assert_allclose(
                    archive[name], np.array(value, float).reshape(archive[name].shape), rtol=1e-5
                )
    assert main(["probe", str(run), probe, *flags(probe), "--checkpoint", "0"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith(f"{probe} after 0 updates")
    assert max(map(len, out.splitlines())) < 180
    assert all(character.isprintable() for line in out.splitlines() for character in line)
    assert err == ""  # no terminal, no progress
    assert state_of(run) == before


@pytest.mark.parametrize("probe", ASKED)
def test_fields_that_a_probe_does_not_take_change_nothing(probe: str, run: Path) -> None:
    """So that `TAKES` is the truth, and a refused flag would indeed have been ignored."""
    foreign = {
        field.name: getattr(OTHERWISE, field.name)
        for field in dataclasses.fields(Request)
        if field.name not in TAKES[probe]
    }
    plain, other = asked(run, probe), asked(run, probe, **foreign)
    for name, value in plain.items():
        if name != "seconds":
            np.testing.assert_equal(other[name], value, name)


def test_the_table_of_fields_is_whole() -> None:
    names = {field.name for field in dataclasses.fields(Request)}
    assert set().union(*TAKES.values()) == names
    assert set(TAKES) >= set(ASKED)
    assert all(getattr(OTHERWISE, name) != getattr(Request(), name) for name in names)


@pytest.mark.parametrize("cell", CELLS)
def test_every_cell(cell: str, tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", cell, 1)
    for probe in ASKED:
        found = asked(folder, probe)
        event = EVENTS[probe](**found)
        again = decode_event(probe, *encode_event(event))  # as the recording keeps it
        for name, value in found.items():
            np.testing.assert_equal(getattr(again, name), value, name)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_diverged_network_gives_numbers_or_one_line(value: float, tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", "lstm", 2, spoil=value)
    said = []
    for probe in ASKED:
        try:
            asked(folder, probe)
        except UserError as error:
            said.append(str(error))
    assert "\n" not in "".join(said)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["activations", "--units", "3"], "attribution; activations does not take it"),
        (["attribution", "--layer", "1"], "--layer names a unit: add --of-unit to explain its value"),
        (["attribution", "--units", "300", "--of-unit"], "--units 300: a layer has units 0 to"),
        (["activations", "--zero-input"], "--zero-input is for the probe lyapunov"),
        (["activations", "--length", "0"], "--length 0: must be between 1 and 10,000"),
        (["activations", "--length", "1.5"], "--length"),
        (["activations", "--source", "air"], "--source"),
        (["activations", "--temperature", "nan"], "--temperature nan: must be between 0 and"),
        (["activations", "--source", "prompt", "--prompt", "\u20ac"], "has no '€'"),
        (["activations", "--checkpoint", "3"], "there are: 0, 4"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_told_in_one_line(
    words: list[str], said: str, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["probe", str(run), *words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert said in err


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        ({"layer": 2}, "--layer 2: the model has layers 0 to 1"),
        ({"units": (1, 8)}, "--units 8: a layer has units 0 to 7"),
        ({"field": "z"}, "--field z: a unit of lstm has h, c, i, f, g, o"),
    ],
)
def test_what_the_model_lacks_is_told(request_: dict[str, Any], said: str, run: Path) -> None:
    from rnnscope.requesting import check_fit

    with pytest.raises(UserError) as error:
        check_fit("interventions", Request(**request_), make_model(run))
    assert str(error.value) == said
    check_fit("ngram", Request(**request_), make_model(run))  # it does not look at units


def make_model(run: Path) -> Any:
    from rnnscope.recording.reader import Reader

    with Reader(run) as reader:
        return reader.config.model


def test_progress_is_shown_on_a_terminal(
    run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setitem(ASKED, "activations", ("tests.fake_probe", "a probe for tests"))
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setattr("rnnscope.launch.PATIENCE", 0.0)
    assert main(["probe", str(run), "activations", "--prompt", "chatty", "--json"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith('{"probe": "activations"')
    assert "activations: again  10%" in err
    assert err.endswith("\r\x1b[K")
    assert err.count("again") < 10


def test_the_table_of_an_attribution_begins_with_the_character_explained(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--source", "validation", "--length", "30", "--position", "24"]
    found = asked_json(capsys, str(run), "attribution", *words)
    assert main(["probe", str(run), "attribution", *words]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()[2:22]]
    assert [int(row[0]) for row in rows] == list(range(20))
    for lag in (0, 19):
        assert float(rows[lag][-2]) == pytest.approx(found["scores"][-1 - lag], rel=1e-3)
        assert float(rows[lag][-1]) == pytest.approx(found["connectivity"][-1 - lag], rel=1e-3)


def test_the_table_of_a_state_space_shows_the_text_looked_at(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        main(["probe", str(run), "statespace", "--source", "prompt", "--prompt", "to the sea", "--chars", "500"]) == 0
    )
    assert "  text                to the sea\n" in capsys.readouterr().out

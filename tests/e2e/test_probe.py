"""`rnnscope probe` on runs made by `rnnscope train`: the textbook experiment, a live run, and what can be missing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from rnnscope.cli import main
from rnnscope.recording.lock import live
from rnnscope.registry import lab_probes
from rnnscope.saved import saved_steps
from tests.e2e.conftest import SMALL
from tests.e2e.refusals import VERSE, check_line, contents

PATIENCE = 120.0

Capture = pytest.CaptureFixture[str]


@pytest.mark.parametrize("layers", [1, 2])
def test_the_textbook_experiment(layers: int, here: Path, capfd: Capture) -> None:
    """tanh, N(0, 4/H), no input: the largest exponent is 0.150 +-0.01; all come in descending order."""
    words = "--cell tanh --hidden 512 --init gaussian --gain 2 --steps 0 --run r --length 20000 --layers"
    assert main(["train", "play", *words.split(), str(layers)]) == 0
    capfd.readouterr()
    assert main(["probe", "r", "lyapunov", "--zero-input", "--json"]) == 0
    found = json.loads(capfd.readouterr().out)
    exponents = np.array(found["exponents"])
    assert found["zero_input"]
    assert (np.diff(exponents) <= 0).all()
    assert exponents[0] == pytest.approx(0.150, abs=0.01)
    assert len(exponents) == 20


def test_lyapunov_takes_its_options(run: Path, capfd: Capture) -> None:
    words = "--steps 40 --burn-in 5 --exponents 3".split()
    assert main(["probe", "run", "lyapunov", *words, "--json"]) == 0
    found = json.loads(capfd.readouterr().out)
    assert (found["steps"], found["burn_in"], len(found["exponents"]), found["zero_input"]) == (40, 5, 3, False)


def test_a_run_that_trains(here: Path, capfd: Capture) -> None:
    """While a worker holds the run: every probe answers, and the worker goes on undisturbed."""
    command = [sys.executable, "-m", "rnnscope", "train", "play", *SMALL, "--run", "r", "--headless"]
    command += ["--checkpoint-every", "5", "--threads", "1"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        try:
            deadline = time.monotonic() + PATIENCE
            while not ((here / "r").is_dir() and len(saved_steps(here / "r")) > 1):
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.02)
            for name in lab_probes():
                assert main(["probe", "r", name, "--json"]) == 0, capfd.readouterr().err
                assert json.loads(capfd.readouterr().out)["probe"] == name
            assert live(here / "r")
        finally:
            process.terminate()
        _, err = process.communicate(timeout=PATIENCE)
        assert process.returncode == 143, err


def refuse(capfd: Capture, here: Path, *words: str) -> str:
    before = contents(here)
    assert main(["probe", *words]) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert contents(here) == before
    return check_line(err)


def test_a_text_that_is_gone_or_another(here: Path, capfd: Capture) -> None:
    (here / "verse.txt").write_text(VERSE)
    assert main(["train", "verse.txt", *SMALL, "--steps", "2", "--run", "r", "--headless"]) == 0
    capfd.readouterr()
    (here / "verse.txt").write_text(VERSE.replace("question", "answer"))
    assert "not the text this run was trained on" in refuse(capfd, here, "r", "gradients")
    (here / "verse.txt").unlink()
    assert "verse.txt" in refuse(capfd, here, "r", "gradients")
    assert main(["probe", "r", "waterfall"]) == 0  # needs the recording alone


def test_a_damaged_checkpoint(run: Path, here: Path, capfd: Capture) -> None:
    newest = run / f"step-{saved_steps(run)[-1]}.safetensors"
    os.truncate(newest, newest.stat().st_size // 2)
    assert "corrupt or truncated" in refuse(capfd, here, "run", "horizon")
    first = saved_steps(run)[0]
    assert main(["probe", "run", "horizon", "--checkpoint", str(first)]) == 0


def test_a_run_without_weights(run: Path, here: Path, capfd: Capture) -> None:
    for path in run.glob("*.safetensors"):
        path.unlink()
    assert "no checkpoint yet" in refuse(capfd, here, "run", "clipping")

"""Options, configuration files, devices and prompts that cannot work: one line, exit code 2, nothing written."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from rnnscope.cli import main
from tests.e2e.refusals import Refuse, check_line, contents


def test_the_whole_command_says_one_line_too(here: Path) -> None:
    """As a person starts it: a process of its own, with its own stderr and exit status."""
    (here / "latin.txt").write_bytes(b"caf\xe9 " * 500)
    (here / "taken").mkdir()
    before = contents(here)
    for words, said in [
        (["train", "nosuchfile.txt"], "no such file"),
        (["train", "latin.txt"], "--bytes"),
        (["train", "--run", "taken"], "exists already"),
        (["train", "--cell", "gruu"], "did you mean gru"),
        (["train", "--hidden", "ten"], "--hidden"),
        (["frobnicate"], "there is no command"),
    ]:
        done = subprocess.run(
            [sys.executable, "-m", "rnnscope", *words], check=False, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 2
        assert done.stdout == ""
        assert said in check_line(done.stderr)
    assert contents(here) == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--hidden 0", "--hidden 0: must be"),
        ("--layers -1", "--layers -1: must be"),
        ("--batch 0", "--batch 0: must be"),
        ("--bptt -5", "--bptt -5: must be"),
        ("--hidden 10000000", "GB of memory"),
        ("--layers 999999999999999", "GB of memory"),
        ("--embedding 100000000000", "lower --hidden, --layers or --embedding"),
        ("--embedding 100000000000 --one-hot --hidden 10000000", "lower --hidden or --layers"),
        ("--bptt 3000 --batch 5 --layers 1000000 --hidden 1 --embedding 1", "lower --batch, --bptt"),
        (f"--hidden 1{400 * '0'}", "--hidden: must be at most 1,000,000,000,000,000"),
        (f"--steps 1{400 * '0'}", "--steps: must be at most 1,000,000,000,000,000"),
        ("--length 100000000000000", "--length"),
        ("--sample-length 10001", "--sample-length 10001: must be between 1 and 10,000"),
        ("--compare-length 100000", "--compare-length 100000: must be between 1 and 10,000"),
        ("--threads 1000000", "--threads"),
        ("--seed -1", "--seed"),
        ("--cell transformer", "tanh, relu, lstm, gru, lnrnn"),
        ("--cell ltsm", "did you mean lstm"),
        ("--optimizer adma", "--optimizer"),
        ("--lr nan", "--lr nan"),
        ("--lr 1e300", "--lr 1e+300: the learning rate must be a positive number, at most 1e+30"),
        ("--forget-bias 1e300", "--forget-bias"),
        ("--clip -1", "--clip"),
        ("--split 90/20", "--split 90/20"),
        ("--hiden 5", "did you mean --hidden"),
        ("--hidden 1e9", "--hidden"),
        ("--config nosuch.toml", "nosuch.toml"),
        ("--resume nosuchrun", "nosuchrun"),
    ],
)
def test_options_that_cannot_work(refuse: Refuse, way: str, words: str, said: str) -> None:
    assert said in refuse("train", "play", "--length", "20000", *words.split())


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ("hidden = ", "not a TOML file"),
        ("hiden = 5", "hiden"),
        ("hidden = 'a'", "hidden"),
        ("hidden = -5", "--hidden -5"),
        ("texts = 3", "texts"),
        ("[modle]\nhidden = 5", "[modle]"),
        ('texts = "a\\u0000b"', "zero byte"),
        ('run = "a\\u0000b"', "zero byte"),
        (f"lr = 1{400 * '0'}", "--lr"),
    ],
)
def test_a_configuration_file_that_cannot_work(here: Path, refuse: Refuse, toml: str, said: str) -> None:
    (here / "my.toml").write_text(toml)
    assert said in refuse("train", "--config", "my.toml")


@pytest.mark.parametrize(
    ("flag", "said"), [("--run", "--run: the name is empty"), ("--resume", "not a run"), ("--config", "--config")]
)
def test_an_empty_value(refuse: Refuse, way: str, flag: str, said: str) -> None:
    assert said in refuse("train", "play", "--length", "20000", flag, "")


def test_a_device_that_is_not_there(refuse: Refuse, way: str) -> None:
    """Before the screen, torch is asked in a process of its own."""
    assert "--device cuda:99" in refuse("train", "play", "--length", "20000", "--batch", "4", "--device", "cuda:99")


FAKE_TORCH = """
from types import SimpleNamespace as cuda
cuda.is_available, cuda.device_count = (lambda: True), (lambda: 2)
cuda.mem_get_info = lambda device: (10**6, 8 * 10**10)

class device:
    def __init__(self, type, index): self.type, self.index = type, index
    def __str__(self): return f"{self.type}:{self.index}"
"""


@pytest.mark.parametrize("device", ["cuda", "cuda:1"])
def test_a_gpu_without_room(
    here: Path, tmp_path: Path, refuse: Refuse, way: str, monkeypatch: pytest.MonkeyPatch, device: str
) -> None:
    """No GPU here: headless, torch is told of one; for the screen, the process that is asked finds another torch."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (10**6, 8 * 10**10))
    (tmp_path / "fake").mkdir()
    (tmp_path / "fake" / "torch.py").write_text(FAKE_TORCH)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "fake"), prepend=os.pathsep)
    message = refuse("train", "play", "--length", "20000", "--batch", "4", "--device", device)
    assert f"GB of memory on {'cuda:0' if device == 'cuda' else device} and 0.0 GB are free" in message
    assert "lower --hidden, --layers or --embedding, or use --device cpu" in message


def test_an_unknown_device(refuse: Refuse, way: str) -> None:
    assert "--device tpu" in refuse("train", "play", "--device", "tpu")


def test_a_prompt_with_unknown_characters(run: Path, refuse: Refuse) -> None:
    message = refuse("sample", "run", "--prompt", "To 한글 be é")
    for character in "한글é":
        assert repr(character) in message
    assert repr("\x1b")[1:-1] in refuse("sample", "run", "--prompt", "\x1b[31m")  # named, not sent


def test_sampling_options_that_cannot_work(run: Path, refuse: Refuse) -> None:
    assert "--temperature" in refuse("sample", "run", "--temperature", "-1")
    assert "--temperature" in refuse("sample", "run", "--temperature", "nan")
    assert "--length" in refuse("sample", "run", "--length", "0")
    assert "--seed" in refuse("sample", "run", "--seed", "-1")
    assert "--length" in refuse("sample", "run", "--length", "1" + 30 * "0")


@pytest.mark.parametrize("words", ["--seconds 0", "--seconds nan", "--seconds x", "--threads 0", "--threads 99999"])
def test_options_of_bench_that_cannot_work(capsys: pytest.CaptureFixture[str], words: str) -> None:
    with pytest.raises(SystemExit) as end:
        main(["bench", *words.split()])
    assert end.value.code == 2
    message = check_line(capsys.readouterr().err)
    assert words.split()[0] in message
    assert words.split()[1] in message

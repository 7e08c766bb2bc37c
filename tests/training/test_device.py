"""Devices that are not there or have no room, with a fake GPU: the machines of these tests have none."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from rnnscope.building import build
from rnnscope.check import estimated_bytes
from rnnscope.config import Config, ModelConfig, RunConfig, TextConfig, TrainingConfig
from rnnscope.corpus import load
from rnnscope.errors import UserError
from rnnscope.training.device import check_device, check_room, resolve_device

SYMBOLS = 65


def gpu(monkeypatch: pytest.MonkeyPatch, free: int, count: int = 2) -> None:
    """Pretend that there are `count` GPUs, the last with `free` bytes free and the others with none."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    monkeypatch.setattr(
        torch.cuda, "mem_get_info", lambda device: (free if device.index == count - 1 else 0, 80_000_000_000)
    )


def on(device: str, **values: int) -> Config:
    model = ModelConfig(**{name: value for name, value in values.items() if name in ("hidden", "layers")})
    training = TrainingConfig(**{name: value for name, value in values.items() if name in ("batch", "bptt")})
    return Config(model=model, training=training, run=RunConfig(device=device))


def test_the_free_memory_of_that_gpu_is_compared_with_the_estimate(monkeypatch: pytest.MonkeyPatch) -> None:
    config = on("cuda:1")
    needed = estimated_bytes(config, SYMBOLS)
    gpu(monkeypatch, free=needed)
    check_device(config, SYMBOLS)
    gpu(monkeypatch, free=needed - 1)
    with pytest.raises(UserError, match=r"GB of memory on cuda:1 and .* are free; lower --"):
        check_device(config, SYMBOLS)


@pytest.mark.parametrize("device", ["auto", "cuda", "cuda:0"])
def test_auto_is_the_first_gpu(monkeypatch: pytest.MonkeyPatch, device: str) -> None:
    gpu(monkeypatch, free=0, count=1)
    with pytest.raises(UserError, match="memory on cuda:0"):
        check_device(on(device), SYMBOLS)


def test_a_worker_looks_before_it_builds(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With auto, nobody has asked before: the screen does not wait for torch."""
    monkeypatch.setenv("RNNSCOPE_CACHE", str(tmp_path))
    corpus = load(("play",), TextConfig(length=20_000))
    gpu(monkeypatch, free=10**6, count=1)
    with pytest.raises(UserError, match="memory on cuda:0"):
        build(on("auto", batch=4), corpus, {})


def test_the_message_names_what_takes_most(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu(monkeypatch, free=10**6)
    with pytest.raises(UserError, match="lower --hidden, --layers or --embedding, or use --device cpu"):
        check_device(on("cuda:1", hidden=4000, batch=1, bptt=1), SYMBOLS)
    with pytest.raises(UserError, match="lower --batch, --bptt, --hidden or --layers, or use --device cpu"):
        check_device(on("cuda:1", hidden=8, batch=10**4, bptt=10**4), SYMBOLS)
    one_hot = on("cuda:1", hidden=4000, batch=1, bptt=1)
    one_hot = dataclasses.replace(one_hot, model=dataclasses.replace(one_hot.model, one_hot=True))
    with pytest.raises(UserError, match="lower --hidden or --layers, or use"):
        check_device(one_hot, SYMBOLS)


def test_a_gpu_that_does_not_start_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu(monkeypatch, free=0)

    def held(device: torch.device) -> tuple[int, int]:
        raise RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported\n")

    monkeypatch.setattr(torch.cuda, "mem_get_info", held)
    with pytest.raises(
        UserError, match=r"cuda:1 does not start \(CUDA error: out of memory\); use --device cpu"
    ) as found:
        check_device(on("cuda:1"), SYMBOLS)
    assert "\n" not in str(found.value)


def test_main_memory_is_not_asked_of_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu(monkeypatch, free=0, count=0)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: pytest.fail("asked"))
    check_device(on("auto"), SYMBOLS)
    check_room(on("cpu", hidden=10**7), SYMBOLS, torch.device("cpu"))
    assert resolve_device("auto") == torch.device("cpu")


def test_a_gpu_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu(monkeypatch, free=10**12)
    assert resolve_device("cuda:1") == torch.device("cuda", 1)
    with pytest.raises(UserError, match="--device cuda:2: this machine has 2 CUDA devices"):
        resolve_device("cuda:2")

"""Each option that cannot work is refused in one line that names the flag."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch

from rnnscope.check import check, check_memory, estimated_bytes, parameters
from rnnscope.config import Config, ModelConfig, RunConfig
from rnnscope.errors import UserError
from rnnscope.model import CharRNN
from rnnscope.registry import CELLS

NAN, INF = float("nan"), float("inf")


def changed(section: str, **values: Any) -> Config:
    return dataclasses.replace(Config(), **{section: dataclasses.replace(getattr(Config(), section), **values)})


def test_the_defaults_are_fine_and_need_little_memory() -> None:
    check(Config(), 100)
    assert estimated_bytes(Config(), 100) < 100e6


@pytest.mark.parametrize(
    ("section", "name", "values"),
    [
        ("model", "layers", [0, -1]),
        ("model", "hidden", [0, -5]),
        ("model", "embedding", [0]),
        ("model", "gain", [NAN, INF, -INF, -1.0, 1e300, 10**400]),
        ("model", "dropout", [-0.1, 1.0, NAN]),
        ("model", "recurrent_dropout", [1.5]),
        ("model", "forget_bias", [INF]),
        ("training", "batch", [0, -1]),
        ("training", "bptt", [0]),
        ("training", "lr", [0.0, -1.0, NAN, INF, 10**400]),
        ("training", "lr_decay", [0.0, 1.5, NAN]),
        ("training", "lr_decay_every", [0]),
        ("training", "momentum", [-1.0, 2.0]),
        ("training", "sampling_steps", [0, -5]),
        ("training", "sampling_floor", [-0.1, 1.1, NAN]),
        ("training", "weight_decay", [-1.0]),
        ("training", "clip", [0.0, -1.0, NAN, INF]),
        ("training", "steps", [-1, 10**400]),
        ("training", "epochs", [-0.5, NAN]),
        ("training", "minutes", [-1.0]),
        ("training", "validate_every", [-1]),
        ("training", "validation_chars", [0]),
        ("probes", "gradients_every", [-1]),
        ("probes", "lyapunov_every", [-1]),
        ("training", "spike", [-0.5, float("nan")]),
        ("probes", "triangle_every", [-1]),
        ("probes", "sample_length", [0, 10_001]),
        ("probes", "compare_length", [0, 10_001]),
        ("probes", "temperature", [-1.0, NAN]),
        ("probes", "probe_budget", [-0.1, 1.1, NAN]),
        ("probes", "recording_budget", [-1.0]),
        ("run", "threads", [0, 100_000]),
        ("run", "run", [""]),
        ("run", "checkpoint_every", [-1]),
        ("text", "first", [0, -1]),
        ("text", "length", [0]),
    ],
)
def test_impossible_values(section: str, name: str, values: list[Any]) -> None:
    for value in values:
        with pytest.raises(UserError) as found:
            check(changed(section, **{name: value}))
        assert "--" + name.replace("_", "-") in str(found.value)
        assert "\n" not in str(found.value)


def test_names_that_no_file_can_have() -> None:
    for nowhere in (changed("run", run="a\0b"), changed("text", glob="*\0"), Config(texts=("play", "a\0b"))):
        with pytest.raises(UserError, match="zero byte"):
            check(nowhere)
    with pytest.raises(UserError, match="name is empty"):
        check(Config(texts=("play", "")))


def test_the_longest_sample_is_allowed() -> None:
    check(changed("probes", sample_length=10_000, compare_length=10_000))
    with pytest.raises(UserError, match="--sample-length 10001: must be between 1 and 10,000"):
        check(changed("probes", sample_length=10_001))


def test_an_unknown_cell_gets_a_hint() -> None:
    with pytest.raises(UserError, match="did you mean lstm"):
        check(changed("model", cell="ltsm"))
    with pytest.raises(UserError, match="tanh, relu, lstm, gru, lnrnn"):
        check(changed("model", cell="transformer"))


def test_options_that_do_not_go_together() -> None:
    with pytest.raises(UserError, match="--forget-bias"):
        check(changed("model", cell="gru", forget_bias=1.0))
    with pytest.raises(UserError, match="--kernel fused"):
        check(
            dataclasses.replace(changed("model", cell="lnrnn"), run=dataclasses.replace(Config().run, kernel="fused"))
        )
    with pytest.raises(UserError, match="--precision bf16"):
        check(dataclasses.replace(Config(), run=RunConfig(kernel="fused", precision="bf16")))


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("one_hot", [False, True])
def test_parameters_are_counted_as_the_model_has_them(cell: str, one_hot: bool) -> None:
    model = ModelConfig(cell=cell, layers=3, hidden=7, embedding=5, one_hot=one_hot)
    built = CharRNN(model, 11)
    assert parameters(model, 11) == sum(p.numel() for p in built.parameters())


def test_absurd_sizes_are_refused_before_anything_is_allocated() -> None:
    with pytest.raises(UserError, match=r"needs about [\d,.]+ GB of memory .* lower --hidden, --layers or --embedding"):
        check(changed("model", hidden=10_000_000), 65)
    with pytest.raises(UserError, match="lower --batch, --bptt, --hidden or --layers"):
        check(changed("training", batch=10**9), 65)
    on_gpu = dataclasses.replace(changed("model", hidden=10_000_000), run=RunConfig(device="cuda"))
    with pytest.raises(UserError, match=r"needs about [\d,.]+ GB of memory"):  # weights are drawn on the CPU
        check(on_gpu, 65)
    many = changed("training", batch=10**9)
    check(dataclasses.replace(many, run=RunConfig(device="cuda")), 65)  # its windows are in the GPU's own memory
    with pytest.raises(UserError, match="lower --batch"):
        check(dataclasses.replace(many, run=RunConfig(device="mps")), 65)  # which has the machine's


def test_a_containers_limit_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    needed = estimated_bytes(Config(), 65)
    monkeypatch.setattr("rnnscope.memory.group_memory", lambda: needed)
    check(Config(), 65)
    monkeypatch.setattr("rnnscope.memory.group_memory", lambda: needed - 1)
    with pytest.raises(UserError, match=r"GB of memory and .* are free; lower"):
        check(Config(), 65)


def test_the_estimate_is_of_the_right_size() -> None:
    """Against what torch really allocates for weights, gradients and Adam, which is exact."""
    config = changed("training", batch=1, bptt=1)
    model = CharRNN(config.model, 65)
    exact = 4 * sum(p.numel() * p.element_size() for p in model.parameters())
    assert exact <= estimated_bytes(config, 65) <= exact * 1.1
    check_memory(config, 65, exact * 2)
    with pytest.raises(UserError):
        check_memory(config, 65, exact // 2)
    assert torch.float32.itemsize == 4

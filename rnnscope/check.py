"""Whether a configuration makes sense, before anything is written or allocated."""

from __future__ import annotations

import dataclasses
import difflib
import math
import re

from rnnscope.config import Config, ModelConfig, TrainingConfig
from rnnscope.errors import UserError
from rnnscope.memory import available_memory
from rnnscope.registry import CELLS

FLOAT = 4  # bytes
LARGEST_FLOAT = 1e30  # of any factor: float32 ends at 3e38, and Adam divides its rate by 0.1 at first
LONGEST_TEXT = 10**10  # characters of a generated text: fills any disk here
LARGEST = 10**15  # of any count: far beyond what can be had, and still exact as a float
LARGEST_SEED = 2**32 - 1
LONGEST_SAMPLE = 10_000  # characters that a probe writes: seconds, in which it answers no command


def check(config: Config, vocabulary_size: int | None = None) -> None:
    """Look at every option that a person could get wrong.

    Args:
        vocabulary_size: where known, the memory the run needs is estimated too.

    Raises:
        UserError: the first option that cannot work, and what would.
    """
    _check_names(config)
    _check_model(config.model)
    _check_training(config.training)
    for field in dataclasses.fields(config.probes):
        if field.name.endswith("_every"):
            _at_least(field.name, getattr(config.probes, field.name), 0)
    _between("sample_length", config.probes.sample_length, 1, LONGEST_SAMPLE)
    _between("compare_length", config.probes.compare_length, 1, LONGEST_SAMPLE)
    _at_least("temperature", config.probes.temperature, 0)
    _between("probe_budget", config.probes.probe_budget, 0, 1)
    _at_least("recording_budget", config.probes.recording_budget, 0)
    _at_least("checkpoint_every", config.run.checkpoint_every, 0)
    _between("length", config.text.length, 1, LONGEST_TEXT)
    _between("seed", config.run.seed, 0, LARGEST_SEED)
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", config.run.device):
        raise UserError(f"--device {config.run.device}: unknown device; use auto, cpu, cuda, cuda:N or mps")
    if config.run.threads is not None:
        _between("threads", config.run.threads, 1, 1024)
    if config.text.first is not None:
        _at_least("first", config.text.first, 1)
    if config.run.kernel == "fused" and (config.model.cell == "lnrnn" or config.model.recurrent_dropout > 0):
        raise UserError("--kernel fused: torch has no fused layer for lnrnn or recurrent dropout; use --kernel scan")
    if config.run.kernel == "fused" and config.run.precision == "bf16":
        raise UserError("--precision bf16: torch's fused layers take no such products; use --kernel scan or auto")
    if vocabulary_size is not None:
        check_memory(config, vocabulary_size, available_memory())


def check_sampling(temperature: float, length: int, seed: int) -> None:
    """Look at the options of `rnnscope sample`. Raises UserError."""
    if not temperature >= 0:
        raise UserError(f"--temperature {temperature}: must be zero or a positive number")
    _between("length", length, 1, LONGEST_TEXT)
    _between("seed", seed, 0, LARGEST_SEED)


def _check_names(config: Config) -> None:
    if not all(config.texts):
        raise UserError("a text's name is empty; name a file or folder, or leave it out for the built-in play")
    if config.run.run == "":
        raise UserError("--run: the name is empty; name a folder, or leave it out for a numbered one in checkpoints/")
    for name in (*config.texts, config.run.run or "", config.text.glob):
        if "\0" in name:  # a TOML file can hold one
            raise UserError(f"the name {name!r} holds a zero byte: no file can be called so")


def _check_model(model: ModelConfig) -> None:
    if model.cell not in CELLS:
        close = difflib.get_close_matches(model.cell, CELLS, n=1)
        hint = f" (did you mean {close[0]}?)" if close else ""
        raise UserError(f"--cell {model.cell}: unknown cell{hint}; use one of: {', '.join(CELLS)}")
    for name in ("layers", "hidden", "embedding"):
        _at_least(name, getattr(model, name), 1)
    if not 0 <= model.gain <= LARGEST_FLOAT:
        raise UserError(f"--gain {model.gain}: must be between 0 and {LARGEST_FLOAT:g}")
    for name in ("dropout", "recurrent_dropout"):
        value = getattr(model, name)
        if not 0 <= value < 1:
            raise UserError(f"{_flag(name)} {value}: must be at least 0 and below 1")
    if model.forget_bias is not None:
        if not abs(model.forget_bias) <= LARGEST_FLOAT:
            raise UserError(f"--forget-bias {model.forget_bias}: must be a number, at most {LARGEST_FLOAT:g}")
        if model.cell != "lstm":
            raise UserError("--forget-bias: only an lstm has a forget gate's bias; use --cell lstm or leave it out")


def _check_training(training: TrainingConfig) -> None:
    for name in ("batch", "bptt", "lr_decay_every", "sampling_steps"):
        _at_least(name, getattr(training, name), 1)
    if not 0 < training.lr <= LARGEST_FLOAT:
        raise UserError(f"--lr {training.lr}: the learning rate must be a positive number, at most {LARGEST_FLOAT:g}")
    if not 0 < training.lr_decay <= 1:
        raise UserError(f"--lr-decay {training.lr_decay}: must be above 0 and at most 1")
    _between("momentum", training.momentum, 0, 1)
    _between("sampling_floor", training.sampling_floor, 0, 1)
    _at_least("weight_decay", training.weight_decay, 0)
    if training.clip != "none" and not 0 < training.clip <= LARGEST_FLOAT:
        raise UserError(f"--clip {training.clip}: must be a positive number, at most {LARGEST_FLOAT:g}, or none")
    for name in ("steps", "epochs", "minutes"):
        value = getattr(training, name)
        if value is not None:
            _at_least(name, value, 0)
    _at_least("validate_every", training.validate_every, 0)
    _at_least("spike", training.spike, 0)
    _at_least("validation_chars", training.validation_chars, 1)


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _at_least(name: str, value: float, low: float) -> None:
    if not low <= value < math.inf:  # NaN is neither
        raise UserError(f"{_flag(name)} {value}: must be a number, at least {low:g}")
    if value > LARGEST:
        raise UserError(f"{_flag(name)}: must be at most {LARGEST:,}")


def _between(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise UserError(f"{_flag(name)} {value}: must be between {low:,} and {high:,}")


def parameters(model: ModelConfig, vocabulary_size: int) -> int:
    """Return the number of parameters."""
    rows = len(CELLS[model.cell].gates) * model.hidden
    inputs = vocabulary_size if model.one_hot else model.embedding
    first = 0 if model.one_hot else vocabulary_size * model.embedding
    layers = rows * (inputs + model.hidden + 2) + (model.layers - 1) * rows * (2 * model.hidden + 2)
    return first + layers + vocabulary_size * (model.hidden + 1)


def weight_bytes(config: Config, vocabulary_size: int) -> int:
    """Return the memory of what has the weights' size: themselves, their gradients, and the optimiser's two sums."""
    return 4 * FLOAT * parameters(config.model, vocabulary_size)


def window_bytes(config: Config, vocabulary_size: int) -> int:
    """Return the memory that a training step needs besides: the activations of one window, and their gradients."""
    model, training = config.model, config.training
    gates = len(CELLS[model.cell].gates)
    per_position = model.layers * model.hidden * (2 * gates + 4) + 3 * vocabulary_size + model.embedding
    return FLOAT * training.batch * training.bptt * per_position


def estimated_bytes(config: Config, vocabulary_size: int) -> int:
    """Return the memory a training step needs: weights, gradients, optimiser, and activations of one window."""
    return weight_bytes(config, vocabulary_size) + window_bytes(config, vocabulary_size)


def check_memory(config: Config, vocabulary_size: int, available: int) -> None:
    """Raise UserError where a training step would not fit into `available` bytes of main memory.

    For a run on a GPU only the weights count, which are drawn on the CPU; the rest is `check_gpu_memory`'s.
    """
    if config.run.device.startswith("cuda"):
        _fits(FLOAT * parameters(config.model, vocabulary_size), available, "memory", _lower_weights(config.model))
    else:
        _fits(estimated_bytes(config, vocabulary_size), available, "memory", _lower(config, vocabulary_size))


def check_gpu_memory(config: Config, vocabulary_size: int, available: int, device: str) -> None:
    """Raise UserError where a training step would not fit into the `available` bytes that `device` has free."""
    needed = estimated_bytes(config, vocabulary_size)
    lower = f"{_lower(config, vocabulary_size)}, or use --device cpu"
    _fits(needed, available, f"memory on {device}", lower)


def _fits(needed: int, available: int, what: str, lower: str) -> None:
    if needed > available:
        need, free = f"{needed / 1e9:,.1f} GB of {what}", f"{available / 1e9:,.1f} GB"
        raise UserError(f"this run needs about {need} and {free} are free; lower {lower}")


def _lower(config: Config, vocabulary_size: int) -> str:
    """Return which options to lower: those that the larger part of the memory grows with."""
    if weight_bytes(config, vocabulary_size) >= window_bytes(config, vocabulary_size):
        return _lower_weights(config.model)
    return "--batch, --bptt, --hidden or --layers"


def _lower_weights(model: ModelConfig) -> str:
    return "--hidden or --layers" if model.one_hot else "--hidden, --layers or --embedding"

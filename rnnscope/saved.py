"""The checkpoints in a run's folder: their names, and whether they can be used, told from their headers. No torch.

`step-<n>.safetensors` holds the weights after n updates, `step-<n>.state.safetensors` what else a resumed run needs,
`best.safetensors` the weights with the lowest validation loss so far.
"""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

from safetensors import SafetensorError, safe_open

from rnnscope.check import parameters
from rnnscope.config import ModelConfig
from rnnscope.errors import UserError
from rnnscope.registry import CELLS

WEIGHTS = re.compile(r"step-(\d+)\.safetensors")
BEST = "best.safetensors"
OTHERWISE = "remove it, and the checkpoint before it is used"


def weights_name(step: int) -> str:
    """Return the file name of the weights after `step` updates."""
    return f"step-{step}.safetensors"


def state_path(weights: Path) -> Path:
    """Return the training-state file that belongs to a weights file."""
    return weights.with_name(weights.name.removesuffix(".safetensors") + ".state.safetensors")


def saved_steps(folder: Path) -> list[int]:
    """Return the steps of all whole checkpoints (weights and state) in `folder`, oldest first."""
    found = (WEIGHTS.fullmatch(path.name) for path in folder.iterdir())
    steps = sorted(int(match.group(1)) for match in found if match)
    return [step for step in steps if state_path(folder / weights_name(step)).exists()]


def check_checkpoint(weights: Path, model: ModelConfig, vocabulary_size: int) -> None:
    """Check that a resumed run can begin from `weights` and the state beside it, without reading the numbers.

    Raises:
        UserError: a file is corrupt or truncated, or the weights do not fit the configuration.
    """
    check_fit(weights, read_shapes(weights)[0], model, vocabulary_size)
    state = state_path(weights)
    try:
        json.loads(read_shapes(state)[1]["state"])
    except (KeyError, ValueError) as error:
        raise UserError(f"{state} holds no training state; {OTHERWISE}") from error


def read_shapes(path: Path) -> tuple[dict[str, tuple[int, ...]], dict[str, str]]:
    """Return the shapes of the tensors in a safetensors file, by name, and its metadata.

    Raises:
        UserError: missing, unreadable, truncated or not safetensors.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            names = file.keys()
            return {name: tuple(file.get_slice(name).get_shape()) for name in names}, file.metadata() or {}
    except FileNotFoundError as error:
        raise UserError(f"{path} is missing; {OTHERWISE}") from error
    except (SafetensorError, OSError, ValueError) as error:
        raise UserError(f"{path} is corrupt or truncated ({error}); {OTHERWISE}") from error


def check_fit(path: Path, shapes: dict[str, tuple[int, ...]], model: ModelConfig, vocabulary_size: int) -> None:
    """Compare what every cell has (matrices, and the number of all parameters) with the configuration.

    Raises:
        UserError: the weights are those of another model; the first difference is named.
    """
    rows = len(CELLS[model.cell].gates) * model.hidden
    wanted: dict[str, tuple[int, ...]] = {}
    if not model.one_hot:
        wanted["embedding.weight"] = (vocabulary_size, model.embedding)
    inputs = vocabulary_size if model.one_hot else model.embedding
    for layer in range(model.layers):
        wanted[f"layers.{layer}.weight_ih_l0"] = (rows, inputs)
        wanted[f"layers.{layer}.weight_hh_l0"] = (rows, model.hidden)
        inputs = model.hidden
    wanted["decoder.weight"] = (vocabulary_size, model.hidden)
    for name, shape in wanted.items():
        if shapes.get(name) != shape:
            found = shapes.get(name, "missing")
            raise UserError(f"{path} does not fit the configuration: {name} is {found}, the model wants {shape}")
    count, needed = sum(math.prod(shape) for shape in shapes.values()), parameters(model, vocabulary_size)
    if count != needed:
        raise UserError(f"{path} does not fit the configuration: it holds {count:,} numbers, the model has {needed:,}")

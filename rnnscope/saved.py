"""The checkpoints in a run's folder: their names, and whether they can be used, told from their headers. No torch.

`step-<n>.safetensors` holds the weights after n updates, `step-<n>.state.safetensors` what else a resumed run needs,
`best.safetensors` the weights with the lowest validation loss so far.

The thinning rule: of the weights at most `KEPT` are kept along the run: it is cut into at most so many stretches,
--checkpoint-every times a power of two steps long, and the first weights of each stay. So those that are left lie
evenly over the whole run, however long it is. The initial weights, the newest two, the best, and those that somebody
asked for always stay. A training state is kept beside the newest two and those asked for alone.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import math
import re
from collections.abc import Collection
from pathlib import Path

from safetensors import SafetensorError, safe_open

from rnnscope.check import parameters
from rnnscope.config import ModelConfig
from rnnscope.errors import UserError
from rnnscope.registry import CELLS

WEIGHTS = re.compile(r"step-(\d+)\.safetensors")
STATE = re.compile(r"step-(\d+)\.state\.safetensors")
UNFINISHED = re.compile(r"\.(step-\d+|best)(\.state)?\.safetensors\.\d+\.tmp")
BEST = "best.safetensors"
LEFT_BEHIND = "left-behind"
"""The folder, in that of a run, of weights saved by hand on a way that a rewind has left."""
OTHERWISE = "remove it, and the checkpoint before it is used"
KEPT = 64
"""Weights kept along a run, at most, besides those that always stay."""


def weights_name(step: int) -> str:
    """Return the file name of the weights after `step` updates."""
    return f"step-{step}.safetensors"


def state_path(weights: Path) -> Path:
    """Return the training-state file that belongs to a weights file."""
    return weights.with_name(weights.name.removesuffix(".safetensors") + ".state.safetensors")


def weights_steps(folder: Path) -> list[int]:
    """Return the steps of all weights in `folder`, with or without a training state beside them, oldest first."""
    found = (WEIGHTS.fullmatch(path.name) for path in folder.iterdir())
    return sorted(int(match.group(1)) for match in found if match)


def saved_steps(folder: Path) -> list[int]:
    """Return the steps of all whole checkpoints (weights and state) in `folder`, oldest first."""
    return [step for step in weights_steps(folder) if state_path(folder / weights_name(step)).exists()]


def resumable_steps(folder: Path) -> list[int]:
    """Return `saved_steps`; none means a run that has not begun.

    Raises:
        UserError: there are weights, but their training states were removed: the run cannot go on.
    """
    steps = saved_steps(folder)
    if not steps and weights_steps(folder):
        newest = state_path(Path(weights_name(weights_steps(folder)[-1])))
        raise UserError(f"{folder} has weights but no training state to go on from ({newest} is missing); start anew")
    return steps


def kept(steps: Collection[int], every: int, asked: Collection[int] = ()) -> set[int]:
    """Return which of `steps` stay under the thinning rule. every: --checkpoint-every; asked: stay in any case."""
    ordered = sorted(steps)
    stretch = max(every, 1) / 1024  # finer than --checkpoint-every while there is room: sessions end anywhere
    while ordered and ordered[-1] // stretch >= KEPT:
        stretch *= 2
    chosen = {step // stretch: step for step in reversed(ordered)}.values()  # the first of each stretch
    return set(chosen).union(ordered[-2:], set(asked).intersection(ordered))


def thin(folder: Path, every: int, asked: Collection[int] = ()) -> None:
    """Remove what the thinning rule gives up, and what a killed worker left half written. For the run's worker alone.

    The newest two whole checkpoints are never touched, so a worker killed at any moment in here leaves a run that goes
    on; the next call removes the rest. A file that cannot be removed stays.
    """
    states = {*saved_steps(folder)[-2:], *asked}
    weights = kept(weights_steps(folder), every, asked)
    for path in list(folder.iterdir()):
        surplus = UNFINISHED.fullmatch(path.name) is not None
        for pattern, staying in ((STATE, states), (WEIGHTS, weights)):
            match = pattern.fullmatch(path.name)
            surplus = surplus or (match is not None and int(match.group(1)) not in staying)
        if surplus:
            with contextlib.suppress(OSError):
                path.unlink()


def remove_after(folder: Path, step: int, asked: Collection[int] = ()) -> None:
    """Remove the checkpoints of later steps: a rewound run's other future. For the run's worker alone.

    The weights of the steps `asked` are moved to LEFT_BEHIND instead, with a number after the step where that is taken.
    """
    for path in list(folder.iterdir()):
        match = STATE.fullmatch(path.name) or WEIGHTS.fullmatch(path.name)
        if match is None or int(match.group(1)) <= step:
            continue
        if WEIGHTS.fullmatch(path.name) and int(match.group(1)) in asked:
            path.rename(_free(folder / LEFT_BEHIND, path))
        else:
            path.unlink(missing_ok=True)


def _free(place: Path, path: Path) -> Path:
    place.mkdir(exist_ok=True)
    names = (f"{path.stem}{f'-{n}' if n else ''}{path.suffix}" for n in itertools.count())
    return next(place / name for name in names if not (place / name).exists())


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

"""Checkpoints: weights as safetensors, and everything else that a resumed run needs in a second file beside it.

`step-<n>.safetensors` holds the weights under the model's own parameter names and loads anywhere. Beside it
`step-<n>.state.safetensors` holds optimiser tensors, the carried hidden state and the random state; its
metadata holds one JSON object with the step, the data position and the live-changed settings. No pickle.
Each file is written under a temporary name, flushed to disk and renamed, so that a name always means a whole file.
"""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor, nn

from rnnscope.errors import RunFailed, UserError
from rnnscope.saved import BEST, OTHERWISE, saved_steps, state_path, weights_name
from rnnscope.weights import load_weights, read_tensors

__all__ = [
    "BEST", "flatten", "load_state", "load_weights", "save_state", "save_weights", "saved_steps", "state_path",
    "unflatten", "weights_name", "write_atomically",
]  # fmt: skip


def write_atomically(path: Path, content: bytes) -> None:
    """Write `content` so that `path` is either the old file or the whole new one, also after a power cut.

    Raises:
        RunFailed: the disk is full or the folder cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)  # the rename itself
        finally:
            os.close(folder)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise RunFailed(
            f"cannot write {path}: {error.strerror or error}; free some space and resume the run"
        ) from error


def flatten(prefix: str, value: Any, tensors: dict[str, Tensor]) -> Any:
    """Move every tensor inside `value` into `tensors`; return the JSON-able rest with names in their place."""
    if isinstance(value, Tensor):
        tensors[prefix] = value.detach().cpu().clone(memory_format=torch.contiguous_format)  # views may share memory
        return {"tensor": prefix}
    if isinstance(value, dict):
        return {"dict": [[key, flatten(f"{prefix}.{key}", item, tensors)] for key, item in value.items()]}
    if isinstance(value, list | tuple):
        return {"list": [flatten(f"{prefix}.{i}", item, tensors) for i, item in enumerate(value)]}
    return {"value": value}


def unflatten(form: Any, tensors: dict[str, Tensor]) -> Any:
    """Undo `flatten` (tuples come back as lists)."""
    if "tensor" in form:
        return tensors[form["tensor"]]
    if "dict" in form:
        return {key: unflatten(item, tensors) for key, item in form["dict"]}
    if "list" in form:
        return [unflatten(item, tensors) for item in form["list"]]
    return form["value"]


def save_weights(model: nn.Module, path: Path) -> None:
    """Write the model's parameters to `path`. Raises RunFailed."""
    tensors = {name: value.detach().contiguous().cpu() for name, value in model.state_dict().items()}
    write_atomically(path, save(tensors))


def save_state(state: dict[str, Any], path: Path) -> None:
    """Write a nested structure of tensors, numbers, strings and None to `path`. Raises RunFailed."""
    tensors: dict[str, Tensor] = {}
    form = flatten("", state, tensors)
    write_atomically(path, save(tensors, metadata={"state": json.dumps(form)}))


def load_state(path: Path) -> dict[str, Any]:
    """Read what `save_state` wrote. Raises UserError."""
    tensors, metadata = read_tensors(path)
    try:
        state = unflatten(json.loads(metadata["state"]), tensors)
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path} holds no training state; {OTHERWISE}") from error
    if not isinstance(state, dict):
        raise UserError(f"{path} holds no training state; {OTHERWISE}")
    return state

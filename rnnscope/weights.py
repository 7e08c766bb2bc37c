"""Weights out of a safetensors file into a network. No pickle."""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from rnnscope.errors import UserError
from rnnscope.saved import OTHERWISE


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read a safetensors file with its metadata.

    Raises:
        UserError: missing, unreadable, truncated or not safetensors.
    """
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except FileNotFoundError as error:
        raise UserError(f"{path} is missing; {OTHERWISE}") from error
    except (SafetensorError, OSError, ValueError) as error:
        raise UserError(f"{path} is corrupt or truncated ({error}); {OTHERWISE}") from error


def load_weights(model: nn.Module, path: Path) -> None:
    """Load parameters into `model`.

    Raises:
        UserError: the file is corrupt, or its tensors do not fit the model (the first misfit is named).
    """
    tensors, _ = read_tensors(path)
    wanted = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    found = {name: tuple(value.shape) for name, value in tensors.items()}
    for name in sorted(wanted.keys() | found.keys()):
        if wanted.get(name) != found.get(name):
            raise UserError(
                f"{path} does not fit the configuration: {name} is {found.get(name, 'missing')}, "
                f"the model wants {wanted.get(name, 'nothing of that name')}"
            )
    model.load_state_dict(tensors)

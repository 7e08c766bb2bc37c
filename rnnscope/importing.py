"""`rnnscope import`: the weights of a plain PyTorch model, embedding (or one-hot) + nn.RNN/LSTM/GRU + linear, as a run.

The parts are found by their shapes and torch.nn's own names for recurrent weights, whatever comes before these names.
Nothing of the file is ever executed: only tensors are read (`weights_only`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from rnnscope.config import ModelConfig
from rnnscope.errors import UserError, one_line

RECURRENT = re.compile(r"(?P<before>.*?)(?P<name>(?:weight|bias)_(?:ih|hh|hr))_l(?P<layer>\d+)(?P<reverse>_reverse)?")
CELLS = {1: "tanh", 3: "gru", 4: "lstm"}
"""By the blocks of H rows in weight_hh. An nn.RNN does not say whether it is tanh or relu."""

READS, WRITES = ("emb", "wte", "encoder", "lookup", "input"), ("decoder", "fc", "out", "head", "linear", "proj", "lm")
"""What people call the table that reads characters and the layer that writes them, where shapes do not tell."""


@dataclass(frozen=True)
class Parts:
    """A model found in a state dict: its configuration, V, and weights under the names of our model (float32)."""

    model: ModelConfig
    symbols: int
    weights: dict[str, Tensor]
    rounded: bool  # the file has numbers that float32 does not hold


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a state dict: a file of torch.save (of the dict itself, or of a dict that holds it) or of
    safetensors.

    Raises:
        UserError: no such file, or anything in it but plain data and tensors.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    try:
        if path.suffix == ".safetensors":
            return dict(load_file(path))
        found = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, OSError, EOFError, ValueError) as error:
        raise UserError(f"{path} cannot be read: {one_line(str(error))[:200]}") from error
    except Exception as error:  # torch's unpickler raises of every kind for what is no plain data
        raise UserError(
            f"{path} is no plain state dict; save it with torch.save(model.state_dict(), ...) "
            f"({type(error).__name__}: nothing of it was executed)"
        ) from error
    return _state_dict(found, path)


def _state_dict(found: Any, path: Path) -> dict[str, Tensor]:
    """Return the dict of tensors with recurrent weights: the one loaded, or one inside it (a training checkpoint)."""
    candidates = [found, *(found.values() if isinstance(found, Mapping) else ())]
    for candidate in candidates:
        if isinstance(candidate, Mapping) and any(RECURRENT.fullmatch(str(name)) for name in candidate):
            return {str(name): value for name, value in candidate.items() if isinstance(value, Tensor)}
    raise UserError(f"{path} has no recurrent weights: no name in it ends in weight_hh_l0")


def find_parts(state: Mapping[str, Tensor], cell: str | None = None) -> Parts:
    """Find embedding, recurrent layers and decoder.

    cell: tanh or relu, for an nn.RNN (default: tanh).

    Raises:
        UserError: something is missing, more than one fits, or the model has parts that ours lacks.
    """
    left = dict(state)
    recurrent, layers = _recurrent(left)
    rows, hidden = recurrent["weight_hh_l0"].shape
    blocks, rest = divmod(rows, hidden)
    if rest or blocks not in CELLS:
        raise UserError(f"weight_hh_l0 is {rows} x {hidden}: not that of an nn.RNN, nn.GRU or nn.LSTM")
    model = _model(CELLS[blocks], cell, layers, hidden)
    weights = {
        f"layers.{layer}.{name}_l0": value for layer in range(layers) for name, value in _layer(recurrent, layer)
    }
    inputs = recurrent["weight_ih_l0"].shape[1]
    reads, writes, symbols = _ends(left, inputs, hidden)
    decoder = left.pop(writes)
    bias = left.pop(writes.removesuffix("weight") + "bias", None)
    weights["decoder.weight"], weights["decoder.bias"] = decoder, decoder.new_zeros(symbols) if bias is None else bias
    if reads is None:
        model = ModelConfig(model.cell, layers, hidden, ModelConfig.embedding, one_hot=True)
    else:
        weights["embedding.weight"] = state[reads]
        left.pop(reads, None)
        model = ModelConfig(model.cell, layers, hidden, inputs)
    if left:
        raise UserError(f"the model has parts that rnnscope's lacks: {', '.join(sorted(left)[:4])}")
    single = {name: value.detach().to(torch.float32).contiguous().clone() for name, value in weights.items()}
    rounded = any(
        bool(((single[name].to(value.dtype) != value) & ~value.isnan()).any()) for name, value in weights.items()
    )
    return Parts(model, symbols, single, rounded)


def _model(found: str, asked: str | None, layers: int, hidden: int) -> ModelConfig:
    if found == "tanh" and asked in ("tanh", "relu"):
        found = asked
    if asked is not None and asked != found:
        raise UserError(f"--cell {asked}: these are the weights of {'an nn.RNN' if found == 'tanh' else found}")
    return ModelConfig(cell=found, layers=layers, hidden=hidden)


def _recurrent(left: dict[str, Tensor]) -> tuple[dict[str, Tensor], int]:
    """Take the recurrent weights out of `left`; return them by torch's names, and the number of layers."""
    matches = {name: match for name in left if (match := RECURRENT.fullmatch(name))}
    places = sorted({match["before"] for match in matches.values()})
    if len(places) != 1:
        raise UserError(
            f"there are {len(places)} recurrent parts ({', '.join(places)}); rnnscope looks at models of one"
        )
    if any(match["reverse"] for match in matches.values()):
        raise UserError(f"{places[0]} is bidirectional; rnnscope looks at models that read forward only")
    if any(match["name"] == "weight_hr" for match in matches.values()):
        raise UserError(f"{places[0]} has projections (proj_size); rnnscope looks at models without")
    found = {f"{match['name']}_l{match['layer']}": left.pop(name) for name, match in matches.items()}
    layers = 1 + max(int(match["layer"]) for match in matches.values())
    for layer in range(layers):
        for name in (f"weight_ih_l{layer}", f"weight_hh_l{layer}"):
            if name not in found or found[name].dim() != 2:
                raise UserError(f"{places[0]}{name} is missing or no matrix")
    return found, layers


def _layer(recurrent: dict[str, Tensor], layer: int) -> list[tuple[str, Tensor]]:
    """Return one layer's four tensors; biases that the model lacks are zeros."""
    rows, hidden = recurrent["weight_hh_l0"].shape
    inputs = recurrent["weight_ih_l0"].shape[1] if layer == 0 else hidden
    wanted = {"weight_ih": (rows, inputs), "weight_hh": (rows, hidden), "bias_ih": (rows,), "bias_hh": (rows,)}
    zeros = recurrent["weight_hh_l0"].new_zeros(rows)
    found = [(name, recurrent.get(f"{name}_l{layer}", zeros)) for name in wanted]
    for name, value in found:
        if tuple(value.shape) != wanted[name]:
            raise UserError(f"{name}_l{layer} is {_size(value)}, and should be {' x '.join(map(str, wanted[name]))}")
    return found


def _ends(left: Mapping[str, Tensor], inputs: int, hidden: int) -> tuple[str | None, str, int]:
    """Return the names of embedding (None: one-hot) and decoder weights, and V.

    The decoder is (V, hidden) and the embedding (V, inputs). Where both could be either, their names tell, then the
    bias that only a linear layer has; one matrix may be both (tied weights).
    """
    matrices = {name: tuple(value.shape) for name, value in left.items() if value.dim() == 2}
    writes = [name for name, (_, columns) in matrices.items() if columns == hidden]
    pairs = [
        (reads, name)
        for name in writes
        for reads, (rows, columns) in matrices.items()
        if columns == inputs and rows == matrices[name][0] and (reads != name or len(matrices) == 1)
    ]
    if len(writes) == len(matrices) == 1 and matrices[writes[0]][0] == inputs:
        return None, writes[0], inputs
    if not pairs:
        raise UserError(
            f"no embedding (V x {inputs}) and linear layer (V x {hidden}) for one V among: "
            + (", ".join(f"{name} {_size(left[name])}" for name in matrices) or "nothing")
        )
    if len(pairs) > 1:
        best = max(_fit(*pair, left) for pair in pairs)
        pairs = [pair for pair in pairs if _fit(*pair, left) == best]
    if len(pairs) > 1:
        raise UserError(f"which of {', '.join(matrices)} reads characters and which writes them cannot be told")
    reads, name = pairs[0]
    return reads, name, matrices[name][0]


def _fit(reads: str, writes: str, left: Mapping[str, Tensor]) -> tuple[int, int]:
    """Return how well names and biases speak for one matrix to read and another to write."""
    named = any(word in reads.lower() for word in READS) + any(word in writes.lower() for word in WRITES)
    named -= any(word in reads.lower() for word in WRITES) + any(word in writes.lower() for word in READS)
    bias = (writes.removesuffix("weight") + "bias" in left) - (reads.removesuffix("weight") + "bias" in left)
    return bias, named


def _size(value: Tensor) -> str:
    return " x ".join(map(str, value.shape))

"""Units held by the hand: what is done to h, c or a gate of a layer while a model is stepped."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from rnnscope.cells.base import LayerState
from rnnscope.errors import UserError
from rnnscope.generating import Change, Stepper
from rnnscope.model import CharRNN

How: TypeAlias = Literal["none", "zero", "mean", "clamp", "scale", "flip"]

BY_TANH = frozenset({"g", "n"})
"""The gates between -1 and 1 (lstm's g, gru's n); the others lie between 0 and 1."""

SHUT = 40.0
"""Pre-activation at which a gate is as good as at its end: sigmoid(-40) = 4e-18."""


@dataclass(frozen=True, eq=False)
class Held:
    """Units (K,) of one layer's h or c, changed after every step: state -> scale * state + value, value (K,).

    What is changed is what the next step and the layer above (and the decoder) read. The h that an LSTM made of c in
    the same step is not made again.
    """

    layer: int
    part: int  # of the layer's state: 0 is h, 1 is c
    units: Tensor
    scale: float
    value: Tensor

    def __call__(self, layer: int, state: LayerState) -> LayerState:
        """Return the layer's state, (B, H) each, with the units changed."""
        if layer != self.layer:
            return state
        old = state[self.part]
        new = self.value.expand(len(old), -1) if self.scale == 0 else old[:, self.units] * self.scale + self.value
        return (*state[: self.part], old.index_copy(1, self.units, new), *state[self.part + 1 :])


def hold(
    model: CharRNN, how: How, value: float, field: str, layer: int, units: tuple[int, ...], means: Tensor
) -> tuple[Stepper, Change | None]:
    """Return what steps the model with `units` of `field` ("h", "c" or a gate) held.

    means (H,): of the field in that layer, for "mean". value: for "clamp", and the factor for "scale".
    A gate is held by weights: those of its row are 0 and its bias is what gives the value, so it can be given one but
    not be scaled.

    Raises:
        UserError: a gate that shall be scaled or flipped, or a value that it cannot have.
    """
    if how == "none":
        return Stepper(model), None
    index = torch.tensor(units, device=means.device)
    scale = {"scale": value, "flip": -1.0}.get(how, 0.0)
    values = means[index] if how == "mean" else torch.full_like(means[index], value if how == "clamp" else 0.0)
    if field in model.cell.states:
        return Stepper(model), Held(layer, model.cell.states.index(field), index, scale, values)
    if how in ("scale", "flip"):
        raise UserError(f"--how {how} is for h and c; the gate {field} can be held at a value (zero, mean, clamp)")
    return Stepper(_with_gate(model, field, layer, index, values)), None


@torch.no_grad()
def _with_gate(model: CharRNN, gate: str, layer: int, units: Tensor, values: Tensor) -> CharRNN:
    """Return a copy of the model whose gate has `values` (K,) in `units` (K,), whatever is read."""
    low = -1.0 if gate in BY_TANH else 0.0
    for value in values.tolist():
        if value < low or value > 1:
            raise UserError(f"--value {value:g}: the gate {gate} lies between {low:g} and 1")
    wide = values.double()
    before = torch.atanh(wide) if gate in BY_TANH else torch.logit(wide)
    held = copy.deepcopy(model)
    rows = model.cell.gates.index(gate) * model.config.hidden + units
    for name, weight in held.layers[layer].named_parameters():
        weight[rows] = before.clamp(-SHUT, SHUT).to(weight.dtype) if name == "bias_ih_l0" else 0.0
    return held

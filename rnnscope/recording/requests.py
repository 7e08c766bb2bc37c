"""What may be asked of the probes of the neuron lab and the sampling lab: one dataclass, also the flags of a probe."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Request:
    """Arguments of a probe that somebody asks for. Each probe reads the few that concern it.

    A text to look at is `source`: what the model writes after `prompt`; `prompt` itself; an excerpt of the validation
    or training part from character `start`; or the file `file`.
    """

    source: Literal["generate", "prompt", "validation", "train", "file"] = "generate"
    """The text that is read: generate, prompt, validation, train or file."""

    prompt: str = ""
    """The text to read, or to go on from."""

    file: str = ""
    """A file to read."""

    start: int = 0
    """First character of an excerpt, counted from the start of its part."""

    length: int = 400
    """Characters to read or to write."""

    seed: int = 1
    """Seed of the random draws."""

    temperature: float = 0.8
    """Sampling temperature."""

    layer: int = 0
    """Layer, from 0."""

    units: tuple[int, ...] = (0,)
    """Units of that layer, from 0; most probes look at the first alone."""

    field: str = "h"
    """What is looked at of a unit: h, c or a gate."""

    chars: int = 100_000
    """units, contexts, saturation, statespace: characters of the text that are read."""

    shifts: int = 100
    """units: circular shifts of the labels that the null is made of."""

    concept: tuple[str, ...] = ()
    """units, birth, statespace: concepts of your own, each NAME=REGEX; characters that it matches are labelled.
    birth: one, of your own or the name of one that `units` lists."""

    span: tuple[int, int] = (0, 0)
    """contexts: first and last-but-one character of the text selected (source, prompt ...): units on throughout it."""

    threshold: float = 0.5
    """contexts: a unit is on where its value is above this share of its largest."""

    how: Literal["none", "zero", "mean", "clamp", "scale", "flip"] = "zero"
    """interventions: what is done to the units: none, zero, mean, clamp, scale or flip (of the sign)."""

    value: float = 0.0
    """interventions: the value to clamp to, or the factor to scale by."""

    ranked: bool = False
    """interventions: mean-ablate every unit of the layer in turn and rank them by what the loss gains."""

    method: Literal["integrated_gradients", "input_x_gradient", "feature_ablation", "occlusion", "connectivity"] = (
        "integrated_gradients"
    )
    """attribution: integrated_gradients, input_x_gradient, feature_ablation, occlusion or connectivity."""

    position: int = -1
    """attribution, recovery: character of the text looked at (-1: the last; recovery: the 64th)."""

    target: str = ""
    """attribution: the next character whose logit is explained (none: the most probable)."""

    of_unit: bool = False
    """attribution: explain the unit's value at the position instead of a logit."""

    prefixes: int = 64
    """exposure, recovery: prefixes averaged over."""

    temperatures: tuple[float, ...] = (0.2, 0.5, 1.0, 2.0)
    """decoding: a column for each (at most 4); 0 is greedy."""

    top_k: int = 0
    """decoding: only the k most probable characters (0: all)."""

    top_p: float = 1.0
    """decoding: the smallest set of characters that holds this probability (nucleus; 1: all)."""

    orders: tuple[int, ...] = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10)
    """ngram: orders of the models (Kneser-Ney up to 9)."""


TEXT = ("source", "prompt", "file", "start", "length", "seed", "temperature")
"""What names a text to look at."""

TAKES: dict[str, tuple[str, ...]] = {
    "activations": TEXT,
    "units": ("field", "chars", "shifts", "concept"),
    "contexts": (*TEXT, "field", "layer", "units", "chars", "span", "threshold"),
    "saturation": ("chars",),
    "statespace": (*TEXT, "field", "layer", "chars", "concept"),
    "birth": (*TEXT, "field", "layer", "units", "concept"),
    "interventions": ("prompt", "length", "seed", "temperature", "field", "layer", "units", "how", "value", "ranked"),
    "attribution": (*TEXT, "field", "layer", "units", "method", "position", "target", "of_unit"),
    "exposure": ("length", "seed", "temperature", "prefixes"),
    "recovery": ("start", "length", "seed", "position", "prefixes"),
    "decoding": ("prompt", "length", "seed", "temperatures", "top_k", "top_p"),
    "ngram": ("prompt", "length", "seed", "orders"),
}
"""Which fields each probe reads; `rnnscope probe` refuses the others. (A screen may send them all.)"""

"""The events of the neuron lab: what units know. See `events.py` for the rest and the shapes (L layers, H units).

Each comes from the probe of its own name, is taken when somebody asks (`requests.py`), and repeats what was asked.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, TypeAlias

import numpy as np

from rnnscope.recording.lab_events import Floats, Ints


def nothing() -> Floats:
    """Return an array field of which there is nothing: a cell without c, or a recording from before the field."""
    return np.zeros((0, 0), np.float32)


@dataclass(frozen=True)
class Activations:
    """What every unit did while the model read a text of N characters.

    source: where the text is from, in words ("prompt", "validation, from 1,200"). prompt: the first so many were
    given, the others generated. probability (N,): of each character before it came (NaN for the first).
    top: K strings of N characters each: the most probable next character after each one, the second, ...;
    top_probability (K, N). fields: h, c, gates; units: (F, L, N, H) float16, after reading character n.
    order: (L, H) units such that those that behave alike are neighbours (clustering of h).
    """

    kind: ClassVar[str] = "activations"
    source: str
    text: str
    prompt: int
    probability: Floats
    top: tuple[str, ...]
    top_probability: Floats
    fields: tuple[str, ...]
    units: Floats
    order: Ints
    seconds: float


@dataclass(frozen=True)
class Units:
    """Concept search: how well single units tell concepts, each with its null.

    Units are ranked on the first half of the text and scored on the second. Of each of the C concepts the K best, by
    the first half: layers, units (C, K); scores (C, K): AUC for yes/no concepts, with the sign found on the first half
    (so below 0.5 where it turned out the other way), R² for counts; signs (C, K): -1 where a low value means yes, 0
    where there is no score. NaN where labels are constant in a half. measures: "AUC" or "R2" by concept. nulls (C,):
    95% quantile over circular shifts of the labels of the score of the best unit, found and scored the same way.
    probes (C,): the same measure for a linear probe on a whole layer (the best layer's), trained on the first half.
    shares (C,): mean label.
    """

    kind: ClassVar[str] = "units"
    field: str
    chars: int
    shifts: int
    concepts: tuple[str, ...]
    measures: tuple[str, ...]
    layers: Ints
    units: Ints
    scores: Floats
    signs: Ints
    nulls: Floats
    probes: Floats
    shares: Floats
    seconds: float


@dataclass(frozen=True)
class Contexts:
    """Places in the training text where a unit is most excited or inhibited, or that repeat a pattern of units.

    snippets: K texts; groups (K,): 1 exciting, -1 inhibiting, 0 the same pattern as `span`; offsets (K,): where the
    snippet begins in the text; peaks (K,): the index in it of the character found (the first of a matching span);
    values (K, W) float16: the unit's value along each snippet (NaN beyond its end). scores (K,): the unit's value, or
    for a pattern the share of the units on throughout `span` that are on throughout this span too.
    span: the text selected, "" if none; on: the units that are on throughout it.
    """

    kind: ClassVar[str] = "contexts"
    field: str
    layer: int
    unit: int
    chars: int
    snippets: tuple[str, ...]
    groups: Ints
    offsets: Ints
    peaks: Ints
    values: Floats
    scores: Floats
    span: str
    on: Ints
    threshold: float
    seconds: float


@dataclass(frozen=True)
class Saturation:
    """Share of the time that each gate is shut or open (Karpathy et al. 2015, figure 2): left (G, L, H) at or below
    `low`, right (G, L, H) at or above `high`; (G,) each, 0.1 and 0.9 for gates, -0.9 and 0.9 for tanh, -1.47 and 1.47
    (where tanh(c) is that) for c, 0 and the 99.9% quantile of all for ReLU. fields: the G quantities.
    """

    kind: ClassVar[str] = "saturation"
    fields: tuple[str, ...]
    low: Floats
    high: Floats
    left: Floats
    right: Floats
    chars: int
    seconds: float


@dataclass(frozen=True)
class StateSpace:
    """Principal components of a layer's states: points (N, 3), explained (3,) shares, of all that was read.

    text: the character of each point. The last `trajectory` points are the text that was looked at, character by
    character; those before them are evenly spread over a longer text, in order. concepts: C names; labels: (C, N)
    float16. NaN for states that are not finite.
    """

    kind: ClassVar[str] = "statespace"
    field: str
    layer: int
    text: str
    points: Floats
    explained: Floats
    trajectory: int
    concepts: tuple[str, ...]
    labels: Floats
    seconds: float


@dataclass(frozen=True)
class Birth:
    """One unit on one text over the checkpoints of the run: steps (S,), values (S, N) float16; text: N characters.

    concept: scored at each checkpoint on a longer text, scores (S,) as in Units (`measure`: AUC or R2); "" and empty
    without one. losses (S,): validation loss in nats at each checkpoint, on the same characters.
    """

    kind: ClassVar[str] = "birth"
    field: str
    layer: int
    unit: int
    text: str
    steps: Ints
    values: Floats
    losses: Floats
    concept: str
    measure: str
    scores: Floats
    seconds: float


@dataclass(frozen=True)
class Interventions:
    """Free running with units held (`field`: h, c or a gate), beside the control: the same prefix, seed and random
    numbers.

    control, changed: N characters after `prefix`; difference: index of the first that differs, -1 if none.
    probability_control, probability_changed (N,): the model's own probability of each. loss_control, loss_changed:
    validation nats per character with nothing and with the units changed. load: (L, H) nats that the validation loss
    gains where each unit is held at its mean ("load-bearing"), (0, 0) where not asked for, NaN for layers left out.
    """

    kind: ClassVar[str] = "interventions"
    how: str
    value: float
    layer: int
    units: tuple[int, ...]
    prefix: str
    control: str
    changed: str
    difference: int
    temperature: float
    seed: int
    probability_control: Floats
    probability_changed: Floats
    loss_control: float
    loss_changed: float
    seconds: float
    load: Floats = field(default_factory=nothing)
    field: str = "h"


@dataclass(frozen=True)
class Attribution:
    """Which earlier characters made a number what it is: the logit of `target` after the N characters of `text`, or
    the value of a unit there. scores (N,), one a character, the last one read last.

    method, baseline, explained: named in words. value: the number explained; at_baseline: the same for the baseline
    (NaN where the method has none); delta: |sum of scores - (value - at_baseline)| / |value - at_baseline|, the
    completeness error (NaN for methods that do not promise it). connectivity (N,): ||d logit / d x_t|| (Madsen 2019).
    """

    kind: ClassVar[str] = "attribution"
    method: str
    baseline: str
    explained: str
    text: str
    target: str
    scores: Floats
    connectivity: Floats
    value: float
    at_baseline: float
    delta: float
    seconds: float


NeuronEvent: TypeAlias = Activations | Units | Contexts | Saturation | StateSpace | Birth | Interventions | Attribution
NEURON_EVENTS = (Activations, Units, Contexts, Saturation, StateSpace, Birth, Interventions, Attribution)

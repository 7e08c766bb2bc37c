"""The events of the gradient lab: why gradients vanish and explode. See `events.py` for the rest and the shapes.

Everywhere L is in nats, per sample (not averaged over the batch), before clipping, unless a field says otherwise.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.floating]
Ints: TypeAlias = NDArray[np.integer]


@dataclass(frozen=True)
class Triangle:
    """Who taught whom: log10 of ||d loss_t / d h_s|| for every pair of time steps of one window, one sample.

    norms: (L, T, T) float32, indexed [layer, t, s]: NaN where s > t (a later state cannot have caused an earlier
    loss), -inf where the norm is zero or underflowed, +inf where it is NaN or infinite. The norms of one column do
    not add up to that of the total gradient: the vectors do.
    """

    kind: ClassVar[str] = "triangle"
    norms: Floats
    text: str  # T characters read
    targets: str  # T characters to be predicted: loss_t is that of targets[t]
    seconds: float


@dataclass(frozen=True)
class Jacobian:
    """The recurrence's Jacobian beside the bound of Pascanu et al. 2013 (section 2.1).

    spectral_radius, largest_singular: (L,) of W_hh; NaN where W_hh is not the whole recurrence (gated cells).
    bound: 1/gamma, gamma the largest slope of the activation: a largest singular value below it is sufficient for
    vanishing, above it necessary for exploding; None where not applicable.
    spans: (K,) numbers of steps k. singular: (K, M) float32, log10 of the M largest singular values of the product
    of k Jacobians d s_t / d s_{t-1} of the whole state (all layers; h and c) along the text, up to the window's last
    step; -inf below 1e-13 of the largest, where float64 cannot tell them from zero. M at most 8.
    """

    kind: ClassVar[str] = "jacobian"
    spectral_radius: Floats
    largest_singular: Floats
    bound: float | None
    spans: Ints
    singular: Floats
    seconds: float


@dataclass(frozen=True)
class Lyapunov:
    """Leading Lyapunov exponents of the state's recurrence, in nats per step (QR; Vogt et al. 2020).

    exponents: (N,) float64, descending; -inf for a direction that is lost altogether. steps: averaged over; burn_in:
    steps left out before them, while the state forgets its start, and after, while the directions carried backwards
    settle. zero_input: driven by no input (biases stay) from a random state instead of by the text from a zero state.
    """

    kind: ClassVar[str] = "lyapunov"
    exponents: Floats
    steps: int
    burn_in: int
    zero_input: bool
    seconds: float


@dataclass(frozen=True)
class Horizon:
    """How far back the gradient reaches, beside how far back the model uses what it read.

    half_life: (L,) lags until the batch-mean reach has fallen to half of its value at lag 0 (interpolated in log10);
    inf where it has not within the window, NaN where there is none at lag 0. contexts: (K,) characters k; loss: (K,)
    validation loss in nats per character with exactly k characters read from a zero state; full_loss: of the same
    characters with the state carried; chars: predictions averaged, the same for all.
    gate_half_lives: (L, H) in steps: ln 2 / -ln(mean gate) of each unit's forget gate (LSTM "f") or update gate
    (GRU "z"), shape (0, 0) for other cells; gate: its name, or "".
    """

    kind: ClassVar[str] = "horizon"
    half_life: Floats
    contexts: Ints
    loss: Floats
    full_loss: float
    chars: int
    gate_half_lives: Floats
    gate: str
    seconds: float


@dataclass(frozen=True)
class Clipping:
    """What clipping did over the last steps, and which time step made the gradient large.

    before, after: (N,) global norm of the gradient of the mean loss, of the last N steps. threshold: None where off.
    by: "norm" or "value". fired: share of the N steps at which it clipped (0 where N is); scale: mean of after/before
    over those (1 where it never fired). contributions: (L, T) float32, log10 of the Frobenius norm of time step t's
    part of the gradient of weight_hh, of the window about to be trained on (mean loss, all batch rows, no dropout; the
    parts add up to the gradient as matrices). layer, t: the largest part's (from 0); -1 where none is finite.
    """

    kind: ClassVar[str] = "clipping"
    before: Floats
    after: Floats
    threshold: float | None
    by: str
    fired: float
    scale: float
    contributions: Floats
    layer: int
    t: int
    seconds: float


@dataclass(frozen=True)
class Parameters:
    """One row a parameter tensor (P of them), around one update.

    gradient_norm, weight_norm: Euclidean, gradient of the mean loss before clipping, weight before the update.
    update_ratio: ||update|| over ||weight||, inf where all weights were 0, 0 where the update was left out. idle:
    share of the layer's units that are dead (ReLU: 0 on the whole window) or saturated (tanh, or any gate of the unit,
    within 0.05 of its bounds on 95% of the window); NaN for tensors that belong to no recurrent layer.
    edges: (E+1,) log10 magnitudes; weight_histogram, gradient_histogram: (P, E) counts of log10 |x| between them
    (what is smaller, zeros too, in the first, what is larger in the last; NaN and inf left out).
    """

    kind: ClassVar[str] = "parameters"
    names: tuple[str, ...]
    gradient_norm: Floats
    weight_norm: Floats
    update_ratio: Floats
    idle: Floats
    edges: Floats
    weight_histogram: Ints
    gradient_histogram: Ints
    seconds: float


def tensor_words(name: str) -> str:
    """Return a parameter's name with its layer as people count, as in "layers.1.weight_hh_l0 (of layer 2)"."""
    layer = re.match(r"layers\.(\d+)\.", name)
    return f"{name} (of layer {int(layer[1]) + 1})" if layer else name


@dataclass(frozen=True)
class Incident:
    """The black box's finding: the first bad quantity, in causal order, of an update that blew up.

    reason: "spike", "nan" or "inf". phase: "forward", "backward" or "update". quantity: in words, as "h" or
    "gradient of layers.0.weight_hh_l0". layer, t: where (from 0), None where it belongs to none. parameter: the
    tensor's name, or "". row: which sample of the batch; text: the characters it was reading (T).
    total: (L, T) float32 batch mean of log10 ||dL/dh_t|| of that batch (NaN where nothing is finite).
    rewind_to: the furthest step back that is kept in memory; again_from: the furthest since which nothing was changed
    by hand, so that from there the same happens again.
    Of a spike, layer, t, row, text and total are those of the update before it, which made the weights; its own where
    somebody changed something in between.
    """

    kind: ClassVar[str] = "incident"
    reason: str
    phase: str
    quantity: str
    value: str
    layer: int | None
    t: int | None
    parameter: str
    row: int
    text: str
    total: Floats
    loss: float
    grad_norm: float
    rewind_to: int
    explanation: str
    again_from: int = 0


LabEvent: TypeAlias = Triangle | Jacobian | Lyapunov | Horizon | Clipping | Parameters | Incident
LAB_EVENTS = (Triangle, Jacobian, Lyapunov, Horizon, Clipping, Parameters, Incident)
LARGE_LAB = frozenset({"triangle", "parameters", "clipping"})

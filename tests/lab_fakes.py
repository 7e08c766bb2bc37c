"""Made-up but plausible events of the gradient lab, for tests of readers and screens. No torch."""

from __future__ import annotations

import numpy as np

from rnnscope.config import Config
from rnnscope.recording.lab_events import (
    Clipping,
    Horizon,
    Incident,
    Jacobian,
    LabEvent,
    Lyapunov,
    Parameters,
    Triangle,
)


def lab_events(config: Config, text: str, rng: np.random.Generator) -> list[LabEvent]:
    """Return one event of every kind but Incident, for a network and window of the configuration's sizes."""
    L, T, H = config.model.layers, config.training.bptt, config.model.hidden
    text = (text * (T // len(text) + 2))[: T + 1]
    return [
        _triangle(L, T, text, rng),
        _jacobian(config.model.cell, L),
        Lyapunov(np.sort(rng.normal(-0.3, 0.1, 10))[::-1].copy(), 200, 50, False, 0.3),
        _horizon(config.model.cell, L, H, rng),
        _clipping(L, T, rng),
        _parameters(L, rng),
    ]


def _triangle(L: int, T: int, text: str, rng: np.random.Generator) -> Triangle:
    lag = (np.arange(T)[:, None] - np.arange(T)[None, :]).astype(np.float32)
    norms = -0.5 - 0.12 * lag[None] * (1 + np.arange(L)[::-1, None, None]) + rng.normal(0, 0.1, (L, T, T))
    norms[:, lag < 0] = np.nan
    return Triangle(norms.astype(np.float32), text[:T], text[1 : T + 1], 0.1)


def _jacobian(cell: str, L: int) -> Jacobian:
    plain = cell in ("tanh", "relu")
    spans = np.array([1, 2, 4, 8, 16, 32])
    singular = (0.1 - 0.25 * np.log2(spans)[:, None] - 0.1 * np.arange(8)[None]).astype(np.float32)
    radius, largest = (np.full(L, value if plain else np.nan) for value in (0.58, 1.14))
    return Jacobian(radius, largest, 1.0 if plain else None, spans, singular, 0.1)


def _horizon(cell: str, L: int, H: int, rng: np.random.Generator) -> Horizon:
    contexts = 2 ** np.arange(8)
    gate = {"lstm": "f", "gru": "z"}.get(cell, "")
    lives = rng.lognormal(1, 1, (L, H)) if gate else np.zeros((0, 0))
    half_life = np.array([4.0, 9.0, 14.0])[np.arange(L) % 3]
    return Horizon(half_life, contexts, 1.6 + 1.5 / contexts, 1.58, 20_000, lives.astype(np.float32), gate, 0.2)


def _clipping(L: int, T: int, rng: np.random.Generator) -> Clipping:
    before = rng.lognormal(1.2, 0.6, 200)
    parts = rng.normal(-1.0, 0.2, (L, T)).astype(np.float32)
    layer, t = (int(i) for i in np.unravel_index(int(parts.argmax()), parts.shape))
    return Clipping(
        before, np.minimum(before, 5.0), 5.0, "norm", float((before > 5).mean()), 0.7, parts, layer, t, 0.05
    )


def _parameters(L: int, rng: np.random.Generator) -> Parameters:
    each = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    recurrent = [f"layers.{layer}.{name}_l0" for layer in range(L) for name in each]
    names = ("embedding.weight", "decoder.weight", "decoder.bias", *recurrent)
    edges = np.linspace(-12.0, 4.0, 33)
    counts = rng.integers(0, 500, (2, len(names), 32))
    idle = np.array([np.nan if "layers" not in name else 0.1 for name in names])
    norms, weights, ratios = (
        rng.lognormal(-2, 1, len(names)),
        rng.lognormal(1, 1, len(names)),
        rng.lognormal(-7, 1, len(names)),
    )
    return Parameters(names, norms, weights, ratios, idle, edges, counts[0], counts[1], 0.02)


def fake_incident(config: Config, text: str) -> Incident:
    """Return what the black box would say of an explosion in the lowest layer."""
    L, T = config.model.layers, config.training.bptt
    total = np.linspace(6.0, 1.0, T, dtype=np.float32)[None].repeat(L, 0)
    return Incident(
        reason="inf", phase="backward", quantity="dL/dh", value="inf", layer=0, t=3, parameter="", row=2,
        text=(text * (T // len(text) + 1))[:T], total=total, loss=3.2, grad_norm=float("inf"), rewind_to=192,
        again_from=250,
        explanation="the gradient grew by 1.4 each step back in time until float32 had no number for it",
    )  # fmt: skip

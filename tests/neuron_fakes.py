"""Made-up but plausible events of the neuron lab, for tests of readers and screens. No torch."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rnnscope.config import Config
from rnnscope.recording.neuron_events import (
    Activations,
    Attribution,
    Birth,
    Contexts,
    Interventions,
    NeuronEvent,
    Saturation,
    StateSpace,
    Units,
)
from rnnscope.registry import CELLS

QUOTED = (
    'The fox said: "I am not afraid (of you)."\nAnna: "Nor am I!" she cried, and ran.\n'
    '    "12 hens," he said, "is all I ask."\nAnd so they went home.\n'
)
CONCEPTS = {
    "inside quotes": "AUC", "parenthesis depth": "R2", "position in line": "R2", "capital": "AUC", "vowel": "AUC",
    "digit": "AUC", "next is newline": "AUC", "comment": "AUC",
}  # fmt: skip
FOUND = 3
"""Units listed for each concept."""


def neuron_events(config: Config, text: str, rng: np.random.Generator) -> list[NeuronEvent]:
    """Return one event of every kind, for a network of the configuration's sizes that has read `text`."""
    L, H = config.model.layers, config.model.hidden
    shown = CELLS[config.model.cell].shown
    return [
        fake_activations(config, text, rng), fake_units(L, H, rng), fake_contexts(text, H, rng),
        fake_saturation(shown, L, H, rng), fake_statespace(text, rng), fake_birth(text, rng),
        fake_interventions(text, L, H, rng), fake_attribution(text, rng),
    ]  # fmt: skip


def within_quotes(text: str) -> NDArray[np.bool_]:
    """Return which characters of `text` have an odd number of quotation marks up to and including them."""
    return np.array([text[: n + 1].count('"') % 2 == 1 for n in range(len(text))])


def fake_activations(config: Config, text: str, rng: np.random.Generator, source: str = "prompt") -> Activations:
    """Return units that drift, but unit 1, which knows about quotation marks, and unit 2, which counts in the line."""
    L, H, N = config.model.layers, config.model.hidden, len(text)
    fields = CELLS[config.model.cell].shown
    units = np.tanh(np.cumsum(rng.normal(0, 0.3, (len(fields), L, N, H)), axis=2))
    column = np.array([len(text[: n + 1].rsplit("\n", 1)[-1]) for n in range(N)])
    units[..., min(1, H - 1)] = np.where(within_quotes(text), 0.85, -0.7) + rng.normal(0, 0.05, N)
    units[..., min(2, H - 1)] = np.tanh(column / 20 - 1)
    gates = [index for index, name in enumerate(fields) if name in ("i", "f", "o", "r", "z")]
    units[gates] = np.clip((units[gates] + 1) / 2, 0, 1)
    probability = rng.uniform(0.05, 1, N).astype(np.float32)
    probability[0] = np.nan
    following = (text[1:] + " ", " etaoinshr"[: N or 1] * N, "e" * N, "\n" * N, '"' * N)
    top = tuple(one[:N] for one in following)
    shares = np.array([0.52, 0.2, 0.11, 0.04, 0.02])
    top_probability = np.repeat(shares[:, None], N, axis=1).astype(np.float32)
    order = np.stack([rng.permutation(H) for _ in range(L)])
    return Activations(
        source, text, N, probability, top, top_probability, fields, units.astype(np.float16), order, 0.05
    )


def fake_units(L: int, H: int, rng: np.random.Generator) -> Units:
    """Return a search in which unit 1 of the last layer tells quotes, and nobody tells comments."""
    C = len(CONCEPTS)
    scores = np.sort(rng.uniform(0.55, 0.9, (C, FOUND)), axis=1)[:, ::-1].copy()
    nulls = rng.uniform(0.5, 0.62, C)
    layers, units = rng.integers(0, L, (C, FOUND)), rng.integers(0, H, (C, FOUND))
    scores[0, 0], nulls[0], layers[0, 0], units[0, 0] = 0.97, 0.61, L - 1, min(1, H - 1)
    scores[-1], nulls[-1] = (0.57, 0.55, 0.54), 0.63
    signs = rng.choice([-1, 1], (C, FOUND))
    signs[0, 0] = 1
    return Units(
        field="h", chars=100_000, shifts=100, concepts=tuple(CONCEPTS), measures=tuple(CONCEPTS.values()),
        layers=layers, units=units, scores=scores.astype(np.float32), signs=signs, nulls=nulls.astype(np.float32),
        probes=np.minimum(scores[:, 0] + 0.04, 0.999).astype(np.float32),
        shares=rng.uniform(0.02, 0.4, C).astype(np.float32), seconds=3.2,
    )  # fmt: skip


def fake_contexts(text: str, H: int, rng: np.random.Generator, span: str = "") -> Contexts:
    """Return snippets of 60 characters: half exciting, half inhibiting, or all of one pattern."""
    K, W = 8, 60
    pool = text * (2 * W // len(text) + 2)
    offsets = rng.integers(0, len(text), K)
    snippets = tuple(pool[at : at + W - (3 if k == 0 else 0)] for k, at in enumerate(offsets.tolist()))
    groups = np.zeros(K, np.int64) if span else np.repeat([1, -1], K // 2)
    peaks = rng.integers(20, W - 10, K)
    at = np.arange(W)
    values = np.where(groups < 0, -1, 1)[:, None] * np.exp(-(((at - peaks[:, None]) / 12.0) ** 2))
    for k, snippet in enumerate(snippets):
        values[k, len(snippet) :] = np.nan
    scores = np.where(groups < 0, -1, 1) * np.linspace(0.99, 0.8, K)
    return Contexts(
        field="h", layer=0, unit=min(1, H - 1), chars=100_000, snippets=snippets, groups=groups, offsets=offsets * 97,
        peaks=peaks, values=values.astype(np.float16), scores=scores.astype(np.float32), span=span,
        on=np.arange(min(H, 5)) if span else np.zeros(0, np.int64), threshold=0.5, seconds=4.1,
    )  # fmt: skip


def fake_saturation(shown: tuple[str, ...], L: int, H: int, rng: np.random.Generator) -> Saturation:
    """Return shares of time of every quantity, few of them large in the first layer."""
    G = len(shown)
    parts = rng.dirichlet([0.4, 0.4, 1.5], (G, L, H))
    gates = np.array([name in ("i", "f", "o", "r", "z") for name in shown])
    return Saturation(
        fields=shown, low=np.where(gates, 0.1, -0.9), high=np.full(G, 0.9),
        left=parts[..., 0].astype(np.float32), right=parts[..., 1].astype(np.float32), chars=20_000, seconds=0.4,
    )  # fmt: skip


def fake_statespace(text: str, rng: np.random.Generator, N: int = 600) -> StateSpace:
    """Return states in three heaps, of letters, of blanks and of quoted text."""
    whole = text * (N // len(text) + 1) + text
    quoted = within_quotes(whole)
    blank = np.array([not letter.isalnum() for letter in whole])
    points = rng.normal(0, 0.5, (len(whole), 3)) + np.stack([4.0 * quoted - 2, 3.0 * blank - 1, 0 * blank], axis=1)
    return StateSpace(
        field="h", layer=0, text=whole, points=points.astype(np.float32),
        explained=np.array([0.31, 0.14, 0.06], np.float32), trajectory=len(text),
        concepts=("inside quotes", "position in line"),
        labels=np.stack([quoted, np.arange(len(whole)) % 40]).astype(np.float16), seconds=0.9,
    )  # fmt: skip


def fake_birth(text: str, rng: np.random.Generator, S: int = 12) -> Birth:
    """Return a unit that learns about quotes in the middle of training."""
    steps = np.unique(np.round(np.geomspace(1, 300, S)).astype(int))
    grown = 1 / (1 + np.exp(-(np.arange(len(steps)) - len(steps) / 2)))
    target = np.where(within_quotes(text), 0.9, -0.8)
    values = grown[:, None] * target[None] + rng.normal(0, 0.1, (len(steps), len(text)))
    return Birth(
        field="h", layer=0, unit=1, text=text, steps=steps, values=values.astype(np.float16),
        losses=(1.5 + 2.6 * np.exp(-steps / 100)).astype(np.float32), concept="inside quotes", measure="AUC",
        scores=(0.5 + 0.47 * grown).astype(np.float32), seconds=1.2,
    )  # fmt: skip


def fake_interventions(text: str, L: int, H: int, rng: np.random.Generator, N: int = 160) -> Interventions:
    """Return a continuation in which the closing quotes go wrong without unit 1."""
    control = (text * (N // len(text) + 1))[:N]
    at = control.index('"') + 4 if '"' in control else N // 3
    changed = (control[:at] + control[at:].replace('"', "'").replace(".", "!"))[:N]
    difference = next((i for i, (a, b) in enumerate(zip(control, changed, strict=True)) if a != b), -1)
    load = rng.exponential(0.01, (L, H)).astype(np.float32)
    load[-1, min(1, H - 1)] = 0.31
    return Interventions(
        how="zero", value=0.0, layer=L - 1, units=(min(1, H - 1),), prefix="She said: ", control=control,
        changed=changed, difference=difference, temperature=0.8, seed=1,
        probability_control=rng.uniform(0.05, 1, N).astype(np.float32),
        probability_changed=rng.uniform(0.05, 1, N).astype(np.float32), loss_control=1.583, loss_changed=1.642,
        seconds=0.7, load=load,
    )  # fmt: skip


def fake_attribution(text: str, rng: np.random.Generator) -> Attribution:
    """Return scores of the characters before the last, strongest at the nearest and at a quotation mark."""
    N = len(text)
    near = np.exp(-np.arange(N)[::-1] / 6)
    scores = near * rng.normal(0.5, 1, N)
    marks = [i for i, letter in enumerate(text) if letter == '"']
    scores[marks[-1:]] += 1.4
    return Attribution(
        method="layer integrated gradients on the embedding, 50 steps", baseline="a space at every position",
        explained="logit of ‘e’ as the next character", text=text, target="e", scores=scores.astype(np.float32),
        connectivity=(near + 0.02).astype(np.float32), value=5.31, at_baseline=1.02, delta=0.0031, seconds=0.6,
    )  # fmt: skip

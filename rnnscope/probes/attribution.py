"""Which earlier characters made the model predict this one, or gave a unit its value: attribution with Captum.

Of one number, the logit of a next character or the value of a unit after the last character read, it says how much
each character contributed, against a baseline: the training text's commonest character, a space in most, everywhere.

Why not a zero vector, as is usual: without input a trained network is left to its own dynamics, which may be chaotic.
On the way from there to the text, gradients of an LSTM (1x128, 1,500 steps on shakespeare.txt, 100 characters) reached
470,000, and 1,024 steps of integrated gradients missed completeness by up to 3,600%; from the mean vector it was no
better. From spaces they stayed below 60, and 32 to 64 steps were within 1%. The price: a space scores zero.

- integrated gradients (Sundararajan et al. 2017): gradients along the straight line from the baseline to the text,
  times their distance. The scores add up to the number minus that of the baseline, which is checked: `delta`.
- input x gradient: the first order alone.
- feature ablation and occlusion: the number minus what it is without one character, or averaged over all stretches of
  OCCLUDED characters around it.
- connectivity (Madsen, Distill 2019): ||d number / d x_t||, how much it would change with the input vector x_t.

DeepLift is not here: on recurrent layers Captum's equals input x gradient and misses completeness, without an error.

Captum takes dimension 0 as the batch, so it only ever sees `Reader`, which is batch first. That reads by the scan, in
a copy of the network: cuDNN takes no backward pass in evaluation mode, and weights, .grad and mode stay as they are.
"""

from __future__ import annotations

import copy
import itertools
import math
import time
from collections.abc import Callable
from typing import NamedTuple, cast

import numpy as np
import torch
from captum.attr import (
    FeatureAblation,
    LayerGradientXActivation,
    LayerIntegratedGradients,
    NeuronIntegratedGradients,
    Occlusion,
)
from numpy.typing import NDArray
from torch import Tensor, nn

from rnnscope.cells import products
from rnnscope.cells.scan import scan
from rnnscope.corpus import Corpus, Vocabulary
from rnnscope.errors import UserError
from rnnscope.model import CharRNN, State
from rnnscope.probes.gradients import hidden_norm
from rnnscope.probes.reading import text_of
from rnnscope.probes.sampling import device_of
from rnnscope.probes.stretches import AT_ONCE
from rnnscope.probes.subject import Subject
from rnnscope.recording.neuron_events import Attribution
from rnnscope.recording.requests import Request

CONTEXT = 200
"""Characters before the position that are scored; those before them are read as they are."""
OCCLUDED = 5
"""Characters of a stretch that occlusion hides at a time: about a word."""
STRETCHES, STEPS, MOST_STEPS = 2, 16, 2048
"""Of the line of integrated gradients: stretches at first, points on each, and points taken at most."""
DELTA = 0.01
"""Completeness error of integrated gradients that is small enough."""
ROWS = 32
"""Texts that are read side by side."""
COMPARED = frozenset({"integrated_gradients", "feature_ablation", "occlusion"})
"""Methods with a baseline."""
COUNTED = 1_000_000
"""Characters of the training text that are counted to find the commonest."""


class Number(NamedTuple):
    """What is explained: one entry of the logits (field ""), or of a field (h, c or a gate) of a layer: a unit."""

    field: str
    layer: int
    entry: int


class Inputs(nn.Module):
    """Ids (B, N) -> input vectors (B, N, I), embeddings or one-hot: a layer that Captum can explain.

    share (B, 1): how far on the straight line from the baseline, which is the character `common` everywhere, to the
    text; 1 where there is none.
    """

    def __init__(self, model: CharRNN, common: int) -> None:
        super().__init__()
        self.model, self.common = model, common

    def forward(self, ids: Tensor, share: Tensor | None = None) -> Tensor:
        x = self.model.embed(ids)
        if share is None:
            return x
        return torch.lerp(self.model.embed(torch.full_like(ids, self.common)), x, share.unsqueeze(-1))


class Reader(nn.Module):
    """A network as Captum needs it, batch first: ids (B, N), or their input vectors (B, N, I) -> what may be explained.

    That is, after the last character, the logits (B, V) or a field of a layer's units (B, H). They pass through `tap`,
    since Captum's methods for neurons fail on a layer that returns tuples.

    Args:
        model: read by its scan; see `still`. state: before the first character, (1, H) each.
        number: which of them. common: see `Inputs`.
        watch: called before each reading with how many texts are read side by side.
    """

    def __init__(self, model: CharRNN, state: State, number: Number, common: int, watch: Callable[[int], None]) -> None:
        super().__init__()
        self.inputs, self.tap = Inputs(model, common), nn.Identity()
        self.model, self.state, self.number, self.watch = model, state, number, watch

    def forward(self, given: Tensor, share: Tensor | None = None) -> Tensor:
        self.watch(len(given))
        x = given if given.is_floating_point() else self.inputs(given, share)
        return cast(Tensor, self.tap(self.read(x.transpose(0, 1).contiguous())))

    def read(self, x: Tensor) -> Tensor:
        """Return (B, V) or (B, H) from input vectors (N, B, I), time-major."""
        model, cell, number = self.model, self.model.cell, self.number
        for index, layer in enumerate(model.layers):
            weight, bias, recurrent = layer.get_parameter("weight_ih_l0"), cell.bias(layer), cell.recurrent(layer)
            before = tuple(s.repeat(x.shape[1], 1) for s in self.state[index])
            p = products.linear(x, weight, bias, model.precision)
            last = p[-1].clone()  # the scan takes p's memory over
            out, after = scan(cell, p, before, recurrent, precision=model.precision)
            if number.field and index == number.layer:
                if number.field in cell.states:
                    return after[cell.states.index(number.field)]
                h = out[-2] if len(out) > 1 else before[0]
                return cell.gate_values(last, (h, *before[1:]), recurrent)[cell.gates.index(number.field)]
            x = out
        return nn.functional.linear(x[-1], model.decoder.weight, model.decoder.bias)


class Watch:
    """Says how far a method has come: called with every few texts that were read."""

    def __init__(self, report: Callable[[float, str], None]) -> None:
        self.report = report
        self.begin("", 1)

    def begin(self, what: str, texts: int) -> None:
        """A method begins that will read so many texts."""
        self.what, self.texts, self.done = what, texts, 0

    def __call__(self, texts: int) -> None:
        self.report(min(1.0, self.done / self.texts), self.what)
        self.done += texts


@torch.enable_grad()
def measure(subject: Subject, request: Request) -> Attribution:
    """Return the event for the character at `request.position` of the text, or the unit's value there.

    Raises:
        UserError: no such position or target; see also `text_of`.
    """
    started = time.perf_counter()
    vocabulary, position = subject.corpus.vocabulary, request.position
    ids = text_of(subject, request).ids
    if not -1 <= position < len(ids):
        raise UserError(f"--position {position}: the text has {len(ids):,} characters, counted from 0; -1 is the last")
    ids = ids[: position + 1] if position >= 0 else ids
    skipped = max(0, len(ids) - CONTEXT)
    model, watch = still(subject.model), Watch(subject.report)
    state, scored = _read_earlier(model, ids, skipped, subject.report)
    number = Number(request.field, request.layer, request.units[0])
    if not request.of_unit:
        number = Number("", -1, _target(vocabulary, request.target, model, scored, state))
    common = commonest(subject.corpus)
    reader = Reader(model, state, number, common, watch)
    at_baseline, value = along(reader, scored, [0.0, 1.0]).tolist()
    gradient = connectivity(reader, scored)
    method, scores = explain(reader, scored, request.method, watch)
    compared, complete = request.method in COMPARED, request.method == "integrated_gradients"
    earlier = f"; the {skipped:,} characters before stay" if skipped else ""
    return Attribution(
        method=method,
        baseline=f"{vocabulary.decode([common])!r} in place of a character{earlier}" if compared else "none",
        explained=f"{_named(number, vocabulary, model)} after {len(ids):,} characters",
        text=vocabulary.decode(ids[skipped:]),
        target="" if number.field else vocabulary.decode([number.entry]),
        scores=scores.cpu().numpy(),
        connectivity=gradient.cpu().numpy(),
        value=value,
        at_baseline=at_baseline if compared else math.nan,
        delta=completeness_error(scores, value - at_baseline) if complete else math.nan,
        seconds=time.perf_counter() - started,
    )


def still(model: CharRNN) -> CharRNN:
    """Return a copy of the network that reads by the scan, without dropout, and whose weights take no gradient."""
    twin = copy.deepcopy(model).requires_grad_(False).eval()
    twin.kernel, twin.precision, twin.record_gradients = "scan", "float32", False
    return twin


def commonest(corpus: Corpus) -> int:
    """Return the id of the character that the training text has most often."""
    return int(np.bincount(corpus.train[:COUNTED]).argmax())


def along(reader: Reader, ids: Tensor, shares: list[float]) -> Tensor:
    """Return the number at some shares of the way from the baseline to the text, ids (1, N): (S,) float64."""
    found = []
    for some in torch.split(torch.tensor(shares).to(reader.model.decoder.weight), ROWS):
        with torch.no_grad():
            found.append(reader(ids.expand(len(some), -1), some[:, None])[:, reader.number.entry])
    return torch.cat(found).cpu().double()


def explain(reader: Reader, ids: Tensor, method: str, watch: Watch) -> tuple[str, Tensor]:
    """Return what a method of `Request.method` is in words, and its scores (N,) for the text, ids (1, N)."""
    entry, vectors = reader.number.entry, "one-hot input" if reader.model.embedding is None else "embedding"
    base = torch.full_like(ids, reader.inputs.common)
    match method:
        case "integrated_gradients":
            scores, steps = integrated_gradients(reader, ids, watch)
            return f"integrated gradients, of the {vectors}, {steps:,} steps", scores
        case "input_x_gradient":
            found = LayerGradientXActivation(reader, reader.inputs).attribute(ids, target=entry)
            return f"input x gradient, of the {vectors}", found[0].detach().sum(-1)
        case "feature_ablation":
            watch.begin("feature ablation", ids.shape[1])
            ablation = FeatureAblation(reader)
            scores = ablation.attribute(ids, baselines=base, target=entry, perturbations_per_eval=ROWS)
            return "feature ablation, one character at a time", scores[0]
        case "occlusion":
            watch.begin("occlusion", ids.shape[1])
            size = min(OCCLUDED, ids.shape[1])
            occlusion = Occlusion(reader)
            scores = occlusion.attribute(ids, (size,), baselines=base, target=entry, perturbations_per_eval=ROWS)
            return f"occlusion, {size} characters at a time, mean of all", scores[0]
    return f"connectivity, ||d/dx|| of the {vectors}", connectivity(reader, ids)


def integrated_gradients(reader: Reader, ids: Tensor, watch: Watch) -> tuple[Tensor, int]:
    """Return scores (N,) of the text, ids (1, N), and how many points on the line they are made of.

    Where a recurrent network changes its mind, the gradient is a spike that evenly spread points miss. But integrated
    gradients are complete on every stretch of the line: those that are not, by more than their part of DELTA, are
    halved, until all of them together are, or MOST_STEPS points were taken.
    """
    watch.begin("integrated gradients", MOST_STEPS)
    ends = torch.linspace(0, 1, STRETCHES + 1, dtype=torch.float64).tolist()
    numbers = dict(zip(ends, along(reader, ids, ends).tolist(), strict=True))
    allowed = DELTA * abs(numbers[1.0] - numbers[0.0])
    found: dict[tuple[float, float], Tensor] = {}
    pending, taken = list(itertools.pairwise(ends)), 0
    while True:
        for some in (pending[i : i + ROWS] for i in range(0, len(pending), ROWS)):
            found.update(zip(some, stretch(reader, ids, some), strict=True))
            taken += STEPS * len(some)
        errors = {
            (low, high): abs(float(scores.double().sum()) - (numbers[high] - numbers[low]))
            for (low, high), scores in found.items()
        }
        if not sum(errors.values()) > allowed or taken >= MOST_STEPS:  # NaN: no more points can help
            return torch.stack(list(found.values())).sum(0), STEPS * len(found)
        worst = [ends for ends, error in errors.items() if error > allowed / len(errors)]
        middles = [(low + high) / 2 for low, high in worst]
        numbers.update(zip(middles, along(reader, ids, middles).tolist(), strict=True))
        for ends_ in worst:
            del found[ends_]
        pending = [
            half for (low, high), middle in zip(worst, middles, strict=True) for half in ((low, middle), (middle, high))
        ]


def stretch(reader: Reader, ids: Tensor, ends: list[tuple[float, float]]) -> Tensor:
    """Return Captum's integrated gradients on S stretches of the line, each by STEPS points: (S, N)."""
    entry, texts = reader.number.entry, ids.expand(len(ends), -1)
    low, high = torch.tensor(ends).to(reader.model.decoder.weight).t().unsqueeze(-1)
    options = {"n_steps": STEPS, "internal_batch_size": max(ROWS, len(ends))}
    if reader.number.field:
        neuron = NeuronIntegratedGradients(reader, reader.tap)
        start, stop = (reader.inputs(texts, share) for share in (low, high))
        found = neuron.attribute(stop.requires_grad_(), entry, start, **options)
    else:
        layer = LayerIntegratedGradients(reader, reader.inputs)
        found = layer.attribute((texts, high), (texts, low), target=entry, **options)
    return cast(Tensor, found).detach().sum(-1)


def connectivity(reader: Reader, ids: Tensor) -> Tensor:
    """Return ||d number / d x_t|| over the input vectors (Madsen 2019), (N,) float64, for ids (1, N)."""
    x = reader.inputs(ids).requires_grad_()
    number = reader(x)[0, reader.number.entry]
    (gradient,) = torch.autograd.grad(number, x)
    return hidden_norm(gradient[0])


def completeness_error(scores: Tensor, change: float) -> float:
    """Return |sum of scores - change| / |change|, of the change from the baseline to the text."""
    gap = abs(float(scores.double().sum()) - change)
    return gap / abs(change) if change else gap and math.inf


@torch.no_grad()
def _read_earlier(
    model: CharRNN, ids: NDArray[np.int64], skipped: int, report: Callable[[float, str], None]
) -> tuple[State, Tensor]:
    """Return the state after the first `skipped` characters, and the others (1, N)."""
    given, state = torch.from_numpy(ids).to(device_of(model)), model.initial_state(1)
    for begin in range(0, skipped, AT_ONCE):
        report(0.0, "reading what comes before")
        _, state, _ = model.outputs(given[begin : min(begin + AT_ONCE, skipped), None], state)
    return state, given[None, skipped:]


@torch.no_grad()
def _target(vocabulary: Vocabulary, target: str, model: CharRNN, ids: Tensor, state: State) -> int:
    """Return the id of the next character whose logit is explained: `target`, or the most probable after ids (1, N)."""
    if not target:
        return int(model(ids.t(), state)[0][-1, 0].argmax())
    found = vocabulary.encode(target)
    if len(found) != 1:
        raise UserError(f"--target {target!r}: give one character")
    return int(found[0])


def _named(number: Number, vocabulary: Vocabulary, model: CharRNN) -> str:
    if not number.field:
        return f"logit of {vocabulary.decode([number.entry])!r}"
    return f"{number.field} of unit {number.entry} in layer {number.layer + 1} of {len(model.layers)}"

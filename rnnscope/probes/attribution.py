"""Which earlier characters made the model predict this one, or gave a unit its value: attribution with Captum.

Of one number, the logit of a next character or the value of a unit after the last character read, it says how much
each character contributed, against a baseline: the training text's commonest character, a space in most, everywhere.

Why not a zero vector, as is usual: without input a trained network is left to its own dynamics, which may be chaotic.
On the way from there to the text, gradients of an LSTM (1x128, 1,500 steps on shakespeare.txt, 100 characters) reached
470,000 and 1,024 steps of integrated gradients missed completeness by up to 3,600%; from the mean vector it was no
better. From spaces they stayed below 60, and 32 to 128 steps were within 1%. The price: a space scores zero.

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
from rnnscope.probes.subject import Subject
from rnnscope.recording.neuron_events import Attribution
from rnnscope.recording.requests import Request

CONTEXT = 200
"""Characters before the position that are scored; those before them are read as they are."""
OCCLUDED = 5
"""Characters of a stretch that occlusion hides at a time: about a word."""
STEPS, MOST_STEPS = 32, 1024
"""Points on the line of integrated gradients: doubled from the first to the second, until `delta` is small enough."""
DELTA = 0.01
"""Completeness error that is small enough."""
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
    """Ids (B, N) -> input vectors (B, N, I), embeddings or one-hot: a layer that Captum can explain."""

    def __init__(self, model: CharRNN) -> None:
        super().__init__()
        self.model = model

    def forward(self, ids: Tensor) -> Tensor:
        return self.model.embed(ids)


class Reader(nn.Module):
    """A network as Captum needs it, batch first: ids (B, N), or their input vectors (B, N, I) -> what may be explained.

    That is, after the last character, the logits (B, V) or a field of a layer's units (B, H). They pass through `tap`,
    since Captum's methods for neurons fail on a layer that returns tuples.

    Args:
        model: read by its scan; see `still`. state: before the first character, (1, H) each.
        number: which of them. watch: called before each reading with how many texts are read side by side.
    """

    def __init__(self, model: CharRNN, state: State, number: Number, watch: Callable[[int], None]) -> None:
        super().__init__()
        self.inputs, self.tap = Inputs(model), nn.Identity()
        self.model, self.state, self.number, self.watch = model, state, number, watch

    def forward(self, given: Tensor) -> Tensor:
        self.watch(len(given))
        x = given if given.is_floating_point() else self.inputs(given)
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
    state, scored = _read_earlier(model, ids, skipped)
    number = Number(request.field, request.layer, request.units[0])
    if not request.of_unit:
        number = Number("", -1, _target(vocabulary, request.target, model, scored, state))
    reader = Reader(model, state, number, watch)
    common = commonest(subject.corpus)
    base = torch.full_like(scored, common)
    with torch.no_grad():
        value, at_baseline = (float(reader(ids)[0, number.entry]) for ids in (scored, base))
    gradient = connectivity(reader, scored)
    method, scores = explain(reader, scored, base, request.method, value - at_baseline, watch)
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


def explain(reader: Reader, ids: Tensor, base: Tensor, method: str, change: float, watch: Watch) -> tuple[str, Tensor]:
    """Return what a method of `Request.method` is in words, and its scores (N,).

    Args:
        ids, base: the text, and the baseline, (1, N). change: the number for the text minus that for the baseline.
    """
    entry, vectors = reader.number.entry, "one-hot input" if reader.model.embedding is None else "embedding"
    match method:
        case "integrated_gradients":
            steps, scores = _integrated_gradients(reader, ids, base, change, watch)
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


def _integrated_gradients(reader: Reader, ids: Tensor, base: Tensor, change: float, watch: Watch) -> tuple[int, Tensor]:
    """Return scores (N,) whose completeness error is at most DELTA, or those of MOST_STEPS; and the steps it took."""
    steps = STEPS
    while True:
        watch.begin(f"integrated gradients, {steps:,} steps", steps)
        options = {"n_steps": steps, "internal_batch_size": ROWS}
        if reader.number.field:
            x, start = reader.inputs(ids).requires_grad_(), reader.inputs(base)
            found = NeuronIntegratedGradients(reader, reader.tap).attribute(x, reader.number.entry, start, **options)
        else:
            layer = LayerIntegratedGradients(reader, reader.inputs)
            found = layer.attribute(ids, base, target=reader.number.entry, **options)
        scores = found[0].detach().sum(-1)
        if not completeness_error(scores, change) > DELTA or steps >= MOST_STEPS:  # NaN: no more steps can help
            return steps, scores
        steps *= 2


def connectivity(reader: Reader, ids: Tensor) -> Tensor:
    """Return ||d number / d x_t|| over the input vectors (Madsen 2019), (N,) float64, for ids (1, N)."""
    x = reader.inputs(ids).requires_grad_()
    with torch.enable_grad():
        number = reader(x)[0, reader.number.entry]
    (gradient,) = torch.autograd.grad(number, x)
    return hidden_norm(gradient[0])


def completeness_error(scores: Tensor, change: float) -> float:
    """Return |sum of scores - change| / |change|, of the change from the baseline to the text."""
    gap = abs(float(scores.double().sum()) - change)
    return gap / abs(change) if change else gap and math.inf


@torch.no_grad()
def _read_earlier(model: CharRNN, ids: NDArray[np.int64], skipped: int) -> tuple[State, Tensor]:
    """Return the state after the first `skipped` characters, and the others (1, N)."""
    given, state = torch.from_numpy(ids).to(device_of(model)), model.initial_state(1)
    if skipped:
        _, state = model(given[:skipped, None], state)
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

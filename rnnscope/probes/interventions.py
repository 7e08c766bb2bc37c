"""Interventions: units held while the model runs free, beside the control on the same random numbers, and what the
validation loss loses by it; or the same for every unit of a layer in turn ("load-bearing units").

Mean ablation replaces a unit by its mean over real text: what is lost is what it told, not that it was there.
"""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable
from itertools import islice, pairwise
from typing import NamedTuple, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from rnnscope.cells.base import LayerState
from rnnscope.errors import UserError
from rnnscope.generating import Change, Stepper, Strategy, free_run, log_probability_of, uniforms
from rnnscope.model import CharRNN, State
from rnnscope.probes.holding import How, hold
from rnnscope.probes.sampling import default_prompt, device_of
from rnnscope.probes.stretches import spread
from rnnscope.probes.subject import Subject
from rnnscope.recording.lab_events import Floats
from rnnscope.recording.neuron_events import Interventions
from rnnscope.recording.requests import Request

Report: TypeAlias = Callable[[float], None]

LOSS_STRETCHES, LOSS_LENGTH = 64, 257
"""Stretches of the validation part, and characters of each, that the loss is measured on."""
RANK_STRETCHES, RANK_LENGTH = 16, 201
"""The same for the loss of every unit in turn."""
ROWS = 512
"""Stretches read side by side, at most, when every unit is held in turn."""

OFTEN = 16
"""Steps between two reports."""


def measure(subject: Subject, request: Request) -> Interventions:
    """Write `length` characters after the prompt (default: a newline) twice, with nothing and with the units held.

    They are held from the first character of the prompt on. Both texts come from the same random numbers, so "none"
    gives the control itself. The losses are those of stretches of the validation part, each from a zero state.

    Raises:
        UserError: the prompt has characters that the vocabulary lacks, or a gate cannot be held so.
        Cancelled: out of subject.report.
    """
    started = time.perf_counter()
    model, vocabulary = subject.model, subject.corpus.vocabulary
    if request.ranked and request.field not in model.cell.states:
        raise UserError(f"--ranked holds h or c of every unit in turn; it cannot hold the gate {request.field}")
    device = device_of(model)
    given = torch.from_numpy(vocabulary.encode_prompt(request.prompt or default_prompt(vocabulary))).to(device)
    read = spread(subject.corpus.validation, LOSS_STRETCHES, LOSS_LENGTH, device)
    means = model.decoder.weight.new_zeros(model.config.hidden)
    if request.how == "mean":
        means = mean_values(model, read[:-1], request.field, request.layer)
    share = 0.1 if request.ranked else 0.5  # of the time, for each of the two
    found = []
    hows: tuple[How, How] = ("none", request.how)
    for begin, how in zip((0.0, share), hows, strict=True):
        stepper, change = hold(model, how, request.value, request.field, request.layer, request.units, means)
        report = functools.partial(_part, subject, begin, share, "writing and reading, held and not")
        found.append(_held(model, stepper, change, given, read, request, report))
    control, changed = found
    load = np.zeros((0, 0), np.float32)
    if request.ranked:
        load = np.full((model.config.layers, model.config.hidden), np.nan, np.float32)
        report = functools.partial(_part, subject, 2 * share, 1 - 2 * share, "holding every unit in turn")
        read = spread(subject.corpus.validation, RANK_STRETCHES, RANK_LENGTH, device)
        load[request.layer] = ranked(model, read, request.field, request.layer, report)
    differ = np.flatnonzero(control.ids != changed.ids)
    return Interventions(
        how=request.how,
        value=request.value,
        layer=request.layer,
        units=request.units,
        prefix=vocabulary.decode(given.cpu().numpy()),
        control=vocabulary.decode(control.ids),
        changed=vocabulary.decode(changed.ids),
        difference=int(differ[0]) if len(differ) else -1,
        temperature=request.temperature,
        seed=request.seed,
        probability_control=control.probability,
        probability_changed=changed.probability,
        loss_control=control.loss,
        loss_changed=changed.loss,
        seconds=time.perf_counter() - started,
        load=load,
        field=request.field,
    )


def _part(subject: Subject, begin: float, size: float, what: str, share: float) -> None:
    """Report `share` of a part of the work that begins at `begin` and is `size` of it."""
    subject.report(begin + size * share, what)


@torch.no_grad()
def mean_values(model: CharRNN, ids: Tensor, field: str, layer: int) -> Tensor:
    """Return the mean (H,) of h, c or a gate of a layer while ids (T, S) are read from a zero state; NaN of nothing."""
    state, total = model.initial_state(ids.shape[1]), torch.zeros(model.config.hidden, dtype=torch.float64)
    for begin in range(0, len(ids), OFTEN):
        _, state, layers = model.trace(ids[begin : begin + OFTEN], state)
        total += layers[layer][field].cpu().double().sum((0, 1))
    return (total / ids.numel()).to(model.decoder.weight)


class _Held(NamedTuple):
    """What was written, ids and probability (N,), and the loss in nats."""

    ids: NDArray[np.int64]
    probability: Floats
    loss: float


def _held(
    model: CharRNN,
    stepper: Stepper,
    change: Change | None,
    given: Tensor,
    read: Tensor,
    request: Request,
    report: Report,
) -> _Held:
    """Write after given (T,), and take the loss on read (T, S)."""
    logits, state = stepper.read(given[:, None], model.initial_state(1), change)
    numbers = uniforms(request.seed, 1, given.device)
    going = free_run(stepper, logits, state, Strategy(request.temperature), numbers, change)
    ids, before = [], []
    for n, (drawn, prediction) in enumerate(islice(going, request.length)):
        ids.append(drawn)
        before.append(log_probability_of(drawn, prediction))
        if n % OFTEN == 0:
            report(0.5 * n / request.length)
    written = torch.cat(ids)
    loss = _loss(stepper, read, model.initial_state(read.shape[1]), change, lambda share: report(0.5 + 0.5 * share))
    return _Held(written.cpu().numpy(), torch.cat(before).float().exp().cpu().numpy(), loss)


def _loss(stepper: Stepper, read: Tensor, state: State, change: Change | None, report: Report) -> float:
    """Return the mean nats per character of read (T, S), but for the first of each stretch; NaN where T is 1."""
    total, count = 0.0, read[1:].numel()
    for t, (x, y) in enumerate(pairwise(read)):
        logits, state = stepper(x, state, change)
        total += float(functional.cross_entropy(logits, y, reduction="sum"))
        if t % OFTEN == 0:
            report(t / len(read))
    return total / count if count else math.nan


class _OneEach:
    """A change that holds in each row another unit at its mean; units, values (R, 1)."""

    def __init__(self, layer: int, part: int, units: Tensor, values: Tensor) -> None:
        self.layer, self.part, self.units, self.values = layer, part, units, values

    def __call__(self, layer: int, state: LayerState) -> LayerState:
        if layer != self.layer:
            return state
        held = state[self.part].scatter(1, self.units, self.values)
        return (*state[: self.part], held, *state[self.part + 1 :])


def ranked(model: CharRNN, read: Tensor, field: str, layer: int, report: Report) -> Floats:
    """Return the nats per character (H,) that the loss on read (T, S) gains where each unit is held at its mean.

    The layers below are the same for all units, so they are read once. Means are those of the same text.
    """
    stepper, part = Stepper(model), model.cell.states.index(field)
    (length, streams), hidden = read.shape, model.config.hidden
    inputs: list[Tensor] = []  # of `layer`, (S, G) each
    total = torch.zeros(hidden, dtype=torch.float64)

    def listen(at: int, state: LayerState) -> LayerState:
        if at == layer - 1:
            inputs.append(functional.linear(state[0], *stepper.inputs[layer]))
        if at == layer:
            total.add_(state[part].cpu().double().sum(0))
        return state

    usual = _loss(stepper, read, model.initial_state(streams), listen, lambda share: report(0.0))
    if layer == 0:
        inputs = [stepper.table[x] for x in read[:-1]]
    means = (total / max(1, read[:-1].numel())).to(model.decoder.weight)
    found: list[float] = []
    for units in torch.split(torch.arange(hidden, device=read.device), max(1, ROWS // streams)):
        rows = units.repeat_interleave(streams)[:, None]
        change = _OneEach(layer, part, rows, means[rows])
        state = model.initial_state(len(rows))[layer:]
        nats = torch.zeros(len(rows), dtype=torch.float64)
        for t, (p, y) in enumerate(zip(inputs, read[1:], strict=True)):
            logits, state = stepper.above(layer, p.repeat(len(units), 1), state, change)
            nats += functional.cross_entropy(logits, y.repeat(len(units)), reduction="none").cpu()
            if t % OFTEN == 0:
                report((len(found) + len(units) * t / length) / hidden)
        found += (nats.view(len(units), streams).sum(1) / max(1, read[1:].numel()) - usual).tolist()
    return np.array(found, np.float32)

"""Exposure: teacher forcing beside free running from many prefixes of real text, by position.

Under forcing the model reads the true text; running free it reads what it wrote itself. Where its states or its
predictions part from those on real text it has to go on from what training never showed it (exposure bias: Bengio et
al. 2015, Ranzato et al. 2016). A distance means something only beside that of states on unrelated real text.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from rnnscope.errors import UserError
from rnnscope.generating import Stepper, Strategy, free_run, log_probability_of, uniforms
from rnnscope.model import CharRNN
from rnnscope.probes import oracle
from rnnscope.probes.comparison import PREFIX, relative_distance
from rnnscope.probes.judge import judge
from rnnscope.probes.sampling import device_of
from rnnscope.probes.stretches import evenly, gather
from rnnscope.probes.subject import Subject
from rnnscope.probes.telling import TOGETHER, held_out_auc
from rnnscope.recording.lab_events import Floats
from rnnscope.recording.reading_events import Exposure
from rnnscope.recording.requests import Request

BLOCK = 1 << 22
"""Numbers of one layer's gates, or of the logits, that are held at a time: 16 MB of each."""
LONGEST_WINDOW = 32
"""Positions measured at a time, at most; between two, it reports."""
TOLD_APART = 128
"""Prefixes at most whose states the probe is to tell apart."""

WRITTEN, TOLD, READ = 0.2, 0.6, 0.9
"""Shares of the work after which the model has written, the generator has judged, and all is read again."""


def measure(subject: Subject, request: Request) -> Exposure:
    """Read `prefixes` stretches of the validation part, spread evenly, and from the first 64 characters of each go on
    for `length` characters both ways. A short text has fewer and shorter ones.

    The states told apart, and their distance, are all layers' h side by side.

    Raises:
        UserError: the validation part has less than two characters.
        Cancelled: out of subject.report.
    """
    started = time.perf_counter()
    text, vocabulary = subject.corpus.validation, subject.corpus.vocabulary
    if len(text) < 2:
        raise UserError("the validation part has no text to read; give it a larger part with --split")
    prefix = min(PREFIX, max(1, len(text) // 4))
    length = prefix + min(request.length, len(text) - prefix)
    starts = evenly(len(text), request.prefixes, length)
    ids = gather(text, starts, length, device_of(subject.model))
    given, truth = ids[:prefix], ids[prefix:]
    free = written(subject, given, len(truth), request)
    shown = request.seed % ids.shape[1]
    verdict = oracle.judge(subject, starts, given, truth, free, WRITTEN, TOLD)
    found = compare(subject, given, truth, free, shown, verdict)
    name, judge_free, judge_true = _judged(subject, given, truth, free)
    differ = np.flatnonzero((truth[:, shown] != free[:, shown]).cpu().numpy())
    nothing = np.zeros(0, np.float32)
    return Exposure(
        prefixes=ids.shape[1],
        temperature=request.temperature,
        prefix=vocabulary.decode(given[:, shown].cpu().numpy()),
        truth=vocabulary.decode(truth[:, shown].cpu().numpy()),
        free=vocabulary.decode(free[:, shown].cpu().numpy()),
        divergence=int(differ[0]) if len(differ) else -1,
        judge=name,
        judge_free=judge_free,
        judge_true=judge_true,
        oracle="" if verdict is None else verdict.name,
        oracle_free=nothing if verdict is None else verdict.free,
        oracle_true=nothing if verdict is None else verdict.true,
        seconds=time.perf_counter() - started,
        **found._asdict(),
    )


def written(subject: Subject, given: Tensor, length: int, request: Request) -> Tensor:
    """Return ids (N, P) that the model writes after given (T, P), from a zero state."""
    model, prefixes = subject.model, given.shape[1]
    logits, state, _ = model.outputs(given, model.initial_state(prefixes))
    numbers = uniforms(request.seed, prefixes, given.device)
    going = free_run(Stepper(model), logits[-1], state, Strategy(request.temperature), numbers)
    drawn = []
    for n, (ids, _) in enumerate(islice(going, length)):
        drawn.append(ids)
        if n % LONGEST_WINDOW == 0:
            subject.report(WRITTEN * n / length, f"writing after {prefixes} prefixes")
    return torch.stack(drawn)


class Measured(NamedTuple):
    """The numbers of an `Exposure` that are the model's own; see there."""

    forced_probability: Floats
    free_probability: Floats
    forced_entropy: Floats
    free_entropy: Floats
    nll: Floats
    distance: Floats
    jensen_shannon: Floats
    distance_reference: float
    shannon_reference: float
    auc: Floats
    excess: Floats


def compare(
    subject: Subject, given: Tensor, truth: Tensor, free: Tensor, shown: int, verdict: oracle.Verdict | None = None
) -> Measured:
    """Read truth and free (N, P) after given (T, P), both in the same way, and compare position by position.

    shown: the prefix of which probabilities and entropies are kept. verdict: of the generator on the first prefixes.
    """
    parts: list[dict[str, Tensor]] = []
    done = 0
    for forced, own in zip(windows(subject.model, given, truth), windows(subject.model, given, free), strict=True):
        subject.report(TOLD + (READ - TOLD) * done / len(truth), "reading both")
        here = slice(done, done + len(forced.hidden))
        done = here.stop
        parts.append(_beside(truth[here], free[here], forced, own, shown))
        if verdict is not None:
            judged = verdict.expected_true.shape[1]
            for name, expected, read in (
                ("free", verdict.expected_free, own),
                ("true", verdict.expected_true, forced),
            ):
                parts[-1][name] = oracle.divergence(expected[here], read.before[:, :judged])
    whole = {name: torch.cat([part[name] for part in parts], -1) for name in parts[0]}
    whole["excess"] = oracle.excess(whole.pop("free"), whole.pop("true")) if verdict is not None else torch.zeros(0)
    found: dict[str, Any] = {name: values.float().cpu().numpy() for name, values in whole.items()}
    for name in ("distance_reference", "shannon_reference"):  # of one prefix there is no other
        found[name] = float(found[name].mean()) if given.shape[1] > 1 else math.nan
    return Measured(**found)


def _beside(truth: Tensor, free: Tensor, forced: Window, own: Window, shown: int) -> dict[str, Tensor]:
    """Return the numbers of `Measured` for the W positions of truth and free (W, P), (W,) or (3, W)."""
    prefixes = truth.shape[1]
    log_p = log_probability_of(truth, forced.before)
    other, others_after = (x.roll(halfway(prefixes), 1) for x in (forced.hidden, forced.after))
    return {
        "forced_probability": log_p[:, shown].exp(),
        "free_probability": log_probability_of(free[:, shown], own.before[:, shown]).exp(),
        "forced_entropy": entropy(forced.before[:, shown]),
        "free_entropy": entropy(own.before[:, shown]),
        "nll": curve(-log_p),
        "distance": curve(relative_distance(forced.hidden, own.hidden)),
        "jensen_shannon": curve(jensen_shannon(forced.after, own.after)),
        "distance_reference": relative_distance(forced.hidden, other).mean(1),
        "shannon_reference": jensen_shannon(forced.after, others_after).mean(1),
        "auc": held_out_auc(forced.hidden[:, :TOLD_APART], own.hidden[:, :TOLD_APART]),
    }


class Window(NamedTuple):
    """W positions: the predictions (W, P, V) before and after reading each character, and hidden (W, P, L*H) after."""

    before: Tensor
    after: Tensor
    hidden: Tensor


@torch.no_grad()
def windows(model: CharRNN, given: Tensor, rest: Tensor) -> Iterator[Window]:
    """Yield what the model makes of rest (N, P) after given (T, P), a window of positions at a time."""
    prefixes = given.shape[1]
    logits, state, _ = model.outputs(given, model.initial_state(prefixes))
    last = logits[-1:]
    widest = max(model.vocabulary_size, len(model.cell.gates) * model.config.hidden)
    size = max(1, min(LONGEST_WINDOW, BLOCK // (prefixes * widest)) // TOGETHER) * TOGETHER
    for begin in range(0, len(rest), size):
        logits, state, layers = model.outputs(rest[begin : begin + size], state)
        yield Window(torch.cat([last, logits[:-1]]), logits, torch.cat(layers, -1))
        last = logits[-1:]


def halfway(prefixes: int) -> int:
    """Return how many prefixes further the one is that each is compared with, as of unrelated text: the farthest."""
    return max(1, prefixes // 2)


def curve(values: Tensor) -> Tensor:
    """Return mean, 10% and 90% quantile (3, W) of values (W, P) over the prefixes."""
    quantiles = torch.quantile(values, torch.tensor([0.1, 0.9]).to(values), dim=1)
    return torch.cat([values.mean(1)[None], quantiles])


def entropy(logits: Tensor) -> Tensor:
    """Return the entropy (...) in nats of the distributions that logits (..., V) stand for."""
    log_p = torch.log_softmax(logits, -1)
    return -(log_p.exp() * log_p).sum(-1)


def jensen_shannon(one: Tensor, other: Tensor) -> Tensor:
    """Return the Jensen-Shannon divergence (...) in nats, 0 to ln 2, of the distributions of two logits (..., V).

    (KL(p || m) + KL(q || m)) / 2 with m the mean of the two (Lin 1991); exactly 0 where they are the same.
    """
    p, q = torch.softmax(one, -1), torch.softmax(other, -1)
    mean = ((p + q) / 2).clamp_min(torch.finfo(p.dtype).tiny)
    return (torch.xlogy(p, p / mean) + torch.xlogy(q, q / mean)).sum(-1).clamp_min(0) / 2


def _judged(subject: Subject, given: Tensor, truth: Tensor, free: Tensor) -> tuple[str, Floats, Floats]:
    """Return the judge's name, and its mean nats (N,) on what the model wrote and on the truth, after given (T, P)."""
    name, model = judge(subject, READ)
    subject.report(READ, f"the {name} judges")
    nats = [
        model.nats(torch.cat([given, rest]).t().cpu().numpy())[:, len(given) :].mean(0).astype(np.float32)
        for rest in (free, truth)
    ]
    return name, nats[0], nats[1]

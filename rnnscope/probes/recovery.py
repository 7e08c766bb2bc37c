"""Recovery: one wrong character in what was read, then true text again: how do loss and state come back?

This is one slip alone, where exposure.py follows all that comes of the model's own ones.
"""

from __future__ import annotations

import math
import time
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rnnscope.corpus import Corpus
from rnnscope.errors import UserError
from rnnscope.generating import log_probability_of
from rnnscope.probes.comparison import PREFIX, relative_distance
from rnnscope.probes.exposure import curve, halfway, windows
from rnnscope.probes.sampling import device_of
from rnnscope.probes.subject import Subject
from rnnscope.recording.lab_events import Floats, Ints
from rnnscope.recording.reading_events import Recovery
from rnnscope.recording.requests import Request

RECOVERED = 0.1
"""Part of the distance of unrelated states below which a state has recovered."""


def measure(subject: Subject, request: Request) -> Recovery:
    """Corrupt one character in each of `prefixes` stretches of the validation part, chosen by the seed, and read on.

    The wrong character ends the prefix: the character `position` of the stretch, the 64th by default; `length` true
    ones follow it. It is drawn from the characters of the training part, as often as they occur there, but for the
    right one. The example is the first stretch, which begins at `start` where that is given.

    Raises:
        UserError: no such character in the validation part, or only one in the vocabulary.
        Cancelled: out of subject.report.
    """
    started = time.perf_counter()
    vocabulary = subject.corpus.vocabulary
    ids, position = _stretches(subject.corpus.validation, request)
    given, following = np.split(ids, [position + 1])
    wrong = given.copy()
    wrong[-1] = _other(subject.corpus, given[-1], request.seed)
    found = _compare(subject, given, wrong, following)
    return Recovery(
        prefixes=ids.shape[1],
        text=vocabulary.decode(wrong[:, 0]),
        position=position,
        was=vocabulary.decode(given[-1:, 0]),
        became=vocabulary.decode(wrong[-1:, 0]),
        following=vocabulary.decode(following[:, 0]),
        seconds=time.perf_counter() - started,
        **found._asdict(),
    )


def _stretches(text: NDArray[np.integer], request: Request) -> tuple[NDArray[np.int64], int]:
    """Return stretches (T, P) of a text (N,), and the index in each of the character to corrupt.

    A short text has fewer and shorter ones.
    """
    position = min(PREFIX, max(1, len(text) // 4)) - 1 if request.position < 0 else request.position
    length = min(position + 1 + request.length, len(text))
    if length < position + 2:
        raise UserError(f"--position {position}: the validation part has {len(text):,} characters, some must follow it")
    if request.start >= len(text):
        raise UserError(f"--start {request.start}: the validation part has {len(text):,} characters")
    last = len(text) - length
    places = np.random.default_rng(request.seed).choice(last + 1, min(request.prefixes, last + 1), replace=False)
    if request.start:
        places[0] = min(request.start, last)
    return text[places + np.arange(length)[:, None]].astype(np.int64), position


def _other(corpus: Corpus, right: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """Return characters (P,) drawn from those of the training part, but for the right ones (P,)."""
    symbols = len(corpus.vocabulary)
    if symbols < 2:
        raise UserError("the text has only one character: no other can take its place")
    counts = np.bincount(corpus.train, minlength=symbols) + 1e-9  # a whole training part may be one character
    weights = np.tile(counts, (len(right), 1))
    weights[np.arange(len(right)), right] = 0
    cumulative = weights.cumsum(1)
    numbers = np.random.default_rng((seed, symbols)).random(len(right)) * cumulative[:, -1]
    drawn: NDArray[np.int64] = (cumulative <= numbers[:, None]).sum(1)
    return drawn


class _Found(NamedTuple):
    """The numbers of a `Recovery`; see there."""

    clean: Floats
    corrupt: Floats
    gain: Floats
    distance: Floats
    reference: float
    after: Ints


def _compare(subject: Subject, given: Ints, wrong: Ints, following: Ints) -> _Found:
    """Read following (N, P) after given and after wrong (T, P)."""
    model, device = subject.model, device_of(subject.model)
    right, corrupted, rest = (torch.from_numpy(ids).to(device) for ids in (given, wrong, following))
    nats: list[tuple[Tensor, Tensor]] = []
    distances, references = [], []
    done, far = 0, halfway(rest.shape[1])
    for clean, corrupt in zip(windows(model, right, rest), windows(model, corrupted, rest), strict=True):
        subject.report(done / len(rest), "reading on")
        now = rest[done : done + len(clean.hidden)]
        done += len(now)
        nats.append((-log_probability_of(now, clean.before), -log_probability_of(now, corrupt.before)))
        distances.append(relative_distance(clean.hidden, corrupt.hidden))
        references.append(relative_distance(clean.hidden, clean.hidden.roll(far, 1)))
    clean_nats, corrupt_nats = (torch.cat(part) for part in zip(*nats, strict=True))
    distance = torch.cat(distances)
    reference = float(torch.cat(references).mean()) if rest.shape[1] > 1 else math.nan
    return _Found(
        clean=_floats(clean_nats[:, 0]),
        corrupt=_floats(corrupt_nats[:, 0]),
        gain=_floats(curve(corrupt_nats - clean_nats)),
        distance=_floats(curve(distance)),
        reference=reference,
        after=until_below(distance.cpu().numpy(), RECOVERED * reference),
    )


def until_below(distance: NDArray[np.floating], threshold: float) -> Ints:
    """Return for each column of distance (N, P) how many rows it takes until all that follow, and the last of those,
    are below the threshold, at least 1; -1 where the last row is not.
    """
    above = ~(distance < threshold)  # NaN too
    last = len(distance) - np.argmax(above[::-1], 0)  # rows up to the last one above
    return np.where(above[-1], -1, np.where(above.any(0), last + 1, 1)).astype(np.int64)


def _floats(values: Tensor) -> Floats:
    found: Floats = values.float().cpu().numpy()
    return found

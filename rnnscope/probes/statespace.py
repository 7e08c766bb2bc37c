"""The space of a layer's states: principal components, and the way that a text takes through it."""

from __future__ import annotations

import time
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnnscope.concepts.scoring import Single
from rnnscope.concepts.table import chosen, labels_of
from rnnscope.model import CharRNN
from rnnscope.probes.reading import text_of
from rnnscope.probes.streams import Report, alone, held_out, read, streams_for
from rnnscope.probes.subject import Subject
from rnnscope.recording.lab_events import Floats
from rnnscope.recording.neuron_events import StateSpace
from rnnscope.recording.requests import Request

COMPONENTS = 3
POINTS = 3_000
"""Points that are kept of the text that is read, evenly spread; all of the text that is looked at."""


class Components(NamedTuple):
    """mean (H,), axes (H, 3) of length 1, explained (3,): shares of the variance."""

    mean: Floats
    axes: Floats
    explained: Floats


class Moments:
    """Sums over states from which their mean and covariance follow, in double precision."""

    def __init__(self, hidden: int) -> None:
        self.count = 0
        self._origin = np.zeros(hidden)  # near the mean, so that what is summed is small
        self._sum, self._products = np.zeros(hidden), np.zeros((hidden, hidden))

    def add(self, states: Floats) -> None:
        """Take in states (N, H); those with what is not finite are left out."""
        exact = states[np.isfinite(states).all(-1)].astype(np.float64)
        if not self.count and len(exact):
            self._origin = exact.mean(0)
        exact -= self._origin
        self.count += len(exact)
        self._sum += exact.sum(0)
        self._products += exact.T @ exact

    def components(self) -> Components:
        """Return the principal components, the largest entry of each axis positive.

        Where the network has fewer than three units, or its states do not move, the rest are zeros.
        """
        hidden = len(self._sum)
        mean = self._sum / max(self.count, 1)
        covariance = self._products / max(self.count, 1) - np.outer(mean, mean)
        variances, vectors = np.linalg.eigh(covariance)
        kept = min(COMPONENTS, hidden)
        axes, explained = np.zeros((hidden, COMPONENTS)), np.zeros(COMPONENTS)
        axes[:, :kept] = vectors[:, ::-1][:, :kept]
        total = np.trace(covariance)
        if total > 0:
            explained[:kept] = np.maximum(variances[::-1][:kept], 0) / total
        axes *= np.where(axes[np.abs(axes).argmax(0), np.arange(COMPONENTS)] < 0, -1, 1)
        return Components(mean + self._origin, axes, explained)


def measure(subject: Subject, request: Request) -> StateSpace:
    """Return the event for `field` of a layer.

    The components are those of `chars` characters that end with the held-out text (see `held_out`); the text that
    `request` names is read from a zero state and drawn among them. States that are not finite are NaN.

    Raises:
        UserError: no such text, or a concept is none.
    """
    started = time.perf_counter()
    model, decode = subject.model, subject.corpus.vocabulary.decode
    concepts = chosen(request.concept)
    looked_at = text_of(subject, request).ids
    ids = held_out(subject.corpus, request.chars)
    moments, kept, places = _background(model, ids, request, lambda share: subject.report(share, "reading"))
    trajectory = alone(model, looked_at, request, lambda share: subject.report(1.0, "reading the text"))
    found = moments.components()
    read_text, own_text = decode(ids), decode(looked_at)
    labels = np.concatenate([labels_of(concepts, read_text)[:, places], labels_of(concepts, own_text)], 1)
    states = np.concatenate([kept, trajectory])
    with np.errstate(invalid="ignore", over="ignore"):
        points = (states.astype(np.float64) - found.mean) @ found.axes
    points[~np.isfinite(states).all(-1)] = np.nan
    return StateSpace(
        field=request.field,
        layer=request.layer,
        text="".join(read_text[place] for place in places) + own_text,
        points=points.astype(np.float32),
        explained=found.explained.astype(np.float32),
        trajectory=len(looked_at),
        concepts=tuple(concept.name for concept in concepts),
        labels=np.minimum(labels, np.finfo(np.float16).max).astype(np.float16),
        seconds=time.perf_counter() - started,
    )


def _background(
    model: CharRNN, ids: NDArray[np.int64], request: Request, report: Report
) -> tuple[Moments, Single, NDArray[np.int64]]:
    """Read a text; return the moments of all states, and the states (K, H) kept, in order, with their places (K,)."""
    moments = Moments(model.config.hidden)
    plan = streams_for(model, len(ids))
    every = -(-plan.chars // POINTS)
    kept, places = [], []
    for piece in read(model, ids, (request.field,), (request.layer,), cut=plan, report=report):
        states = piece.values[0][request.field]
        moments.add(states.reshape(-1, states.shape[-1]))
        chosen_ones = piece.places % every == 0
        kept.append(states[chosen_ones])
        places.append(piece.places[chosen_ones])
    where = np.concatenate(places)
    order = where.argsort()
    return moments, np.concatenate(kept)[order], where[order]

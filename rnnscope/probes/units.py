"""Concept search: which unit of the network tells what of the text, and how much of it a whole layer tells."""

from __future__ import annotations

import functools
import time

import numpy as np

from rnnscope.concepts.search import linear_probes, search, shifts_of
from rnnscope.concepts.table import chosen, labels_of
from rnnscope.errors import UserError
from rnnscope.probes.streams import gather, held_out
from rnnscope.probes.subject import Subject
from rnnscope.recording.neuron_events import Units
from rnnscope.recording.requests import Request

LEAST = 200
"""Characters that can be searched at all."""

LARGEST = 2_000_000_000
"""Bytes of all units' values at most: of a larger network a shorter text is read."""

READING, SEARCHING = 0.5, 0.9
"""Share of the work that is done when the text has been read, and when single units have been scored."""


def measure(subject: Subject, request: Request) -> Units:
    """Return the event for `field` of all units, on the end of the held-out text (see `held_out`).

    The second half of it, on which the units are scored, is validation text wherever that is long enough.

    Raises:
        UserError: a concept is none, or the text is too short.
    """
    started = time.perf_counter()
    concepts = chosen(request.concept)
    config = subject.model.config
    most = LARGEST // (4 * config.layers * config.hidden)
    ids = held_out(subject.corpus, min(request.chars, most))
    if len(ids) < LEAST:
        raise UserError(f"concepts are looked for in at least {LEAST} characters; there are {len(ids)}")
    reading = functools.partial(_report, subject, 0.0, READING, "reading")
    layers = gather(subject.model, ids, request.field, range(config.layers), report=reading)
    chars = layers[0].shape[1]
    labels = labels_of(concepts, subject.corpus.vocabulary.decode(ids[:chars]))
    counts = [concept.measure == "R2" for concept in concepts]
    searching = functools.partial(_report, subject, READING, SEARCHING, "scoring units")
    found = search(layers, labels, counts, shifts_of(request.shifts, chars), report=searching)
    probing = functools.partial(_report, subject, SEARCHING, 1.0, "linear probes")
    return Units(
        field=request.field,
        chars=chars,
        shifts=request.shifts,
        concepts=tuple(concept.name for concept in concepts),
        measures=tuple(concept.measure for concept in concepts),
        layers=found.layers,
        units=found.units,
        scores=found.scores.astype(np.float32),
        signs=found.signs,
        nulls=found.nulls.astype(np.float32),
        probes=linear_probes(layers, labels, counts, report=probing).astype(np.float32),
        shares=labels.mean(-1, dtype=np.float64).astype(np.float32),
        seconds=time.perf_counter() - started,
    )


def _report(subject: Subject, begin: float, end: float, what: str, share: float) -> None:
    subject.report(begin + share * (end - begin), what)

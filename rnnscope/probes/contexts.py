"""Where in the training text a unit is most excited or inhibited, and where the units of a span are on together again.

The second is what LSTMVis does (Strobelt, Gehrmann, Pfister and Rush 2018, section 4.2): a unit is on where its value
is above a threshold; the units on throughout the span selected are the pattern, and other spans of the same length
are ranked by how many of these are on throughout them, then by how few others are. What the units do just before and
after a span is not looked at.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnnscope.concepts.scoring import Mask, Single
from rnnscope.errors import UserError
from rnnscope.probes.reading import text_of
from rnnscope.probes.streams import Piece, alone, read, streams_for
from rnnscope.probes.subject import Subject
from rnnscope.recording.lab_events import Floats, Ints
from rnnscope.recording.neuron_events import Contexts
from rnnscope.recording.requests import Request

EACH, MATCHES = 10, 16
"""Snippets that excite and that inhibit; and spans that match."""

BEFORE, AFTER = 90, 60
"""Characters of a snippet around the one found."""

APART = 100
"""Characters between two places found: else all would be of one passage."""

CALIBRATION = 50_000
"""Characters on which each unit's largest value is looked up."""

LONGEST_SPAN = 200


class Places(NamedTuple):
    """Where something was found: characters of the text (K,), best first, group and score of each."""

    places: Ints
    groups: Ints
    scores: Floats


class Pattern(NamedTuple):
    """A span selected: its text and length, the units (H,) bool on throughout it, and the limit of each (H,)."""

    text: str
    length: int
    on: Mask
    limits: Single


def measure(subject: Subject, request: Request) -> Contexts:
    """Return the event for the first `chars` characters of the training text.

    Raises:
        UserError: the span is not in the text that was selected from, or is longer than LONGEST_SPAN.
    """
    started = time.perf_counter()
    ids = subject.corpus.train[: request.chars].astype(np.int64)
    if request.span == (0, 0):
        pattern, values = None, _values(subject, request, ids)
        found = extremes(values)
    else:
        pattern = _pattern(subject, request, ids)
        values, throughout, others = _matches(subject, request, ids, pattern)
        found = best_matches(throughout, others, pattern)
    text = subject.corpus.vocabulary.decode(ids[: len(values)])
    begins = np.maximum(found.places - BEFORE, 0)
    snippets = tuple(text[begin : place + AFTER] for begin, place in zip(begins, found.places, strict=True))
    return Contexts(
        field=request.field,
        layer=request.layer,
        unit=request.units[0],
        chars=len(values),
        snippets=snippets,
        groups=found.groups,
        offsets=begins,
        peaks=found.places - begins,
        values=_along(values, begins, [len(snippet) for snippet in snippets]),
        scores=found.scores.astype(np.float32),
        span=pattern.text if pattern else "",
        on=np.flatnonzero(pattern.on) if pattern else np.zeros(0, np.int64),
        threshold=request.threshold,
        seconds=time.perf_counter() - started,
    )


def _along(values: Single, begins: Ints, lengths: list[int]) -> Floats:
    """Return the values along each snippet (K, W) float16, NaN beyond its end."""
    limit = np.finfo(np.float16).max
    along = np.full((len(lengths), max(lengths, default=0)), np.nan, np.float16)
    for row, begin, length in zip(along, begins, lengths, strict=True):
        piece = values[begin : begin + length]
        row[:length] = np.where(np.isinf(piece), piece, np.clip(piece, -limit, limit))
    return along


# -- the unit alone ------------------------------------------------------------------------------------------------


def _pieces(subject: Subject, request: Request, ids: NDArray[np.int64], begin: float = 0.0) -> Iterator[Piece]:
    """Read ids for the field and layer asked for, reporting from the share `begin` on."""
    return read(
        subject.model,
        ids,
        (request.field,),
        (request.layer,),
        report=lambda share: subject.report(begin + share * (1 - begin), "reading the training text"),
    )


def _values(subject: Subject, request: Request, ids: NDArray[np.int64]) -> Single:
    """Return what the unit was after each character (N,)."""
    values = np.empty(streams_for(subject.model, len(ids)).chars, np.float32)
    for piece in _pieces(subject, request, ids):
        values[piece.places] = piece.values[0][request.field][:, :, request.units[0]]
    return values


def extremes(values: Single) -> Places:
    """Return where values (N,) are highest (group 1) and where lowest (-1), APART from others of their group."""
    high = peaks(np.where(np.isnan(values), -np.inf, values), EACH, APART)
    low = peaks(np.where(np.isnan(values), -np.inf, -values), EACH, APART)
    places = np.concatenate([high, low])
    groups = np.repeat([1, -1], [len(high), len(low)])
    return Places(places, groups, values[places])


def peaks(values: Floats, count: int, apart: int) -> Ints:
    """Return at most `count` places of values (N,), the highest first, each the highest that is `apart` from all before
    it (non-maximum suppression). Where several are as high, the first; -inf is nowhere.
    """
    left = np.array(values, np.float64)
    found: list[int] = []
    while len(found) < count and len(left):
        place = int(left.argmax())
        if left[place] == -np.inf:
            break
        found.append(place)
        left[max(0, place - apart + 1) : place + apart] = -np.inf
    return np.array(found, np.int64)


# -- a pattern of units --------------------------------------------------------------------------------------------


def _pattern(subject: Subject, request: Request, ids: NDArray[np.int64]) -> Pattern:
    """Return the units on throughout the span selected."""
    begin, end = request.span
    selected = text_of(subject, request).ids
    if not 0 <= begin < end <= len(selected):
        raise UserError(f"--span {begin} {end}: the text selected from has {len(selected):,} characters")
    if end - begin > LONGEST_SPAN:
        raise UserError(f"--span {begin} {end}: select at most {LONGEST_SPAN} characters")
    states = alone(
        subject.model, selected[:end], request, lambda share: subject.report(0.0, "reading the text selected from")
    )
    largest = np.fmax.reduce(states, axis=0)
    for piece in read(subject.model, ids[:CALIBRATION], (request.field,), (request.layer,)):
        largest = np.fmax(largest, np.fmax.reduce(piece.values[0][request.field], axis=(0, 1)))
        subject.report(0.0, "looking up each unit's largest value")
    limits = limits_of(largest, request.threshold)
    on = np.asarray((states[begin:] > limits).all(0))
    return Pattern(subject.corpus.vocabulary.decode(selected[begin:end]), end - begin, on, limits)


def limits_of(largest: Single, threshold: float) -> Single:
    """Return above which value each unit (H,) is on: that share of its largest; one that is never positive never is."""
    return np.where(largest > 0, np.float32(threshold) * largest, np.inf).astype(np.float32)


def _matches(subject: Subject, request: Request, ids: NDArray[np.int64], pattern: Pattern) -> tuple[Single, Ints, Ints]:
    """Return what the unit was (N,) and, for the spans that begin at each character, how many of the pattern's units
    are on throughout, and how many others; -1 where a span does not fit into its stream.
    """
    chars = streams_for(subject.model, len(ids)).chars
    values = np.empty(chars, np.float32)
    throughout, others = np.full((2, chars), -1, np.int32)
    before = None  # on or off at the end of the last piece, as far as spans reach back
    for piece in _pieces(subject, request, ids):
        states = piece.values[0][request.field]
        values[piece.places] = states[:, :, request.units[0]]
        on = states > pattern.limits
        on = on if before is None else np.concatenate([before, on])
        before = on[max(0, len(on) - pattern.length + 1) :] if pattern.length > 1 else None
        held = throughout_spans(on, pattern.length)
        if len(held):
            places = piece.places[-1] - pattern.length + 1 - np.arange(len(held))[::-1, None]
            throughout[places] = held[:, :, pattern.on].sum(-1)
            others[places] = held[:, :, ~pattern.on].sum(-1)
    return values, throughout, others


def throughout_spans(on: Mask, length: int) -> Mask:
    """Return whether units are on at `length` time steps in a row: (T, ...) -> (T - length + 1, ...), by the first."""
    held, so_far = on, 1
    while so_far < length:  # on for 2, 4, 8, ... steps
        more = min(so_far, length - so_far)
        held = held[: max(0, len(held) - more)] & held[more:]
        so_far += more
    return held


def best_matches(throughout: Ints, others: Ints, pattern: Pattern) -> Places:
    """Return the beginnings of the spans that match best, from counts (N,) as `_matches` gives them."""
    size = int(pattern.on.sum())
    rank = np.where(throughout > 0, throughout * np.float64(len(pattern.on) + 1) - others, -np.inf)
    places = peaks(rank, MATCHES, max(APART, pattern.length))
    return Places(places, np.zeros(len(places), np.int64), throughout[places] / max(size, 1))

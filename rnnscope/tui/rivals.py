"""The n-gram rivals of a run: which of them are drawn on the loss chart, and which its validation loss beats."""

from __future__ import annotations

import math
from typing import TypeAlias

from rnnscope.recording.reading_events import Ngram
from rnnscope.recording.state import RunState

Rivals: TypeAlias = tuple[tuple[int, float], ...]
"""(order, nats per character of the validation part) of the Kneser-Ney models, by ascending order."""

DRAWN = 2, 4
"""Orders of the lines on the loss chart, besides the best."""


def rivals(state: RunState) -> Rivals:
    """Return the rivals that the recording knows, none before they were measured."""
    recorded = state.lab.get(Ngram.kind)
    if recorded is None or not isinstance(recorded.event, Ngram):
        return ()
    found = zip(recorded.event.orders.tolist(), recorded.event.kneser_ney.tolist(), strict=True)
    return tuple(sorted((order, nats) for order, nats in found if math.isfinite(nats)))


def best(known: Rivals) -> tuple[int, float]:
    """Return the rival with the lowest loss, the lower order if two have it."""
    return min(known, key=lambda rival: rival[1])


def lines(known: Rivals, numbers: bool) -> list[tuple[float, str]]:
    """Return (nats, name) of the few that are drawn; `numbers`: with their losses in the names."""
    if not known:
        return []
    first = best(known)
    chosen = [rival for rival in known if rival == first or rival[0] in DRAWN]
    return [
        (nats, f"{'best: ' * (order == first[0])}{order}-gram{f' {nats:.2f}' if numbers else ''}")
        for order, nats in chosen
    ]


def beaten_by(known: Rivals, loss: float) -> tuple[str, ...]:
    """Return what a validation loss beats, in ways to say it from long to short; () where there is nothing to say.

    It beats the n-gram if it is below the loss of every order up to n: above the best order they get worse again.
    """
    if not known or not math.isfinite(loss):
        return ()
    beaten = 0  # how many, from the lowest order on
    while beaten < len(known) and loss < known[beaten][1]:
        beaten += 1
    if beaten == len(known) > 1:
        order, nats = best(known)
        return f"beats every n-gram, the best being the {order}-gram: {nats:.3f}", "beats every n-gram"
    upcoming = "".join(f"next: the {order}-gram, {nats:.3f}" for order, nats in known[beaten : beaten + 1])
    if beaten == 0:
        return f"beats no n-gram yet · {upcoming}", upcoming
    beats = f"beats the {known[beaten - 1][0]}-gram"
    return (f"{beats} · {upcoming}", beats) if upcoming else (beats,)

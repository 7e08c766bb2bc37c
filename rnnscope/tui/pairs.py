"""Teacher forcing beside free running as both panes show it: of the measurement asked for, or of the one taken live."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rnnscope.charts.paired_text import GUTTER, common_lines
from rnnscope.recording.events import Comparison
from rnnscope.recording.reading_events import Exposure
from rnnscope.tui.sampling_view import Colour

Floats = NDArray[np.float64]

SCALES: dict[Colour, tuple[float, float]] = {"probability": (0.0, 1.0), "surprise": (0.0, 8.0), "entropy": (0.0, 4.0)}
"""Fixed: surprise and entropy in nats (blind guessing among 65 characters has 4.2)."""
NAMES: dict[Colour, tuple[str, str]] = {
    "probability": ("probability p", "p"), "surprise": ("surprise −ln p, nats", "−ln p"),
    "entropy": ("entropy H, nats", "H"),
}  # fmt: skip
SHOWN_PREFIX = 40
"""Characters of the prefix that are shown, at most."""


@dataclass(frozen=True, eq=False)
class Pair:
    """Both texts after a prefix, and by colour a value for each character of truth and of free (none: not measured)."""

    prefix: str
    truth: str
    free: str
    temperature: float
    divergence: int
    values: dict[Colour, tuple[Floats, Floats]]

    @property
    def length(self) -> int:
        """Characters after the prefix, of the longer one."""
        return max(len(self.truth), len(self.free))


def surprise(probability: ArrayLike) -> Floats:
    """Return -ln p in nats, infinite where p is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        found: Floats = -np.log(np.asarray(probability, np.float64))
    return found + 0.0  # no -0


def parted(truth: str, free: str) -> int:
    """Return the index of the first character that differs, -1 where the shorter text holds none."""
    return next((n for n, (a, b) in enumerate(zip(truth, free, strict=False)) if a != b), -1)


def pair_of(event: object) -> Pair | None:
    """Return what both panes show of a measurement; None of anything else."""
    if not isinstance(event, Exposure | Comparison):
        return None
    if isinstance(event, Exposure):
        given, divergence = (event.forced_probability, event.free_probability), event.divergence
    else:
        given, divergence = (event.probability, event.free_probability), parted(event.truth, event.free)
    forced, free = (np.asarray(one, np.float64) for one in given)
    values: dict[Colour, tuple[Floats, Floats]] = {
        "probability": (forced, free), "surprise": (surprise(forced), surprise(free)),
    }  # fmt: skip
    if isinstance(event, Exposure):
        values["entropy"] = (
            np.asarray(event.forced_entropy, np.float64), np.asarray(event.free_entropy, np.float64),
        )  # fmt: skip
    return Pair(event.prefix, event.truth, event.free, event.temperature, divergence, values)


def pane_width(width: int) -> int:
    """Return the cells of text in each of two panes that share `width` cells, a line between them."""
    return max((width - 1) // 2 - GUTTER, 1)


def seen_prefix(pair: Pair, width: int) -> str:
    """Return the end of the prefix that is shown in panes that share `width` cells."""
    return pair.prefix[-max(min(pane_width(width), SHOWN_PREFIX), 1) :]


def lines_of(pair: Pair, width: int) -> list[tuple[int, int]]:
    """Return (start, stop) of each line of both panes, counted from the first character of the prefix shown."""
    prefix = seen_prefix(pair, width)
    return common_lines(prefix + pair.truth, prefix + pair.free, pane_width(width))


def starts(pair: Pair, width: int) -> tuple[int, ...]:
    """Return the index of the first character after the prefix in each line that holds any."""
    given = len(seen_prefix(pair, width))
    return tuple(max(start - given, 0) for start, stop in lines_of(pair, width) if stop > given) or (0,)

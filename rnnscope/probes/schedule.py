"""When a probe is taken: due by the training step alone, taken when the time budget has room."""

from __future__ import annotations

import statistics
from collections import deque
from dataclasses import dataclass, field

WINDOW = 30.0
"""Seconds over which the budget holds."""

PACE = 0.9
"""Share of the budget that the pauses between measurements aim at; the rest is for the one under way."""

LONGEST_PAUSE = 10.0
"""Seconds between two measurements beyond which only the budget counts: a screen should not stand still longer."""

REMEMBERED = 5
"""A probe's cost is the (lower) median of its last so many: one slow by accident is not taken for the rule."""


class Spent:
    """Seconds spent on something over the last 30 s; every `now` and `end` is on one clock that never goes back."""

    def __init__(self, began: float = 0.0) -> None:
        self._began = began
        self._parts: deque[tuple[float, float]] = deque()

    def add(self, end: float, seconds: float) -> None:
        """Book `seconds` that ended at `end`."""
        self._parts.append((end, seconds))

    def seconds(self, now: float) -> float:
        """Return the seconds of all that ended within the last 30 s."""
        while self._parts and self._parts[0][0] <= now - WINDOW:
            self._parts.popleft()
        return sum(seconds for _, seconds in self._parts)

    def share(self, now: float) -> float:
        """Return the share of the last 30 s, or of the time since the beginning where that is less."""
        elapsed = min(now - self._began, WINDOW)
        return min(1.0, self.seconds(now) / elapsed) if elapsed > 0 else 0.0


@dataclass
class Schedule:
    """Decides which probes run, so that they take at most a share `budget` of the time over any 30 s.

    - A probe is due at steps divisible by its cadence, an early one also at the first step of a session. A due probe
      waits for its turn; it never accumulates (`skipped` counts those due again while they wait).
    - The first measurement of each early probe is taken at once and is outside the budget: nothing is warm yet, so
      it can take many times what later ones take. The share shows it like any other.
    - After a measurement of c seconds (after those first ones: of c seconds together), training has
      c / (0.9 * budget) seconds to itself, at most 10 s. So measurements spread evenly.
    - None is taken that would bring the 30 s before its end above the budget, those first ones not counted. One
      that alone is longer than that waits until no other lies within 30 s.
    - Of those that wait, the one on which least time was spent so far goes first, and none overtakes it: a dear probe
      cannot be starved by cheap ones, nor they by it.

    So every 30 s that hold no first measurement hold at most the budget, as far as the cost of a measurement is known
    before it: the bound can be missed by what a window's last one takes longer than is usual for it (all of it, where
    that was never measured before). The 30 s with the early ones hold them too: where they are short (0.2 s in all,
    at the defaults on two warm cores) the pause after them keeps these within the budget as well.

    What a person asks for is shown in the share but not charged. What is taken depends on the clock, what an update
    does never: measuring does not alter training. Every `now` is active training time in seconds, never decreasing.

    Args:
        cadences: training steps between two measurements, by probe; 0 for never. Ties go to the one named first.
        budget: largest share of the time. 0: only the early ones, once. 1: no limit, all that are due are taken.
        early: the probes that are taken at once.
        began: the time at which the session begins.
    """

    cadences: dict[str, int]
    budget: float
    early: frozenset[str] = frozenset()
    began: float = 0.0
    skipped: int = field(init=False, default=0)
    at_once: list[str] = field(init=False)  # the early ones that are on
    _first: set[str] = field(init=False)  # those of them not taken yet
    _waiting: set[str] = field(init=False)
    _all: Spent = field(init=False)
    _charged: Spent = field(init=False)
    _costs: dict[str, deque[float]] = field(init=False)
    _used: dict[str, float] = field(init=False)
    _first_seconds: float = field(init=False, default=0.0)
    _pause_until: float = field(init=False)

    def __post_init__(self) -> None:
        self.at_once = [name for name, every in self.cadences.items() if every > 0 and name in self.early]
        self._first, self._waiting = set(self.at_once), set(self.at_once)
        self._all, self._charged = Spent(self.began), Spent(self.began)
        self._costs = {name: deque(maxlen=REMEMBERED) for name in self.cadences}
        self._used = dict.fromkeys(self.cadences, 0.0)
        self._pause_until = self.began

    def due(self, step: int, now: float) -> list[str]:
        """Return the probes to take at `step`: all early ones that never were, or else at most one (see `budget`)."""
        for name, every in self.cadences.items():
            if every > 0 and step % every == 0:
                self.skipped += name in self._waiting
                self._waiting.add(name)
        if self._first:
            return [name for name in self.at_once if name in self._first]
        waiting = [name for name in self.cadences if name in self._waiting]
        if self.budget >= 1:
            return waiting
        if not waiting or self.budget <= 0 or now < self._pause_until:
            return []
        name = min(waiting, key=lambda name: self._used[name])
        spent = self._charged.seconds(now)
        return [name] if spent == 0 or spent + (self.cost(name) or 0.0) <= self.budget * WINDOW else []

    def took(self, name: str, seconds: float, now: float, asked: bool = False) -> None:
        """Book a measurement of so many seconds that ended `now`. asked: by a person, or by the run's end."""
        first = name in self._first
        self._first.discard(name)
        self._waiting.discard(name)
        self._costs[name].append(seconds)
        self._all.add(now, seconds)
        if asked:
            return
        if first:
            self._first_seconds += seconds
        else:
            self._charged.add(now, seconds)
            self._used[name] += seconds
        if self.budget > 0:
            pause = (self._first_seconds if first else seconds) / (PACE * self.budget)
            self._pause_until = now + min(pause, LONGEST_PAUSE)

    def cost(self, name: str) -> float | None:
        """Return what a measurement usually takes in seconds, None where there was none yet."""
        known = self._costs[name]
        return statistics.median_low(known) if known else None

    def share(self, now: float) -> float:
        """Return the share of the last 30 s (or of the session, while it is younger) that measuring took."""
        return self._all.share(now)

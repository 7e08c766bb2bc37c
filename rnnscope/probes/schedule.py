"""When a probe is taken: due by the training step alone, taken when the time budget has room."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

WINDOW = 30.0
"""Seconds over which the budget holds."""


@dataclass
class Schedule:
    """Decides which probes run, so that they take at most a share `budget` of the time over any 30 s.

    A probe is due at steps divisible by its cadence (and at the first step of a session). A due probe waits
    until the budget has room; it never accumulates. The budget is a bucket that fills with 0.8 * budget
    seconds a second and holds at most 0.2 * budget * 30 s, so no window of 30 s can hold more than budget * 30 s,
    unless one single measurement is longer than that. The first of each probe is taken at once, and the debt it
    leaves is bounded: the first 30 s can go above the budget by what the first measurements took.
    What is taken depends on the clock, what an update does never: measuring does not alter training.
    """

    cadences: dict[str, int]
    budget: float
    credit: float = field(init=False)
    skipped: int = field(init=False, default=0)
    _waiting: set[str] = field(init=False)
    _first: set[str] = field(init=False)
    _spent: deque[tuple[float, float]] = field(init=False, default_factory=deque)
    _costs: dict[str, float] = field(init=False, default_factory=dict)
    _taken: dict[str, float] = field(init=False, default_factory=dict)
    _now: float = field(init=False, default=0.0)

    def __post_init__(self) -> None:
        self.credit = self._capacity
        active = {name for name, every in self.cadences.items() if every > 0}
        self._waiting, self._first = set(active), set(active)

    @property
    def _capacity(self) -> float:
        return 0.2 * self.budget * WINDOW

    def due(self, step: int, now: float) -> list[str]:
        """Return the probes to take at `step`; `now` is active training time in seconds, never decreasing."""
        self.credit = min(self._capacity, self.credit + 0.8 * self.budget * (now - self._now))
        self._now = now
        for name, every in self.cadences.items():
            if every > 0 and step % every == 0:
                if name in self._waiting:
                    self.skipped += 1
                self._waiting.add(name)
        chosen, credit = [], self.credit
        for name in sorted(
            self._waiting, key=lambda name: (name not in self._first, self._taken.get(name, -1.0), name)
        ):
            cost = min(self._costs.get(name, 0.0), self._capacity)
            if name in self._first or (credit >= cost and credit > 0):
                chosen.append(name)
                credit -= cost
        return chosen

    def took(self, name: str, seconds: float, asked: bool = False) -> None:
        """Book a measurement. One that a person asked for is shown in the share but not charged."""
        first = name in self._first
        self._waiting.discard(name)
        self._first.discard(name)
        self._taken[name] = self._now
        self._costs[name] = seconds
        self._spent.append((self._now, seconds))
        if not asked:
            self.credit -= seconds
        if first:  # the first is slow (nothing is warm yet): the debt it leaves is bounded, so that more follow soon
            self.credit = max(self.credit, -self._capacity)

    def share(self, now: float) -> float:
        """Return the share of the last 30 s that measuring took."""
        while self._spent and self._spent[0][0] < now - WINDOW:
            self._spent.popleft()
        return sum(seconds for _, seconds in self._spent) / WINDOW

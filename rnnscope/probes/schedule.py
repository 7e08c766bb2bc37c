"""When a probe is taken: due by the training step alone, taken when the time budget has room."""

from __future__ import annotations

import statistics
from collections import deque
from collections.abc import Collection
from dataclasses import dataclass, field

WINDOW = 30.0
"""Seconds over which the budget holds."""

PLANNED = 0.9
"""Share of the budget that is planned with; the rest is for what a measurement takes longer than is usual for it."""

UNKNOWN = 0.1
"""Seconds that a measurement is taken to need that was never made before."""

LONGEST_PAUSE = 10.0
"""Seconds between two measurements beyond which only the budget counts: a screen should not stand still longer."""

REMEMBERED = 5
"""A probe's cost is the (lower) median of its last so many: one slow by accident is not taken for the rule."""

BEGINNING = 4.0
"""Seconds of a session in which the early probes rest half as long: in them a network changes most."""

AFTER_FIRST = 0.5
"""Seconds of rest after the first of each early one: what they show is soon old, and they are not charged."""

EARLY_PART = 0.6
"""Part of the budget for the early probes where there are others too: the first screen is always moving."""


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
class _Queue:
    """Probes that share a part of the budget."""

    names: list[str]  # those that are on
    part: float
    pause_until: float
    charged: Spent
    waiting: set[str] = field(default_factory=set)
    used: dict[str, float] = field(default_factory=dict)  # seconds so far, the first measurements left out

    def head(self) -> str | None:
        """Return the waiting one on which least time was spent so far."""
        return min((name for name in self.names if name in self.waiting), key=self.seconds, default=None)

    def seconds(self, name: str) -> float:
        return self.used.get(name, 0.0)


class Schedule:
    """Decides which probes run, so that they take at most a share `budget` of the time over any 30 s.

    - A probe is due at steps divisible by its cadence, an early one also at the first step of a session. A due probe
      waits for its turn; it never accumulates (`skipped` counts those due again while they wait).
    - The first measurement of each early probe is taken at once and is outside the budget: nothing is warm yet, so
      it can take many times what later ones take. The share shows it like any other.
    - Early probes and the others wait in two queues; where both have any, 60% of the budget are for the early ones.
      In a queue the one on which least time was spent so far goes first and none overtakes it, so that neither dear
      probes nor cheap ones starve.
    - After a measurement of c seconds its queue rests for c / (its part of the planned 90% of the budget), at most
      10 s unless it alone is longer than that part. So measurements spread evenly. In the first 4 s of a session the
      early ones rest half as long, and only half a second after the first of each.
    - None is taken that would bring the 30 s before its end above the queue's part, those first ones not counted. One
      that alone is longer than that waits until its queue has spent nothing for 30 s, and the other queue leaves it
      the rest of the budget meanwhile; one longer than the whole budget waits until nothing was spent for 30 s.

    So every 30 s that hold no first measurement hold at most the budget, as far as the cost of a measurement is known
    before it: the bound can be missed by what a window's last ones take longer than is usual for them, beyond
    the tenth of the budget that is kept for that. The 30 s with the early first ones hold those too (0.2 s in all, at
    the defaults on two warm cores).

    What must be done whatever it takes (`book`) leaves the probes the rest of the budget: every queue's part is one of
    what the last 30 s of it, and one more, leave.

    What a person asks for is shown in the share but not charged. What is taken depends on the clock, what an update
    does never: measuring does not alter training. Every `now` is active training time in seconds, never decreasing.

    Args:
        cadences: training steps between two measurements, by probe; 0 for never. Ties go to the one named first.
        budget: largest share of the time. 0: only the early ones, once. 1: no limit, all that are due are taken.
        early: the probes that are taken at once.
        began: the time at which the session begins.
    """

    def __init__(
        self, cadences: dict[str, int], budget: float, early: Collection[str] = frozenset(), began: float = 0.0
    ) -> None:
        self.cadences, self.budget = cadences, budget
        self.skipped, self.booked = 0, 0.0
        on = [name for name, every in cadences.items() if every > 0]
        self.at_once = [name for name in on if name in early]
        late = [name for name in on if name not in early]
        part = EARLY_PART if self.at_once and late else 1.0
        self._early = _Queue(self.at_once, part, began, Spent(began), set(self.at_once))
        self._late = _Queue(late, 1 - part if self.at_once else 1.0, began, Spent(began))
        self._first = set(self.at_once)  # those not taken yet
        self._began = began
        self._all, self._booked, self._booked_last = Spent(began), Spent(began), 0.0
        self._costs: dict[str, deque[float]] = {name: deque(maxlen=REMEMBERED) for name in cadences}

    def due(self, step: int, now: float) -> list[str]:
        """Return the probes to take at `step`: all early ones that never were, or else at most one (see `budget`)."""
        for name, every in self.cadences.items():
            if every > 0 and step % every == 0:
                queue = self._queue(name)
                self.skipped += name in queue.waiting
                queue.waiting.add(name)
        if self._first:
            return [name for name in self.at_once if name in self._first]
        if self.budget >= 1:
            return [name for name in self.cadences if name in self._early.waiting | self._late.waiting]
        if self.budget <= 0:
            return []
        for queue, other in sorted(
            ((self._early, self._late), (self._late, self._early)), key=lambda pair: sum(pair[0].used.values())
        ):
            head = queue.head()
            if head is not None and now >= queue.pause_until and self._fits(head, queue, other, now):
                return [head]
        return []

    def _fits(self, name: str, queue: _Queue, other: _Queue, now: float) -> bool:
        """Whether the 30 s up to the end of `name` hold no more than they may, if it is taken now."""
        cost, room = self._expected(name), self._room(now)
        limit, others_limit = queue.part * room, other.part * room
        spent, others = queue.charged.seconds(now), other.charged.seconds(now)
        if cost > limit:
            return spent == 0 and (others == 0 or others + cost <= room)
        head = other.head()
        dear = 0.0 if head is None else self._expected(head)
        behind = sum(other.used.values()) <= sum(queue.used.values())  # else that one has had its part
        limit = min(limit, room - dear) if dear > others_limit and behind else limit
        return spent + cost <= limit and spent + others + cost <= room

    def _expected(self, name: str) -> float:
        """Return the seconds to plan with for one measurement."""
        cost = self.cost(name)
        return UNKNOWN if cost is None else cost

    def _room(self, now: float) -> float:
        """Return the seconds of any 30 s that are for probes."""
        return PLANNED * self.budget * WINDOW - self._booked.seconds(now) - self._booked_last

    def book(self, seconds: float, now: float) -> None:
        """Book so many seconds, ended `now`, of something that cannot be put off."""
        self._booked.add(now, seconds)
        self._all.add(now, seconds)
        self._booked_last = seconds
        self.booked += seconds

    def took(self, name: str, seconds: float, now: float, asked: bool = False) -> None:
        """Book a measurement of so many seconds that ended `now`. asked: by a person, or by the run's end."""
        queue, first = self._queue(name), name in self._first
        self._first.discard(name)
        queue.waiting.discard(name)
        self._costs[name].append(seconds)
        self._all.add(now, seconds)
        if asked:
            return
        if not first:
            queue.charged.add(now, seconds)
            queue.used[name] = queue.seconds(name) + seconds
        queue.pause_until = now + (AFTER_FIRST if first else self._rest(queue, seconds, now))

    def _rest(self, queue: _Queue, seconds: float, now: float) -> float:
        """Return for how long a queue rests after a measurement of so many seconds."""
        limit = max(queue.part * self._room(now), 1e-9)
        rest = seconds * WINDOW / limit
        if seconds <= limit:
            rest = min(rest, LONGEST_PAUSE)
        return rest / 2 if queue is self._early and now - self._began < BEGINNING else rest

    def took_asked(self, seconds: float, now: float) -> None:
        """Book a probe of none of these that somebody asked for: it shows in the share, and is not charged."""
        self._all.add(now, seconds)

    def _queue(self, name: str) -> _Queue:
        return self._early if name in self.at_once else self._late

    def cost(self, name: str) -> float | None:
        """Return what a measurement usually takes in seconds, None where there was none yet."""
        known = self._costs[name]
        return statistics.median_low(known) if known else None

    def share(self, now: float) -> float:
        """Return the share of the last 30 s (or of the session, while it is younger) that measuring took."""
        return self._all.share(now)

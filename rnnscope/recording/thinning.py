"""The thinning rule: how fast a recording may grow.

A token bucket in bytes. It holds at most `BURST` (8 MB, or a tenth of the budget where that is less), is full at
the start, and fills at (budget - burst) per hour, so no hour adds more than the budget. Everything written is
taken out of it. Steps and small events are always written. A large event (gradients, sample, comparison) is kept
if the bucket holds its size; one larger than the whole bucket is kept when the bucket is full, and paid off
before the next. One that is not kept is still written, in the place of the last one of its kind that was not
kept: the newest measurement is always there to be seen, and the file does not grow.
"""

from __future__ import annotations

BURST = 8e6


class Bucket:
    """The token bucket; `now` is in seconds of any monotonic clock."""

    def __init__(self, megabytes_per_hour: float, now: float) -> None:
        budget = megabytes_per_hour * 1e6
        self._burst = min(BURST, budget / 10)
        self._rate = (budget - self._burst) / 3600
        self._tokens = self._burst
        self._then = now

    def spend(self, size: int, now: float) -> None:
        """Take out `size` bytes that are written in any case; the bucket may owe up to an hour's growth."""
        self._fill(now)
        self._tokens = max(self._tokens - size, -3600 * self._rate)

    def keep(self, size: int, now: float) -> bool:
        """Whether a large event of `size` bytes is kept; if so its bytes are taken out."""
        self._fill(now)
        full = self._tokens >= self._burst > 0
        if self._tokens < size and not full:
            return False
        self._tokens -= size
        return True

    def _fill(self, now: float) -> None:
        self._tokens = min(self._burst, self._tokens + (now - self._then) * self._rate)
        self._then = now

"""When a loss counts as a spike: far above its own recent mean."""

from __future__ import annotations

from dataclasses import dataclass, field

WARM_UP = 1
"""Updates before there is a mean: a loss begins near ln V, so a leap right after the start is one too."""

MEMORY = 0.95
"""What the running mean keeps of itself at each update: it remembers about 20 of them."""


@dataclass
class SpikeDetector:
    """Compares each loss with the exponential mean of those before it, corrected for its start (Kingma and Ba 2015).

    rise: nats per character above the mean from which a loss is a spike; 0 for never.
    """

    rise: float
    _sum: float = field(init=False, default=0.0)
    _seen: int = field(init=False, default=0)

    def spike(self, loss: float) -> bool:
        """Take the next loss (finite); return whether it is a spike. After one, the mean starts anew."""
        mean = self._sum / (1 - MEMORY**self._seen) if self._seen else loss
        found = self.rise > 0 and self._seen >= WARM_UP and loss - mean > self.rise
        if found:
            self.reset()
        else:
            self._sum = MEMORY * self._sum + (1 - MEMORY) * loss
            self._seen += 1
        return found

    def reset(self) -> None:
        """Forget what was seen: another stretch of training begins."""
        self._sum, self._seen = 0.0, 0

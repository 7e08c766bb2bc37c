"""What the probes cost: `rnnscope bench --probes [--json] [--seconds S]`.

A run at the defaults (built-in text, default cadences and budget) trains in this process, in a temporary folder. Its
own account is then read: how often each probe was taken, what one takes, its share of the time, and the largest share
that all of them together, the black box's snapshots included, had in any 30 s after the first, which holds the first
measurements.
"""

from __future__ import annotations

import dataclasses
import json
import statistics
import tempfile
from collections import defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rnnscope.config import Config
from rnnscope.errors import EXIT_FAILED, EXIT_OK
from rnnscope.probes.schedule import WINDOW
from rnnscope.recording import events as e
from rnnscope.recording.writer import StepRow, Writer
from rnnscope.registry import PROBES
from rnnscope.training.blackbox import EVERY
from rnnscope.worker import Session

LEAST = 2.5 * WINDOW
"""Seconds of training below which there are too few windows of 30 s to look at."""


@dataclass(frozen=True)
class Cost:
    """One probe: its cadence in steps, how often it was taken, the median seconds of one, its share of the time."""

    name: str
    every: int
    taken: int
    seconds: float
    share: float


class Account:
    """An observer of a session that keeps what the probes took."""

    def __init__(self) -> None:
        self.took: dict[str, list[float]] = defaultdict(list)
        self.shares: list[tuple[float, float]] = []  # seconds of training, share of the 30 s before
        self.last: StepRow | None = None

    def updated(self, row: StepRow) -> None:
        """Hear of a finished training step."""
        self.last = row

    def recorded(self, step: int, event: e.Event) -> None:
        """Hear of a recorded event."""
        if isinstance(event, e.Cost):
            self.shares.append((self.last.seconds if self.last else 0.0, event.probes))
        seconds = getattr(event, "seconds", None)
        if event.kind in PROBES and seconds is not None:
            self.took[event.kind].append(float(seconds))


def measure(seconds: float, config: Config | None = None) -> tuple[list[Cost], dict[str, Any]]:
    """Train for `seconds`; return the probes' costs, and the run's figures by name."""
    base = config or Config()
    config = dataclasses.replace(base, training=dataclasses.replace(base.training, minutes=seconds / 60))
    account = Account()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "run"
        Writer.create(folder, config, {}).close()
        session = Session(folder, observer=account)
        if session.run() != EXIT_OK or account.last is None:
            return [], {}
    whole = account.last.seconds
    costs = [
        Cost(
            name, getattr(config.probes, entry.cadence), len(took), statistics.median(took) if took else 0.0,
            sum(took) / whole,
        )
        for name, entry in PROBES.items()
        for took in [account.took[name]]
    ]  # fmt: skip
    later = [share for at, share in account.shares if at > WINDOW + 2]
    figures = {
        "budget": config.probes.probe_budget,
        "largest_share_of_30_s": max(later) if later else None,
        "share_with_the_first": sum(cost.share for cost in costs),
        "share_of_snapshots": session.measuring.schedule.booked / whole,
        "chars_per_s": account.last.chars / whole,
    }
    return costs, figures


def main(as_json: bool, seconds: float) -> int:
    """Run the bench and print a table or JSON; return the exit status."""
    costs, figures = measure(max(seconds, LEAST))
    if not costs:
        return EXIT_FAILED
    if as_json:
        print(json.dumps({"probes": [asdict(cost) for cost in costs], **figures}))
        return EXIT_OK
    print(f"{'probe':12}{'every':>7}{'taken':>7}{'ms':>8}{'share':>8}")
    for cost in costs:
        print(f"{cost.name:12}{cost.every:7,}{cost.taken:7}{cost.seconds * 1e3:8.0f}{cost.share:8.2%}")
    print(f"{'snapshots':12}{EVERY:7}{'':15}{figures['share_of_snapshots']:8.2%}")
    largest = figures["largest_share_of_30_s"]
    print(f"largest share of 30 s after the first {'-' if largest is None else f'{largest:.2%}'}", end="")
    print(f", budget {figures['budget']:.0%}; {figures['chars_per_s']:,.0f} characters a second")
    return EXIT_OK

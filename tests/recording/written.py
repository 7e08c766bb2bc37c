"""What the tests of the store write, and how they name what they read back."""

from __future__ import annotations

from rnnscope.recording.events import StepRow
from rnnscope.recording.records import Seen
from rnnscope.recording.writer import Writer

NOBODY = 65534
"""A user for whom permissions count."""


def kinds(recorded: list[Seen]) -> list[str]:
    return [type(one.event).__name__ for one in recorded]


def write_steps(writer: Writer, steps: range, loss: float = 1.0) -> None:
    for step in steps:
        writer.scalar(StepRow(step, loss, 1e-3, 2.0, 1.0, step / 10, step * 0.5, step * 100))
    writer.flush(force=True)

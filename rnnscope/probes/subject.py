"""What the probes of the neuron lab and the sampling lab look at, and how they say how far they have come."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rnnscope.config import Config
from rnnscope.corpus import Corpus
from rnnscope.model import CharRNN
from rnnscope.recording.events import Event


class Cancelled(Exception):
    """Somebody asked a probe to stop; nothing is recorded of it."""


def _no_report(share: float, what: str = "") -> None:
    """Report to nobody."""


def _no_draft(event: Event) -> None:
    """Show nobody."""


@dataclass(frozen=True)
class Subject:
    """A model and its text.

    model: as it is now (training mode or not; a probe leaves mode, weights and random states as they were).
    corpus: the run's own text. config: of the run. step: updates that the weights have had.
    folder: of the run, for its other checkpoints; never written. seed: of the run; probes draw from generators of
    their own.
    report: called with the share done (0 to 1) and what is being done; raises Cancelled when it shall stop.
    draft: shows an unfinished event, as Decoding's while it writes.
    """

    model: CharRNN
    corpus: Corpus
    config: Config
    step: int
    folder: Path
    seed: int = 1
    report: Callable[[float, str], None] = _no_report
    draft: Callable[[Event], None] = _no_draft

"""What the screen is given: immutable values made from the recording, off the UI's thread."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rnnscope.config import Config
from rnnscope.recording.commands import Command
from rnnscope.recording.events import Gradients
from rnnscope.recording.state import RunState
from rnnscope.tui.controls import Controls
from rnnscope.tui.lab_history import History
from rnnscope.tui.rivals import Rivals

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class LossData:
    """Everything on the loss chart. Arrays (N,), a row for each step or bucket of steps.

    count: steps in the row with a finite loss; bad: steps without one. vocabulary: V, None while unknown.
    marks: (step, a word or two) of each change that somebody made; diverged: the same, of the first NaN or infinity.
    rivals: the n-gram models of the same text, once they were measured.
    """

    step: Ints
    count: Ints
    bad: Ints
    loss: Floats
    low: Floats
    high: Floats
    validation_step: tuple[int, ...]
    validation_loss: tuple[float, ...]
    vocabulary: int | None
    marks: tuple[tuple[int, str], ...]
    diverged: tuple[int, str] | None
    rivals: Rivals = ()


@dataclass(frozen=True)
class ClipData:
    """Gradient clipping over the last steps, at most 100 of them.

    rate: share of the steps clipped; scale: mean of norm after / norm before over those; off: no clipping.
    """

    steps: int
    rate: float
    scale: float
    off: bool


@dataclass(frozen=True)
class When:
    """The step at which something was measured; old: so long ago that it no longer shows the network as it is."""

    step: int
    old: bool = False


@dataclass(frozen=True)
class Progress:
    """How far the run is. rate in characters a second (NaN while unknown), elapsed and remaining in seconds."""

    step: int = 0
    total_steps: int | None = None
    epoch: float = 0.0
    share: float | None = None
    rate: float = float("nan")
    elapsed: float = 0.0
    remaining: float = float("nan")
    lr: float = float("nan")
    loss: float = float("nan")


@dataclass(frozen=True)
class Answered:
    """What became of a command that was sent from here."""

    command: Command
    done: bool
    step: int | None
    reason: str


@dataclass(frozen=True, eq=False)
class Other:
    """Another run, drawn beside this one in the same charts. name: from outside."""

    name: str
    loss: LossData | None
    gradients: Gradients | None


@dataclass(frozen=True, eq=False)
class Snapshot:
    """One look at a run. Parts that did not change since the last look are the same objects.

    state: the recording folded; word: the state of the run for the header (as events.Status, or "interrupted");
    name, text: short names of the run and of its text (from outside: to be made printable before they are drawn).
    beside: other runs in the same charts. forks: the folders of runs that were forked off this one and train.
    history: what the lab draws over training steps; marks: (step, words) of each change that somebody made.
    inspected: an inspector looks at the run (inspection.py), and takes the measurements that are asked for.
    notice: lines to show at once (why it failed, the last lines of a dead worker's log), empty when all is well.
    """

    folder: Path
    name: str
    text: str
    config: Config
    state: RunState
    word: str
    notice: tuple[str, ...]
    live: bool
    progress: Progress
    loss: LossData | None
    clip: ClipData | None
    controls: Controls
    history: History = History()
    marks: tuple[tuple[int, str], ...] = ()
    beside: tuple[Other, ...] = ()
    forks: tuple[Path, ...] = ()
    inspected: bool = False

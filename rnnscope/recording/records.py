"""What a reader hands to a screen: recorded events, the signal to start over, and columns of scalars."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from rnnscope.config import Config
from rnnscope.recording.events import Event, StepRow

E_co = TypeVar("E_co", covariant=True)
Doubles = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Reset:
    """The run was resumed or rewound: forget what came before; the new lineage follows from its start.

    segment: the new newest segment; start_step: the step it continues from; config, meta: as they are now.
    """

    kind: ClassVar[str] = "reset"
    segment: int
    start_step: int
    config: Config
    meta: Mapping[str, Any]


@dataclass(frozen=True)
class Recorded(Generic[E_co]):
    """An event with its place in the recording. time: seconds since 1970, when it was recorded."""

    id: int
    segment: int
    step: int
    time: float
    event: E_co


Seen = Recorded[Event | Reset]


@dataclass(frozen=True)
class Columns:
    """Scalars of training steps, oldest first: N rows, each one step, or a bucket of steps when there are very many.

    reset: forget all columns before these (the run was resumed or rewound, and these start from its beginning).
    step (N,): the step, or the last of the bucket. count (N,): steps in the row that have a finite loss; bad (N,):
    steps whose loss is NaN or infinite. loss (N,): the loss, or the mean of the finite ones (NaN without any);
    loss_low, loss_high (N,): their least and greatest. lr, grad_norm, grad_norm_clipped (N,): the value, or the
    mean; clipped (N,): fraction of the steps in which clipping made the gradient smaller. epoch, seconds, chars
    (N,): after the row's last step. newest: the newest step as recorded, None before the first.
    """

    reset: bool
    step: Integers
    count: Integers
    bad: Integers
    loss: Doubles
    loss_low: Doubles
    loss_high: Doubles
    lr: Doubles
    grad_norm: Doubles
    grad_norm_clipped: Doubles
    clipped: Doubles
    epoch: Doubles
    seconds: Doubles
    chars: Integers
    newest: StepRow | None

    def __len__(self) -> int:
        return len(self.step)

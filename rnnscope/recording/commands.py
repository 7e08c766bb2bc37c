"""What a viewer may ask of a worker. The worker takes commands between steps and answers each once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, TypeAlias


@dataclass(frozen=True)
class Pause:
    """Stop training after the current step; everything stays on screen."""

    kind: ClassVar[str] = "pause"


@dataclass(frozen=True)
class Resume:
    """Go on training."""

    kind: ClassVar[str] = "resume"


@dataclass(frozen=True)
class Advance:
    """Train exactly `steps` steps, then pause; probes are taken after each."""

    kind: ClassVar[str] = "advance"
    steps: int = 1


@dataclass(frozen=True)
class ScaleLearningRate:
    """Multiply the scheduled learning rate by `factor` from the next step on (cumulative)."""

    kind: ClassVar[str] = "scale_lr"
    factor: float = 1.0


@dataclass(frozen=True)
class SetClip:
    """Set the clipping threshold, None to switch clipping off; by: "norm", "value", or None to keep which."""

    kind: ClassVar[str] = "set_clip"
    threshold: float | None = None
    by: str | None = None


@dataclass(frozen=True)
class SetBptt:
    """Set the length T of the windows, from the next one on."""

    kind: ClassVar[str] = "set_bptt"
    length: int = 50


@dataclass(frozen=True)
class ScaleRecurrent:
    """Multiply W_hh by `factor`, of one layer (from 0) or of all."""

    kind: ClassVar[str] = "scale_recurrent"
    factor: float = 1.0
    layer: int | None = None


@dataclass(frozen=True)
class ResetState:
    """Set the carried hidden state to zero."""

    kind: ClassVar[str] = "reset_state"


@dataclass(frozen=True)
class Rewind:
    """Go back to the restorable step at or before `step` and go on from there in a new segment.

    factor: on the learning rate as it then was. clip: a threshold to switch clipping on with, None to leave it.
    With neither, what happened happens again.
    """

    kind: ClassVar[str] = "rewind"
    step: int = 0
    factor: float = 1.0
    clip: float | None = None


@dataclass(frozen=True)
class Fork:
    """Start a second run from here, in folder `name` beside this one, with `setting` (a flag's name) at `value`.

    An empty setting makes an unchanged twin. This run goes on as it was.
    """

    kind: ClassVar[str] = "fork"
    name: str = ""
    setting: str = ""
    value: str = ""


@dataclass(frozen=True)
class SetTemperature:
    """Set the temperature of samples and of free running."""

    kind: ClassVar[str] = "set_temperature"
    temperature: float = 0.8


@dataclass(frozen=True)
class Measure:
    """Take a probe of the neuron or the sampling lab; arguments: a `Request` (requests.py) as JSON text.

    A newer one for the same probe takes the place of one that still waits.
    """

    kind: ClassVar[str] = "measure"
    probe: str = ""
    arguments: str = "{}"


@dataclass(frozen=True)
class Cancel:
    """Break off the probe that was asked for and is being taken, and forget those that wait."""

    kind: ClassVar[str] = "cancel"


@dataclass(frozen=True)
class Save:
    """Write a checkpoint now and keep it."""

    kind: ClassVar[str] = "save"


@dataclass(frozen=True)
class Stop:
    """Write a checkpoint and end the run."""

    kind: ClassVar[str] = "stop"


Command: TypeAlias = (
    Pause
    | Resume
    | Advance
    | ScaleLearningRate
    | SetClip
    | SetBptt
    | ScaleRecurrent
    | ResetState
    | SetTemperature
    | Rewind
    | Fork
    | Measure
    | Cancel
    | Save
    | Stop
)
COMMANDS: dict[str, type[Command]] = {
    cls.kind: cls
    for cls in (
        Pause, Resume, Advance, ScaleLearningRate, SetClip, SetBptt, ScaleRecurrent, ResetState, SetTemperature,
        Rewind, Fork, Measure, Cancel, Save, Stop,
    )
}  # fmt: skip

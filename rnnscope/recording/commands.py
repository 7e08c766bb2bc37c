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
    """Set the clipping threshold, None to switch clipping off."""

    kind: ClassVar[str] = "set_clip"
    threshold: float | None = None


@dataclass(frozen=True)
class SetTemperature:
    """Set the temperature of samples and of free running."""

    kind: ClassVar[str] = "set_temperature"
    temperature: float = 0.8


@dataclass(frozen=True)
class Save:
    """Write a checkpoint now and keep it."""

    kind: ClassVar[str] = "save"


@dataclass(frozen=True)
class Stop:
    """Write a checkpoint and end the run."""

    kind: ClassVar[str] = "stop"


Command: TypeAlias = Pause | Resume | Advance | ScaleLearningRate | SetClip | SetTemperature | Save | Stop
COMMANDS: dict[str, type[Command]] = {
    cls.kind: cls for cls in (Pause, Resume, Advance, ScaleLearningRate, SetClip, SetTemperature, Save, Stop)
}

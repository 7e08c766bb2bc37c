"""From a key to a command: pure functions of what the worker was last known, or is expected, to be doing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from rnnscope.recording.commands import (
    Advance,
    Command,
    Fork,
    Pause,
    ResetState,
    Resume,
    Rewind,
    Save,
    ScaleLearningRate,
    ScaleRecurrent,
    SetBptt,
    SetClip,
    SetTemperature,
    Stop,
)

LR_FACTOR = 1.25
TEMPERATURE_STEP = 0.1
TEMPERATURES = (0.1, 3.0)  # a temperature of 0 would divide by zero; above 3 any model writes noise


@dataclass(frozen=True)
class Controls:
    """What can be changed while training, as it stands, or as it will once the commands sent have been done."""

    paused: bool
    lr_scale: float  # factor on the scheduled learning rate
    clip: float | None
    usual_clip: float  # the threshold to go back to when clipping is switched on again
    temperature: float


def _temperature_by(amount: float) -> Callable[[Controls], Command]:
    def build(controls: Controls) -> Command:
        low, high = TEMPERATURES
        return SetTemperature(round(min(max(controls.temperature + amount, low), high), 2))

    return build


COMMAND_KEYS: dict[str, Callable[[Controls], Command]] = {
    "pause": lambda controls: Resume() if controls.paused else Pause(),
    "step": lambda controls: Advance(1),
    "lr_up": lambda controls: ScaleLearningRate(LR_FACTOR),
    "lr_down": lambda controls: ScaleLearningRate(1 / LR_FACTOR),
    "clip": lambda controls: SetClip(controls.usual_clip if controls.clip is None else None),
    "cooler": _temperature_by(-TEMPERATURE_STEP),
    "hotter": _temperature_by(TEMPERATURE_STEP),
    "save": lambda controls: Save(),
    "stop": lambda controls: Stop(),
}


def expected(controls: Controls, command: Command) -> Controls:
    """Return the controls as they will be once `command` has been done, so that a second press builds on the first."""
    match command:
        case Pause() | Advance():
            return replace(controls, paused=True)
        case Resume():
            return replace(controls, paused=False)
        case ScaleLearningRate(factor):
            return replace(controls, lr_scale=controls.lr_scale * factor)
        case SetClip(threshold):
            return replace(controls, clip=threshold)
        case SetTemperature(temperature):
            return replace(controls, temperature=temperature)
    return controls


def describe(command: Command) -> str:
    """Return a few words for a person: what was asked."""
    match command:
        case Pause():
            return "pause"
        case Resume():
            return "go on training"
        case Advance(steps):
            return "one step" if steps == 1 else f"{steps} steps"
        case ScaleLearningRate(factor):
            return f"learning rate × {factor:g}"
        case SetClip(None):
            return "clipping off"
        case SetClip(threshold, by):
            return f"clipping {f'by {by} ' if by else ''}at {threshold:g}"
        case SetBptt(length):
            return f"windows of {length} characters"
        case ScaleRecurrent(factor, layer):
            return f"W_hh × {factor:g}{'' if layer is None else f' in layer {layer + 1}'}"
        case ResetState():
            return "reset the state"
        case Rewind(step):
            return f"rewind to step {step:,}"
        case Fork(name, setting, value):
            return f"fork {name}{f' with {setting} {value}' if setting else ''}".strip()
        case SetTemperature(temperature):
            return f"temperature {temperature:g}"
        case Save():
            return "save a checkpoint"
    return "stop the run"

"""From a key to a command: pure functions of what the worker was last known, or is expected, to be doing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from rnnscope.recording.commands import (
    Advance,
    Cancel,
    Command,
    Fork,
    Measure,
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
CLIP_FACTOR = 1.25
W_HH_FACTORS = (0.9, 1.1)
EASIER = 0.1
"""On the learning rate, when a rewind is to go on more carefully."""
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
    clip_by: str = "norm"
    bptt: int = 50
    again_from: int | None = None
    rewind_to: int | None = None  # the step that the black box offers; None without an incident
    broke_at: int | None = None  # the step of the incident


def _temperature_by(amount: float) -> Callable[[Controls], Command]:
    def build(controls: Controls) -> Command:
        low, high = TEMPERATURES
        return SetTemperature(round(min(max(controls.temperature + amount, low), high), 2))

    return build


def _clip_times(factor: float) -> Callable[[Controls], Command]:
    def build(controls: Controls) -> Command:
        now = controls.usual_clip if controls.clip is None else controls.clip
        return SetClip(float(f"{now * factor:.3g}"))

    return build


def _careful_clip(controls: Controls) -> float:
    """Return the threshold for going on more carefully: where it clipped already and broke all the same, a tenth."""
    return controls.usual_clip if controls.clip is None else float(f"{controls.clip * EASIER:.3g}")


def _clip_by(controls: Controls) -> Command:
    threshold = controls.usual_clip if controls.clip is None else controls.clip
    return SetClip(threshold, "value" if controls.clip_by == "norm" else "norm")


COMMAND_KEYS: dict[str, Callable[[Controls], Command]] = {
    "pause": lambda controls: Resume() if controls.paused else Pause(),
    "step": lambda controls: Advance(1),
    "ten": lambda controls: Advance(10),
    "lr_up": lambda controls: ScaleLearningRate(LR_FACTOR),
    "lr_down": lambda controls: ScaleLearningRate(1 / LR_FACTOR),
    "clip": lambda controls: SetClip(controls.usual_clip if controls.clip is None else None),
    "cooler": _temperature_by(-TEMPERATURE_STEP),
    "hotter": _temperature_by(TEMPERATURE_STEP),
    "save": lambda controls: Save(),
    "stop": lambda controls: Stop(),
    "clip_lower": _clip_times(1 / CLIP_FACTOR),
    "clip_higher": _clip_times(CLIP_FACTOR),
    "clip_by": _clip_by,
    "bptt_shorter": lambda controls: SetBptt(max(controls.bptt // 2, 1)),
    "bptt_longer": lambda controls: SetBptt(controls.bptt * 2),
    "weaken": lambda controls: ScaleRecurrent(W_HH_FACTORS[0]),
    "strengthen": lambda controls: ScaleRecurrent(W_HH_FACTORS[1]),
    "reset_state": lambda controls: ResetState(),
    "cancel": lambda controls: Cancel(),
    "rewind": lambda controls: Rewind(controls.again_from or 0),
    "rewind_easier": lambda controls: Rewind(controls.rewind_to or 0, factor=EASIER),
    "rewind_clip": lambda controls: Rewind(controls.rewind_to or 0, clip=_careful_clip(controls)),
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
        case SetClip(threshold, by):
            return replace(controls, clip=threshold, clip_by=by or controls.clip_by)
        case SetBptt(length):
            return replace(controls, bptt=length)
        case Rewind(_, factor, clip):
            kept = controls.clip if clip is None else clip
            return replace(
                controls, paused=False, lr_scale=controls.lr_scale * factor, clip=kept,
                rewind_to=None, again_from=None, broke_at=None,
            )  # fmt: skip
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
        case Rewind(step, factor, clip):
            how = f", learning rate × {factor:g}" if factor != 1 else ""
            how += f", clipping at {clip:g}" if clip is not None else ""
            return f"rewind to step {step:,}{how}"
        case Fork(name, setting, value):
            return f"fork {name}{f' with {setting} {value}' if setting else ''}".strip()
        case SetTemperature(temperature):
            return f"temperature {temperature:g}"
        case Measure(probe):
            return f"measure {probe}".strip()
        case Cancel():
            return "break off what is being measured"
        case Save():
            return "save a checkpoint"
    return "stop the run"

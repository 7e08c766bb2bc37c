"""What the worker does at a command: one function a command, between two training steps.

A new command is a dataclass in `recording/commands.py`, a function here and a line in `HANDLERS`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from rnnscope import forking
from rnnscope.errors import RunFailed, UserError
from rnnscope.recording import commands as c
from rnnscope.recording import events as e
from rnnscope.saved import resumable_steps, weights_name
from rnnscope.spawning import spawn_worker

if TYPE_CHECKING:
    from rnnscope.asking import Asking
    from rnnscope.worker import Session


class Refused(Exception):
    """The command is not carried out; the message says why, for the person who sent it."""


class Measures(Protocol):
    """A session that takes the probes somebody asks for: the worker's, or an inspector."""

    asking: Asking


def obey(
    session: Any, command: c.Command, handlers: Mapping[type, Callable[[Any, Any], None]] | None = None
) -> tuple[bool, str]:
    """Carry out one command by its handler (HANDLERS by default); return whether it was done, and why not."""
    handler = (HANDLERS if handlers is None else handlers).get(type(command))
    if handler is None:
        return False, f"this worker knows no {command.kind!r} yet"
    try:
        handler(session, command)
    except Refused as reason:
        return False, str(reason)
    return True, ""


def pause(session: Session, command: c.Pause) -> None:
    """Stop training after the step just done."""
    session.paused, session.allowance = True, 0
    session.status(e.PAUSED)


def resume(session: Session, command: c.Resume) -> None:
    """Go on training."""
    session.paused, session.allowance = False, 0
    session.status(e.TRAINING)


def advance(session: Session, command: c.Advance) -> None:
    """Train exactly so many steps, then pause."""
    if command.steps < 1:
        raise Refused("advance by at least one step")
    session.paused, session.allowance = True, command.steps


def scale_learning_rate(session: Session, command: c.ScaleLearningRate) -> None:
    """Multiply the scheduled rate."""
    session.trainer.lr_scale *= positive("factor", command.factor)
    session.changed(command.kind)


def set_clip(session: Session, command: c.SetClip) -> None:
    """Set the clipping threshold, or switch clipping off."""
    if command.by not in (None, "norm", "value"):
        raise Refused("clip by norm or by value")
    session.trainer.clip = None if command.threshold is None else positive("threshold", command.threshold)
    session.trainer.clip_by = command.by or session.trainer.clip_by
    session.changed(command.kind)


def set_bptt(session: Session, command: c.SetBptt) -> None:
    """Set the length of the windows."""
    try:
        session.trainer.set_bptt(command.length)
    except UserError as error:
        raise Refused(str(error)) from error
    session.changed(command.kind)


def scale_recurrent(session: Session, command: c.ScaleRecurrent) -> None:
    """Multiply W_hh."""
    layers = len(session.trainer.model.layers)
    if command.layer is not None and not 0 <= command.layer < layers:
        raise Refused(f"there are layers 0 to {layers - 1}")
    if not (math.isfinite(command.factor) and command.factor != 0):
        raise Refused("the factor must be a number other than zero")
    session.trainer.scale_recurrent(command.factor, command.layer)
    session.changed(command.kind)


def reset_state(session: Session, command: c.ResetState) -> None:
    """Let the next window start from a zero state."""
    session.trainer.reset_state()
    session.changed(command.kind)


def rewind(session: Session, command: c.Rewind) -> None:
    """Go back in a new segment, and go on from there."""
    factor = positive("factor", command.factor)
    clip = None if command.clip is None else positive("threshold", command.clip)
    trainer, best = session.trainer, session.trainer.best_validation
    try:
        _go_back(session, command.step)
    except UserError as error:
        raise Refused(str(error)) from error
    trainer.lr_scale *= factor
    trainer.clip = trainer.clip if clip is None else clip
    trainer.best_validation = min(best, trainer.best_validation)  # the file of the best weights stays, whatever branch
    session.measuring.forget()
    session.writer.flush(force=True)
    session.event(e.Checkpoint(session.keeper.rewound(trainer, session.kept()), "rewind"))
    session.writer.begin_segment(trainer.step)
    session.changed(command.kind)
    session.paused, session.allowance, session.diverged, session.validated = False, 0, None, -1
    session.status(e.TRAINING)


def _go_back(session: Session, step: int) -> None:
    """Bring the trainer to `step`, or to the newest whole checkpoint before it. Raises UserError."""
    trainer = session.trainer
    if not 0 <= step <= trainer.step:
        raise UserError(f"there is no step {step:,} to go back to")
    if not session.incidents.rewind(step):
        older = [saved for saved in resumable_steps(session.folder) if saved <= step]
        if not older:
            raise UserError(f"nothing is kept of step {step:,} or before")
        trainer.load(session.folder / weights_name(older[-1]))


def fork(session: Session, command: c.Fork) -> None:
    """Start a second run from here."""
    asked = command.name, command.setting, command.value
    try:
        spawn_worker(forking.fork(session.trainer, session.folder, *asked, session.kept()))
    except (UserError, RunFailed) as error:
        raise Refused(str(error)) from error


def set_temperature(session: Session, command: c.SetTemperature) -> None:
    """Set the temperature, and show at once what it changes."""
    session.temperature = temperature_of(command)
    session.settings(command.kind)
    for name in ("sample", "comparison"):
        session.measuring.take(name, session.trainer.step, session.temperature, asked=True)


def measure(session: Measures, command: c.Measure) -> None:
    """Have a probe taken soon; one that was asked for before and still waits is forgotten."""
    try:
        session.asking.ask(command.probe, command.arguments)
    except UserError as error:
        raise Refused(str(error)) from error


def cancel(session: Measures, command: c.Cancel) -> None:
    """Break off what is being measured, and forget what waits."""
    session.asking.cancel()


def save(session: Session, command: c.Save) -> None:
    """Write a checkpoint that thinning leaves alone."""
    session.save("asked")


def stop(session: Session, command: c.Stop) -> None:
    """End the run after the step just done."""
    session.stopping = e.STOPPED


def temperature_of(command: c.SetTemperature) -> float:
    """Return the temperature asked for. Raises Refused unless it can be one."""
    if not (math.isfinite(command.temperature) and command.temperature >= 0):
        raise Refused("the temperature must be zero or a positive number")
    return command.temperature


def positive(what: str, value: float) -> float:
    """Return `value`. Raises Refused unless it is a positive number."""
    if not (math.isfinite(value) and value > 0):
        raise Refused(f"the {what} must be a positive number")
    return value


HANDLERS: dict[type, Callable[[Session, Any], None]] = {
    c.Pause: pause,
    c.Resume: resume,
    c.Advance: advance,
    c.ScaleLearningRate: scale_learning_rate,
    c.SetClip: set_clip,
    c.SetBptt: set_bptt,
    c.ScaleRecurrent: scale_recurrent,
    c.ResetState: reset_state,
    c.Rewind: rewind,
    c.Fork: fork,
    c.SetTemperature: set_temperature,
    c.Measure: measure,
    c.Cancel: cancel,
    c.Save: save,
    c.Stop: stop,
}

HARMLESS = (c.Pause, c.Resume, c.Advance, c.SetTemperature, c.Measure, c.Cancel, c.Stop)
"""Commands that can be obeyed in the middle of a validation, of a probe that somebody asked for or of a slow scheduled
one: they leave weights, state and settings alone."""

"""A fork: a second run that starts from where this one is, with one setting changed and the same seed.

It is a run folder of its own that names its parent and the step. Everything that decides how training goes on is
copied, so an unchanged fork stays equal to its parent, bit for bit (CPU, same versions and threads).
"""

from __future__ import annotations

import dataclasses
import re
import shutil
import typing
from pathlib import Path
from typing import Any

from rnnscope.check import check
from rnnscope.config import Config, TrainingConfig, option_types
from rnnscope.errors import UserError
from rnnscope.recording.runs import fork_name
from rnnscope.recording.writer import Writer
from rnnscope.training.loop import Trainer

SETTINGS = (
    "lr", "lr_decay", "clip", "clip_by", "bptt", "momentum", "weight_decay", "steps", "scheduled_sampling",
    "sampling_steps", "sampling_floor",
)  # fmt: skip
"""What a fork can change: nothing that the saved weights or the optimiser's memory depend on."""

NAME = re.compile(r"[\w.+-]{1,100}")


def changed(config: Config, setting: str, value: str) -> Config:
    """Return the configuration with one training option changed; `setting` as the flag is named.

    Raises:
        UserError: not an option that a fork can change, or a value that cannot work.
    """
    if not setting:
        return config
    name = setting.lstrip("-").replace("-", "_")
    if name not in SETTINGS:
        raise UserError(f"a fork can change {', '.join(SETTINGS)}; not {setting!r}")
    training = dataclasses.replace(config.training, **{name: _parsed(name, value)})
    new = dataclasses.replace(config, training=training)
    check(new)
    return new


def _parsed(name: str, value: str) -> Any:
    """Return `value` in the type of the option's default."""
    hint = option_types(TrainingConfig)[name]
    if typing.get_origin(hint) is typing.Literal:
        choices = typing.get_args(hint)
        if value not in choices:
            raise UserError(f"--{name.replace('_', '-')} {value}: use {', '.join(choices[:-1])} or {choices[-1]}")
        return value
    if name == "clip" and value == "none":
        return value
    whole = name in ("bptt", "steps", "sampling_steps")
    try:
        return int(value) if whole else float(value)
    except ValueError as error:
        raise UserError(f"--{name.replace('_', '-')} {value}: must be a {'whole ' if whole else ''}number") from error


def fork(trainer: Trainer, parent: Path, name: str, setting: str, value: str, kept: dict[str, Any]) -> Path:
    """Create the fork's folder beside `parent`, ready for a worker; return it.

    kept: what the session keeps in a checkpoint. The trainer is as it was afterwards.

    Raises:
        UserError: a name or setting that cannot be; the folder exists or cannot be written. Nothing is left.
        RunFailed: the disk is full.
    """
    if name and not NAME.fullmatch(name):
        raise UserError(f"{name!r} is no name for a run: use letters, digits, dots, dashes")
    config = changed(trainer.config, setting, value)
    folder = parent.with_name(name or fork_name(parent))
    here, created = trainer.snapshot(), False
    try:
        _apply(trainer, config.training, setting)
        # The windows' length is part of the data position, where it has just been changed.
        same = dataclasses.replace(config.training, bptt=trainer.config.training.bptt)
        about = {"parent": {"run": str(parent), "step": trainer.step, "setting": setting}}
        Writer.create(folder, dataclasses.replace(config, training=same), about).close()
        created = True
        trainer.save(folder, kept)
    except BaseException:
        if created:
            shutil.rmtree(folder, ignore_errors=True)
        raise
    finally:
        trainer.restore(here)
    return folder


def _apply(trainer: Trainer, training: TrainingConfig, setting: str) -> None:
    """Change the live setting too: it may differ from what was configured."""
    match setting.lstrip("-").replace("-", "_"):
        case "lr":
            trainer.lr_scale = 1.0
        case "clip":
            trainer.clip = None if training.clip == "none" else float(training.clip)
        case "clip_by":
            trainer.clip_by = training.clip_by
        case "bptt":
            trainer.set_bptt(training.bptt)

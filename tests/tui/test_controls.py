"""From a key to a command."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rnnscope.recording.commands import (
    COMMANDS,
    Advance,
    Command,
    Pause,
    Resume,
    Rewind,
    Save,
    ScaleLearningRate,
    SetClip,
    SetTemperature,
    Stop,
)
from rnnscope.tui.controls import COMMAND_KEYS, Controls, describe, expected

NOW = Controls(paused=False, lr_scale=1.0, clip=5.0, usual_clip=5.0, temperature=0.8)
BROKEN = replace(NOW, paused=True, rewind_to=192, again_from=250, broke_at=300)


@pytest.mark.parametrize(
    ("key", "now", "command"),
    [
        ("pause", NOW, Pause()),
        ("pause", replace(NOW, paused=True), Resume()),
        ("step", NOW, Advance(1)),
        ("lr_up", NOW, ScaleLearningRate(1.25)),
        ("lr_down", NOW, ScaleLearningRate(0.8)),
        ("clip", NOW, SetClip(None)),
        ("clip", replace(NOW, clip=None, usual_clip=2.0), SetClip(2.0)),
        ("cooler", NOW, SetTemperature(0.7)),
        ("hotter", NOW, SetTemperature(0.9)),
        ("cooler", replace(NOW, temperature=0.1), SetTemperature(0.1)),
        ("hotter", replace(NOW, temperature=3.0), SetTemperature(3.0)),
        ("save", NOW, Save()),
        ("stop", NOW, Stop()),
        ("rewind", BROKEN, Rewind(250)),
        ("rewind_easier", BROKEN, Rewind(192, factor=0.1)),
        ("rewind_clip", BROKEN, Rewind(192, clip=0.5)),
        ("rewind_clip", replace(BROKEN, clip=None), Rewind(192, clip=5.0)),
    ],
)
def test_keys_build_commands(key: str, now: Controls, command: Command) -> None:
    assert COMMAND_KEYS[key](now) == command


def test_a_second_press_builds_on_what_the_first_will_do() -> None:
    now = NOW
    for _ in range(3):
        now = expected(now, COMMAND_KEYS["hotter"](now))
    assert now.temperature == pytest.approx(1.1)
    for _ in range(2):
        now = expected(now, COMMAND_KEYS["clip"](now))
    assert now.clip == 5.0
    assert COMMAND_KEYS["pause"](expected(now, Pause())) == Resume()


def test_every_command_has_words() -> None:
    words = [describe(command()) for command in COMMANDS.values()]
    assert all(words)
    assert len(set(words)) == len(words)

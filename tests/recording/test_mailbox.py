"""Commands: sent by viewers, taken once, answered once, refused with a reason."""

from __future__ import annotations

import contextlib
import math
import sqlite3
from pathlib import Path

import pytest

from rnnscope.config import Config
from rnnscope.errors import UserError
from rnnscope.recording.codec import to_json
from rnnscope.recording.commands import (
    COMMANDS,
    Advance,
    Command,
    Pause,
    ScaleLearningRate,
    SetClip,
    SetTemperature,
    Stop,
)
from rnnscope.recording.events import Intervention, StepRow
from rnnscope.recording.mailbox import Answer, Mailbox, Sender, decode_command
from rnnscope.recording.reader import Reader
from rnnscope.recording.writer import Writer

EVERY: list[Command] = [
    *(cls() for cls in COMMANDS.values()),
    Advance(10),
    ScaleLearningRate(0.5),
    SetClip(1.5),
    SetClip(None),
    SetTemperature(1.2),
]


def test_every_command_arrives_once_and_in_order(tmp_path: Path) -> None:
    with Writer.create(tmp_path / "run", Config()) as writer:
        sender = Sender(tmp_path / "run")
        ids = [sender.send(command) for command in EVERY]
        assert writer.commands() == list(zip(ids, EVERY, strict=True))
        assert writer.commands() == []
        again = sender.send(Pause())
        assert writer.commands() == [(again, Pause())]


def test_each_is_answered_once_and_recorded(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with Writer.create(folder, Config()) as writer:
        sender = Sender(folder)
        first, second = sender.send(ScaleLearningRate(2.0)), sender.send(SetClip(-1.0))
        assert sender.answer(first) is None
        writer.commands()
        assert sender.answer(first) is None
        writer.answer(first, 7, True)
        writer.answer(second, 7, False, "the threshold must be positive")
        writer.answer(first, 9, False, "again")
        assert sender.answer(first) == Answer(True, 7)
        assert sender.answer(second) == Answer(False, 7, "the threshold must be positive")
    with Reader(folder) as reader:
        recorded = [(one.step, one.event) for one in reader.poll()]
    assert recorded == [
        (7, Intervention("scale_lr", '{"factor":2.0}', True)),
        (7, Intervention("set_clip", '{"threshold":-1.0,"by":null}', False, "the threshold must be positive")),
    ]
    assert sender.answer(first) == Answer(True, 7)  # still there when the run has ended


def insert(folder: Path, kind: str, arguments: str) -> int:
    with contextlib.closing(sqlite3.connect(folder / "commands.db", isolation_level=None)) as connection:
        cursor = connection.execute("INSERT INTO commands(sent, kind, arguments) VALUES(0, ?, ?)", (kind, arguments))
        return int(cursor.lastrowid or 0)


def test_what_is_not_understood_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with Writer.create(folder, Config()) as writer:
        writer.scalar(StepRow(41, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1))
        unknown = insert(folder, "dance", "{}")
        broken = insert(folder, "pause", "{")
        known = Sender(folder).send(Pause())
        assert writer.commands() == [(known, Pause())]
        answer = Sender(folder).answer(unknown)
        assert answer == Answer(False, 41, "this worker does not know the command 'dance'")
        refused = Sender(folder).answer(broken)
        assert refused is not None
        assert not refused.done


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        ("advance", '{"steps":1.5}'),
        ("advance", '{"steps":true}'),
        ("advance", '{"steps":null}'),
        ("advance", '{"steps":"3"}'),
        ("advance", '{"step":3}'),
        ("advance", "[3]"),
        ("scale_lr", to_json({"factor": math.nan})),
        ("set_clip", to_json({"threshold": math.inf})),
        ("pause", "nothing"),
    ],
)
def test_arguments_that_do_not_fit(kind: str, arguments: str) -> None:
    command, problem = decode_command(kind, arguments)
    assert command is None
    assert kind in problem


def test_whole_numbers_are_numbers() -> None:
    assert decode_command("set_clip", '{"threshold":5}') == (SetClip(5), "")


def test_commands_for_an_earlier_worker_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with Writer.create(folder, Config()):
        pass
    left = insert(folder, "stop", "{}")
    with Writer.open(folder) as writer:
        assert writer.commands() == []
        assert Sender(folder).answer(left) == Answer(False, None, "the worker it was meant for has ended")


def test_commands_at_the_end_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    writer = Writer.create(folder, Config())
    sender = Sender(folder)
    late = sender.send(Pause())
    writer.close()
    assert sender.answer(late) == Answer(False, None, "the worker has ended")
    assert sender.answer(late + 100) == Answer(False, None, "the worker has ended")
    assert {path.name for path in folder.iterdir()} == {"run.db", "lock", "commands.db"}


def test_nobody_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no worker is there to stop"):
        Sender(tmp_path).send(Stop())
    Writer.create(tmp_path / "run", Config()).close()
    with pytest.raises(UserError, match="run is not running"):
        Sender(tmp_path / "run").send(Pause())


def test_a_damaged_mailbox_is_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    Writer.create(folder, Config()).close()
    (folder / "commands.db").write_bytes(b"not a database" * 1000)
    with Writer.open(folder) as writer:
        id = Sender(folder).send(Pause())
        assert writer.commands() == [(id, Pause())]


def test_ids_are_never_used_again(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with Writer.create(folder, Config()):
        first = Sender(folder).send(Pause())
    with Writer.open(folder):
        assert Sender(folder).send(Pause()) > first


def test_two_viewers(tmp_path: Path) -> None:
    mailbox = Mailbox(tmp_path)
    with contextlib.closing(sqlite3.connect(tmp_path / "commands.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        other.execute("INSERT INTO commands(sent, kind, arguments) VALUES(0, 'pause', '{}')")
        assert mailbox.take() == []  # not committed yet; reading does not wait for it
        other.execute("COMMIT")
        assert [taken.command for taken in mailbox.take()] == [Pause()]
    mailbox.close()

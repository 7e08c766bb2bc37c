"""Messages between the parts of the screen."""

from __future__ import annotations

from textual.message import Message

from rnnscope.recording.commands import Command


class Asked(Message):
    """A key asked the worker for something."""

    def __init__(self, command: Command) -> None:
        super().__init__()
        self.command = command

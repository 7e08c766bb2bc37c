"""A question answered with one line: a prompt, a number, an expression."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Static

HINT = "enter takes it   esc does not"


class AskScreen(ModalScreen[str | None]):
    """Returns the line as it was typed; None: no answer.

    title: the question; placeholder: an example, seen while nothing is typed; value: what stands there at first;
    hint: a line below, before the keys.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "close", "close", show=False)]
    CSS = """
    #ask { width: 84; max-width: 96%; height: auto; padding: 1 2; border: heavy $accent; background: $background; }
    #ask Input { margin: 1 0; }
    """

    def __init__(self, title: str, placeholder: str = "", value: str = "", hint: str = "") -> None:
        super().__init__()
        self._question, self._placeholder, self._value = title, placeholder, value
        self._hint = f"{hint}\n{HINT}" if hint else HINT

    def compose(self) -> ComposeResult:
        """Lay out question, line and hint."""
        with Vertical(id="ask"):
            yield Static(self._question, markup=False)
            yield Input(self._value, placeholder=self._placeholder, id="ask-line")
            yield Static(self._hint, markup=False)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Take the answer."""
        self.dismiss(event.value)

    def action_close(self) -> None:
        """No answer."""
        self.dismiss(None)

"""The question which setting a fork is to have."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Static

QUESTION = "Go on as two runs from here. What shall be different in the second?"
HINT = (
    "One setting as on the command line:  lr 0.0005   clip 1   clip none   bptt 100\n"
    "Nothing makes an unchanged twin.   enter starts it   esc does not"
)


def parsed(text: str) -> tuple[str, str] | None:
    """Return (setting, value) of "--lr 0.01", "lr=0.01" or ""; None where only one of the two is there."""
    words = text.replace("=", " ").split()
    if not words:
        return "", ""
    return (words[0].lstrip("-"), words[1]) if len(words) == 2 else None


class ForkScreen(ModalScreen[tuple[str, str] | None]):
    """Returns (setting, value), both "" for an unchanged twin; None: no fork."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "close", "close", show=False)]
    CSS = """
    #fork { width: 84; max-width: 96%; height: auto; padding: 1 2; border: heavy $accent; background: $background; }
    #fork Input { margin: 1 0; }
    """

    def compose(self) -> ComposeResult:
        """Lay out question, line and hint."""
        with Vertical(id="fork"):
            yield Static(QUESTION, markup=False)
            yield Input(placeholder="lr 0.0005", id="fork-setting")
            yield Static(HINT, markup=False, id="fork-hint")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Take the answer if it is one."""
        answer = parsed(event.value)
        if answer is None:
            self.query_one("#fork-hint", Static).update("a setting and its value, as:  lr 0.0005")
        else:
            self.dismiss(answer)

    def action_close(self) -> None:
        """No fork."""
        self.dismiss(None)

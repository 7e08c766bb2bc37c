"""What one sees, in a student's words, and every key."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from rnnscope.tui.actions import GROUPS, Group, in_groups
from rnnscope.tui.screens.base import RunScreen
from rnnscope.tui.widgets.panel import Panel

DETAILS: dict[str, str] = {
    "training": (
        "The network trains in a process of its own; this screen only reads what that process records, so closing the "
        "screen loses nothing. These keys act on the training itself, between two steps, and each answer is shown "
        "when it has taken effect. Once a run has ended they do nothing, and leave the last line."
    ),
    "asking": (
        "What a panel shows is measured when you ask for it, by the process that trains, between two steps; a long one "
        "says on the panel's frame how far it is, and can be broken off. There it also says how many steps ago it was "
        "taken: the network has learnt since, and measuring again shows what has become of it."
    ),
    "display": (
        "Tab moves from panel to panel, a click does too, and a double click fills the screen. The header shows the "
        "run, how far it is, how fast it goes, and what share of the time the measuring takes. At the right end of a "
        "panel's frame stands the training step at which it was measured; it is written in another colour, as old, "
        "when the network has learnt for much longer since."
    ),
}
"""What there is to say of the groups of keys that belong to no panel."""


def help_text(screen: RunScreen) -> Text:
    """Return the whole help of a screen: first all its panels in a few sentences each, then every detail and key.

    If one panel fills the screen, that one comes first, with its details and keys.
    """
    text = Text()
    groups = list(screen.groups)
    large = screen.panels.get(screen.large)
    if large is not None:
        _headline(text, large)
        text.append(large.summary + "\n\n")
        _explain(text, large.details, _group_of(large, groups))
    text.append("This screen\n", style="bold underline")
    text.append(screen.about + "\n\n")
    for panel in screen.panels.values():
        if panel is not large:
            _headline(text, panel)
            text.append(panel.summary + "\n\n")
    for group in groups:
        owner = screen.panels.get(group)
        if owner is None or owner is not large:
            text.append(f"{GROUPS[group]}: {'more, and keys' if owner else 'keys'}\n", style="bold underline")
            _explain(text, owner.details if owner else DETAILS.get(group, ""), group)
    text.append("Every key is also in the command palette (ctrl+p), and those of the last line can be clicked.")
    return text


def _headline(text: Text, panel: Panel) -> None:
    text.append(panel.heading.capitalize() + "\n", style="bold underline")


def _group_of(panel: Panel, groups: list[Group]) -> Group | None:
    return next((group for group in groups if group == panel.id), None)


def _explain(text: Text, details: str, group: Group | None) -> None:
    text.append(details + "\n\n")
    for action in in_groups([group] if group else []):
        text.append(f"  {action.shown:<7}", style="bold")
        text.append(f"{action.help}\n")
    text.append("\n")


class HelpScreen(ModalScreen[None]):
    """The help, scrollable, closed by any of the usual keys."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark,f1,enter", "close", "close", show=False),
    ]

    def __init__(self, text: Text) -> None:
        super().__init__()
        self.text = text

    def compose(self) -> ComposeResult:
        """Lay out the text in a box that scrolls."""
        with VerticalScroll(id="help"):
            yield Static(self.text, markup=False)
        yield Static("arrows scroll   esc closes", markup=False, id="help-keys")

    def action_close(self) -> None:
        """Close the help."""
        self.dismiss(None)

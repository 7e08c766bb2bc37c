"""What one sees, in a student's words, and every key."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from rnnscope.tui.actions import GROUPS, Group, in_group

TEXTS: dict[Group, str] = {
    "training": (
        "A recurrent network reads a text character by character and learns to guess the next one. It trains in a "
        "process of its own; this screen only reads what that process records, so closing the screen loses "
        "nothing. The keys below act on the training itself, between two steps, and each answer is shown when it "
        "has taken effect."
    ),
    "loss": (
        "How surprised the network is by the next character, in nats per character (1 nat = 1.44 bits). A network "
        "that guesses blindly among V characters has ln V; the closer to 0, the better. Faint: the loss of each "
        "training step, on the few hundred characters it has just seen. Bold: the same, smoothed over a fixed "
        "number of steps. Dots: the loss on the validation text, which is never trained on. When the dots stop "
        "falling while the bold line goes on down, the network has begun to memorise (overfitting). Thin upright "
        "marks: moments when somebody changed a setting. The axis is fixed and only grows in visible steps."
    ),
    "gradient": (
        "How strongly a hidden state h_t influences the loss, that is the length (Euclidean norm) of the gradient "
        "of the loss with respect to h_t, as a power of ten: -3 means 0.001. One line for each layer; the band "
        "holds 80% of the sequences of the batch. Reach: only the loss of the last character is looked at, and "
        "the state so many characters before it (the lag). A line that falls steeply is a vanishing gradient: the "
        "network cannot learn that something long ago mattered. A line that rises is an exploding one. Total: the "
        "losses of all characters of the window together; this curve is nearly flat even when the reach fades. "
        "Both are measured before clipping. Clip tells how often the gradient of a step was longer than the "
        "threshold, and by how much it was then shortened on average. A value that is exactly zero, or too small "
        "for the computer's numbers, lies on the line marked as floor."
    ),
    "activations": (
        "A text that the network has just written, each character coloured by the value that one unit of its "
        "memory had after reading that character. The scale never changes: -1 to 1 for states, 0 to 1 for gates. "
        "Below it, the same for many units at once: one row for each unit, one column for each character. Look "
        "for a unit that is on inside quotation marks, or that counts towards the end of a line. h is the output "
        "of a layer; c is the cell of an LSTM, its long memory; i, f, o (r, z) are the gates that write, keep and "
        "show it. Click a row of the map to choose that unit; the mouse wheel walks through the units."
    ),
    "sampling": (
        "Left, teacher forcing: the network reads a true text, and each character is coloured by the probability "
        "that the network had given it. This is how it is trained. Right, free running: it starts from the same "
        "characters, but then reads its own guesses. The first character where the two part is marked. Below: the "
        "surprise (nll, in nats) at each position of the true text, and how far the two hidden states are apart, "
        "relative to their length. The dashed line is the distance between states on two unrelated pieces of "
        "text: once the curve reaches it, the network has forgotten that both began alike. A low temperature "
        "makes it choose the likeliest characters, a high one lets it gamble."
    ),
    "display": (
        "Tab moves from panel to panel, a click does too, and a double click fills the screen. The header shows "
        "the run, how far it is, how fast it goes, and what share of the time the measuring takes."
    ),
}


def help_text(first: Group | None) -> Text:
    """Return the whole help, the panel that is asked about first."""
    groups: list[Group] = list(GROUPS)
    if first is not None:
        groups.remove(first)
        groups.insert(0, first)
    text = Text()
    for group in groups:
        text.append(GROUPS[group] + "\n", style="bold underline")
        text.append(TEXTS[group] + "\n\n")
        for action in in_group(group):
            text.append(f"  {action.shown:<7}", style="bold")
            text.append(f"{action.help}\n")
        text.append("\n")
    text.append("Every key is also in the command palette (ctrl+p), and those of the last line can be clicked.")
    return text


class HelpScreen(ModalScreen[None]):
    """The help, scrollable, closed by any of the usual keys."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark,f1,enter", "close", "close", show=False),
    ]

    def __init__(self, first: Group | None) -> None:
        super().__init__()
        self.first = first

    def compose(self) -> ComposeResult:
        """Lay out the text in a box that scrolls."""
        with VerticalScroll(id="help"):
            yield Static(help_text(self.first), markup=False)
        yield Static("arrows scroll   esc closes", markup=False, id="help-keys")

    def action_close(self) -> None:
        """Close the help."""
        self.dismiss(None)

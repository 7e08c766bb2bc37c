"""Every action a person can take, in one table: keys, footer, help screen and command palette are all made from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Group: TypeAlias = Literal["training", "loss", "gradient", "activations", "sampling", "display"]
GROUPS: dict[Group, str] = {
    "training": "Training",
    "loss": "Loss",
    "gradient": "Gradient through time",
    "activations": "Activations",
    "sampling": "Teacher forcing and free running",
    "display": "Display",
}


@dataclass(frozen=True)
class Action:
    """One thing a person can do.

    keys: names as textual knows them; shown: the same as printed; label: one or two words for the footer;
    help: one sentence for a student; call: the action string that textual runs.
    """

    keys: tuple[str, ...]
    shown: str
    label: str
    help: str
    group: Group
    call: str


def _view(name: str) -> str:
    return f"screen.view('{name}')"


def _command(name: str) -> str:
    return f"screen.command('{name}')"


ACTIONS: tuple[Action, ...] = (
    Action(("space",), "space", "pause", "Pause the training, or go on.", "training", _command("pause")),
    Action(("full_stop",), ".", "step", "Train exactly one step, then pause.", "training", _command("step")),
    Action(
        ("plus", "equals_sign"), "+", "lr up", "Raise the learning rate by a quarter.", "training", _command("lr_up")
    ),
    Action(("minus",), "-", "lr down", "Lower the learning rate by a fifth.", "training", _command("lr_down")),
    Action(("c",), "c", "clip", "Switch gradient clipping off, or on again.", "training", _command("clip")),
    Action(
        ("t",), "t", "cooler", "Lower the sampling temperature by 0.1: safer, duller text.",
        "training", _command("cooler"),
    ),
    Action(
        ("T",), "T", "hotter", "Raise the sampling temperature by 0.1: bolder, wilder text.",
        "training", _command("hotter"),
    ),
    Action(("w",), "w", "save", "Write a checkpoint of the weights now.", "training", _command("save")),
    Action(("i",), "i", "zoom in", "Loss: show the newest half of the steps shown now.", "loss", _view("zoom_in")),
    Action(("o",), "o", "zoom out", "Loss: show twice as many steps.", "loss", _view("zoom_out")),
    Action(("less_than_sign",), "<", "earlier", "Loss: move the zoomed view back.", "loss", _view("earlier")),
    Action(("greater_than_sign",), ">", "later", "Loss: move the zoomed view forward.", "loss", _view("later")),
    Action(("0",), "0", "reset", "Loss: show every step again, on the full axis.", "loss", _view("reset")),
    Action(
        ("L",), "L", "log/linear", "Loss: change the y axis (linear, logarithmic, close-up).",
        "loss", _view("loss_axis"),
    ),
    Action(("k",), "k", "smooth +", "Loss: smooth the bold line over more steps.", "loss", _view("smoother")),
    Action(("K",), "K", "smooth -", "Loss: smooth the bold line over fewer steps.", "loss", _view("rougher")),
    Action(
        ("r",), "r", "reach/total", "Gradient: of the last step's loss (reach), or of all losses (total).",
        "gradient", _view("gradient"),
    ),
    Action(("u",), "u", "unit +", "Activations: next unit.", "activations", _view("unit_next")),
    Action(("U",), "U", "unit -", "Activations: previous unit.", "activations", _view("unit_previous")),
    Action(("n",), "n", "+10", "Activations: ten units further.", "activations", _view("unit_forward")),
    Action(("N",), "N", "-10", "Activations: ten units back.", "activations", _view("unit_back")),
    Action(
        ("b",), "b", "busiest", "Activations: the unit that varies most over the text shown.",
        "activations", _view("unit_busiest"),
    ),
    Action(("y",), "y", "layer", "Activations: next layer.", "activations", _view("layer")),
    Action(
        ("v",), "v", "value", "Activations: what is shown (h, c, the gates).", "activations", _view("field"),
    ),
    Action(("l",), "l", "loss", "Fill the screen with the loss; again to return.", "display", "screen.enlarge('loss')"),
    Action(
        ("g",), "g", "gradient", "Fill the screen with the gradient through time; again to return.",
        "display", "screen.enlarge('gradient')",
    ),
    Action(
        ("a",), "a", "activations", "Fill the screen with the activations; again to return.",
        "display", "screen.enlarge('activations')",
    ),
    Action(
        ("s",), "s", "sampling", "Fill the screen with teacher forcing and free running; again to return.",
        "display", "screen.enlarge('sampling')",
    ),
    Action(
        ("f", "enter"), "f", "enlarge", "Fill the screen with the focused panel; again to return.",
        "display", "screen.enlarge('')",
    ),
    Action(("escape",), "esc", "back", "Back to all four panels.", "display", "screen.shrink"),
    Action(
        ("z",), "z", "freeze", "Freeze the display (training and recording go on), or let it run again.",
        "display", "screen.freeze",
    ),
    Action(("d",), "d", "dark/light", "Change between the dark and the light theme.", "display", "app.next_theme"),
    Action(("p",), "p", "picture", "Save a picture (SVG) in the run's folder.", "display", "app.picture"),
    Action(("question_mark", "f1"), "?", "help", "Explain this screen.", "display", "app.help"),
    Action(("ctrl+p",), "^p", "commands", "Search every action by name.", "display", "app.command_palette"),
    Action(("q", "ctrl+q", "ctrl+c"), "q", "quit", "Leave this screen.", "display", "app.ask_quit"),
)  # fmt: skip


def in_group(group: Group) -> tuple[Action, ...]:
    """Return the actions of one group, in the table's order."""
    return tuple(action for action in ACTIONS if action.group == group)

"""Every action a person can take, in one table: keys, footer, help screen and command palette are all made from it."""

from __future__ import annotations

from collections.abc import Iterable
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


Chip: TypeAlias = tuple[tuple[str, ...], str]
"""Keys as shown (one, or a pair that does opposite things), and the word beside them in the last line."""


@dataclass(frozen=True)
class Action:
    """One thing a person can do.

    keys: names as textual knows them; shown: the same as printed; label: a few words for the palette;
    help: one sentence for a student; call: the action string that textual runs.
    """

    keys: tuple[str, ...]
    shown: str
    label: str
    help: str
    group: Group
    call: str


def _actions(group: Group, call: str, *rows: tuple[str, str, str, str, str]) -> tuple[Action, ...]:
    """Make a group's actions of rows (keys, shown, label, help, name); `call` says how `name` is run."""
    return tuple(
        Action(tuple(keys.split()), shown, label, text, group, call.format(name))
        for keys, shown, label, text, name in rows
    )


VIEW, COMMAND, ENLARGE = "screen.view('{}')", "screen.command('{}')", "screen.enlarge('{}')"
FILL = "Fill the screen with this panel (projectors); again to return."

ACTIONS: tuple[Action, ...] = (
    *_actions("training", COMMAND,
        ("space", "space", "pause or go on", "Pause the training, or go on.", "pause"),
        ("full_stop", ".", "one step", "Train exactly one step, then pause.", "step"),
        ("plus equals_sign", "+", "learning rate up", "Raise the learning rate by a quarter.", "lr_up"),
        ("minus", "-", "learning rate down", "Lower the learning rate by a fifth.", "lr_down"),
        ("c", "c", "clipping off or on", "Switch gradient clipping off, or on again.", "clip"),
        ("t", "t", "temperature down", "Sample 0.1 cooler: safer, duller text.", "cooler"),
        ("T", "T", "temperature up", "Sample 0.1 hotter: bolder, wilder text.", "hotter"),
        ("w", "w", "save a checkpoint", "Write a checkpoint of the weights now.", "save"),
    ),
    *_actions("loss", ENLARGE, ("l", "l", "loss only", FILL, "loss")),
    *_actions("loss", VIEW,
        ("i", "i", "zoom in", "Show the newest half of the steps shown now.", "zoom_in"),
        ("o", "o", "zoom out", "Show twice as many steps.", "zoom_out"),
        ("less_than_sign", "<", "move back", "Move the zoomed view to earlier steps.", "earlier"),
        ("greater_than_sign", ">", "move forward", "Move the zoomed view to later steps.", "later"),
        ("0", "0", "reset", "Show every step again, on the full axis.", "reset"),
        ("L", "L", "y axis", "Change the y axis: linear, logarithmic, close-up.", "loss_axis"),
        ("k", "k", "smooth more", "Smooth the bold line over more steps.", "smoother"),
        ("K", "K", "smooth less", "Smooth the bold line over fewer steps.", "rougher"),
    ),
    *_actions("gradient", ENLARGE, ("g", "g", "gradient only", FILL, "gradient")),
    *_actions("gradient", VIEW,
        ("r", "r", "reach or total", "Change between the last character's loss and all losses.", "gradient"),
    ),
    *_actions("activations", ENLARGE, ("a", "a", "activations only", FILL, "activations")),
    *_actions("activations", VIEW,
        ("u", "u", "next unit", "Show the next unit.", "unit_next"),
        ("U", "U", "previous unit", "Show the unit before.", "unit_previous"),
        ("n", "n", "ten units on", "Go ten units further.", "unit_forward"),
        ("N", "N", "ten units back", "Go ten units back.", "unit_back"),
        ("b", "b", "busiest unit", "Find the unit that varies most over the text shown.", "unit_busiest"),
        ("y", "y", "next layer", "Show the next layer.", "layer"),
        ("v", "v", "next value", "Change what is shown: h, c, the gates.", "field"),
    ),
    *_actions("sampling", ENLARGE, ("s", "s", "sampling only", FILL, "sampling")),
    *_actions("display", ENLARGE,
        ("f enter", "f", "focused panel only", "Fill the screen with the focused panel; again to return.", ""),
    ),
    *_actions("display", "{}",
        ("escape", "esc", "all panels", "Back to all four panels.", "screen.shrink"),
        ("z", "z", "freeze", "Freeze the display (training goes on), or let it run again.", "screen.freeze"),
        ("d", "d", "dark or light", "Change between the dark and the light theme.", "app.next_theme"),
        ("p", "p", "picture", "Save a picture (SVG) of the screen in the run's folder.", "app.picture"),
        ("question_mark f1", "?", "help", "Explain this screen.", "app.help"),
        ("ctrl+p", "^p", "commands", "Search every action by name.", "app.command_palette"),
        ("q ctrl+q ctrl+c", "q", "quit", "Leave; asks first while the run is training.", "app.ask_quit"),
    ),
)  # fmt: skip


def in_groups(groups: Iterable[Group]) -> tuple[Action, ...]:
    """Return the actions of some groups, in the table's order."""
    wanted = set(groups)
    return tuple(action for action in ACTIONS if action.group in wanted)


def needs_worker(call: str) -> bool:
    """Whether an action does something only while a worker is there to take commands."""
    return call.startswith("screen.command(")

"""Every action a person can take, in one table: keys, footer, help screen and command palette are all made from it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias

Group: TypeAlias = Literal[
    "training", "loss", "gradient", "activations", "sampling",
    "through", "waterfall", "jacobian", "clipping", "triangle", "horizon", "parameters", "blackbox", "hands",
    "text", "units", "contexts", "saturation", "statespace", "birth", "interventions", "attribution",
    "pair", "curves", "recovery", "decoding", "ngram", "asking",
    "pages", "display",
]  # fmt: skip
GROUPS: dict[Group, str] = {
    "training": "Training",
    "loss": "Loss",
    "gradient": "Gradient through time",
    "activations": "Activations",
    "sampling": "Teacher forcing and free running",
    "through": "Gradient through time",
    "waterfall": "Over training",
    "jacobian": "Jacobian",
    "clipping": "Clipping",
    "triangle": "Who taught whom",
    "horizon": "Memory horizon",
    "parameters": "Parameters",
    "blackbox": "Black box",
    "hands": "Hands on",
    "text": "Text",
    "units": "What units know",
    "contexts": "Contexts",
    "saturation": "Saturation",
    "statespace": "State space",
    "birth": "Birth",
    "interventions": "Interventions",
    "attribution": "Attribution",
    "pair": "Two panes",
    "curves": "Curves by position",
    "recovery": "Recovery",
    "decoding": "Decoding",
    "ngram": "The n-gram rival",
    "asking": "Measuring",
    "pages": "Panels",
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
ASK = "screen.ask('{}')"
FILL = "Fill the screen with this panel (projectors); again to return."

UNIT_ROWS = (
    ("u", "u", "next unit", "Show the next unit.", "unit_next"),
    ("U", "U", "previous unit", "Show the unit before.", "unit_previous"),
    ("n", "n", "ten units on", "Go ten units further.", "unit_forward"),
    ("N", "N", "ten units back", "Go ten units back.", "unit_back"),
    ("b", "b", "busiest unit", "Find the unit that varies most over the text shown.", "unit_busiest"),
    ("y", "y", "next layer", "Show the next layer.", "layer"),
    ("v", "v", "next value", "Change what is shown: h, c, the gates.", "field"),
)  # fmt: skip
"""The keys that choose a unit, the same wherever units are shown."""

ACTIONS: tuple[Action, ...] = (
    *_actions("training", COMMAND,
        ("space", "space", "pause or go on", "Pause the training, or go on.", "pause"),
        ("full_stop", ".", "one step", "Train exactly one step, then pause.", "step"),
        ("comma", ",", "ten steps", "Train exactly ten steps, then pause.", "ten"),
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
    *_actions("activations", VIEW, *UNIT_ROWS),
    *_actions("sampling", ENLARGE, ("s", "s", "sampling only", FILL, "sampling")),
    *_actions("through", ENLARGE, ("g", "g", "gradient only", FILL, "through")),
    *_actions("through", VIEW,
        ("r", "r", "reach or total", "Change between the last character's loss and all losses.", "kind"),
        ("e", "e", "part", "Change between the whole gradient, its direct and its recurrent part.", "part"),
        ("S", "S", "h or c", "Change between the gradients of h_t and of an LSTM's c_t.", "state"),
        ("R", "R", "retain_grad", "Lay over what PyTorch's retain_grad would show, and why it lies.", "retain"),
    ),
    *_actions("waterfall", ENLARGE, ("W", "W", "over training only", FILL, "waterfall")),
    *_actions("waterfall", VIEW, ("y", "y", "next layer", "Show the next layer, here and with m.", "layer")),
    *_actions("jacobian", ENLARGE, ("j", "j", "Jacobian only", FILL, "jacobian")),
    *_actions("clipping", ENLARGE, ("x", "x", "clipping only", FILL, "clipping")),
    *_actions("triangle", ENLARGE, ("m", "m", "who taught whom", "Open the square of losses and states.", "triangle")),
    *_actions("triangle", VIEW,
        ("up", "↑", "cursor up", "An earlier loss (in the table: the row above).", "up"),
        ("down", "↓", "cursor down", "A later loss (in the table: the row below).", "down"),
        ("left", "←", "cursor left", "An earlier state (in the table: ten rows up).", "left"),
        ("right", "→", "cursor right", "A later state (in the table: ten rows down).", "right"),
    ),
    *_actions("horizon", ENLARGE, ("h", "h", "memory horizon", "Open how far back it learns and uses.", "horizon")),
    *_actions("parameters", ENLARGE, ("P", "P", "parameters", "Open the table of all tensors.", "parameters")),
    *_actions("parameters", VIEW,
        ("O", "O", "order", "Order the table by the next column, the largest first.", "sort"),
        ("enter", "enter", "open", "Open the row selected: its history and histograms.", "open"),
    ),
    *_actions("blackbox", ENLARGE, ("B", "B", "black box", "Open what broke an update first.", "blackbox")),
    *_actions("blackbox", COMMAND,
        ("E", "E", "rewind, lower rate", "Go back to before the incident, learning rate ÷ 10.", "rewind_easier"),
        ("C", "C", "rewind, clipping", "Go back to before the incident, with clipping.", "rewind_clip"),
        ("A", "A", "rewind, as it was",
         "Go back as far as nothing was changed by hand since, and let it happen again.", "rewind"),
    ),
    *_actions("hands", COMMAND,
        ("left_square_bracket", "[", "threshold down", "Lower the clipping threshold by a fifth.", "clip_lower"),
        ("right_square_bracket", "]", "threshold up", "Raise the clipping threshold by a quarter.", "clip_higher"),
        ("V", "V", "clip by norm or value", "Cut the whole gradient, or each number of it.", "clip_by"),
        ("left_curly_bracket", "{", "shorter windows", "Halve the length T of back-propagation.", "bptt_shorter"),
        ("right_curly_bracket", "}", "longer windows", "Double the length T of back-propagation.", "bptt_longer"),
        ("left_parenthesis", "(", "weaken W_hh", "Multiply every W_hh by 0.9.", "weaken"),
        ("right_parenthesis", ")", "strengthen W_hh", "Multiply every W_hh by 1.1.", "strengthen"),
        ("Z", "Z", "reset the state", "Set the state that is carried along to zero.", "reset_state"),
    ),
    *_actions("hands", "{}",
        ("F", "F", "fork", "Go on as two runs from here, the second with one setting changed.", "screen.fork"),
    ),
    *_actions("pages", "{}",
        ("pagedown", "PgDn", "next panel", "Fill the screen with the next panel.", "screen.page(1)"),
        ("pageup", "PgUp", "previous panel", "Fill the screen with the panel before.", "screen.page(-1)"),
    ),
    *_actions("text", ENLARGE, ("a", "a", "text only", FILL, "text")),
    *_actions("text", VIEW,
        *UNIT_ROWS,
        ("up", "↑", "cursor up", "The line above (in lists: the row above).", "up"),
        ("down", "↓", "cursor down", "The line below (in lists: the row below).", "down"),
        ("left", "←", "cursor left", "The character before (in the birth: an earlier checkpoint).", "left"),
        ("right", "→", "cursor right", "The next character (in the birth: a later checkpoint).", "right"),
        ("o", "o", "order of the map", "Order the units of the map by index, variance, concept, clustering.", "order"),
        ("m", "m", "mark", "Begin a span at the cursor, end it there and look for its pattern, or forget it.", "mark"),
        ("l", "l", "live sample", "Show the newest sample of the training, or the text asked for again.", "live"),
    ),
    *_actions("text", "screen.{}",
        ("number_sign", "#", "unit by number", "Type the number of a unit.", "jump"),
        ("g", "g", "write a text", "Let the network write a new text.", "measure_text('generate')"),
        ("e", "e", "validation text", "Read the next piece of the validation text.", "measure_text('validation')"),
        ("E", "E", "training text", "Read the next piece of the training text.", "measure_text('train')"),
    ),
    *_actions("text", ASK,
        ("slash", "/", "text of your own", "Type a text for the network to read.", "prompt"),
        ("F", "F", "a file", "Name a file for the network to read.", "file"),
    ),
    *_actions("units", ENLARGE, ("k", "k", "concepts only", FILL, "units")),
    *_actions("units", VIEW,
        ("O", "O", "order", "Order the table: best units, by concept, by score, by unit.", "sort"),
    ),
    *_actions("units", "screen.{}",
        ("enter", "enter", "show", "Show the unit of the row selected on the text.", "open"),
    ),
    *_actions("units", ASK,
        ("K", "K", "own concept", "Search for a concept of your own: a name and a regular expression.", "concept"),
    ),
    *_actions("contexts", ENLARGE, ("x", "x", "contexts", "Open the places that excite a unit.", "contexts")),
    *_actions("contexts", VIEW,
        ("left_parenthesis", "(", "threshold down", "Count a unit as on from a lower value on.", "threshold_down"),
        ("right_parenthesis", ")", "threshold up", "Count a unit as on only from a higher value on.", "threshold_up"),
    ),
    *_actions("saturation", ENLARGE, ("S", "S", "saturation", "Open how long gates are shut and open.", "saturation")),
    *_actions("statespace", ENLARGE, ("s", "s", "state space", "Open the space of states.", "statespace")),
    *_actions("statespace", VIEW,
        ("j", "j", "axes", "Show other principal components on the two axes.", "pair"),
        ("D", "D", "colour of the points", "Colour by kind of character, or by the next concept.", "colour"),
    ),
    *_actions("birth", ENLARGE, ("B", "B", "birth", "Open the unit over all checkpoints.", "birth")),
    *_actions("interventions", ENLARGE,
        ("I", "I", "interventions", "Open what becomes of the text without a unit.", "interventions"),
    ),
    *_actions("interventions", VIEW,
        ("h", "h", "how", "Choose what is done: zero, mean, clamp, scale, flip.", "how"),
        ("left_square_bracket", "[", "value down", "Lower the value to clamp to, or the factor.", "value_down"),
        ("right_square_bracket", "]", "value up", "Raise the value to clamp to, or the factor.", "value_up"),
        ("i", "i", "unit in or out", "Take the unit shown into the set to change, or out of it.", "toggle"),
    ),
    *_actions("interventions", "screen.{}",
        ("L", "L", "load-bearing units", "Hold each unit of the layer at its mean in turn, and rank them.",
         "measure_loads"),
    ),
    *_actions("attribution", ENLARGE,
        ("A", "A", "attribution", "Open which characters made the network expect this one.", "attribution"),
    ),
    *_actions("attribution", VIEW,
        ("r", "r", "method", "Choose the next method of attribution.", "method"),
        ("R", "R", "target", "Explain the most probable next character, another one, or the unit.", "target"),
    ),
    *_actions("pair", ENLARGE, ("s", "s", "both panes only", FILL, "pair")),
    *_actions("pair", VIEW,
        ("v", "v", "next value", "Colour by the next value: probability, surprise, entropy.", "colour"),
        ("up", "↑", "cursor up", "The line above (in the columns: older text).", "up"),
        ("down", "↓", "cursor down", "The line below (in the columns: newer text).", "down"),
        ("left", "←", "cursor left", "The character before.", "left"),
        ("right", "→", "cursor right", "The next character.", "right"),
        ("0", "0", "first difference", "Put the cursor where the two texts part.", "divergence"),
    ),
    *_actions("curves", ENLARGE, ("l", "l", "curves only", FILL, "curves")),
    *_actions("curves", VIEW,
        ("u", "u", "next curve", "Draw the next curve large.", "curve_next"),
        ("U", "U", "previous curve", "Draw the curve before it large.", "curve_previous"),
    ),
    *_actions("recovery", ENLARGE, ("r", "r", "recovery", "Open what one wrong character does.", "recovery")),
    *_actions("recovery", ASK,
        ("b", "b", "which character", "Choose after how many characters the wrong one comes.", "position"),
    ),
    *_actions("decoding", ENLARGE, ("g", "g", "decoding only", FILL, "decoding")),
    *_actions("decoding", ASK,
        ("slash", "/", "prompt", "Type the text that all columns go on from.", "prompt"),
        ("D", "D", "temperatures", "Type up to four temperatures, a column for each; 0 is greedy.", "temperatures"),
        ("k", "k", "top-k", "Draw only from the k most probable characters.", "top_k"),
        ("P", "P", "top-p", "Draw only from the smallest set that holds this much probability (nucleus).", "top_p"),
    ),
    *_actions("ngram", ENLARGE, ("n", "n", "n-gram rival only", FILL, "ngram")),
    *_actions("asking", "screen.{}",
        ("M", "M", "measure", "Take the measurement of the panel that has the focus, now.", "measure('')"),
        ("asterisk", "*", "measure all", "Take every measurement of this screen, one after the other.", "measure_all"),
        ("G", "G", "another seed", "Gamble anew: measure with other random numbers.", "another_seed"),
    ),
    *_actions("asking", COMMAND,
        ("X", "X", "break off", "Break off what is being measured, and forget what waits.", "cancel"),
    ),
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
    """Whether an action does something only while a worker is there to take commands.

    Measurements, and breaking them off, are also for an inspector, which is started when it is needed.
    """
    return call.startswith("screen.command(") and call != COMMAND.format("cancel")

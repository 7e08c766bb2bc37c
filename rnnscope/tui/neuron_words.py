"""What the neuron lab asks a person, and how it says what M will do."""

from __future__ import annotations

from dataclasses import dataclass

from rnnscope.tui.neuron_view import HOWS, METHODS, TOP, NeuronView
from rnnscope.tui.view import Reading
from rnnscope.tui.words import named

METHOD_NAMES = {
    "integrated_gradients": "integrated gradients", "input_x_gradient": "input × gradient",
    "feature_ablation": "feature ablation", "occlusion": "occlusion", "connectivity": "connectivity",
}  # fmt: skip
DONE = {
    "none": "nothing changed", "zero": "held at zero", "mean": "held at its mean", "clamp": "held at {value:g}",
    "scale": "multiplied by {value:g}", "flip": "with its sign turned",
}  # fmt: skip


@dataclass(frozen=True)
class Question:
    """A line to be typed: the question, an example, a hint; nothing: what is said where it cannot be taken."""

    title: str
    placeholder: str
    hint: str
    nothing: str


QUESTIONS: dict[str, Question] = {
    "prompt": Question(
        "Which text shall the network read?", 'He said: "I am here (at last)," and left.',
        r"\n is a new line, \t a tab; only characters that the training text has", "nothing was typed",
    ),
    "file": Question(
        "Which file shall the network read?", "~/letter.txt", "its first 400 characters that the model knows",
        "no file was named",
    ),
    "concept": Question(
        "Which concept shall the units be searched for? A name and a regular expression.", "name of Romeo=ROMEO",
        "characters inside a match are labelled; the syntax is Python's, with ^ and $ at every line",
        "a name, = and a regular expression, as:  number=[0-9]+",
    ),
}  # fmt: skip


def units_words(layer: int, units: tuple[int, ...], field: str = "h") -> str:
    """Return which units, in a few words, and what of them where it is not their output h."""
    listed = ", ".join(map(str, units[:6])) + (f" … ({len(units)})" if len(units) > 6 else "")
    what = "" if field == "h" else f"{field} of "
    return f"{what}unit{'s' * (len(units) != 1)} {listed} of layer {layer + 1}"


def deed(how: str, value: float) -> str:
    """Return what is done to a unit, in words."""
    return DONE.get(how, how).format(value=value)


def intervention_next(view: NeuronView) -> str:
    """Return what M would try."""
    return f"{units_words(view.unit.layer, view.chosen_units, view.unit.field)} {deed(HOWS[view.how], view.value)}"


def target_next(view: NeuronView, reading: Reading | None) -> str:
    """Return what M would explain, and how."""
    method = METHOD_NAMES[METHODS[view.method]]
    if reading is None or not reading.text:
        return method
    tops = getattr(reading, "top", ())
    if view.target == TOP:
        what = units_words(view.unit.layer, (view.unit.unit,), view.unit.field)
    elif view.target < len(tops):
        what = named(tops[view.target][view.cursor])
    else:
        what = "the most probable next character"
    return f"{what} after {named(reading.text[view.cursor : view.cursor + 1])}, {method}"


def said_of(view: NeuronView, key: str) -> tuple[str, str]:
    """Return in which panel one sees what a key changed, and the same in words; ("", "") of all other keys."""
    if key in ("how", "value_down", "value_up", "toggle"):
        return "interventions", f"interventions (I), M: {intervention_next(view)}"
    if key in ("threshold_down", "threshold_up"):
        return "contexts", f"contexts (x), M: a unit is on above {view.threshold:g} of its largest value"
    if key == "order":
        return "", f"units of the map by {view.order}{f' ({view.concept})' if view.order == 'concept' else ''}"
    return ("attribution", f"attribution (A), M: {METHOD_NAMES[METHODS[view.method]]}") if key == "method" else ("", "")

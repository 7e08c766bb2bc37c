"""What a person chose to look at in the sampling lab, and to ask for: one frozen value, and pure functions of keys."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from rnnscope.charts.text import printable
from rnnscope.recording.commands import Measure
from rnnscope.tui.asking import escaped, measure, numbers, unescaped

Colour: TypeAlias = Literal["probability", "surprise", "entropy"]
COLOURS: tuple[Colour, ...] = ("probability", "surprise", "entropy")

CURVES: tuple[str, ...] = ("loss", "distance", "shannon", "judge", "oracle", "excess", "auc")
"""Names of the curves by position, in the order in which they are leafed through."""

PROBES: dict[str, str] = {
    "pair": "exposure", "curves": "exposure", "recovery": "recovery", "decoding": "decoding", "ngram": "ngram",
}  # fmt: skip
"""What is measured for each panel."""

LENGTHS: dict[str, int] = {"exposure": 200, "recovery": 100, "decoding": 600, "ngram": 400}
"""Characters that are read or written."""

COLUMNS = 4
"""Temperatures beside each other, at most."""
HOTTEST = 10.0


@dataclass(frozen=True)
class SamplingView:
    """Everything chosen on the sampling screen.

    colour: of the characters of both panes. at: the cursor in them, from 0; -1: where the two texts part.
    curve: the one drawn large. back: lines that the columns of decoding are scrolled back from their end.
    The rest is asked for: seed of all random draws; position of the corrupted character in the prefix, from 0, -1 the
    64th; prompt, temperatures (0: greedy), top_k (0: all) and top_p (1: all) of decoding.
    """

    colour: Colour = "probability"
    at: int = -1
    curve: str = "distance"
    back: int = 0
    seed: int = 1
    position: int = -1
    prompt: str = ""
    temperatures: tuple[float, ...] = (0.2, 0.5, 1.0, 2.0)
    top_k: int = 0
    top_p: float = 1.0


@dataclass(frozen=True)
class Extent:
    """How much there is to walk through.

    starts: index of the first character of each line of both panes; length: characters in them; divergence: where they
    part, -1 nowhere. curves: those that hold anything. back: lines that the columns of decoding can be scrolled back.
    """

    starts: tuple[int, ...] = (0,)
    length: int = 0
    divergence: int = -1
    curves: tuple[str, ...] = CURVES
    back: int = 0


def settle(view: SamplingView, extent: Extent) -> SamplingView:
    """Return `view` with a cursor, a curve and a scroll that exist."""
    at = max(extent.divergence, 0) if view.at < 0 else view.at
    curve = view.curve if view.curve in extent.curves else (*extent.curves, CURVES[0])[0]
    return replace(
        view, at=min(at, max(extent.length - 1, 0)), curve=curve, back=min(max(view.back, 0), max(extent.back, 0))
    )


def _along(by: int) -> Callable[[SamplingView, Extent], SamplingView]:
    def move(view: SamplingView, extent: Extent) -> SamplingView:
        return replace(view, at=min(max(view.at + by, 0), max(extent.length - 1, 0)))

    return move


def _line(by: int) -> Callable[[SamplingView, Extent], SamplingView]:
    """Move to the same column of another line, or to that line's end where it is shorter."""

    def move(view: SamplingView, extent: Extent) -> SamplingView:
        here = max((i for i, start in enumerate(extent.starts) if start <= view.at), default=0)
        there = here + by
        if not 0 <= there < len(extent.starts):
            return view
        last = (*extent.starts, extent.length)[there + 1] - 1
        return replace(view, at=min(extent.starts[there] + view.at - extent.starts[here], max(last, 0)))

    return move


def _curve(by: int) -> Callable[[SamplingView, Extent], SamplingView]:
    def move(view: SamplingView, extent: Extent) -> SamplingView:
        curves = extent.curves or CURVES
        return replace(view, curve=curves[(curves.index(view.curve) + by) % len(curves)])

    return move


def _scroll(by: int) -> Callable[[SamplingView, Extent], SamplingView]:
    return lambda view, extent: replace(view, back=min(max(view.back + by, 0), max(extent.back, 0)))


KEYS: dict[str, Callable[[SamplingView, Extent], SamplingView]] = {
    "colour": lambda view, _: replace(view, colour=COLOURS[(COLOURS.index(view.colour) + 1) % len(COLOURS)]),
    "divergence": lambda view, extent: replace(view, at=max(extent.divergence, 0)),
    "curve_next": _curve(1),
    "curve_previous": _curve(-1),
    "left": _along(-1),
    "right": _along(1),
    "up": _line(-1),
    "down": _line(1),
}
"""Keys that mean the same wherever the focus is, but for the arrows of WALKS."""

WALKS: dict[str, dict[str, Callable[[SamplingView, Extent], SamplingView]]] = {
    "decoding": {"up": _scroll(1), "down": _scroll(-1)},
}
"""What the arrows do instead in a panel."""


def change(view: SamplingView, key: str, panel: str, extent: Extent) -> SamplingView:
    """Return `view` after the action `key`, while the panel named has the focus."""
    return (WALKS.get(panel, {}).get(key) or KEYS[key])(settle(view, extent), extent)


def why_unchanged(key: str, panel: str, extent: Extent) -> str:
    """Return why the action `key` left the view as it was."""
    if key in ("up", "down", "left", "right"):
        return "it goes no further"
    if key.startswith("curve"):
        return "there is no other curve yet: M measures them"
    if key == "divergence":
        return "the cursor is there already" if extent.divergence >= 0 else "the two texts do not part"
    return "nothing to change: this is it already"


# -- what is asked for -------------------------------------------------------------------------------------------------


def wanted(view: SamplingView, panel: str, temperature: float) -> Measure:
    """Return what to ask for to fill a panel. temperature: of free running, as the run has it now."""
    probe = PROBES[panel]
    length = LENGTHS[probe]
    match probe:
        case "exposure":
            return measure(probe, length=length, seed=view.seed, temperature=temperature)
        case "recovery":
            return measure(probe, length=length, seed=view.seed, position=view.position)
        case "decoding":
            return measure(
                probe, length=length, seed=view.seed, prompt=view.prompt, temperatures=view.temperatures,
                top_k=view.top_k, top_p=view.top_p,
            )  # fmt: skip
    return measure(probe, length=length, seed=view.seed, prompt=view.prompt)


@dataclass(frozen=True)
class Question:
    """What is typed: panel that it is for, question, example, a line of help."""

    panel: str
    title: str
    placeholder: str
    hint: str


QUESTIONS: dict[str, Question] = {
    "prompt": Question("decoding", "Which text shall all columns go on from?", "ROMEO:\\n",
                       "\\n is a newline, \\t a tab; nothing: as if a line began"),
    "temperatures": Question("decoding", "Which temperatures, a column for each?", "0.2 0.5 1 2",
                             "one to four numbers; below 1 safer, above 1 wilder, 0 always the likeliest (greedy)"),
    "top_k": Question("decoding", "From how many of the most probable characters may it draw?", "10",
                      "a whole number; 0 or nothing: from all"),
    "top_p": Question("decoding", "From the smallest set of characters that holds which probability?", "0.9",
                      "a number above 0, up to 1; 1 or nothing: from all (nucleus sampling)"),
    "position": Question("recovery", "After how many characters comes the wrong one?", "20",
                         "it is the last of so many that are read; nothing: the 64th"),
}  # fmt: skip


def typed_before(view: SamplingView, name: str) -> str:
    """Return what stands in the line when it is asked for `name`: what was chosen last."""
    match name:
        case "prompt":
            return escaped(view.prompt)
        case "temperatures":
            return " ".join(f"{t:g}" for t in view.temperatures)
        case "top_k":
            return str(view.top_k) if view.top_k else ""
        case "top_p":
            return f"{view.top_p:g}" if view.top_p < 1 else ""
    return str(view.position + 1) if view.position >= 0 else ""


def answered(view: SamplingView, name: str, line: str) -> SamplingView | str:
    """Return the view after `line` was typed for `name`, or why it cannot be taken."""
    if name == "prompt":
        return replace(view, prompt=unescaped(line), back=0)
    given = numbers(line)
    if given is None:
        return f"{printable(line)}: not a number"
    if name == "temperatures":
        if not 1 <= len(given) <= COLUMNS or not all(0 <= t <= HOTTEST for t in given):
            return f"give one to {COLUMNS} temperatures between 0 and {HOTTEST:g}"
        return replace(view, temperatures=given, back=0)
    if len(given) > 1:
        return "give one number"
    number = given[0] if given else None
    if name == "top_p":
        if number is not None and not 0 < number <= 1:
            return "give a probability above 0 and up to 1"
        return replace(view, top_p=1.0 if number is None else number)
    if number is not None and (number != int(number) or number < 0):
        return "give a whole number"
    whole = int(number or 0)
    return replace(view, top_k=whole) if name == "top_k" else replace(view, position=whole - 1)

"""What a person chose to look at in the neuron lab: one frozen value, and pure functions of keys that change it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from rnnscope.recording.events import Sample
from rnnscope.recording.requests import Request
from rnnscope.tui.neuron_rows import SORTS, Order, Sort
from rnnscope.tui.view import UNIT_KEYS, Reading, UnitView
from rnnscope.tui.view import settle as settled_unit

How: TypeAlias = Literal["zero", "mean", "clamp", "scale", "flip"]
HOWS: tuple[How, ...] = ("zero", "mean", "clamp", "scale", "flip")
Method: TypeAlias = Literal[
    "integrated_gradients", "input_x_gradient", "feature_ablation", "occlusion", "connectivity"
]  # fmt: skip
METHODS: tuple[Method, ...] = (
    "integrated_gradients", "input_x_gradient", "feature_ablation", "occlusion", "connectivity",
)  # fmt: skip
TOP = 5
"""Next characters offered as targets; the target after them is the unit itself."""
PAIRS = ((0, 1), (0, 2), (1, 2))
"""Principal components on the two axes."""
VALUE_STEP, THRESHOLD_STEP = 0.25, 0.1
PAGE = 10


@dataclass(frozen=True)
class NeuronView:
    """Everything chosen about the neuron lab's display, and about what is asked next.

    unit: on the text. live: show the newest sample of the training, whatever was asked for. text: what cursor (-1: the
    last character), mark (-1: none) and span belong to; they go when it does. asked: the text asked for last, seed: its
    and the interventions' random draws. order: of units in the map. concept: the one looked at; own: those that were
    typed, NAME=REGEX. sort, row: of the table. snippet: row of the contexts; threshold: of a span's pattern. pair: of
    components; colour: 0 classes of characters, k the k-th concept. checkpoint: of the birth (-1 the newest). chosen:
    units of chosen_layer to intervene on, () the one on the text. how, value: what is done to them. load: row of the
    load-bearing units. method, target: of the attribution (target TOP: the unit instead of a character).
    """

    unit: UnitView = UnitView()
    live: bool = False
    text: str = ""
    cursor: int = -1
    mark: int = -1
    span: tuple[int, int] = (0, 0)
    asked: Request | None = None
    seed: int = 1
    order: Order = "index"
    concept: str = ""
    own: tuple[str, ...] = ()
    sort: Sort = "margin"
    row: int = 0
    snippet: int = 0
    threshold: float = 0.5
    pair: int = 0
    colour: int = 0
    checkpoint: int = -1
    chosen: tuple[int, ...] = ()
    chosen_layer: int = 0
    how: int = 0
    value: float = 1.0
    load: int = 0
    method: int = 0
    target: int = 0

    @property
    def chosen_units(self) -> tuple[int, ...]:
        """The units to intervene on: those chosen in the layer shown, else the one shown."""
        return self.chosen if self.chosen and self.chosen_layer == self.unit.layer else (self.unit.unit,)


@dataclass(frozen=True)
class Extent:
    """How much there is to walk through.

    above, below: where the cursor goes by a line; orders: of the map that there are data for; rows of the table;
    snippets; colours of the state space; checkpoints; loads: units ranked; tops: next characters known.
    """

    reading: Reading | None = None
    above: int = 0
    below: int = 0
    orders: tuple[Order, ...] = ("index",)
    rows: int = 0
    snippets: int = 0
    colours: int = 1
    checkpoints: int = 0
    loads: int = 0
    tops: int = 1


Change: TypeAlias = Callable[[NeuronView, Extent], NeuronView]


def _within(index: int, count: int) -> int:
    return min(max(index, 0), max(count - 1, 0))


def _checkpoint(index: int, count: int) -> int:
    """Return a checkpoint that there is, the newest for -1; before any is known, -1: the newest that there will be."""
    return _within(count - 1 if index < 0 else index, count) if count else -1


def settle(view: NeuronView, extent: Extent) -> NeuronView:
    """Return `view` with everything chosen existing; on another text mark and span, and mostly the cursor, go."""
    reading = extent.reading
    if reading is not None and reading.text != view.text:
        kept = view.cursor if isinstance(reading, Sample) else -1  # samples follow each other while one looks
        view = replace(view, text=reading.text, cursor=kept, mark=-1, span=(0, 0))
    last = len(view.text) - 1
    return replace(
        view,
        unit=settled_unit(view.unit, reading) if reading is not None else view.unit,
        cursor=max(last if view.cursor < 0 else min(view.cursor, last), 0),
        order=view.order if view.order in extent.orders else "index",
        row=_within(view.row, extent.rows),
        snippet=_within(view.snippet, extent.snippets),
        colour=view.colour % max(extent.colours, 1),
        checkpoint=_checkpoint(view.checkpoint, extent.checkpoints),
        load=_within(view.load, extent.loads),
        target=view.target if view.target < extent.tops or view.target == TOP else 0,
    )


def _cursor_by(amount: int) -> Change:
    return lambda view, _: replace(view, cursor=_within(view.cursor + amount, len(view.text)))


def _row_by(amount: int) -> Change:
    return lambda view, extent: replace(view, row=_within(view.row + amount, extent.rows))


def _mark(view: NeuronView, _: Extent) -> NeuronView:
    """Begin a span at the cursor, end it there, or forget it."""
    if view.span != (0, 0):
        return replace(view, mark=-1, span=(0, 0))
    if view.mark < 0:
        return replace(view, mark=view.cursor)
    first, last = sorted((view.mark, view.cursor))
    return replace(view, mark=-1, span=(first, last + 1))


def _order(view: NeuronView, extent: Extent) -> NeuronView:
    return replace(view, order=extent.orders[(extent.orders.index(view.order) + 1) % len(extent.orders)])


def _toggle(view: NeuronView, _: Extent) -> NeuronView:
    """Take the unit shown into the set to intervene on, or out of it; a set belongs to one layer."""
    layer, unit = view.unit.layer, view.unit.unit
    chosen = set(view.chosen) if view.chosen_layer == layer else set()
    return replace(view, chosen=tuple(sorted(chosen ^ {unit})), chosen_layer=layer)


def _target(view: NeuronView, extent: Extent) -> NeuronView:
    offered = [*range(max(min(extent.tops, TOP), 1)), TOP]
    return replace(view, target=offered[(offered.index(view.target) + 1) % len(offered)])


def _value_by(amount: float) -> Change:
    return lambda view, _: replace(view, value=round(min(max(view.value + amount, -10.0), 10.0), 2))


def _threshold_by(amount: float) -> Change:
    return lambda view, _: replace(view, threshold=round(min(max(view.threshold + amount, 0.1), 0.9), 2))


KEYS: dict[str, Change] = {
    "live": lambda view, _: replace(view, live=not view.live),
    "order": _order,
    "mark": _mark,
    "sort": lambda view, _: replace(view, sort=SORTS[(SORTS.index(view.sort) + 1) % len(SORTS)], row=0),
    "pair": lambda view, _: replace(view, pair=(view.pair + 1) % len(PAIRS)),
    "colour": lambda view, extent: replace(view, colour=(view.colour + 1) % max(extent.colours, 1)),
    "toggle": _toggle,
    "how": lambda view, _: replace(view, how=(view.how + 1) % len(HOWS)),
    "value_down": _value_by(-VALUE_STEP),
    "value_up": _value_by(VALUE_STEP),
    "threshold_down": _threshold_by(-THRESHOLD_STEP),
    "threshold_up": _threshold_by(THRESHOLD_STEP),
    "method": lambda view, _: replace(view, method=(view.method + 1) % len(METHODS)),
    "target": _target,
}
"""Keys that mean the same wherever the focus is."""

TEXT_WALK: dict[str, Change] = {
    "up": lambda view, extent: replace(view, cursor=_within(extent.above, len(view.text))),
    "down": lambda view, extent: replace(view, cursor=_within(extent.below, len(view.text))),
    "left": _cursor_by(-1),
    "right": _cursor_by(1),
}
WALKS: dict[str, dict[str, Change]] = {
    "units": {"up": _row_by(-1), "down": _row_by(1), "left": _row_by(-PAGE), "right": _row_by(PAGE)},
    "contexts": {
        "up": lambda view, extent: replace(view, snippet=_within(view.snippet - 1, extent.snippets)),
        "down": lambda view, extent: replace(view, snippet=_within(view.snippet + 1, extent.snippets)),
    },
    "birth": {
        "left": lambda view, extent: replace(view, checkpoint=_within(view.checkpoint - 1, extent.checkpoints)),
        "right": lambda view, extent: replace(view, checkpoint=_within(view.checkpoint + 1, extent.checkpoints)),
    },
    "interventions": {
        "up": lambda view, extent: replace(view, load=_within(view.load - 1, extent.loads)),
        "down": lambda view, extent: replace(view, load=_within(view.load + 1, extent.loads)),
    },
}
"""What the arrows do in each panel; in the others, and where one does nothing there, they move the text's cursor."""


def change(view: NeuronView, key: str, panel: str, extent: Extent) -> NeuronView:
    """Return `view` after the action `key`, while the panel named has the focus."""
    settled = settle(view, extent)
    if key in UNIT_KEYS:
        reading = extent.reading
        return settled if reading is None else replace(settled, unit=UNIT_KEYS[key](settled.unit, reading))
    done = KEYS.get(key) or WALKS.get(panel, {}).get(key) or TEXT_WALK.get(key)
    return done(settled, extent) if done else settled


def why_unchanged(key: str, panel: str, extent: Extent) -> str:
    """Return why the action `key` left the view as it was."""
    if key in UNIT_KEYS and extent.reading is None:
        return "there is no text yet to show units on"
    if key == "layer":
        return "the network has one layer only"
    if key == "order":
        return "other orders need a text read anew (M), or a search for concepts (k, then M)"
    if key == "colour":
        return "other colours need a measurement of the state space: s, then M"
    if key in ("up", "down", "left", "right"):
        return "it goes no further"
    return "nothing to change: this is it already"

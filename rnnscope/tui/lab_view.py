"""What a person chose to look at in the gradient lab: one frozen value, and pure functions of keys that change it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

Part: TypeAlias = Literal["all", "direct", "recurrent"]
PARTS: tuple[Part, ...] = ("all", "direct", "recurrent")

Sort: TypeAlias = Literal["model", "gradient", "weight", "update", "idle"]
SORTS: tuple[Sort, ...] = ("model", "gradient", "weight", "update", "idle")

PAGE = 10  # cells that a longer stride of a cursor covers


@dataclass(frozen=True)
class LabView:
    """Everything chosen about the lab's display.

    kind: which loss; part: of dL/dh_t; state: "h" or "c"; retain: lay over what retain_grad would show. layer: from
    0, -1 the last. t, s: cursor of the triangle (loss at t, state at s; -1 the last). sort: column of the table of
    parameters; row: the one selected, in that order; opened: show its history instead of the table.
    """

    kind: Literal["reach", "total"] = "reach"
    part: Part = "all"
    state: Literal["h", "c"] = "h"
    retain: bool = False
    layer: int = -1
    t: int = -1
    s: int = -1
    sort: Sort = "model"
    row: int = 0
    opened: bool = False


@dataclass(frozen=True)
class Extent:
    """How much there is to walk through: layers, time steps of the triangle, rows of the table; has_cell: c."""

    layers: int = 0
    steps: int = 0
    rows: int = 0
    has_cell: bool = False


def settle(view: LabView, extent: Extent) -> LabView:
    """Return `view` with a layer, cursor and row that exist."""
    last = max(extent.steps - 1, 0)
    t = last if view.t < 0 else min(view.t, last)
    s = max(t - PAGE, 0) if view.s < 0 else min(view.s, t)
    return replace(
        view,
        state=view.state if extent.has_cell else "h",
        layer=view.layer % max(extent.layers, 1),
        t=t,
        s=s,
        row=min(max(view.row, 0), max(extent.rows - 1, 0)),
    )


def _cursor(t: int, s: int) -> Callable[[LabView, Extent], LabView]:
    def move(view: LabView, extent: Extent) -> LabView:
        new = min(max(view.t + t, 0), max(extent.steps - 1, 0))
        return replace(view, t=new, s=min(max(view.s + s, 0), new))

    return move


def _row(by: int) -> Callable[[LabView, Extent], LabView]:
    def move(view: LabView, extent: Extent) -> LabView:
        return replace(view, row=min(max(view.row + by, 0), max(extent.rows - 1, 0)))

    return move


KEYS: dict[str, Callable[[LabView, Extent], LabView]] = {
    "kind": lambda view, _: replace(view, kind="total" if view.kind == "reach" else "reach"),
    "part": lambda view, _: replace(view, part=PARTS[(PARTS.index(view.part) + 1) % len(PARTS)]),
    "state": lambda view, extent: replace(view, state="c" if view.state == "h" and extent.has_cell else "h"),
    "retain": lambda view, _: replace(view, retain=not view.retain),
    "layer": lambda view, extent: replace(view, layer=(view.layer + 1) % max(extent.layers, 1)),
    "sort": lambda view, _: replace(view, sort=SORTS[(SORTS.index(view.sort) + 1) % len(SORTS)], row=0),
    "open": lambda view, extent: replace(view, opened=extent.rows > 0),
    "close": lambda view, _: replace(view, opened=False),
}
"""Keys that mean the same wherever the focus is."""

WALKS: dict[str, dict[str, Callable[[LabView, Extent], LabView]]] = {
    "triangle": {"up": _cursor(-1, 0), "down": _cursor(1, 0), "left": _cursor(0, -1), "right": _cursor(0, 1)},
    "parameters": {"up": _row(-1), "down": _row(1), "left": _row(-PAGE), "right": _row(PAGE)},
}
"""What the arrows do in each panel that has a cursor."""


def change(view: LabView, key: str, panel: str, extent: Extent) -> LabView:
    """Return `view` after the action `key`, while the panel named has the focus."""
    settled = settle(view, extent)
    done = KEYS.get(key) or WALKS.get(panel, {}).get(key)
    return done(settled, extent) if done else settled


def why_unchanged(key: str, panel: str, extent: Extent) -> str:
    """Return why the action `key` left the view as it was."""
    if key == "state":
        return "this cell has no c: only the LSTM has one"
    if key == "layer":
        return "the network has one layer only"
    if key in ("up", "down", "left", "right"):
        return "it goes no further" if panel in WALKS else "arrows move the cursor of who taught whom (m) and of P"
    if key == "open":
        return "there is no row to open yet"
    return "nothing to change: this is it already"

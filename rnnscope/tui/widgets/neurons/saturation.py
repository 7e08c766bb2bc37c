"""How long each gate is shut and how long open: Karpathy's scatter plot, a dot for each unit."""

from __future__ import annotations

import numpy as np
from textual import events

from rnnscope.charts.axes import Axes
from rnnscope.charts.scatter import Cloud, Path, nearest, scatter
from rnnscope.charts.spans import Row, Style, fit
from rnnscope.recording.neuron_events import Saturation
from rnnscope.tui.captions import caption, longest
from rnnscope.tui.snapshot import When
from rnnscope.tui.view import UnitView
from rnnscope.tui.widgets.asked import AskedPanel
from rnnscope.tui.widgets.panel import Painted
from rnnscope.tui.widgets.units import GATES_0_1, NAMES

NARROWEST = 36  # cells: of one of several plots beside each other
MOSTLY = 0.9
"""Share of the time from which on a gate counts as always shut, or always open."""


def first_field(event: Saturation, wanted: str) -> int:
    """Return the index of the quantity wanted, else of the first gate, else of the first there is."""
    if wanted in event.fields:
        return event.fields.index(wanted)
    return next((i for i, field in enumerate(event.fields) if field in GATES_0_1), 0)


def chosen_fields(event: Saturation, wanted: str, room: int) -> list[int]:
    """Return which quantities are drawn where there is room for `room` plots: that wanted, and the gates beside it."""
    gates = [i for i, field in enumerate(event.fields) if field in GATES_0_1] or list(range(len(event.fields)))
    first = first_field(event, wanted)
    if first not in gates:
        gates = [first, *gates]
    if room >= len(gates):
        return gates
    others = [i for i in gates if i != first]
    return sorted([first, *others[: max(room, 1) - 1]])


def always_words(event: Saturation, index: int, width: int) -> str:
    """Return how many units of a quantity are always shut, always open, or never either."""
    left, right = (np.asarray(array[index], np.float64).ravel() for array in (event.left, event.right))
    shut, open_, count = int((left >= MOSTLY).sum()), int((right >= MOSTLY).sum()), len(left)
    free = int(((left < 0.1) & (right < 0.1)).sum())
    field = event.fields[index]
    return longest(
        width,
        f"{NAMES.get(field, field)}: {shut} of {count} low {MOSTLY:.0%} of the time, {open_} high, {free} hardly ever",
        f"{field}: {shut} of {count} low {MOSTLY:.0%} of the time, {open_} high",
        f"{field}: {shut} low, {open_} high of {count}",
    )


def way_of(history: tuple[tuple[int, Saturation], ...], field: str, unit: UnitView) -> list[tuple[float, float]]:
    """Return where a unit was at each measurement, the oldest first."""
    way = []
    for _, event in history:
        if field in event.fields and unit.layer < event.left.shape[1] and unit.unit < event.left.shape[2]:
            place = event.fields.index(field), unit.layer, unit.unit
            way.append((float(event.left[place]), float(event.right[place])))
    return way


class SaturationPanel(AskedPanel):
    """Shows (Saturation | None, When, UnitView, earlier measurements), or (None, Standing)."""

    heading = "saturation"
    key = "M"
    chips = ((("v",), "gate"), (("M",), "measure"), (("u", "U"), "unit"))
    summary = (
        "A dot for each unit: to the right the share of the time that its gate σ(…) is nearly shut (below 0.1, "
        "left-saturated), upwards the share that it is nearly open (above 0.9, right-saturated), as Karpathy et al. "
        "drew it. A forget gate f in the upper left corner belongs to a unit that hardly ever forgets, one in the "
        "lower right to a unit that lives for one character; one at the origin is used in between, as a soft switch. M "
        "measures again, and the line shows the way that the unit has gone since the earlier measurements."
    )
    details = (
        "Both shares together are at most 1, so all dots lie below the diagonal. Layers differ in colour and, without "
        "colours, in letter; a larger dot is several units in one place; the ring is the unit shown on the text. v "
        "chooses the gate; a state h, or a plain RNN's tanh, counts as saturated below −0.9 and above 0.9, and c where "
        "tanh(c) would be (±1.47). A click chooses the unit nearest to it."
    )

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._plots: list[tuple[int, int, int, int]] = []  # quantity, first column, width, height

    def paint(self, width: int, height: int) -> Painted:
        """Draw a plot for the quantity chosen, or for several beside each other."""
        event, when, unit, history = self.inputs if len(self.inputs) == 4 else (None, None, None, ())
        if not isinstance(event, Saturation) or not isinstance(when, When) or not isinstance(unit, UnitView):
            standing = self.inputs[1] if len(self.inputs) > 1 else None
            return Painted(self.asking(standing, "count how long gates are shut and open", width, height), self.title())
        notes = int(height >= 6)
        drawn = chosen_fields(event, unit.field, width // NARROWEST)
        each = width // len(drawn)
        self._plots = [(index, place * each, each, height - notes) for place, index in enumerate(drawn)]
        rows: list[Row] = [()] * (height - notes)
        for index, _, columns, tall in self._plots:
            plot = self._plot(event, index, unit, history, columns, tall)
            rows = [(*row, *fit(added, columns)) for row, added in zip(rows, plot, strict=True)]
        rows = [fit(row, width) for row in rows]
        if notes:
            words = always_words(event, first_field(event, unit.field), width)
            rows.append(caption(width, Style(fg=self.look.palette.accent, bold=True), words))
        names = " ".join(event.fields[index] for index in drawn)
        title = self.title(f"{names} · a dot for each unit")
        return Painted(rows, title, self.age(when, title, width, f"{event.chars:,} characters"))

    def _axes(self, event: Saturation, index: int) -> Axes:
        low, high = float(event.low[index]), float(event.high[index])
        return Axes(
            x_label=f"share of time below {low:.3g}", y_label=f"{event.fields[index]} above {high:.3g}",
            x_range=(0.0, 1.0), y_range=(0.0, 1.0),
        )  # fmt: skip

    def _plot(
        self, event: Saturation, index: int, unit: UnitView, history: object, width: int, height: int
    ) -> list[Row]:
        palette = self.look.palette
        left, right = np.asarray(event.left[index]), np.asarray(event.right[index])  # (L, H)
        clouds = [
            Cloud(
                left[layer],
                right[layer],
                palette.lines[layer % len(palette.lines)],
                f"layer {layer + 1}",
                "abcdefgh"[layer % 8],
            )
            for layer in range(len(left))
        ]
        cursor, path = None, None
        if unit.layer < left.shape[0] and unit.unit < left.shape[1]:
            cursor = float(left[unit.layer, unit.unit]), float(right[unit.layer, unit.unit])
            way = way_of(history if isinstance(history, tuple) else (), event.fields[index], unit)
            path = Path(
                [one[0] for one in way], [one[1] for one in way], palette.accent, "over training" * (len(way) > 1)
            )
        return scatter(
            clouds,
            self._axes(event, index),
            width,
            height,
            palette,
            self.look.mono,
            path=path,
            cursor=cursor,
            diagonal=True,
        )

    async def clicked(self, event: events.Click) -> bool:
        """Choose the unit nearest to the click."""
        shown = self.inputs[0] if self.inputs else None
        x, y = event.x - 1, event.y - 1
        plot = next((plot for plot in self._plots if plot[1] <= x < plot[1] + plot[2]), None)
        if not isinstance(shown, Saturation) or plot is None or event.chain != 1:
            return False
        index, first, width, height = plot
        left, right = shown.left[index], shown.right[index]
        found = nearest(left.ravel(), right.ravel(), self._axes(shown, index), width, height, x - first, y)
        if found is None:
            return False
        layer, unit = divmod(found, left.shape[1])
        await self.run_action(f"screen.choose({layer}, {unit})")
        return True

"""The activations panel: generated text coloured by one unit, and below it many units over the same characters."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from textual import events

from rnnscope.charts.coloured_text import coloured_text, visible_lines
from rnnscope.charts.spans import Row
from rnnscope.recording.events import Sample
from rnnscope.tui.snapshot import When
from rnnscope.tui.view import UnitView, settle
from rnnscope.tui.widgets.panel import BESIDE, Painted, Panel
from rnnscope.tui.widgets.units import scale, unit_legend, unit_map, unit_words, window


@dataclass(frozen=True)
class Layout:
    """Rows of text, of the map (0 for none) and whether there is a legend; units from `first` on, `units` of them."""

    text: int
    ruler: int
    map: int
    legend: int
    first: int
    units: int


def lay_out(lines: int, height: int, hidden: int, unit: int, per_cell: int) -> Layout:
    """Share `height` rows between `lines` lines of text and a map of `hidden` units with `unit` among them."""
    has_legend = int(height >= 4)
    room = height - has_legend
    if room < 6:
        return Layout(room, 0, 0, has_legend, 0, 0)
    text = min(lines, max((room - 1) * 2 // 5, 2))
    rows = min(room - 1 - text, -(-hidden // per_cell))
    units = min(rows * per_cell, hidden)
    # Pages of units, so that the map stands still while the choice walks through it.
    first = min(unit // units * units, hidden - units)
    return Layout(room - 1 - rows, 1, rows, has_legend, first, units)


class ActivationsPanel(Panel):
    """Shows (Sample | None, When, UnitView)."""

    heading = "activations"
    chips = ((("u", "U"), "unit"), (("y",), "layer"), (("v",), "value"), (("b",), "busiest"), (("n", "N"), "±10"))
    summary = (
        "A text that the network has just written, each character coloured by the value that one unit of its memory "
        "had after reading it: h_t = f(x_t, h_(t−1)) is a list of numbers, most between −1 and 1, and all that the "
        "network knows of what came before. Below it the same for many units at once: a row for each unit, a column "
        "for each character. Look for a unit that is on inside quotation marks, that counts towards the end of a "
        "line, or that knows a name in capitals."
    )
    details = (
        "The scale never changes: −1 to 1 for states, 0 to 1 for gates. h is the output of a layer; c is the cell of "
        "an LSTM, its long memory, c_t = f_t · c_(t−1) + i_t · g_t; i, f, o (r, z) are the gates that write, keep and "
        "show it, g (n) is what is offered for writing. At first the unit is shown that varies most over the text; "
        "that one is usually not the easiest to explain. Click a row of the map to choose a unit; the mouse wheel "
        "walks through them."
    )

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._layout = Layout(0, 0, 0, 0, 0, 0)

    @property
    def sample(self) -> Sample | None:
        """The sample shown."""
        return self.inputs[0] if self.inputs and isinstance(self.inputs[0], Sample) else None

    def paint(self, width: int, height: int) -> Painted:
        """Draw text, map and legend."""
        sample = self.sample
        if sample is None:
            return Painted(self.waiting("waiting for the first sample …", width, height), self.title())
        _, when, view = self.inputs
        measured = when if isinstance(when, When) else When(0)
        chosen = settle(view if isinstance(view, UnitView) else UnitView(), sample)
        mono = self.look.mono
        field = sample.units[sample.fields.index(chosen.field), chosen.layer].astype(np.float32)  # (N, H)
        low, high, ramp = scale(chosen.field)
        lines = len(visible_lines(sample.text, width, height))
        plan = self._layout = lay_out(lines, height, field.shape[1], chosen.unit, 1 if mono else 2)
        values = field[:, chosen.unit]
        rows = coloured_text(
            sample.text, values, width, plan.text, low, high, ramp, palette=self.look.palette, mono=mono,
        )  # fmt: skip
        if plan.map:
            rows += self._map(sample.text, field, chosen, width)
        if plan.legend:
            rows.append(unit_legend(values, chosen.field, width, self.look))
        room = width - len(f"step {measured.step:,}") - len(self.heading) - 1 - BESIDE
        title = self.title(unit_words(chosen, sample.units.shape[1], room))
        return Painted(rows, title, self.age(measured, title, width, f"T {sample.temperature:g}"))

    def _map(self, text: str, field: np.ndarray, chosen: UnitView, width: int) -> list[Row]:
        plan = self._layout
        label = len(str(field.shape[1] - 1)) + 1
        columns = window(text, width - label)
        numbers = range(plan.first, plan.first + plan.units)
        values = field[columns, plan.first : plan.first + plan.units].T
        return unit_map(
            text, columns, values, numbers, chosen.unit, chosen.field, width, plan.map, self.look, label=label
        )

    def unit_at(self, y: int) -> int | None:
        """Return the unit in line `y` of the panel, None where the map is not."""
        plan = self._layout
        row = y - 1 - plan.text - plan.ruler
        if not plan.map or not 0 <= row < plan.map:
            return None
        per_cell = 1 if self.look.mono else 2
        return min(plan.first + row * per_cell, plan.first + plan.units - 1)

    async def clicked(self, event: events.Click) -> bool:
        """Choose the unit of the row that was clicked."""
        unit = self.unit_at(event.y)
        if unit is None or event.chain != 1:
            return False
        await self.run_action(f"screen.unit({unit})")
        return True

    async def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Go to the previous unit."""
        await self.run_action("screen.view('unit_previous')")

    async def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Go to the next unit."""
        await self.run_action("screen.view('unit_next')")

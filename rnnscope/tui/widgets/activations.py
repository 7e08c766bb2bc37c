"""The activations panel: generated text coloured by one unit, and below it many units over the same characters."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from textual import events

from rnnscope.charts.coloured_text import coloured_text, visible_lines
from rnnscope.charts.heatmap import heat_map, legend
from rnnscope.charts.palette import Ramp
from rnnscope.charts.spans import Row, Span, Style, fit, join
from rnnscope.charts.text import cell_width, printable
from rnnscope.recording.events import Sample
from rnnscope.tui.captions import longest
from rnnscope.tui.snapshot import When
from rnnscope.tui.view import UnitView, settle
from rnnscope.tui.widgets.panel import BESIDE, Painted, Panel

GATES_0_1 = frozenset({"i", "f", "o", "r", "z"})
NAMES = {
    "h": "h output", "c": "c cell", "i": "i input gate", "f": "f forget gate", "g": "g candidate", "o": "o output gate",
    "r": "r reset gate", "z": "z update gate", "n": "n candidate",
}  # fmt: skip


def scale(field: str) -> tuple[float, float, Ramp]:
    """Return the fixed scale on which a field is coloured: 0 to 1 for sigmoid gates, -1 to 1 for everything else."""
    return (0.0, 1.0, "sequential") if field in GATES_0_1 else (-1.0, 1.0, "diverging")


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


def window(text: str, width: int) -> list[int]:
    """Return, for each of at most `width` cells, the index of the character in it: the end of the text."""
    columns: list[int] = []
    for index in range(len(text) - 1, -1, -1):
        size = cell_width(text[index])
        if len(columns) + size > width:
            break
        columns[:0] = [index] * size
    return columns


def ruler(text: str, columns: list[int]) -> Row:
    """Return the characters of `columns` in one row, so that each stands above its column of the map."""
    first, last = columns[0], columns[-1]
    return join([(printable(text[first : last + 1]), Style(bold=True))])


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
            rows.append(self._legend(values, chosen, width))
        title = self.title(self._chosen(chosen, sample.units.shape[1], width - len(f"step {measured.step:,}")))
        return Painted(rows, title, self.age(measured, title, width, f"T {sample.temperature:g}"))

    def _chosen(self, chosen: UnitView, layers: int, room: int) -> str:
        """Return what is shown of which unit, in the room that heading, step and frame leave."""
        layer, field, unit = chosen.layer + 1, chosen.field, chosen.unit
        return longest(
            room - len(self.heading) - 1 - BESIDE,
            f"layer {layer}/{layers} · {NAMES.get(field, field)} · unit {unit}",
            f"layer {layer} · {NAMES.get(field, field)} · unit {unit}",
            f"L{layer} · {NAMES.get(field, field)} · unit {unit}",
            f"layer {layer} · {field} · unit {unit}",
            f"L{layer} {field} unit {unit}",
            f"L{layer} {field} {unit}",
        )

    def _map(self, text: str, field: np.ndarray, chosen: UnitView, width: int) -> list[Row]:
        plan, palette, mono = self._layout, self.look.palette, self.look.mono
        low, high, ramp = scale(chosen.field)
        label = len(str(field.shape[1] - 1)) + 1
        columns = window(text, width - label)
        units = field[columns, plan.first : plan.first + plan.units].T
        above = (Span(" " * label), *ruler(text, columns))
        names = [str(unit) for unit in range(plan.first, plan.first + plan.units)]
        names[0] = names[0].rjust(label - 1)
        drawn = heat_map(
            units, width, plan.map, low, high, ramp, palette=palette, mono=mono, row_labels=names,
            selected=chosen.unit - plan.first,
        )  # fmt: skip
        return [fit(above, width), *drawn]

    def _legend(self, values: np.ndarray, chosen: UnitView, width: int) -> Row:
        palette, mono = self.look.palette, self.look.mono
        low, high, ramp = scale(chosen.field)
        finite = values[np.isfinite(values)]
        seen = f"  seen {finite.min():+.2f} … {finite.max():+.2f}" if len(finite) else "  no finite value"
        bar = min(width - len(seen), 36) if width > 50 else min(width, 36)
        row = legend(low, high, bar, ramp, palette=palette, mono=mono, label=f"{chosen.field} =")
        return fit((*row, Span(seen, Style(fg=palette.faint))) if width > 50 else row, width)

    def unit_at(self, y: int) -> int | None:
        """Return the unit in line `y` of the panel, None where the map is not."""
        plan = self._layout
        row = y - 1 - plan.text - plan.ruler
        if not plan.map or not 0 <= row < plan.map:
            return None
        per_cell = 1 if self.look.mono else 2
        return min(plan.first + row * per_cell, plan.first + plan.units - 1)

    async def on_click(self, event: events.Click) -> None:
        """Choose the unit of the row that was clicked."""
        unit = self.unit_at(event.y)
        if unit is not None and event.chain == 1:
            event.stop()
            await self.run_action(f"screen.unit({unit})")

    async def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Go to the previous unit."""
        await self.run_action("screen.view('unit_previous')")

    async def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Go to the next unit."""
        await self.run_action("screen.view('unit_next')")

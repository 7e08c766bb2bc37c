"""A text coloured by one unit, many units over the same characters, and everything about the one at the cursor."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from textual import events

from rnnscope.charts.coloured_text import coloured_text
from rnnscope.charts.palette import colours, readable_on
from rnnscope.charts.spans import Row, Span, Style, fit
from rnnscope.charts.text import printable
from rnnscope.recording.neuron_events import Activations
from rnnscope.tui.snapshot import When
from rnnscope.tui.view import Reading, UnitView
from rnnscope.tui.widgets.activations import Layout, lay_out
from rnnscope.tui.widgets.asked import AskedPanel
from rnnscope.tui.widgets.neurons.page import Page, page
from rnnscope.tui.widgets.panel import BESIDE, Painted
from rnnscope.tui.widgets.units import scale, unit_legend, unit_map, unit_words, window_at
from rnnscope.tui.words import named

SPACE_AT_END = "␣"
READOUT = 2  # lines
NARROW = 70  # cells


def values_at(reading: Reading, layer: int, unit: int, at: int) -> list[tuple[str, float]]:
    """Return every quantity of a unit after reading character `at`: (field, value)."""
    return [(field, float(reading.units[f, layer, at, unit])) for f, field in enumerate(reading.fields)]


def expected(reading: Reading, at: int) -> list[tuple[str, float]]:
    """Return the most probable characters after character `at`, with their probabilities; none of a live sample."""
    if not isinstance(reading, Activations):
        return []
    return [(one[at], float(p)) for one, p in zip(reading.top, reading.top_probability[:, at], strict=True)]


def share_of(probability: float, narrow: bool) -> str:
    """Return a probability in two decimals, where it is narrow without the nought before them."""
    text = f"{probability:.2f}"
    return text.removeprefix("0") if narrow else text


def shown(character: str) -> str:
    """Return a character by itself, a space as something that is seen."""
    return SPACE_AT_END if character == " " else printable(character)


class TextPanel(AskedPanel):
    """Shows (Reading | None, When, UnitView, cursor, span start, span end, order's name, order (H,)).

    Everything is settled: it exists in the reading.
    """

    heading = "text"
    key = "M"
    chips = (
        (("u", "U"), "unit"), (("#",), "number"), (("y",), "layer"), (("v",), "value"), (("/",), "type"),
        (("g",), "write"), (("e", "E"), "excerpt"), (("m",), "mark"), (("o",), "order"), (("b",), "busiest"),
    )  # fmt: skip
    summary = (
        "A text, each character coloured by the value that one unit of the network's memory had after reading it: h_t "
        "= f(x_t, h_(t−1)) is a list of such numbers, and all that the network knows of what came before. Below it "
        "many units at once, a row for each unit and a column for each character, and at the cursor all there is to "
        "know: the character, what the network expects next, the unit's state and gates. Type a text of your own with "
        "/, and look for a unit that is on inside quotation marks, that counts towards the end of a line, or that "
        "knows a name in capitals."
    )
    details = (
        "The scale never changes: −1 to 1 for states, 0 to 1 for gates. Arrows or a click move the cursor, u and U the "
        "unit, # takes a number, a click on the map chooses unit and character together, the wheel walks through the "
        "units. o orders the map: by index, by how much a unit varies over the text, by how well it tells the concept "
        "that was chosen (k), or so that units which behave alike stand together (clustering). Until a text was asked "
        "for, the newest sample of the training is shown; l goes back to it. M reads the same text with the weights as "
        "they are now. m at two places marks a span, and looks for places in the training text where the same units "
        "are on."
    )

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._layout = Layout(0, 0, 0, 0, 0, 0)
        self._page = Page(())
        self._columns: list[int] = []
        self._numbers: list[int] = []
        self._label = 0

    def text_width(self) -> int:
        """Return the cells of a line of text."""
        return max(self.size.width - 2, 1)

    def paint(self, width: int, height: int) -> Painted:
        """Draw text, map, readout and legend."""
        if not self.inputs or not isinstance(self.inputs[0], Reading):
            standing = self.inputs[1] if len(self.inputs) > 1 else None
            rows = self.asking(standing, "the network writes a text", width, height)
            return Painted(rows, self.title())
        reading, when, unit, cursor, start, end, how, order = self.inputs
        assert isinstance(reading, Reading)
        assert isinstance(when, When)
        assert isinstance(unit, UnitView)
        assert isinstance(order, np.ndarray)
        at = cursor if isinstance(cursor, int) else 0
        span = (int(str(start)), int(str(end)))
        readout = self._readout(reading, unit, at, width, READOUT if height >= 8 else int(height >= 4))
        plan, position = self._plan(reading, unit, order, width, height - len(readout), at)
        rows = self._text(reading, unit, at, span, width, plan.text)
        if plan.map:
            rows += self._map(reading, unit, order, position, at, width)
        rows += readout
        if plan.legend:
            field = reading.fields.index(unit.field)
            values = reading.units[field, unit.layer, :, unit.unit].astype(np.float32)
            rows.append(unit_legend(values, unit.field, width, self.look))
        room = width - len(f"step {when.step:,}") - len(self.heading) - 1 - BESIDE
        title = self.title(unit_words(unit, reading.units.shape[1], room))
        return Painted(rows, title, self.age(when, title, width, *self._source(reading, str(how))))

    def _source(self, reading: Reading, how: str) -> tuple[str, ...]:
        """Return where the text is from and how the map is ordered, longest first."""
        if not isinstance(reading, Activations):
            return (f"live sample, T {reading.temperature:g} · map by {how}", "live sample", "live")
        source = printable(reading.source)
        brief = source.split(",")[0].split(" at ")[0]  # as "generated", where more was said
        return (f"{source} · map by {how}", source, brief, brief.split(" ")[0])

    def _plan(
        self, reading: Reading, unit: UnitView, order: NDArray[np.int64], width: int, height: int, at: int
    ) -> tuple[Layout, int]:
        """Share the rows; return the layout and the place of the unit in the map's order."""
        position = int(np.flatnonzero(order == unit.unit)[0])
        # No need to wrap a long text to know that it fills its share.
        whole = page(reading.text, width, height, at)
        plan = lay_out(max(len(whole.lines), 1), height, len(order), position, 1 if self.look.mono else 2)
        self._layout = plan
        return plan, position

    def _text(
        self, reading: Reading, unit: UnitView, at: int, span: tuple[int, int], width: int, height: int
    ) -> list[Row]:
        seen = self._page = page(reading.text, width, height, at)
        low, high, ramp = scale(unit.field)
        field = reading.fields.index(unit.field)
        values = reading.units[field, unit.layer, seen.start : seen.stop, unit.unit].astype(np.float32)
        return coloured_text(
            reading.text[seen.start : seen.stop], values, width, height, low, high, ramp, palette=self.look.palette,
            mono=self.look.mono, cursor=at - seen.start, tail=False,
            span=(span[0] - seen.start, span[1] - seen.start) if span[1] > span[0] else None,
        )  # fmt: skip

    def _map(
        self, reading: Reading, unit: UnitView, order: NDArray[np.int64], position: int, at: int, width: int
    ) -> list[Row]:
        """Draw the units around the chosen one in the map's order, over the characters around the cursor."""
        plan = self._layout
        self._label = len(str(len(order) - 1)) + 1
        self._columns = window_at(reading.text, width - self._label, at)
        self._numbers = order[plan.first : plan.first + plan.units].tolist()
        field = reading.units[reading.fields.index(unit.field), unit.layer]
        values = field[np.ix_(self._columns, self._numbers)].T.astype(np.float32)
        return unit_map(
            reading.text, self._columns, values, self._numbers, unit.unit, unit.field, width, plan.map, self.look,
            label=self._label, cursor=at,
        )  # fmt: skip

    def _readout(self, reading: Reading, unit: UnitView, at: int, width: int, lines: int) -> list[Row]:
        """Return what there is to know at the cursor: character and expectations, then the unit's values."""
        palette, mono = self.look.palette, self.look.mono
        faint, bold = Style(fg=palette.faint), Style(fg=palette.accent, bold=True)
        here = reading.text[at : at + 1]
        probability = float(reading.probability[at]) if at < len(reading.probability) else float("nan")
        narrow = width < NARROW
        came = f" p {share_of(probability, narrow)}" if np.isfinite(probability) else ""
        row: list[Span] = [Span(f"{at + 1:,}/{len(reading.text):,} ", faint), Span(f"{named(here)}", bold)]
        row.append(Span(f"{came}  next ", faint))
        tops = expected(reading, at)
        for character, p in tops:
            end = " " if narrow else "  "
            row += [Span(shown(character), Style(bold=True)), Span(f" {share_of(p, narrow)}{end}", faint)]
        if not tops:
            row.append(Span("M: what it expects" if narrow else "M reads this text, with what it expects", faint))
        unit_row: list[Span] = [Span(f"unit {unit.unit} ", bold)]
        for field, value in values_at(reading, unit.layer, unit.unit, at):
            low, high, ramp = scale(field)
            text = f"{value:+.2f}" if ramp == "diverging" else f"{value:.2f}"
            style = Style(bold=field == unit.field)
            if not mono and np.isfinite(value):
                red, green, blue = (int(c) for c in colours(value, low, high, palette, ramp))
                ground = (red, green, blue)
                style = Style(fg=readable_on(ground), bg=ground, bold=field == unit.field)
            row_name = Style(fg=palette.foreground, bold=True) if field == unit.field else faint
            unit_row += [Span(f" {field} ", row_name), Span(text, style)]
        return [fit(tuple(one), width) for one in (row, unit_row)][:lines]

    # -- the mouse -------------------------------------------------------------------------------------------------

    def place_at(self, x: int, y: int) -> tuple[int | None, int | None]:
        """Return (character, unit) at a cell of the panel, frame included; None for what is not there."""
        x, y = x - 1, y - 1
        plan = self._layout
        if y < plan.text:
            return self._page.at(x, y), None
        column = x - self._label
        character = self._columns[column] if 0 <= column < len(self._columns) else None
        row = y - plan.text - plan.ruler
        if not plan.map or not -1 <= row < plan.map:
            return None, None
        index = row * (1 if self.look.mono else 2)
        return character, self._numbers[index] if 0 <= index < len(self._numbers) else None

    async def clicked(self, event: events.Click) -> bool:
        """Go to the character, or choose unit and character of the map's cell."""
        character, unit = self.place_at(event.x, event.y)
        if event.chain != 1 or (character is None and unit is None):
            return False
        at, chosen = (-1 if value is None else value for value in (character, unit))
        await self.run_action(f"screen.point({at}, {chosen})")
        return True

    async def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Go to the previous unit."""
        await self.run_action("screen.view('unit_previous')")

    async def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Go to the next unit."""
        await self.run_action("screen.view('unit_next')")

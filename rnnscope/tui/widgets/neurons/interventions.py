"""What a unit does to the text: free running with it held, beside the control, from the same random numbers."""

from __future__ import annotations

import math

import numpy as np
from textual import events

from rnnscope.charts.bars import bar_rows
from rnnscope.charts.coloured_text import coloured_text
from rnnscope.charts.heatmap import legend
from rnnscope.charts.spans import Row, Span, Style, fit
from rnnscope.recording.events import Floats
from rnnscope.recording.neuron_events import Interventions
from rnnscope.tui.captions import caption, longest
from rnnscope.tui.neuron_rows import Load, loads
from rnnscope.tui.neuron_words import deed, units_words
from rnnscope.tui.ranges import round_up
from rnnscope.tui.snapshot import When
from rnnscope.tui.widgets.asked import AskedPanel
from rnnscope.tui.widgets.panel import Painted
from rnnscope.tui.widgets.sampling import side_by_side

PREFIX = 40  # characters of the prefix that are shown, at most


def loss_words(event: Interventions) -> str:
    """Return the validation loss with and without the change."""
    gain = event.loss_changed - event.loss_control
    if not math.isfinite(gain):
        return f"validation {event.loss_control:.3f} → {event.loss_changed:.3f} nats"
    return f"validation {event.loss_control:.3f} → {event.loss_changed:.3f} nats ({gain:+.3f})"


def changes_words(event: Interventions, width: int) -> str:
    """Return what was done and what it did to the loss."""
    what = f"{units_words(event.layer, event.units, event.field)} {deed(event.how, event.value)}"
    return longest(
        width, f"{what}: {loss_words(event)}, T {event.temperature:g}, seed {event.seed}",
        f"{what}: {loss_words(event)}", f"{deed(event.how, event.value)}: {loss_words(event)}",
        loss_words(event).replace("validation ", ""),
    )  # fmt: skip


class InterventionsPanel(AskedPanel):
    """Shows (Interventions | None, When, load row), or (None, Standing, what M tries)."""

    heading = "interventions"
    key = "M"
    chips = (
        (("M",), "try"), (("h",), "how"), (("L",), "rank units"), (("[", "]"), "value"), (("i",), "in/out"),
        (("↑", "↓"), "row"), (("enter",), "show"),
    )  # fmt: skip
    summary = (
        "A correlation is not a cause: to find out what a unit is for, change it and see what becomes of the text. "
        "Both columns go on from the text up to the cursor with the same random numbers, left the network as it is, "
        "right with the units chosen held at zero or at their mean, clamped, scaled or flipped after every step, so "
        "h_t is changed before it is used; where they first differ is marked. L holds every unit of the layer at its "
        "mean in turn and ranks them by what the validation loss gains: those that bear most load come first."
    )
    details = (
        "h chooses what is done, [ and ] the value to clamp to or the factor; i takes the unit shown on the text into "
        "the set, or out of it; M tries it, G with other random numbers. With nothing changed both columns are the "
        "same, letter by letter, which is how the instrument is checked. Characters are coloured by the probability "
        "that the network itself gave them (p): a network that is held in a strange state is often sure of nonsense. A "
        "unit may bear no load alone because others know the same."
    )

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._loads_at = 0  # first row of the list of loads
        self._first = 0  # its first unit seen

    def paint(self, width: int, height: int) -> Painted:
        """Draw both texts, what was done, and the ranked units."""
        event, when, row = self.inputs or (None, None, "")
        palette = self.look.palette
        if not isinstance(event, Interventions) or not isinstance(when, When):
            rows = self.asking(when, longest(width - 10, f"try: {row}", "try it"), width, height)
            return Painted(rows, self.title())
        notes = 2 if height >= 9 else 1
        ranking, self._loads_at = loads(event), 0
        below = min(len(ranking), max((height - notes) // 3, 0)) if height >= 12 else 0
        rows = self._columns(event, width, height - notes - below - int(below > 0))
        if below:
            self._loads_at = len(rows) + 1
            rows += self._loads(ranking, row if isinstance(row, int) else 0, width, below)
        rows.append(caption(width, Style(fg=palette.accent, bold=True), changes_words(event, width)))
        if notes > 1:
            rows.append(self._legend(event, width))
        title = self.title(
            longest(width - 34, units_words(event.layer, event.units, event.field), f"L{event.layer + 1}")
        )
        return Painted(rows, title, self.age(when, title, width))

    def _columns(self, event: Interventions, width: int, height: int) -> list[Row]:
        """Draw control and changed text beside each other, the first difference marked in both."""
        half = (width - 1) // 2
        other = width - 1 - half
        faint = Style(fg=self.look.palette.faint)
        sides = [
            [
                caption(room, faint, *words),
                *self._text(event, text, probability, room, height - 1),
            ]
            for text, probability, room, words in (
                (event.control, event.probability_control, half, ("control: the network as it is", "control")),
                (event.changed, event.probability_changed, other,
                 (f"changed: {deed(event.how, event.value)}", "changed")),
            )
        ]  # fmt: skip
        return side_by_side(sides[0], sides[1], width, Span("│", faint))

    def _text(self, event: Interventions, text: str, probability: Floats, width: int, height: int) -> list[Row]:
        prefix = event.prefix[-min(PREFIX, max(width, 1)) :]
        values = np.concatenate([np.full(len(prefix), np.nan), np.asarray(probability, np.float64)])
        return coloured_text(
            prefix + text, values, width, height, 0.0, 1.0, "sequential",
            palette=self.look.palette, mono=self.look.mono,
            cursor=len(prefix) + event.difference if event.difference >= 0 else None, tail=False, nan_is_missing=True,
        )  # fmt: skip

    def _loads(self, ranking: list[Load], selected: int, width: int, height: int) -> list[Row]:
        palette, mono = self.look.palette, self.look.mono
        self._first = min(max(selected - height + 1, 0), max(len(ranking) - height, 0))
        seen = ranking[self._first : self._first + height]
        most = round_up(max(ranking[0].nats, 1e-3))
        names = [
            f"{'▸' if self._first + i == selected else ' '}layer {one.layer + 1} unit {one.unit}"
            for i, one in enumerate(seen)
        ]
        heading = f"load-bearing: nats/char that the loss gains with the unit at its mean (bars to {most:g})"
        rows = [caption(width, Style(fg=palette.faint), heading, "load-bearing: nats gained", "load-bearing")]
        shares, ends = [one.nats / most for one in seen], [f"{one.nats:+.4f}" for one in seen]
        return rows + bar_rows(names, shares, ends, width, height, palette, palette.lines[1], mono)

    def _legend(self, event: Interventions, width: int) -> Row:
        palette = self.look.palette
        bar = legend(0, 1, min(28, width), "sequential", palette=palette, mono=self.look.mono, label="p =")
        said = ("both are the same", "the same")
        if event.difference >= 0:
            said = (f"first difference: character {event.difference + 1}", f"differ at {event.difference + 1}")
        return fit((*bar, Span(f"   {longest(width - 31, *said, '')}", Style(fg=palette.faint))), width)

    async def clicked(self, event: events.Click) -> bool:
        """Select the ranked unit that was clicked; show it on a second click."""
        shown, row = (self.inputs[0] if self.inputs else None), event.y - 1 - self._loads_at
        listed = len(loads(shown)) - self._first if isinstance(shown, Interventions) and self._loads_at else 0
        if not 0 <= row < listed or event.chain > 2:
            return False
        await self.run_action(f"screen.select({self._first + row})" if event.chain == 1 else "screen.open")
        return True

"""Decoding: the same prompt and the same random numbers, gone on from in up to four ways."""

from __future__ import annotations

import math
from functools import lru_cache
from itertools import zip_longest

import numpy as np
from textual import events

from rnnscope.charts.palette import Palette
from rnnscope.charts.spans import PLAIN, Row, Span, Style, fit, fit_rows, join
from rnnscope.charts.table import Column, table
from rnnscope.charts.text import Placed, crop, printable, shorten, wrap
from rnnscope.recording.reading_events import Decoding
from rnnscope.tui.captions import caption, longest
from rnnscope.tui.snapshot import When
from rnnscope.tui.widgets.asked import AskedPanel
from rnnscope.tui.widgets.panel import Painted

WIDE = 22
"""Cells of a column under which its figures find room; in narrower ones they stand in a table below all of them."""
FIGURE = 27
"""Cells from the name of a figure to the end of its number, at most."""
END = "▌"
"""Where the text still grows."""


def share(value: float) -> str:
    """Return a share as .83, 1.0, "–" where it is not known."""
    if not math.isfinite(value):
        return "–"
    return f"{value:.2f}".lstrip("0") if value < 0.995 else "1.0"


def figures(event: Decoding, column: int) -> list[tuple[str, str]]:
    """Return the figures of a column as (name, value)."""
    distinct, repeated, nats = (np.asarray(one, np.float64) for one in (event.distinct, event.repeated, event.nats))
    known = event.done and column < len(nats)
    if not known:
        return [(name, "–") for name in ("distinct 1/2/3", "repeated lines", "longest copy", "nats/char")]
    parts = f"{repeated[column]:.0%}" if math.isfinite(repeated[column]) else "–"
    return [
        ("distinct 1/2/3", " ".join(share(float(one)) for one in distinct[column])),
        ("repeated lines", parts),
        ("longest copy", str(int(event.copied[column]))),
        ("nats/char", f"{nats[column]:.2f}" if math.isfinite(nats[column]) else "–"),
    ]


@lru_cache(maxsize=32)
def kinds(prompt: str, text: str, copy: str) -> tuple[int, ...]:
    """Return for each character of prompt + text: 0 plain, 1 prompt, 2 of a line that was there before, 3 copied.

    Lines of white space alone are never repeats, as in the figure.
    """
    found = [1] * len(prompt)
    seen: set[str] = set()
    for line in text.split("\n"):
        found += [2 if line in seen and line.strip() else 0] * (len(line) + 1)
        seen.add(line)
    at = text.find(copy) if copy else -1
    if at >= 0:
        start = len(prompt) + at
        found[start : start + len(copy)] = [3] * len(copy)
    return tuple(found[: len(prompt) + len(text)])


def styles(palette: Palette, mono: bool) -> tuple[Style, Style, Style, Style]:
    """Return the styles of `kinds`."""
    if mono:
        return PLAIN, Style(bold=True), Style(dim=True), Style(reverse=True)
    return (
        PLAIN, Style(fg=palette.accent), Style(fg=palette.faint), Style(fg=palette.lines[1], bold=True, underline=True),
    )  # fmt: skip


def column_widths(width: int, count: int) -> list[int]:
    """Return the cells of each of `count` columns in `width`, a line between neighbours."""
    room = width - (count - 1)
    return [room // count + (i < room % count) for i in range(count)]


def lines_of(event: Decoding, column: int, width: int, growing: bool = False) -> list[list[Placed]]:
    """Return the wrapped lines of a column, prompt first, with the sign of growth at their end."""
    return wrap(event.prompt + event.texts[column] + (END if growing and not event.done else ""), width)


class DecodingPanel(AskedPanel):
    """Shows (Decoding | None, When, lines scrolled back, whether it is still being written, Standing | None)."""

    heading, key = "decoding", "M"
    chips = ((("M",), "measure"), (("/",), "prompt"), (("G",), "another seed"), (("D",), "temperatures"),
             (("k",), "top-k"), (("P",), "top-p"))  # fmt: skip
    summary = (
        "The network goes on from one prompt in up to four ways at once, all with the same random numbers: at "
        "temperature T it draws from softmax(logits/T), so that T → 0 always takes the likeliest character (greedy) "
        "and a high T gambles; top-k keeps only the k likeliest, top-p (nucleus) the smallest set that holds the "
        "probability p. Distinct-n is the number of different n-word sequences divided by that of all: low where it "
        "says the same again and again. The longest copy is the longest piece that stands word for word in the text "
        "that it was trained on, and the nats are its own mean surprise −ln p at temperature 1."
    )
    details = (
        "Text grows as it is drawn. The prompt stands in colour, a line that was there before is faint, and the "
        "longest copied piece is underlined. A cold model repeats itself, a hot one writes noise; a model that copies "
        "long pieces has learnt by heart. Text of people is about as surprising to a good model as its validation "
        "loss: much fewer nats are dull, many more are noise. The arrows up and down scroll all columns."
    )

    def paint(self, width: int, height: int) -> Painted:
        """Draw the columns and their figures."""
        event, when, back, growing, standing = self.inputs or (None, When(0), 0, 0, None)
        if not isinstance(event, Decoding) or not event.texts:
            said = "write on in four ways, side by side"
            return Painted(self.asking(standing, said, width, height), self.title("four temperatures"))
        back = back if isinstance(back, int) else 0
        sizes, rows = column_widths(width, len(event.texts)), self._text_rows(event, width, height)
        columns = [self._column(event, c, size, rows, back, bool(growing)) for c, size in enumerate(sizes)]
        separator = Span("│", Style(fg=self.look.palette.faint))
        made: list[Row] = []
        for parts in zip_longest(*columns, fillvalue=()):
            joined: list[Span] = []
            for i, part in enumerate(parts):
                joined += [*([separator] if i else []), *fit(part, sizes[i])]
            made.append(tuple(joined))
        if sizes[-1] < WIDE and height >= 10:
            made += self._table(event, width)
        if height >= 12:
            made.append(self._legend(width))
        unfinished = "" if event.done else " · being written" if growing else " · broken off"
        return self._titled(made, event, unfinished, when if isinstance(when, When) else When(0), width)

    def _text_rows(self, event: Decoding, width: int, height: int) -> int:
        """Return how many rows of text there is room for."""
        beneath = 4 if column_widths(width, len(event.texts))[-1] >= WIDE else len(event.texts) + 1
        return max(height - 1 - (beneath if height >= 10 else 0) - (height >= 12), 1)

    def overflow(self) -> int:
        """Return how many lines the columns can be scrolled back."""
        event = self.inputs[0] if self.inputs else None
        width, height = self.size.width - 2, self.size.height - 2
        if not isinstance(event, Decoding) or not event.texts or width < 2:
            return 0
        longest = max(len(lines_of(event, c, size)) for c, size in enumerate(column_widths(width, len(event.texts))))
        return max(longest - self._text_rows(event, width, height), 0)

    def _column(self, event: Decoding, column: int, width: int, rows: int, back: int, growing: bool) -> list[Row]:
        """Return one column: its name, the end of its text, and where there is room its figures."""
        palette = self.look.palette
        copy = event.copies[column] if event.done and column < len(event.copies) else ""
        kind, style = kinds(event.prompt, event.texts[column], copy), styles(palette, self.look.mono)
        lines = lines_of(event, column, width, growing)
        stop = max(len(lines) - back, min(rows, len(lines)))
        drawn = [
            join((p.shown, style[kind[p.at]] if p.at < len(kind) else Style(fg=palette.accent)) for p in line)
            for line in lines[max(stop - rows, 0) : stop]
        ]
        name = Span(shorten(printable(event.names[column]), width), Style(fg=palette.lines[0], bold=True))
        made = [(name,), *fit_rows(drawn, width, rows)]
        if width >= WIDE:
            made += [self._figure(name, value, width) for name, value in figures(event, column)]
        return made

    def _figure(self, name: str, value: str, width: int) -> Row:
        faint = Style(fg=self.look.palette.faint)
        room = min(width, FIGURE) - len(value)
        name = crop(longest(room - 1, name, name.split()[0]), room)
        return fit((Span(name, faint), Span(value, Style(bold=True))), width)

    def _table(self, event: Decoding, width: int) -> list[Row]:
        """Return the figures of all columns, a row for each."""
        heads = (
            ("", "distinct 1/2/3", "repeated", "copied", "nats")
            if width >= 50
            else ("", "distinct", "rep.", "copied", "nats")
        )
        columns = [Column(head, i > 0) for i, head in enumerate(heads)]
        rows = [
            [Span(name, Style(fg=self.look.palette.lines[0], bold=True)), *(Span(v) for _, v in figures(event, c))]
            for c, name in enumerate(event.names)
        ]
        return table(columns, rows, width, len(rows) + 1, self.look.palette, self.look.mono)

    def _legend(self, width: int) -> Row:
        palette = self.look.palette
        signs = ("bold", "dim", "reversed") if self.look.mono else ("in colour", "faint", "underlined")
        return caption(
            width, Style(fg=palette.faint),
            f"{signs[0]}: the prompt · {signs[1]}: a line that was there before · {signs[2]}: the longest piece copied "
            "from the training text",
            f"{signs[1]}: said before · {signs[2]}: copied from training text",
            f"{signs[2]}: copied from training text", f"{signs[2]}: copied",
        )  # fmt: skip

    def _titled(self, rows: list[Row], event: Decoding, unfinished: str, when: When, width: int) -> Painted:
        prompt = shorten(printable(event.prompt), max(width // 4, 8))
        room = width - len(self.heading) - len(f"step {when.step:,}") - 10
        title = self.title(
            longest(
                room,
                f"after ‘{prompt}’ · seed {event.seed}{unfinished}",
                f"seed {event.seed}{unfinished}",
                unfinished[3:],
            )
        )
        return Painted(rows, title, self.age(when, title, width))

    async def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Go on in all columns."""
        await self.run_action("screen.view('down', 'decoding')")

    async def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Go back in all columns."""
        await self.run_action("screen.view('up', 'decoding')")

"""What units know: each concept with the units that tell it best, and what chance finds among so many units."""

from __future__ import annotations

import math
from collections.abc import Sequence

from textual import events

from rnnscope.charts.palette import Palette
from rnnscope.charts.spans import Row, Span, Style
from rnnscope.charts.table import Column, first_row, table
from rnnscope.charts.text import cells, printable
from rnnscope.recording.neuron_events import Units
from rnnscope.tui.captions import caption, longest
from rnnscope.tui.neuron_rows import Found, ranked
from rnnscope.tui.snapshot import When
from rnnscope.tui.widgets.asked import AskedPanel
from rnnscope.tui.widgets.panel import Painted

ORDERED = {"margin": "best first", "concept": "by concept", "score": "by score", "unit": "by unit"}
COLUMNS = (
    Column("concept", False), Column("unit"), Column("layer"), Column("score"), Column("null"), Column("probe"),
    Column("share"),
)  # fmt: skip
FEWEST = 5  # columns that are always shown
BAD = "✗"
MEASURES = {"AUC": "AUC", "R2": "R²"}


def number(value: float) -> str:
    """Return a score in two decimals, – where there is none."""
    return f"{value:.2f}" if math.isfinite(value) else "–"


def share(row: Found) -> str:
    """Return the mean label: a percentage of the characters for a yes/no concept, a plain mean for a count."""
    if not math.isfinite(row.share):
        return "–"
    return f"{row.share:.1%}" if row.measure == "AUC" else f"mean {row.share:.3g}"


def sentence(row: Found, width: int) -> str:
    """Return a row in words: what the unit knows, and whether that is more than chance."""
    concept, measure = printable(row.concept), MEASURES.get(row.measure, row.measure)
    if not row.scored:
        why = "never changes in the text that was read, so no unit can tell it"
        return longest(width, f"{concept}: {why}", f"{concept}: never changes in this text", f"{concept}: absent")
    score = f"{measure} {number(row.score)} (null {number(row.null)})"
    way = "high" if row.sign >= 0 else "low"
    verdict = f"it is {way} there" if row.known else "no better than chance"
    return longest(
        width,
        f"unit {row.unit} of layer {row.layer + 1}: {concept}, {score}, {verdict}; the whole layer {number(row.probe)}",
        f"unit {row.unit}, layer {row.layer + 1}: {concept}, {score}, {verdict}",
        f"unit {row.unit}: {concept}, {score}, {verdict}",
        f"unit {row.unit}: {concept}, {score}",
    )


def cells_of(row: Found, palette: Palette, mono: bool) -> list[Span]:
    """Return a row of the table; faint throughout, and its null marked, where the score is no better than chance."""
    faint = Style(dim=True) if mono else Style(fg=palette.faint)
    plain = Style(fg=palette.foreground) if row.known else faint
    good = Style(fg=palette.good, bold=True) if row.known else faint
    measure = MEASURES.get(row.measure, row.measure)
    if not row.scored:
        return [Span(text, plain) for text in (row.concept, "–", "–", "–", "–", "–", share(row))]
    texts = (
        row.concept, str(row.unit), str(row.layer + 1), f"{measure} {number(row.score)}",
        number(row.null) if row.known else f"{BAD} {number(row.null)}",
        number(row.probe), share(row),
    )  # fmt: skip
    return [Span(text, good if i == 3 else plain) for i, text in enumerate(texts)]


def columns_that_fit(rows: Sequence[Sequence[Span]], width: int) -> int:
    """Return how many columns leave room for the concepts' names in full."""
    sizes = [
        max(cells(column.title), *(cells(printable(row[i].text)) for row in rows), 1)
        for i, column in enumerate(COLUMNS)
    ]
    count = len(COLUMNS)
    while count > FEWEST and 1 + sum(sizes[:count]) + 2 * (count - 1) > width:
        count -= 1
    return count


class ConceptsPanel(AskedPanel):
    """Shows (Units | None, When, sort, row), or (None, Standing)."""

    heading = "what units know"
    key = "M"
    chips = ((("↑", "↓"), "row"), (("enter",), "show"), (("M",), "search"), (("O",), "sort"), (("K",), "own concept"))
    summary = (
        "The network was told nothing of quotation marks, words or lines, and yet single units come to follow them: "
        "here every unit was compared with every concept over a long text. AUC is the chance that the unit is higher "
        "at a character inside the concept than at one outside (0.5 guessing, 1 perfect, either way round), R² the "
        "share of a count that it explains; null is the best that any unit reaches by chance, when the labels are "
        "shifted along the text, so only what is above it counts. Enter shows the unit on the text."
    )
    details = (
        "Units are ranked on the first half of the text and scored on the second, so that the best of many is not "
        "simply the luckiest. Shifted labels keep their rhythm, which shuffled ones do not: a slow unit agrees with "
        "any slow label now and then. The linear probe is what all units of a layer tell together; where it is far "
        "better than the best unit, the concept is there, but spread over many. O changes the order: the best unit of "
        "each concept, all units by concept, by score, or unit by unit. K takes a concept of your own: a name and a "
        "regular expression, whose matches are labelled. X breaks a search off."
    )

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._first = 0

    def paint(self, width: int, height: int) -> Painted:
        """Draw the table and the selected row in words."""
        event, when, sort, row = self.inputs if len(self.inputs) == 4 else (None, None, "margin", 0)
        if not isinstance(event, Units) or not isinstance(when, When):
            standing = self.inputs[1] if len(self.inputs) > 1 else None
            return Painted(self.asking(standing, "search the units for concepts", width, height), self.title())
        palette, mono = self.look.palette, self.look.mono
        rows = ranked(event, sort)  # type: ignore[arg-type]
        selected = min(row if isinstance(row, int) else 0, max(len(rows) - 1, 0))
        notes = 2 if height >= 8 else 1 if height >= 4 else 0
        self._first = first_row(len(rows), height - notes - 1, selected)
        spans = [cells_of(one, palette, mono) for one in rows]
        count = columns_that_fit(spans, width)
        made = table(
            COLUMNS[:count], [one[:count] for one in spans], width, height - notes, palette, mono, selected=selected
        )
        if notes and rows:
            style = Style(fg=palette.accent, bold=True)
            made.append(caption(width, style, sentence(rows[selected], width)))
        if notes > 1:
            made.append(self._note(event, width))
        title = self.title(f"{event.field} · {ORDERED.get(str(sort), '')}")
        return Painted(made, title, self.age(when, title, width, f"{event.chars:,} characters"))

    def _note(self, event: Units, width: int) -> Row:
        faint = Style(fg=self.look.palette.faint)
        return caption(
            width, faint,
            f"null: 95% of the best scores of any unit under {event.shifts} shifts of the labels; {BAD} not above it",
            f"null: the best of any unit under {event.shifts} shifted labels; {BAD} not above it",
            f"null: best under shifted labels; {BAD} not above it",
        )  # fmt: skip

    async def clicked(self, event: events.Click) -> bool:
        """Select the row that was clicked; show its unit on a second click."""
        if event.y < 2 or event.chain > 2:
            return False
        row = self._first + event.y - 2
        await self.run_action(f"screen.select({row})" if event.chain == 1 else "screen.open")
        return True

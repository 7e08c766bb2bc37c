"""The n-gram rival: what counting alone can do, and where this run stands among its orders."""

from __future__ import annotations

import math

import numpy as np

from rnnscope.charts.axes import Axes
from rnnscope.charts.series import Dots, HLine, Line, Series
from rnnscope.charts.spans import PLAIN, Row, Span, Style, fit, fit_rows
from rnnscope.charts.text import printable, wrap
from rnnscope.recording.reading_events import Ngram
from rnnscope.tui.captions import caption, longest
from rnnscope.tui.widgets.asked import AskedPanel
from rnnscope.tui.widgets.panel import Painted

SCALE = (0.0, 4.0)
"""Nats a character, the axis of the chart: fixed (blind guessing among 55 characters has 4)."""
LOWEST = 1.0
"""Where the axis of the dots begins, unless anything on it is lower: nobody predicts real text that well."""
FIGURES = 34
"""Cells of the numbers of a row."""
CHART = 9
"""Rows that a chart over the orders needs at least."""
TEXT = 30
"""Cells that what a model writes needs at least beside the table."""


def nats(value: float) -> str:
    """Return nats in three decimals, "–" where there are none."""
    return f"{value:.3f}" if math.isfinite(value) else "–"


def standing_words(event: Ngram, loss: float | None) -> tuple[str, ...]:
    """Return where a validation loss lies among the Kneser-Ney models, longest first."""
    rivals = [(float(v), int(n)) for n, v in zip(event.orders, event.kneser_ney, strict=True) if math.isfinite(v)]
    if loss is None or not math.isfinite(loss):
        return "no validation loss yet to place among them", "no validation loss yet"
    if not rivals:
        return f"validation loss {loss:.3f}; no Kneser-Ney model to compare with", f"validation {loss:.3f}"
    beaten, left = [r for r in rivals if loss < r[0]], [r for r in rivals if loss >= r[0]]
    if not beaten:
        worst = max(rivals)
        said = f"does not beat the {worst[1]}-gram yet ({worst[0]:.3f})"
        return f"validation loss {loss:.3f}: {said}", said
    best = min(beaten)
    if not left:
        return (
            f"validation loss {loss:.3f}: you now beat every n-gram, the best has {best[0]:.3f} (order {best[1]})",
            f"{loss:.3f}: you now beat every n-gram (best {best[0]:.3f})", "you now beat every n-gram",
        )  # fmt: skip
    following = max(left)
    said = f"you now beat the {best[1]}-gram"
    return (
        f"validation loss {loss:.3f}: {said} ({best[0]:.3f}), not yet the {following[1]}-gram ({following[0]:.3f})",
        f"{loss:.3f}: {said} ({best[0]:.3f}), not the {following[1]}-gram ({following[0]:.3f})",
        f"{loss:.3f}: {said}", said,
    )  # fmt: skip


class NgramPanel(AskedPanel):
    """Shows (Ngram | None, validation loss | None, Standing | None)."""

    heading, key = "the n-gram rival", "M"
    chips = ((("M",), "measure"), (("G",), "another seed"))
    summary = (
        "A model that only counts: the n-gram of order n looks up how often each character followed the last n − 1 "
        "ones in the training text. Unsmoothed, p(x|context) = count(context x)/count(context), it gives no "
        "probability at all to whatever it has not seen, and the more it looks back the more that is; Kneser-Ney "
        "takes a discount from every count and gives it to shorter contexts, so that it can be scored on all of the "
        "validation text, in the same nats as this run. The upright line is the run's own validation loss: a network "
        "that is right of the dots has learnt no more than counting."
    )
    details = (
        "Both are measured on the run's own split. The nats of the unsmoothed models are those of the characters that "
        "they give any probability; the share that they do not is beside them, and has to be kept in mind: a low "
        "figure over half of the text is no victory. What some of them write is drawn from their own probabilities, as "
        "in the classic demonstration of order 4 and 10: long contexts copy the text. The figures depend on the text "
        "alone, not on the network, so that measuring once is enough; after that the same lines are on the loss chart."
    )

    def paint(self, width: int, height: int) -> Painted:
        """Draw the table of orders, and what two of them write."""
        event, loss, standing = self.inputs or (None, None, None)
        if not isinstance(event, Ngram):
            return Painted(self.asking(standing, "count, and compare", width, height), self.title("Kneser-Ney"))
        value = loss if isinstance(loss, float) else None
        palette = self.look.palette
        head: Row = (Span(longest(width, *standing_words(event, value)), Style(fg=palette.accent, bold=True)),)
        beside = width >= 2 * FIGURES + TEXT and bool(event.texts)
        size = min(width - TEXT - 3, 76) if beside else width
        rows = fit_rows(self._table(event, value, size), size, min(len(event.orders) + 2, height - 1))
        if beside:
            texts = self._texts(event, width - size - 3, height - 1)
            if height - 1 - len(rows) >= CHART:
                rows += self._chart(event, value, size, height - 1 - len(rows))
            rows = fit_rows(rows, size, height - 1)
            rows = [(*row, Span(" │ ", Style(fg=palette.faint)), *text) for row, text in zip(rows, texts, strict=True)]
        elif height - 1 - len(rows) >= 2:
            rows += self._texts(event, width, height - 1 - len(rows))
        title = self.title(
            longest(width - len(self.heading) - 12, f"nats/char on {event.chars:,} validation characters",
                    "nats/char, validation", "nats/char")
        )  # fmt: skip
        return Painted([head, *rows], title)

    def _table(self, event: Ngram, loss: float | None, width: int) -> list[Row]:
        """Return a headline, a row for each order, and the axis under the dots."""
        palette, faint = self.look.palette, Style(fg=self.look.palette.faint)
        room = max(width - FIGURES - 2, 0)
        heads = longest(room, "Kneser-Ney ● beaten ○ not │ this run", "● beaten ○ not │ run", "● │ run", "")
        rows: list[Row] = [fit((Span(" n  Kneser-Ney  unsmoothed  unseen  ", faint), Span(heads, faint)), width)]
        kneser_ney, seen, unseen = (
            np.asarray(one, np.float64) for one in (event.kneser_ney, event.unsmoothed, event.unseen)
        )
        best = int(np.nanargmin(kneser_ney)) if np.isfinite(kneser_ney).any() else -1
        known = [v for v in (*kneser_ney.tolist(), loss or math.nan) if math.isfinite(v)]
        scale = (LOWEST if min(known, default=LOWEST) >= LOWEST else SCALE[0], SCALE[1])
        for i, order in enumerate(event.orders.tolist()):
            share = f"{unseen[i]:.1%}" if math.isfinite(unseen[i]) else "–"
            bold = Style(bold=True) if i == best else PLAIN
            figures = (
                Span(f"{order:>2}", Style(fg=palette.lines[0], bold=True)), Span(f"{nats(kneser_ney[i]):>12}", bold),
                Span(f"{nats(seen[i]):>12}{share:>8}", faint),
            )  # fmt: skip
            rows.append(fit((*figures, Span("  "), *self._dots(float(kneser_ney[i]), loss, scale, room)), width))
        if room >= 12:
            ends = f"{scale[0]:g}{f'{scale[1]:g} nats'.rjust(room - 1)}"
            rows.append(fit((Span(" " * (FIGURES + 2)), Span(ends[:room], faint)), width))
        return rows

    def _dots(self, value: float, loss: float | None, scale: tuple[float, float], width: int) -> Row:
        """Return an order's place on the axis of nats, and the run's: a dot and an upright line."""
        palette, low, high = self.look.palette, *scale
        if width < 4:
            return ()

        def cell(nats: float) -> int:
            return round(min(max((nats - low) / (high - low), 0.0), 1.0) * (width - 1))

        pieces = [Span("·", Style(fg=palette.grid))] * width
        if loss is not None and math.isfinite(loss):
            pieces[cell(loss)] = Span("│", Style(fg=palette.lines[1], bold=True))
        if math.isfinite(value):
            beaten = loss is not None and loss < value
            colour = palette.good if beaten else palette.foreground
            pieces[cell(value)] = Span("●" if beaten else "○", Style(fg=colour, bold=True))
        return tuple(pieces)

    def _chart(self, event: Ngram, loss: float | None, width: int, height: int) -> list[Row]:
        """Draw both kinds of model over the order, and the run as a dashed line."""
        from rnnscope.charts.lines import line_chart  # plotext: not before there is something to draw

        palette = self.look.palette
        orders = np.asarray(event.orders, np.float64)
        axes = Axes(
            x_label="order n", y_label="nats/char", x_range=(1.0, float(max(orders[-1], 2))), y_range=SCALE,
            x_integer=True,
        )  # fmt: skip
        series: list[Series] = []
        if loss is not None and math.isfinite(loss):
            series.append(HLine(loss, palette.lines[1], f"this run {loss:.3f}"))
        for values, colour, name, glyph in (
            (event.unsmoothed, palette.lines[2], "unsmoothed (seen only)", "◆"),
            (event.kneser_ney, palette.lines[0], "Kneser-Ney", "●"),
        ):
            given = np.asarray(values, np.float64)
            series.append(Line(orders, given, colour, label=name, bold=values is event.kneser_ney, mark_bad=False))
            series.append(Dots(orders[np.isfinite(given)], given[np.isfinite(given)], colour, glyph=glyph))
        return line_chart(series, axes, width, height, palette, self.look.mono)

    def _texts(self, event: Ngram, width: int, height: int) -> list[Row]:
        """Return what some models write, one below the other, evenly high."""
        rows: list[Row] = []
        count = min(len(event.texts), max(height // 2, 1))
        for i in range(count):
            room = (height - len(rows)) // (count - i)
            head = caption(
                width, Style(fg=self.look.palette.lines[0], bold=True), f"{printable(event.names[i])} writes"
            )
            lines = ["".join(placed.shown for placed in line) for line in wrap(event.texts[i], width)]
            rows += fit_rows([head, *((Span(line),) for line in lines)], width, room)
        return fit_rows(rows, width, height)

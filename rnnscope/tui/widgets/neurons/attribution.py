"""Which earlier characters made the model predict this one: scores on the text, and connectivity as a strip."""

from __future__ import annotations

import math

import numpy as np

from rnnscope.charts.bars import columns as columns_of
from rnnscope.charts.coloured_text import coloured_text
from rnnscope.charts.heatmap import legend
from rnnscope.charts.spans import Row, Style, fit
from rnnscope.charts.text import cells, printable
from rnnscope.recording.events import Floats
from rnnscope.recording.neuron_events import Attribution
from rnnscope.tui.captions import caption, longest, paragraph
from rnnscope.tui.snapshot import When
from rnnscope.tui.widgets.asked import AskedPanel
from rnnscope.tui.widgets.neurons.page import lines_of, page
from rnnscope.tui.widgets.panel import Painted
from rnnscope.tui.widgets.units import ruler, window
from rnnscope.tui.words import named

DECADES = 4
"""Of the strip of connectivity: what is smaller than that beside the largest stands as low as it goes."""
TALL = 4  # rows of the strip, where there is room


def largest(scores: Floats) -> float:
    """Return the largest finite magnitude, 1 where all are zero or none is finite: what scores are divided by."""
    finite = np.abs(np.asarray(scores, np.float64)[np.isfinite(scores)])
    return float(finite.max()) if len(finite) and finite.max() > 0 else 1.0


def coloured(scores: Floats) -> Floats:
    """Return the scores as they are coloured: root of their share of the largest, with their sign.

    The last character often outweighs all others; its root leaves them to be seen.
    """
    shares = np.asarray(scores, np.float64) / largest(scores)
    rooted: Floats = np.sign(shares) * np.sqrt(np.abs(shares))
    return rooted


def strongest(event: Attribution, width: int) -> str:
    """Return the characters with the largest scores, and how far back they are, as many as fit."""
    scores = np.asarray(event.scores, np.float64)
    order = np.argsort(-np.abs(np.nan_to_num(scores, nan=0.0, posinf=np.inf, neginf=-np.inf)), kind="stable")
    text = "strongest:"
    for at in order[:8].tolist():
        back = len(scores) - 1 - at
        more = f"{text} {named(event.text[at])} {f'{back} back' if back else 'last'} {scores[at]:+.2f} ·"
        if cells(more) - 2 > width:
            break
        text = more
    return text.removesuffix(" ·")


def words(event: Attribution, width: int) -> list[str]:
    """Return method, baseline, what is explained and how complete it is, in lines of at most `width` cells."""
    method = printable(f"{event.method}; baseline: {event.baseline}")
    target = printable(event.explained)
    value = f"{event.value:.3f}"
    if math.isfinite(event.at_baseline):
        value += f", at the baseline {event.at_baseline:.3f}"
    if math.isfinite(event.delta):
        value += f"; the scores miss the difference by {event.delta:.2%}"
    return [*paragraph(method, width), *paragraph(f"{target} = {value}", width)]


class AttributionPanel(AskedPanel):
    """Shows (Attribution | None, When), or (None, Standing, what M explains)."""

    heading = "attribution"
    key = "M"
    chips = ((("r",), "method"), (("R",), "target"), (("←", "→"), "cursor"), (("M",), "explain"))
    summary = (
        "Which of the earlier characters made the network expect this one? Each is coloured by what it added to the "
        "logit of the target (orange) or took from it (blue); with integrated gradients the scores add up to the logit "
        "minus that of a baseline, Σ_t score_t = f(x) − f(x′), and how far they miss that is written below. The strip "
        "at the bottom is the connectivity of Madsen, ‖∂logit/∂x_t‖, how much the smallest change of each character "
        "would matter. Move the cursor along the text and press M again: which characters are looked back at?"
    )
    details = (
        "r chooses the method: integrated gradients, input × gradient, leaving characters out one by one (feature "
        "ablation), or a window of them (occlusion). R chooses the target: the most probable next character, one of "
        "the others in the top five, or the value of the unit on the text instead of a logit. The colour is the root "
        "of a score's share of the largest, so that small ones are seen beside it; the largest is written beside the "
        "scale. Methods that are known to be wrong on recurrent layers, as DeepLift, are not offered. Two methods "
        "often disagree: neither is the whole truth."
    )

    def paint(self, width: int, height: int) -> Painted:
        """Draw the text, the words and the strip."""
        event, when = self.inputs[:2] or (None, None)
        if not isinstance(event, Attribution) or not isinstance(when, When):
            following = self.inputs[2] if len(self.inputs) == 3 else ""
            rows = self.asking(when, longest(width - 10, f"explain {following}", "explain"), width, height)
            return Painted(rows, self.title())
        said = words(event, width)[: max(height - 8, 1)] if height >= 6 else []
        strip = self._strip(event, width, 1 if height < 24 else TALL) if height >= 10 else []
        named_too = [strongest(event, width)] if height >= 14 else []
        has_legend = int(height >= 4)
        room = max(height - len(said) - len(named_too) - len(strip) - has_legend, 1)
        rows = self._text(event, width, min(room, len(lines_of(event.text, width))))
        if has_legend:
            rows.append(self._legend(event, width))
        style = Style(fg=self.look.palette.accent, bold=True)
        rows += [caption(width, style, line) for line in said]
        rows += [caption(width, Style(fg=self.look.palette.foreground), line) for line in named_too]
        rows += strip
        title = self.title(longest(width - 34, printable(event.explained), f"‘{printable(event.target)}’"))
        return Painted(rows, title, self.age(when, title, width))

    def _text(self, event: Attribution, width: int, height: int) -> list[Row]:
        last = len(event.text) - 1
        seen = page(event.text, width, height, last)
        scores = coloured(event.scores)[seen.start : seen.stop]
        return coloured_text(
            event.text[seen.start : seen.stop], scores, width, height, -1.0, 1.0, palette=self.look.palette,
            mono=self.look.mono, tail=False,
        )  # fmt: skip

    def _legend(self, event: Attribution, width: int) -> Row:
        label = f"±√(score / {largest(event.scores):.3g}) ="
        return legend(-1, 1, min(48, width), palette=self.look.palette, mono=self.look.mono, label=label)

    def _strip(self, event: Attribution, width: int, height: int) -> list[Row]:
        """Return the connectivity of the last characters as bars above them, on a logarithmic scale of four decades."""
        palette = self.look.palette
        columns = window(event.text, width)
        if not columns:
            return []
        norms = np.asarray(event.connectivity, np.float64)
        top = largest(norms)
        with np.errstate(divide="ignore", invalid="ignore"):
            shares = 1 + np.clip(np.log10(norms / top), -DECADES, 0.0) / DECADES
        shares = 1 / (8 * height) + shares * (1 - 1 / (8 * height))  # the lowest still shows
        said = f"connectivity ‖∂logit/∂x_t‖, from {top:.2g} (full) down to a ten-thousandth of it"
        heading = caption(width, Style(fg=palette.faint), said, "connectivity ‖∂logit/∂x_t‖, log, four decades")
        bars = columns_of(shares[columns], len(columns), height, palette, palette.lines[0], self.look.mono)
        return [heading, *(fit(row, width) for row in bars), fit(ruler(event.text, columns), width)]

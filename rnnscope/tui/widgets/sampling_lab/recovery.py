"""Recovery: one character of the prefix corrupted, and how loss and state come back."""

from __future__ import annotations

import math

import numpy as np

from rnnscope.charts.axes import Axes
from rnnscope.charts.coloured_text import coloured_text, text_legend
from rnnscope.charts.counts import count_chart
from rnnscope.charts.series import Band, HLine, Line, Series, VMark
from rnnscope.charts.spans import Row, Span, Style, fit
from rnnscope.recording.reading_events import Recovery
from rnnscope.tui.captions import caption, longest
from rnnscope.tui.curves import Floats, grown
from rnnscope.tui.ranges import round_up
from rnnscope.tui.snapshot import When
from rnnscope.tui.widgets.asked import AskedPanel
from rnnscope.tui.widgets.panel import Painted
from rnnscope.tui.words import named as name

GAIN = (-1.0, 6.0)
"""Nats a character, of the chart and of the colours of the example: fixed, the ends grow in visible steps with the
mean; of a band what lies beyond is cut off."""
DISTANCE = (0.0, 2.0)
TENTH = 0.1
"""Of the reference: the state has recovered when its distance stays below it."""


def recovered(event: Recovery) -> tuple[float, int, int]:
    """Return (median characters to recover of the prefixes that do, how many do, how many do not)."""
    after = np.asarray(event.after)
    known = after[after >= 0]
    return float(np.median(known)) if len(known) else math.nan, len(known), len(after) - len(known)


def words(event: Recovery) -> tuple[str, ...]:
    """Return in one line what happens after a wrong character, longest first."""
    median, count, never = recovered(event)
    gain = float(np.asarray(event.gain, np.float64)[0, 0]) if np.size(event.gain) else math.nan
    if not count:
        end = f"no state of {never} is back within {len(event.following)}"
        return f"one wrong character costs {gain:+.2f} nats on the next one; {end} characters", end
    still = f", {never} of {count + never} not within {len(event.following)}" if never else ""
    return (
        f"one wrong character costs {gain:+.2f} nats on the next one; half of the states that come back have done so "
        f"after {median:.0f} characters{still}",
        f"{gain:+.2f} nats on the next character; state back after {median:.0f} characters (median){still}",
        f"{gain:+.2f} nats; back after {median:.0f} (median){still}",
        f"{gain:+.2f} nats; back after {median:.0f}",
    )


class RecoveryPanel(AskedPanel):
    """Shows (Recovery | None, When, Standing | None)."""

    heading, key = "recovery", "M"
    chips = ((("M",), "measure"), (("b",), "which character"), (("G",), "another seed"))
    summary = (
        "One character of the prefix is replaced by a wrong one, and then both copies of the network read the same "
        "true text. The gain −ln p′ + ln p is how much worse the corrupted copy predicts each true character, and "
        "‖h−h′‖/‖h‖ how far its state is from the clean one: means over many prefixes, with a band that holds 80%. A "
        "network that recovers is back below a tenth of the distance of unrelated texts (lower dashed line) after a "
        "few characters, which the bars below count; one that does not has remembered the mistake."
    )
    details = (
        "This is the other side of exposure bias: what a single slip does, apart from all that follows from it. b "
        "chooses after how many characters it comes, else it is the 64th; the wrong character is drawn as often as "
        "characters occur in the text. In the example the wrong character is "
        "marked, and each character after it is coloured by its gain: the scale is fixed. A negative gain means "
        "that the corrupted copy guessed better, by luck."
    )

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._gain, self._distance = GAIN, DISTANCE

    def paint(self, width: int, height: int) -> Painted:
        """Draw the example, both curves, and how many characters it took."""
        event, when, standing = self.inputs or (None, When(0), None)
        if not isinstance(event, Recovery):
            said = "corrupt one character and watch it recover"
            return Painted(self.asking(standing, said, width, height), self.title())
        palette = self.look.palette
        self._gain = grown(self._gain, np.asarray(event.gain, np.float64)[0])
        rows: list[Row] = [(Span(longest(width, *words(event)), Style(fg=palette.accent, bold=True)),)]
        if height >= 14:
            rows += self._example(event, width, min(max(height // 5, 5), 9))
        room = height - len(rows)
        below = min(max(room // 3, 4), 12) if room >= 12 else 0
        half = width // 2
        left, right = (self._chart(event, which, size, room - below)
                       for which, size in (("gain", half), ("distance", width - half)))  # fmt: skip
        rows += [(*one, *other) for one, other in zip(left, right, strict=True)]
        if below:
            rows += self._counts(event, width, below)
        title = self.title(longest(width - 34, f"{event.prefixes} prefixes, one wrong character in each",
                                   f"{event.prefixes} prefixes"))  # fmt: skip
        return Painted(rows, title, self.age(when if isinstance(when, When) else When(0), title, width))

    def _example(self, event: Recovery, width: int, height: int) -> list[Row]:
        """Draw the text that was read, the wrong character marked, what follows coloured by its gain; and a legend."""
        palette, mono, faint = self.look.palette, self.look.mono, Style(fg=self.look.palette.faint)
        gain = np.asarray(event.corrupt, np.float64) - np.asarray(event.clean, np.float64)
        start = max(event.position - width // 2, 0)
        start += event.text[start : event.position].rfind("\n") + 1  # lines before it would take the room
        read = event.text[start:]
        values = np.concatenate([np.full(len(read), np.nan), gain])
        rows = coloured_text(
            read + event.following, values, width, height - 2, -self._gain[1], self._gain[1], "diverging",
            palette=palette, mono=mono, cursor=event.position - start, tail=False, nan_is_missing=True,
        )  # fmt: skip
        was, became = (name(one) for one in (event.was, event.became))
        at = event.position + 1
        head = caption(
            width, faint, f"an example: {was} at {at} of the prefix became {became} (marked), the text after it is "
            "true, coloured by its gain", f"{was} at {at} became {became} (marked); then true text, by gain",
            f"{was} became {became} (marked)",
        )  # fmt: skip
        bar = text_legend(-self._gain[1], self._gain[1], min(width, 44), palette=palette, mono=mono, label="gain, nats")
        return [head, *rows, fit(bar, width)]

    def _chart(self, event: Recovery, which: str, width: int, height: int) -> list[Row]:
        from rnnscope.charts.lines import line_chart  # plotext: not before there is something to draw

        palette = self.look.palette
        mean, low, high = np.asarray(getattr(event, which), np.float64)
        x: Floats = np.arange(1, len(mean) + 1, dtype=np.float64)
        marks: list[Series]
        if which == "gain":
            scale, label, colour = self._gain, "gain, nats/char", palette.lines[0]
            marks = [HLine(0.0, palette.lines[1], "as if nothing had been" if width >= 44 else "")]
        else:
            self._distance = grown(self._distance, np.concatenate([mean, high, [event.reference]]))
            scale, label, colour = self._distance, "‖h−h′‖/‖h‖", palette.lines[2]
            named = width >= 44
            marks = [
                HLine(event.reference, palette.lines[1], f"unrelated {event.reference:.2f}" if named else "unrelated"),
                HLine(TENTH * event.reference, palette.lines[1], "recovered below" if named else ""),
            ]
        axes = Axes(x_label="characters after it", y_label=label, x_range=(1.0, float(max(len(x), 2))), y_range=scale,
                    x_integer=True)  # fmt: skip
        series = [Band(x, low, high, colour, label="10–90%"), *marks, Line(x, mean, colour, label="mean", bold=True)]
        return line_chart(series, axes, width, height, palette, self.look.mono)

    def _counts(self, event: Recovery, width: int, height: int) -> list[Row]:
        palette = self.look.palette
        after = np.asarray(event.after, np.float64)
        median, _, never = recovered(event)
        end = float(max(len(event.following), 10))
        edges = np.linspace(0.0, end, min(int(end), max(width // 3, 10)) + 1)
        counts = np.histogram(after[after >= 0], edges)[0]
        left = f" · {never} not within {len(event.following)}" if never else ""
        axes = Axes(
            x_label="characters until the state is back", y_label=f"prefixes{left}", x_range=(0.0, end),
            y_range=(0.0, round_up(float(max(counts.max(initial=0), 1)))), x_integer=True, y_integer=True,
        )  # fmt: skip
        marks = [VMark(median, palette.foreground, f"median {median:.0f}")] if math.isfinite(median) else []
        return count_chart(edges, counts, axes, width, height, palette, palette.lines[2], self.look.mono, marks=marks)

"""The two lines on top: what runs, and how far it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from textual.strip import Strip
from textual.widget import Widget

from rnnscope.charts.bars import meter
from rnnscope.charts.palette import Palette
from rnnscope.charts.spans import RGB, Row, Span, Style, fit, width
from rnnscope.charts.text import printable, shorten
from rnnscope.recording.events import DIVERGED, FAILED, FINISHED, PAUSED, STARTING, STOPPED, TRAINING
from rnnscope.recording.state import INTERRUPTED
from rnnscope.tui.look import Look
from rnnscope.tui.snapshot import Snapshot
from rnnscope.tui.strips import to_strip
from rnnscope.tui.words import clock, percent, short

Item: TypeAlias = tuple[int, Row]
"""How soon it is left out where there is no room (9 first, 0 never), and what it shows."""

GAP = "   "
SYMBOLS = {
    STARTING: "◌", TRAINING: "●", PAUSED: "‖", FINISHED: "✓", STOPPED: "■",
    DIVERGED: "✗", FAILED: "✗", INTERRUPTED: "✗",
}  # fmt: skip


def packed(items: list[Item], room: int, gap: str = GAP) -> Row:
    """Join the items that fit into `room` cells, in the order given, leaving out the least needed."""
    kept = list(items)
    while len(kept) > 1 and sum(width(row) for _, row in kept) + len(gap) * (len(kept) - 1) > room:
        worst = max(range(len(kept)), key=lambda i: (kept[i][0], i))
        del kept[worst]
    spans: list[Span] = []
    for i, (_, row) in enumerate(kept):
        if i:
            spans.append(Span(gap))
        spans.extend(row)
    return tuple(spans)


def state_colour(word: str, palette: Palette) -> RGB:
    """Return the colour of a run's state."""
    if word in (DIVERGED, FAILED, INTERRUPTED):
        return palette.bad
    if word in (PAUSED, STARTING, STOPPED):
        return palette.warn
    return palette.good


def identity(snapshot: Snapshot, palette: Palette) -> list[Item]:
    """Return what runs: run, text, model, parameters, device, and what share of the time is spent on measuring it."""
    model, started = snapshot.config.model, snapshot.state.started
    faint = Style(fg=palette.faint)
    items: list[Item] = [
        (0, (Span("rnnscope", Style(fg=palette.accent, bold=True)),)),
        (4, (Span(shorten(printable(snapshot.name), 32), Style(bold=True)),)),
        (1, (Span(shorten(printable(snapshot.text), 32)),)),
        (0, (Span(f"{printable(model.cell)} {model.layers}×{model.hidden}"),)),
    ]
    if started is not None:
        event = started.event
        items.append((3, (Span(short(event.parameters)), Span(" parameters", faint))))
        items.append((2, (Span(shorten(printable(event.device), 28)),)))
        items.append((6, (Span(f"{event.precision} {event.kernel}", faint),)))
        items.append((7, (Span(f"{event.threads} thread{'s' * (event.threads != 1)}", faint),)))
    if snapshot.state.cost is not None:
        items.append((5, (Span("probes ", faint), Span(percent(snapshot.state.cost.event.probes)))))
    return items


def progress(snapshot: Snapshot, palette: Palette, mono: bool) -> list[Item]:
    """Return how far the run is, how fast, and its settings."""
    faint, bold = Style(fg=palette.faint), Style(bold=True)
    done, state = snapshot.progress, snapshot.state
    of = f"/{done.total_steps:,}" if done.total_steps else ""
    items: list[Item] = [(0, (Span("step ", faint), Span(f"{done.step:,}", bold), Span(of)))]
    if done.share is not None:
        items.append((6, meter(done.share, 12, palette, palette.good, mono, percent(done.share))))
    items.append((3, (Span("epoch ", faint), Span(f"{done.epoch:.1f}"))))
    if snapshot.word in (TRAINING, PAUSED) and done.rate == done.rate:
        items.append((2, (Span(short(done.rate)), Span(" char/s", faint))))
    items.append((4, (Span(clock(done.elapsed)), Span(" elapsed", faint))))
    if snapshot.word in (TRAINING, PAUSED) and done.remaining == done.remaining:
        items.append((2, (Span(clock(done.remaining)), Span(" left", faint))))
    validation = state.validation
    if validation is not None:
        number = Style(fg=palette.lines[1], bold=True)
        items.append((1, (Span("val ", faint), Span(f"{validation.event.loss:.3f}", number))))
    if done.lr == done.lr:
        items.append((5, (Span("lr ", faint), Span(f"{done.lr:.3g}"))))
    controls = snapshot.controls
    items.append((7, (Span("clip ", faint), Span("off" if controls.clip is None else f"{controls.clip:g}"))))
    items.append((8, (Span("T ", faint), Span(f"{controls.temperature:g}"))))
    if state.cost is not None:
        cost = state.cost.event
        items.append((9, (Span("validation ", faint), Span(percent(cost.validation)))))
    return items


@dataclass(frozen=True)
class Mood:
    """What the header shows besides the run: a command on its way, the step at which the display is frozen, trouble."""

    sent: str = ""
    frozen_at: int | None = None
    trouble: str = ""


def header_rows(snapshot: Snapshot | None, name: str, mood: Mood, columns: int, look: Look) -> list[Row]:
    """Return the two lines."""
    palette = look.palette
    bar = Style(fg=palette.foreground, bg=palette.grid)
    if snapshot is None:
        word = mood.trouble or f"opening {printable(name)} …"
        first: Row = (Span(" rnnscope   ", Style(fg=palette.accent, bold=True)), Span(shorten(word, columns - 14)))
        return [on(fit(first, columns), bar), fit((), columns)]
    right: list[Span] = []
    if mood.sent:
        right += [Span(f"→ {mood.sent} …  ", Style(fg=palette.warn))]
    if mood.frozen_at is not None:
        right += [Span(f" frozen at step {mood.frozen_at:,} ", Style(reverse=True, bold=True)), Span("  ")]
    word = snapshot.word
    right.append(Span(f"{SYMBOLS.get(word, '●')} {word} ", Style(fg=state_colour(word, palette), bold=True)))
    room = columns - 3 - width(tuple(right))
    left = packed(identity(snapshot, palette), room)
    first = (Span(" "), *fit(left, room), Span("  "), *right)
    second = (Span(" "), *packed(progress(snapshot, palette, look.mono), columns - 2))
    return [on(fit(first, columns), bar), fit(second, columns)]


def on(row: Row, under: Style) -> Row:
    """Return `row` on the background of `under`, where it has none of its own."""
    return tuple(
        Span(span.text, Style(
            span.style.fg or under.fg, span.style.bg or under.bg, span.style.bold, span.style.dim, span.style.reverse,
            span.style.underline,
        ))
        for span in row
    )  # fmt: skip


class Header(Widget):
    """The two lines on top."""

    def __init__(self, *, id: str, name: str) -> None:
        super().__init__(id=id)
        self.run_name = name
        self._rows: list[Row] = []
        self._look = Look()
        self._snapshot: Snapshot | None = None
        self._mood = Mood()

    def show(self, snapshot: Snapshot | None, mood: Mood, look: Look) -> None:
        """Take what is to be shown; redraw if the lines came out different."""
        self._snapshot, self._mood, self._look = snapshot, mood, look
        rows = header_rows(snapshot, self.run_name, mood, self.size.width, look)
        if rows != self._rows:
            self._rows = rows
            self.refresh()

    def on_resize(self) -> None:
        """Lay the lines out for the new width."""
        self.show(self._snapshot, self._mood, self._look)

    def render_line(self, y: int) -> Strip:
        """Return one of the lines (textual's line API)."""
        row = self._rows[y] if y < len(self._rows) else ()
        return to_strip(row, self.size.width, self._look.palette)

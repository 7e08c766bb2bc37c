"""The space of a layer's states on two principal components, with the trajectory of the text in it."""

from __future__ import annotations

from functools import lru_cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from textual import events

from rnnscope.charts.axes import Axes
from rnnscope.charts.palette import Palette, colours
from rnnscope.charts.scatter import Cloud, Path, nearest, scatter
from rnnscope.charts.spans import RGB, Row, Span, Style, fit
from rnnscope.charts.text import printable
from rnnscope.recording.neuron_events import StateSpace
from rnnscope.tui import ranges
from rnnscope.tui.captions import caption
from rnnscope.tui.neuron_view import PAIRS
from rnnscope.tui.snapshot import When
from rnnscope.tui.widgets.asked import AskedPanel
from rnnscope.tui.widgets.panel import Painted

VOWELS = frozenset("aeiouAEIOU")
CLASSES = ("vowel", "consonant", "capital", "digit", "space", "newline", "other")
CLASS_GLYPHS = "vcCdsno"
LEVELS = 5
"""Steps in which a count is coloured."""
TRAIL = 12, 40, 6  # characters of the trajectory that are drawn, least and most, and cells for each: else a tangle
Floats = NDArray[np.float64]
Group: TypeAlias = tuple[str, str, RGB, NDArray[np.bool_]]
"""Points told apart from others: label, glyph, colour, and which they are."""


def class_of(character: str) -> int:
    """Return the index in CLASSES of a character."""
    if character == "\n":
        return 5
    if character.isspace():
        return 4
    if character.isdigit():
        return 3
    if character.isalpha():
        return 2 if character.isupper() else 0 if character in VOWELS else 1
    return 6


@lru_cache(maxsize=4)
def kinds_of(text: str) -> tuple[NDArray[np.int64], NDArray[np.str_]]:
    """Return for each character its index in CLASSES and what is drawn of it (kept: it is drawn at every key)."""
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    symbols, which = np.unique(codes, return_inverse=True)
    classes = np.array([class_of(chr(symbol)) for symbol in symbols], np.int64)
    drawn = np.array([printable(chr(symbol)) for symbol in symbols], "U1")
    return classes[which], drawn[which]


def trail_of(event: StateSpace, text: str, cursor: int, width: int) -> tuple[int, int]:
    """Return (first, last + 1) of the points drawn as a line in a chart of `width` cells: up to the cursor where `text`
    is what was read, else the end of the trajectory.
    """
    begin = len(event.points) - event.trajectory
    known = bool(text) and event.text[begin:] == text
    stop = begin + min(cursor, event.trajectory - 1) + 1 if known else len(event.points)
    least, most, each = TRAIL
    return max(stop - min(max(width // each, least), most), begin), stop


def groups_of(event: StateSpace, colour: int, palette: Palette) -> list[Group]:
    """Return what the points are told apart by."""
    lines = palette.lines
    if colour == 0 or colour > len(event.concepts):
        kinds, _ = kinds_of(event.text)
        return [(label, CLASS_GLYPHS[i], lines[i % len(lines)], kinds == i) for i, label in enumerate(CLASSES)]
    labels = np.asarray(event.labels[colour - 1], np.float64)
    name = event.concepts[colour - 1]
    known = labels[np.isfinite(labels)]
    if not len(known) or set(np.unique(known).tolist()) <= {0.0, 1.0}:
        return [(f"not {name}", "·", lines[0], ~(labels > 0)), (name, "+", lines[1], labels > 0)]
    return _levels(name, labels, known, palette)


def _levels(name: str, labels: Floats, known: Floats, palette: Palette) -> list[Group]:
    """Return the points in steps of a count, from its lowest to its highest value."""
    edges = np.unique(np.quantile(known, np.linspace(0, 1, LEVELS + 1)))
    steps = np.clip(np.searchsorted(edges, labels, side="right") - 1, 0, max(len(edges) - 2, 0))
    made = []
    for step in range(max(len(edges) - 1, 1)):
        red, green, blue = (int(c) for c in colours(float(step), -1.0, LEVELS - 1.0, palette, "sequential"))
        ends = f"{edges[step]:g}–{edges[min(step + 1, len(edges) - 1)]:g}"
        label = f"{name} {ends}" if step == 0 else ends
        made.append((label, str(step), (red, green, blue), np.isfinite(labels) & (steps == step)))
    return made


class StateSpacePanel(AskedPanel):
    """Shows (StateSpace | None, When, pair, colour, text shown, cursor), or (None, Standing)."""

    heading = "state space"
    key = "M"
    chips = ((("D",), "colour"), (("j",), "axes"), (("←", "→"), "along"), (("M",), "measure"))
    summary = (
        "The state h_t is a point in a space of as many dimensions as there are units; here it is seen from the side "
        "where most is to be seen, along its principal components, the directions in which the points lie furthest "
        "apart. Each point is the state after one character, drawn as that character and coloured by its kind or by a "
        "concept. The line is the way that the text takes through it, up to the cursor: see whether it goes round the "
        "same loop at each word, and where it goes when a quotation begins."
    )
    details = (
        "Components are found without being told any label (PCA: h_t ≈ mean + Σ a_k v_k, a_k on the axes); the share "
        "of the variance that each explains is written on its axis, and where these are small, most of what happens is "
        "not seen here. j changes the two axes, D what the colour means: kinds of characters, then each concept. "
        "Arrows move the cursor along the text. The range grows in steps and is the same on both axes."
    )

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._drawn: tuple[Axes, int, int, tuple[int, int]] | None = None  # axes, width, height, components

    def paint(self, width: int, height: int) -> Painted:
        """Draw points, trajectory and caption."""
        event, when, pair, colour, text, cursor = self.inputs if len(self.inputs) == 6 else (None,) * 6
        if not isinstance(event, StateSpace) or not isinstance(when, When):
            standing = self.inputs[1] if len(self.inputs) > 1 else None
            return Painted(self.asking(standing, "look at the space of states", width, height), self.title())
        at = cursor if isinstance(cursor, int) else 0
        components = PAIRS[pair if isinstance(pair, int) else 0]
        chosen = colour if isinstance(colour, int) else 0
        notes = 2 if height >= 10 else int(height >= 6)
        axes = self._axes(event, components)
        self._drawn = (axes, width, height - notes, components)
        groups = groups_of(event, chosen, self.look.palette)
        as_glyphs = self.look.mono and chosen > 0  # without colour the glyph has to say what the colour would
        trail = trail_of(event, str(text), at, width)
        rows = self._chart(event, axes, components, groups, as_glyphs, trail, width, height - notes)
        if notes:
            rows.append(self._legend(groups, as_glyphs, width))
        if notes > 1:
            rows.append(self._words(event, str(text), at, width))
        title = self.title(f"layer {event.layer + 1} · {event.field}")
        return Painted(rows, title, self.age(when, title, width, f"{len(event.text):,} characters"))

    def _axes(self, event: StateSpace, components: tuple[int, int]) -> Axes:
        finite = np.abs(event.points[np.isfinite(event.points)])
        end = ranges.snug(float(finite.max())) if len(finite) and finite.max() > 0 else 1.0
        names = [f"PC {k + 1}, {float(event.explained[k]):.0%} of the variance" for k in components]
        return Axes(x_label=names[0], y_label=names[1], x_range=(-end, end), y_range=(-end, end))

    def _chart(
        self, event: StateSpace, axes: Axes, components: tuple[int, int], groups: list[Group], as_glyphs: bool,
        trail: tuple[int, int], width: int, height: int,
    ) -> list[Row]:  # fmt: skip
        palette = self.look.palette
        points = np.asarray(event.points, np.float64)[:, list(components)]
        _, letters = kinds_of(event.text)
        clouds = []
        for _, glyph, shade, which in groups:
            shown = "" if as_glyphs else "".join(letters[which].tolist())
            clouds.append(Cloud(points[which, 0], points[which, 1], shade, "", glyph, shown))
        line = points[trail[0] : trail[1]]
        path = Path(line[:, 0], line[:, 1], palette.foreground, "", event.text[trail[0] : trail[1]])
        cursor = (float(line[-1, 0]), float(line[-1, 1])) if len(line) else None
        return scatter(clouds, axes, width, height, palette, self.look.mono, path=path, cursor=cursor)

    def _legend(self, groups: list[Group], as_glyphs: bool, width: int) -> Row:
        """Return what each colour means, in that colour; without colour, what each glyph means where there are any."""
        mono = self.look.mono
        if mono and not as_glyphs:
            return caption(width, Style(dim=True), "each point is drawn as the character that was read")
        pieces: list[Span] = []
        for label, glyph, shade, _ in groups:
            style = Style() if mono else Style(fg=shade, bold=True)
            pieces += [Span(f"{glyph} {printable(label)}" if mono else printable(label), style), Span("  ")]
        return fit(tuple(pieces[:-1]), width)

    def _words(self, event: StateSpace, text: str, at: int, width: int) -> Row:
        first, stop = trail_of(event, text, at, width)
        total = float(np.sum(event.explained))
        known = event.text[len(event.points) - event.trajectory :] == text
        line = f"line: {stop - first} characters {'up to the cursor' if known else 'of the text read'}"
        words = f"{line} · {len(event.explained)} components explain {total:.0%}"
        return caption(width, Style(fg=self.look.palette.faint), words, line)

    async def clicked(self, event: events.Click) -> bool:
        """Go to the character of the trajectory that is nearest to the click."""
        shown = self.inputs[0] if self.inputs else None
        if not isinstance(shown, StateSpace) or self._drawn is None or event.chain != 1:
            return False
        axes, width, height, components = self._drawn
        begin = len(shown.points) - shown.trajectory
        points = np.asarray(shown.points, np.float64)[begin:, list(components)]
        found = nearest(points[:, 0], points[:, 1], axes, width, height, event.x - 1, event.y - 1)
        if found is None or shown.text[begin:] != self.inputs[4]:
            return False
        await self.run_action(f"screen.point({found}, -1)")
        return True

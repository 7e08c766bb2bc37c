"""Flipping through units costs what is seen, not what was measured: bounds on work, and a ratio."""

from __future__ import annotations

import time

import numpy as np

from rnnscope.charts.palette import DARK
from rnnscope.recording.neuron_events import Activations
from rnnscope.tui.look import Look
from rnnscope.tui.neuron_view import Extent, NeuronView, change, settle
from rnnscope.tui.snapshot import When
from rnnscope.tui.strips import to_strips
from rnnscope.tui.view import UnitView
from rnnscope.tui.widgets.neurons.page import Page, beside, line_of, lines_of, page
from rnnscope.tui.widgets.neurons.text import TextPanel
from tests.fakes import fake_config
from tests.neuron_fakes import QUOTED, fake_activations

SIZE = (118, 36)


def reading(characters: int, hidden: int) -> Activations:
    text = (QUOTED * (characters // len(QUOTED) + 1))[:characters]
    return fake_activations(fake_config(hidden=hidden, cell="tanh"), text, np.random.default_rng(0))


def flip(panel: TextPanel, shown: Activations, times: int) -> float:
    """Return the seconds of the quickest of `times` flips: from the key to the strips on the screen."""
    extent = Extent(shown)
    order = np.arange(shown.units.shape[3])
    view = settle(NeuronView(unit=UnitView(1, 0)), extent)
    best = np.inf
    for turn in range(times):
        started = time.perf_counter()
        view = settle(change(view, "layer" if turn % 5 == 4 else "unit_next", "text", extent), extent)
        panel.inputs = (shown, When(5), view.unit, view.cursor, 0, 0, "index", order)
        to_strips(panel.paint(*SIZE).rows, *SIZE, DARK)
        best = min(best, time.perf_counter() - started)
    return float(best)


def test_a_flip_over_a_large_text_of_a_large_layer_costs_about_the_same_as_over_a_small_one() -> None:
    panel = TextPanel(id="text")
    panel.look = Look(DARK)
    small, large = reading(500, 64), reading(2000, 512)
    flip(panel, small, 2), flip(panel, large, 2)  # caches warm, as after the first look
    ratios = [flip(panel, large, 8) / flip(panel, small, 8) for _ in range(3)]
    assert min(ratios) < 2  # 32 times as many numbers


def test_a_flip_reads_only_what_is_seen() -> None:
    shown = reading(2000, 512)
    touched: list[int] = []

    class Counted(np.ndarray):
        def astype(self, *given, **options):  # type: ignore[no-untyped-def,override]
            touched.append(self.size)
            return np.asarray(self).astype(*given, **options)

    counted = Activations(**{**shown.__dict__, "units": shown.units.view(Counted)})
    panel = TextPanel(id="text")
    panel.look = Look(DARK)
    flip(panel, counted, 5)
    cells = SIZE[0] * SIZE[1]
    # Text, map of two units a cell, and the whole text of the one unit for the range in the legend.
    assert sum(touched) / 5 < cells + 2 * cells + 2000


# -- the part of the text that is seen -------------------------------------------------------------------------------


def test_a_page_holds_its_character_and_finds_the_one_in_each_cell() -> None:
    text = QUOTED * 9 + "한글 끝"
    for width in (7, 40):
        for height in (1, 4, 9):
            for at in range(0, len(text), 37):
                seen = page(text, width, height, at)
                assert len(seen.lines) <= height
                assert seen.start <= at < seen.stop
                found = {seen.at(x, y) for y in range(height) for x in range(width)} - {None}
                assert found == set(range(seen.start, seen.stop))
    assert page("", 10, 3, 0) == Page(((),))
    assert page("", 10, 3, 0).at(0, 0) is None


def test_lines_above_and_below_keep_the_column() -> None:
    text = "abcdef\nxy\nuvwxyz"
    assert [line_of(text, 10, at) for at in (0, 6, 7, 9, 10, 15)] == [0, 0, 1, 1, 2, 2]
    assert beside(text, 10, 12, -1) == 9  # no third column there: the end of the line
    assert beside(text, 10, 8, -1) == 1
    assert beside(text, 10, 8, 1) == 11
    assert beside(text, 10, 3, -1) == 3
    assert beside(text, 10, 15, 1) == 15
    assert len(lines_of(text, 10)) == 3

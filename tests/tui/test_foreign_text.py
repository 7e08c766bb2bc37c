"""Text from a corpus, a model, a path or a log: never markup, never obeyed by the terminal, always in its column."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from rnnscope.charts.palette import DARK
from rnnscope.charts.spans import Span, plain, width
from rnnscope.charts.text import cells
from rnnscope.recording.events import Status
from rnnscope.tui.frame import Middle, lower_edge, sides, upper_edge
from rnnscope.tui.look import Look
from rnnscope.tui.snapshot import When
from rnnscope.tui.view import UnitView
from rnnscope.tui.widgets.activations import ActivationsPanel, lay_out
from rnnscope.tui.widgets.sampling import SamplingPanel, first_difference
from rnnscope.tui.widgets.units import ruler, window, window_at
from tests.fakes import fake_comparison, fake_config, fake_sample, fake_started, make_fake_run
from tests.tui.screen import drawn, opened, panel, until

NASTY = (
    "def f(a[i]): [/b] [bold red]x[/]\x1b[2J\x07\x9b31m\u202e 순환신경망은 e\u0301 a\u0300\n"
    "「かな」 end [@click=app.quit]"
)


def resized(text: str, values: np.ndarray) -> np.ndarray:
    """Repeat or cut per-character values (last axis but one, or the only one) to the length of `text`."""
    axis = 2 if values.ndim == 4 else 0
    return np.take(values, np.arange(len(text)) % values.shape[axis], axis=axis)


async def test_nothing_is_markup_and_nothing_is_obeyed(tmp_path: Path) -> None:
    folder = tmp_path / "run [b]x[b]"
    writer = make_fake_run(folder, steps=5, live=True)
    config, rng = fake_config(), np.random.default_rng(0)
    sample, comparison = fake_sample(config, rng), fake_comparison(config, rng)
    writer.event(5, dataclasses.replace(
        sample, text=NASTY, units=resized(NASTY, sample.units), probability=resized(NASTY, sample.probability)
    ))  # fmt: skip
    arrays = {
        name: resized(NASTY, getattr(comparison, name))
        for name in ("probability", "nll", "free_probability", "distance")
    }
    writer.event(5, dataclasses.replace(comparison, prefix=NASTY, truth=NASTY, free=NASTY[::-1], **arrays))
    writer.event(5, dataclasses.replace(fake_started(), device="cuda:0 [red]H200[/red]\x1b]0;title\x07"))
    writer.event(5, Status("failed", "cannot open [/nope]\x1b[31m"))
    writer.set_meta(text="[green]a[i].txt")
    writer.close()
    (folder / "worker.log").write_text("[/b] \x1b[5m blink")
    async with opened(folder) as pilot:
        await until(pilot, lambda: panel(pilot, "sampling").paints)
        text = drawn(pilot)
        for expected in ("run [b]x[b]", "[green]a[i].txt", "[/nope]␛[31m", "[/b] ␛[5m blink", "[red]H200[/red]␛"):
            assert expected in text
        assert "def f(a[i]): [/b] [bold red]x[/]␛[2J␇" in text
        assert not any(ord(c) < 32 or 0x7F <= ord(c) < 0xA0 or c == "\u202e" for c in text if c != "\n")
        for line in text.split("\n"):
            assert cell_len(line) == 120, line


@pytest.mark.parametrize("size", [(18, 6), (38, 9), (58, 20), (198, 50)])
@pytest.mark.parametrize("mono", [False, True])
def test_wide_and_combining_characters_keep_panels_in_shape(size: tuple[int, int], mono: bool) -> None:
    config, rng = fake_config(), np.random.default_rng(0)
    text = "순환 신경망은 글자를 하나씩 읽는다. cafe\u0301! " * 6
    sample = fake_sample(config, rng)
    sample = dataclasses.replace(sample, text=text, units=resized(text, sample.units))
    comparison = fake_comparison(config, rng)
    comparison = dataclasses.replace(comparison, prefix=text[:30], truth=text[30:90], free=text[40:100])
    panels = (ActivationsPanel(id="activations"), SamplingPanel(id="sampling"))
    for widget, inputs in zip(panels, ((sample, When(5), UnitView()), (comparison, When(5))), strict=True):
        widget.look = Look(DARK, mono)
        widget.inputs = inputs
        painted = widget.paint(*size)
        assert len(painted.rows) <= size[1]
        assert {width(row) for row in painted.rows} == {size[0]}
        assert "환" in plain(painted.rows)


@given(st.text(max_size=80), st.integers(1, 60))
def test_each_character_stands_above_its_column(text: str, room: int) -> None:
    columns = window(text, room)
    assert len(columns) <= room
    if columns:
        assert cells("".join(span.text for span in ruler(text, columns))) == len(columns)


@given(st.text(min_size=1, max_size=200), st.integers(2, 60), st.data())
def test_a_part_of_the_text_always_holds_the_character_looked_at(text: str, room: int, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(text) - 1))
    columns = window_at(text, room, at)
    assert len(columns) <= room
    assert columns == sorted(columns)
    assert at in columns or cells(text[at]) == 0


@given(st.integers(1, 40), st.integers(1, 60), st.integers(1, 512), st.data())
def test_the_layout_always_holds_the_chosen_unit(lines: int, height: int, hidden: int, data: st.DataObject) -> None:
    unit = data.draw(st.integers(0, hidden - 1))
    per_cell = data.draw(st.sampled_from([1, 2]))
    plan = lay_out(lines, height, hidden, unit, per_cell)
    assert plan.text >= 1 or height == 1
    assert plan.text + plan.ruler + plan.map + plan.legend == height
    if plan.map:
        assert plan.first <= unit < plan.first + plan.units <= hidden
        assert plan.map * per_cell >= plan.units


@pytest.mark.parametrize(
    ("truth", "free", "at"), [("abc", "abx", 2), ("abc", "abc", None), ("ab", "abc", 2), ("", "", None), ("x", "y", 0)]
)
def test_first_difference(truth: str, free: str, at: int | None) -> None:
    assert first_difference(truth, free) == at


@pytest.mark.parametrize("columns", range(4, 60, 7))
@pytest.mark.parametrize("middle", [None, (6, (Span("오른쪽"),)), (25, (Span("오른쪽"),))])
def test_a_frame_is_as_wide_as_asked_for(columns: int, middle: Middle | None) -> None:
    left, right = (Span("순환 title"),), (Span("right 신경"),)
    rows = sides([(Span("x" * (columns - 2)),)], columns, DARK, focused=True)
    rows += [upper_edge(left, right, columns, DARK, focused=True, middle=middle)]
    rows += [lower_edge(right, columns, DARK, focused=True)]
    assert [width(row) for row in rows] == [columns] * 3

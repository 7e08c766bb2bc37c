"""The n-gram rivals on the loss chart: which lines, what they are called, and what the newest loss beats."""

from __future__ import annotations

import math
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rnnscope.charts.spans import plain
from rnnscope.recording.events import FINISHED, Status
from rnnscope.recording.reading_events import Ngram
from rnnscope.tui.rivals import Rivals, beaten_by, best, lines
from rnnscope.tui.screens.table import SCREENS
from rnnscope.tui.snapshot import LossData
from rnnscope.tui.view import LossView
from rnnscope.tui.widgets.loss import LossPanel, smoothed_loss, y_range
from tests.fakes import make_fake_run
from tests.tui.screen import opened, panel_text, until

SHAKESPEARE: Rivals = tuple(enumerate((3.347, 2.484, 2.045, 1.729, 1.579, 1.558, 1.565, 1.574, 1.580), 1))
SNAPSHOT = Path(__file__).parent / "snapshots" / "rivals.txt"


def ngram(known: Rivals = SHAKESPEARE) -> Ngram:
    orders, nats = np.array([n for n, _ in known] + [10]), np.array([nats for _, nats in known] + [math.nan])
    return Ngram(orders, nats, nats - 0.2, nats / 100, ("unsmoothed 4-gram",), ("First Citizen:",), 55_770, 3.1)


def falling(steps: int, floor: float, known: Rivals) -> LossData:
    """A loss that falls smoothly from ln 65, with a validation loss every hundred steps."""
    step = np.arange(1, steps + 1)
    loss = floor + (math.log(65) - floor) * np.exp(-step / 150)
    count = np.ones(steps, dtype=np.int64)
    at = tuple(range(100, steps + 1, 100))
    return LossData(step, count, 0 * count, loss, loss, loss, at, tuple(loss[s - 1] for s in at), 65, (), None, known)


def painted(data: LossData, width: int, height: int) -> str:
    panel = LossPanel(id="loss")
    panel.inputs = (data, LossView(), ())
    return plain(panel.paint(width, height).rows)


def test_the_second_the_fourth_and_the_best_are_drawn() -> None:
    assert best(SHAKESPEARE) == (6, 1.558)
    assert lines(SHAKESPEARE, numbers=True) == [
        (2.484, "2-gram 2.48"),
        (1.729, "4-gram 1.73"),
        (1.558, "best: 6-gram 1.56"),
    ]
    assert lines(SHAKESPEARE[:4], numbers=False) == [(2.484, "2-gram"), (1.729, "best: 4-gram")]
    assert lines((), numbers=True) == []


@pytest.mark.parametrize(
    ("loss", "words"),
    [
        (4.1, "beats no n-gram yet · next: the 1-gram, 3.347"),
        (3.346, "beats the 1-gram · next: the 2-gram, 2.484"),
        (1.73, "beats the 3-gram · next: the 4-gram, 1.729"),
        (1.729, "beats the 3-gram · next: the 4-gram, 1.729"),
        (1.728, "beats the 4-gram · next: the 5-gram, 1.579"),
        (1.57, "beats the 5-gram · next: the 6-gram, 1.558"),  # the 8-gram too, but not what lies below it
        (1.5, "beats every n-gram, the best being the 6-gram: 1.558"),
    ],
)
def test_what_a_loss_beats(loss: float, words: str) -> None:
    ways = beaten_by(SHAKESPEARE, loss)
    assert ways[0] == words
    assert len(ways[-1]) <= 25
    assert list(ways) == sorted(ways, key=len, reverse=True)


def test_nothing_is_said_without_both() -> None:
    assert beaten_by((), 1.5) == ()
    assert beaten_by(SHAKESPEARE, math.nan) == ()
    assert beaten_by(((4, 1.7),), 1.6) == ("beats the 4-gram",)
    assert beaten_by(((4, 1.7),), 1.8)[-1] == "next: the 4-gram, 1.700"


@pytest.mark.parametrize("floor", [1.4, 1.75])
@pytest.mark.parametrize(("width", "height"), [(38, 8), (58, 13), (98, 26), (30, 6)])
def test_the_names_never_cover_each_other(floor: float, width: int, height: int) -> None:
    text = painted(falling(600, floor, SHAKESPEARE), width, height)
    names = [name + (f" {nats:.2f}" if width >= 50 else "") for name, nats in
             (("2-gram", 2.484), ("4-gram", 1.729), ("best: 6-gram", 1.558))]  # fmt: skip
    assert [text.count(name) for name in names] == [1, 1, 1]


def test_lines_outside_of_the_chart_change_nothing_about_its_axis() -> None:
    data = falling(300, 1.8, ())
    far = replace(data, rivals=((2, 9.0), (4, 0.4)))
    for axis in ("linear", "log", "close"):
        view = LossView(axis=axis)  # type: ignore[arg-type]
        smoothed = smoothed_loss(data, view.tau)
        assert y_range(view, data, smoothed, (0, 300)) == y_range(view, far, smoothed, (0, 300))
    assert painted(far, 58, 12) == painted(data, 58, 12)


def test_drawn_as_ever() -> None:
    """UPDATE_SNAPSHOTS=1 writes it anew."""
    sizes = ((36, 7), (56, 12))
    text = "\n\n".join(painted(falling(600, 1.5, SHAKESPEARE), *size) for size in sizes)
    text = "\n".join(line.rstrip() for line in text.split("\n")) + "\n"
    if os.environ.get("UPDATE_SNAPSHOTS"):
        SNAPSHOT.write_text(text, encoding="utf-8")
    assert text == SNAPSHOT.read_text(encoding="utf-8")


async def test_the_lines_come_with_the_measurement_and_the_lower_edge_says_what_is_beaten(tmp_path: Path) -> None:
    steps = 300  # validation loss 2.456
    writer = make_fake_run(tmp_path / "run", steps=steps, live=True)
    async with opened(tmp_path / "run", screens=SCREENS[:1]) as pilot:
        await until(pilot, lambda: "validation" in panel_text(pilot, "loss"))
        assert "gram" not in panel_text(pilot, "loss")
        writer.event(steps, ngram())
        writer.flush(force=True)
        await until(pilot, lambda: "2-gram 2.48" in panel_text(pilot, "loss"))
        assert "beats the 2-gram · next: the 3-gram, 2.045" in panel_text(pilot, "loss")
        writer.event(steps, Status(FINISHED, "done"))
    writer.close()

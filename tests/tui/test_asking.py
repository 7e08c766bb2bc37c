"""Measurements that somebody asks for: the command, how it stands with it, and the line that is typed."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.app import App

from rnnscope.charts.spans import plain
from rnnscope.recording.commands import Measure
from rnnscope.recording.reading_events import Asked
from rnnscope.recording.records import Recorded
from rnnscope.recording.requests import Request
from rnnscope.recording.state import fold_all
from rnnscope.tui.asking import Standing, escaped, measure, newest, numbers, standing, unescaped
from rnnscope.tui.screens.ask import AskScreen
from rnnscope.tui.snapshot import Progress, Snapshot, When
from rnnscope.tui.source import Source
from rnnscope.tui.widgets.asked import AskedPanel
from tests.fakes import make_fake_run
from tests.lab_fakes import lab_events
from tests.tui.screen import until


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    """A look at a live run."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    with make_fake_run(folder, steps=10, live=True):
        source = Source(folder)
        snapshot = source.poll()
        source.close()
    return snapshot


def look(empty: Snapshot, *events: Asked | str, at: int = 10) -> Snapshot:
    """Return the look after `events`, at step 10 each, a name standing for a measurement; the run is at step `at`."""
    made = {event.kind: event for event in lab_events(empty.config, "abc", np.random.default_rng(0))}
    recorded = [
        Recorded(100 + i, 1, 10, 0.0, made[event] if isinstance(event, str) else event)
        for i, event in enumerate(events)
    ]
    state = fold_all(dataclasses.replace(empty.state, lab={}), recorded)
    return dataclasses.replace(empty, state=state, progress=Progress(step=at))


def test_only_what_is_not_as_usual_is_written_down() -> None:
    assert measure("exposure") == Measure("exposure", "{}")
    command = measure("decoding", Request(prompt="ROMEO:"), temperatures=(0.2, 1.0), top_k=5)
    assert json.loads(command.arguments) == {"prompt": "ROMEO:", "temperatures": [0.2, 1.0], "top_k": 5}


def test_progress_until_the_measurement_is_there(empty: Snapshot) -> None:
    asked = Asked("triangle", 0.4, "reading the text")
    now = standing(look(empty, asked), "triangle")
    assert now.ways == ("triangle: 40% reading the text", "40% reading the text", "40%")
    assert now.share == 0.4
    assert standing(look(empty, asked), "jacobian") == Standing()
    assert standing(look(empty, asked, "triangle"), "triangle") == Standing()
    assert standing(look(empty, Asked("triangle", 1.0)), "triangle") == Standing()
    assert standing(look(empty, "triangle", asked), "triangle").share == 0.4
    assert standing(look(empty, Asked("triangle", 1.0, "cancelled")), "triangle").ways == ("cancelled",)
    gone = dataclasses.replace(look(empty, asked), live=False)
    assert standing(gone, "triangle") == Standing()


def test_an_error_stays_until_something_newer(empty: Snapshot) -> None:
    failed = Asked("triangle", 0.4, error="no\x1b such file")
    assert standing(look(empty, failed), "triangle") == Standing(("error: no␛ such file",), bad=True)
    assert not standing(look(empty, failed, "triangle"), "triangle").bad


def test_another_probe_takes_nothing_from_what_was_said_of_this_one(empty: Snapshot) -> None:
    failed, other = Asked("triangle", 1.0, error="no such file"), Asked("jacobian", 0.3, "multiplying")
    shown = look(empty, failed, Asked("horizon", 0.0, "waits its turn"), other)
    assert standing(shown, "triangle").bad
    assert standing(shown, "horizon").ways[0] == "horizon: waits its turn"
    assert standing(shown, "jacobian").share == 0.3


def test_what_was_measured_some_time_ago_says_so(empty: Snapshot) -> None:
    ago = standing(look(empty, "triangle", at=1010), "triangle")
    assert ago == Standing(("measured 1,000 steps ago", "1,000 steps old"), old=True)
    assert standing(look(empty, "triangle", at=11), "triangle").ways[1] == "1 step old"
    assert newest(look(empty, "triangle", at=20), "triangle")[1] == When(10)
    assert newest(look(empty, "triangle", at=21), "triangle")[1] == When(10, old=True)
    assert newest(look(empty), "triangle") == (None, When(0))


class Made(AskedPanel):
    heading, key = "made", "e"


@pytest.mark.parametrize("width", [20, 58, 118])
def test_a_panel_without_data_says_which_key_gets_it(width: int) -> None:
    made = Made(id="made")
    assert "e: compare" in plain(made.asking(None, "compare", width, 10))
    going = plain(made.asking(Standing(("triangle: 40% reading", "40%"), share=0.4), "compare", width, 10))
    assert "40%" in going
    assert "█" in going
    failed = plain(made.asking(Standing(("error: no file",), bad=True), "compare", width, 10))
    assert "error: no file" in failed
    assert "e: compare" in failed
    assert all(len(line) <= width for line in (going + failed).split("\n"))


def test_the_edge_of_a_panel_says_how_it_stands() -> None:
    made = Made(id="made")
    made.aside = Standing(("measured 5 steps ago", "5 steps old"), old=True)
    assert plain([made.note(60)]) == "measured 5 steps ago · e measures again"
    assert plain([made.note(30)]) == "measured 5 steps ago"
    assert plain([made.note(18)]) == "5 steps old"
    made.aside = None
    assert made.note(60) == ()


@given(st.text(alphabet="a\\nt\n\t "))
def test_a_line_is_typed_back(text: str) -> None:
    assert unescaped(escaped(text)) == text


def test_a_backslash_alone_stays() -> None:
    assert unescaped("a\\d\\") == "a\\d\\"


def test_numbers_typed() -> None:
    assert numbers("0.2 0.5, 1") == (0.2, 0.5, 1.0)
    assert numbers("") == ()
    assert numbers("a") is None
    assert numbers("inf") is None
    assert numbers("nan") is None


@pytest.mark.parametrize(("keys", "expected"), [(["x", "enter"], "[b]x"), (["escape"], None)])
async def test_one_line_is_asked_for(keys: list[str], expected: str | None) -> None:
    answers: list[str | None] = []
    app: App[None] = App()
    async with app.run_test() as pilot:
        app.push_screen(AskScreen("Which [one]?", "like this", "[b]", "a hint"), answers.append)
        await pilot.pause()
        await pilot.press("end", *keys)
        await until(pilot, lambda: answers)
    assert answers == [expected]

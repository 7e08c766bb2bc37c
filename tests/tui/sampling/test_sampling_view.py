"""What one looks at in the sampling lab, and asks for: pure changes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnscope.recording.commands import Measure
from rnnscope.recording.requests import Request
from rnnscope.tui.sampling_view import (
    CURVES,
    KEYS,
    PROBES,
    QUESTIONS,
    Extent,
    SamplingView,
    answered,
    change,
    settle,
    typed_before,
    wanted,
    why_unchanged,
)

EXTENT = Extent(starts=(0, 10, 15, 40), length=60, divergence=12, curves=("loss", "distance", "auc"), back=5)


def after(*keys: str, panel: str = "pair", extent: Extent = EXTENT) -> SamplingView:
    view = SamplingView()
    for key in keys:
        view = change(view, key, panel, extent)
    return view


def test_colours_and_curves_go_round() -> None:
    colours = [after(*["colour"] * n).colour for n in range(4)]
    assert colours == ["probability", "surprise", "entropy", "probability"]
    assert [after(*["curve_next"] * n).curve for n in range(4)] == ["distance", "auc", "loss", "distance"]
    assert after("curve_previous").curve == "loss"


def test_only_curves_that_were_measured_are_shown() -> None:
    assert settle(SamplingView(curve="judge"), EXTENT).curve == "loss"
    assert settle(SamplingView(curve="judge"), Extent(curves=())).curve == "loss"


def test_the_cursor_begins_where_the_texts_part_and_walks_by_characters_and_lines() -> None:
    assert settle(SamplingView(), EXTENT).at == 12
    assert after("left", "left", "left").at == 9
    assert after("right").at == 13
    assert after("up").at == 2  # the same column of a longer line
    assert after("down").at == 17
    assert after("down", "down", "down").at == 42
    assert after("up", "up").at == 2
    assert after("right", "right", "right", "divergence").at == 12
    assert settle(SamplingView(), Extent(length=5)).at == 0


def test_a_shorter_line_is_met_at_its_end() -> None:
    view = change(SamplingView(at=8), "down", "pair", EXTENT)
    assert view.at == 14
    assert change(SamplingView(at=39), "down", "pair", EXTENT).at == 59


def test_the_columns_scroll_no_further_than_they_are_long() -> None:
    assert [after(*["up"] * n, panel="decoding").back for n in (1, 5, 9)] == [1, 5, 5]
    assert after("up", "down", "down", panel="decoding").back == 0
    assert after("up", panel="decoding").at == 12  # the cursor of the panes stays


@given(st.lists(st.sampled_from(sorted(KEYS))), st.sampled_from(["", *PROBES]), st.integers(0, 30),
       st.lists(st.sampled_from(CURVES), unique=True), st.integers(-1, 40))  # fmt: skip
def test_what_is_chosen_always_exists(
    keys: list[str], panel: str, length: int, curves: list[str], divergence: int
) -> None:
    extent = Extent((0, *range(7, length, 7)), length, min(divergence, length - 1), tuple(curves), 3)
    view = settle(after(*keys, panel=panel, extent=extent), extent)
    assert 0 <= view.at < max(length, 1)
    assert view.curve in (curves or CURVES)
    assert 0 <= view.back <= 3


@pytest.mark.parametrize("key", sorted(KEYS))
def test_every_key_says_why_it_did_nothing(key: str) -> None:
    assert why_unchanged(key, "pair", Extent())


def request(command: Measure) -> dict[str, Any]:
    given: dict[str, Any] = json.loads(command.arguments)
    Request(**given)  # no unknown names
    return given


def test_each_panel_asks_for_its_measurement() -> None:
    view = SamplingView(seed=3, prompt="a\n", temperatures=(0.0, 1.0), top_k=5, top_p=0.9, position=7)
    assert {panel: wanted(view, panel, 0.8).probe for panel in PROBES} == PROBES
    assert request(wanted(view, "curves", 1.1)) == {"length": 200, "seed": 3, "temperature": 1.1}
    assert request(wanted(view, "recovery", 1.1)) == {"length": 100, "seed": 3, "position": 7}
    assert request(wanted(view, "decoding", 1.1)) == {
        "length": 600, "seed": 3, "prompt": "a\n", "temperatures": [0.0, 1.0], "top_k": 5, "top_p": 0.9,
    }  # fmt: skip
    assert request(wanted(view, "ngram", 1.1)) == {"prompt": "a\n", "seed": 3}


@pytest.mark.parametrize(
    ("name", "line", "field", "value"),
    [
        ("prompt", "ROMEO:\\n", "prompt", "ROMEO:\n"), ("prompt", "", "prompt", ""),
        ("temperatures", "0, 0.7 3", "temperatures", (0.0, 0.7, 3.0)),
        ("top_k", "12", "top_k", 12), ("top_k", "", "top_k", 0), ("top_p", "0.5", "top_p", 0.5),
        ("top_p", "", "top_p", 1.0), ("position", "1", "position", 0), ("position", "", "position", -1),
    ],
)  # fmt: skip
def test_what_is_typed_is_taken_and_stands_there_the_next_time(name: str, line: str, field: str, value: object) -> None:
    view = answered(SamplingView(top_k=3, top_p=0.3, position=3, prompt="x", back=2), name, line)
    assert isinstance(view, SamplingView)
    assert getattr(view, field) == value
    again = answered(SamplingView(), name, typed_before(view, name))
    assert isinstance(again, SamplingView)
    assert getattr(again, field) == value


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("temperatures", ""), ("temperatures", "1 2 3 4 5"), ("temperatures", "-1"), ("temperatures", "11"),
        ("temperatures", "warm"), ("top_k", "2.5"), ("top_k", "-1"), ("top_k", "1 2"), ("top_p", "0"), ("top_p", "1.5"),
        ("top_p", "nan"), ("position", "x\x1b"),
    ],
)  # fmt: skip
def test_what_cannot_be_taken_is_said(name: str, line: str) -> None:
    said = answered(SamplingView(), name, line)
    assert isinstance(said, str)
    assert said.isprintable()


def test_every_question_is_for_a_panel() -> None:
    assert {question.panel for question in QUESTIONS.values()} <= set(PROBES)

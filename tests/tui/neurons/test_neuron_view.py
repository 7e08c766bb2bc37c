"""What one looks at in the neuron lab, and what is asked of the worker: pure changes."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnscope.recording.commands import Measure
from rnnscope.recording.neuron_events import Activations, Units
from rnnscope.recording.requests import TAKES, Request
from rnnscope.tui.neuron_requests import Asker, concept_given, probe_of, typed
from rnnscope.tui.neuron_rows import found, loads, order_of, possible_orders, ranked
from rnnscope.tui.neuron_view import HOWS, KEYS, METHODS, TOP, WALKS, Extent, NeuronView, change, settle, why_unchanged
from rnnscope.tui.screens.neurons import PANELS
from rnnscope.tui.view import UNIT_KEYS, Reading, UnitView
from tests.fakes import fake_config, fake_sample
from tests.neuron_fakes import QUOTED, fake_activations, fake_interventions, fake_units

RNG = np.random.default_rng(0)
READING: Activations = fake_activations(fake_config(), QUOTED, RNG)
UNITS: Units = fake_units(2, 32, RNG)
EXTENT = Extent(
    READING, above=3, below=90, orders=("index", "variance", "concept", "clustering"), rows=8, snippets=8, colours=3,
    checkpoints=12, loads=64, tops=5,
)  # fmt: skip


def after(*keys: str, panel: str = "text", extent: Extent = EXTENT, view: NeuronView = NeuronView()) -> NeuronView:  # noqa: B008
    for key in keys:
        view = change(view, key, panel, extent)
    return settle(view, extent)


def command(panel: str, view: NeuronView, reading: Reading | None) -> Measure:
    return Asker(view, reading).command(panel)


def excerpt(view: NeuronView, part: Any, length: int | None) -> Request:
    return Asker(view).excerpt(part, length)


def arguments(sent: Measure) -> dict[str, Any]:
    """Return what was asked for that is not as usual; a probe takes all of it."""
    given = json.loads(sent.arguments)
    Request(**given)
    return dict(given)


def test_everything_goes_round() -> None:
    assert [after(*["order"] * n).order for n in range(5)] == ["index", "variance", "concept", "clustering", "index"]
    assert [after(*["sort"] * n).sort for n in range(5)] == ["margin", "concept", "score", "unit", "margin"]
    assert [after(*["how"] * n).how for n in range(6)] == [0, 1, 2, 3, 4, 0]
    assert [after(*["method"] * n).method for n in range(6)] == [0, 1, 2, 3, 4, 0]
    assert [after(*["target"] * n).target for n in range(7)] == [0, 1, 2, 3, 4, TOP, 0]
    assert [after(*["pair"] * n).pair for n in range(4)] == [0, 1, 2, 0]
    assert [after(*["colour"] * n).colour for n in range(4)] == [0, 1, 2, 0]
    assert [after(*["live"] * n).live for n in range(3)] == [False, True, False]


def test_the_unit_is_first_the_busiest_and_then_the_one_chosen() -> None:
    deviation = READING.units[0, 1].astype(np.float32).std(axis=0)
    assert after().unit == UnitView(1, int(deviation.argmax()), "h")
    assert after("unit_next").unit.unit == (int(deviation.argmax()) + 1) % 32
    assert after("layer").unit.layer == 0
    assert after("field").unit.field == "c"


def test_the_cursor_is_at_the_end_of_a_new_text_and_walks() -> None:
    last = len(QUOTED) - 1
    assert after().cursor == last
    assert after("left", "left").cursor == last - 2
    assert after("right").cursor == last
    assert after("up").cursor == 3
    assert after("down").cursor == 90
    other = dataclasses.replace(EXTENT, reading=fake_activations(fake_config(), "another text", RNG))
    moved = settle(dataclasses.replace(after("up", "mark"), span=(1, 3)), other)
    assert (moved.cursor, moved.mark, moved.span) == (11, -1, (0, 0))
    sample = dataclasses.replace(EXTENT, reading=fake_sample(fake_config(), RNG))
    assert settle(after("up"), sample).cursor == 3  # samples follow each other: it stays where it was


def test_two_marks_make_a_span_and_a_third_forgets_it() -> None:
    one = after("mark")
    assert (one.mark, one.span) == (len(QUOTED) - 1, (0, 0))
    two = after("left", "left", "mark", view=one)
    assert (two.mark, two.span) == (-1, (len(QUOTED) - 3, len(QUOTED)))
    assert after("mark", view=two).span == (0, 0)


def test_units_are_taken_into_the_set_and_out_of_it_within_a_layer() -> None:
    start = settle(NeuronView(unit=UnitView(0, 4)), EXTENT)
    assert start.chosen_units == (4,)
    three = after("toggle", "unit_next", "toggle", "unit_forward", "toggle", view=start)
    assert three.chosen_units == (4, 5, 15)
    assert after("toggle", view=three).chosen_units == (4, 5)
    above = after("layer", view=three)
    assert above.chosen_units == (15,)
    assert after("toggle", view=above).chosen_units == (15,)


def test_arrows_do_what_the_panel_is_about() -> None:
    assert after("down", "down", panel="units").row == 2
    assert after("right", panel="units").row == 7
    assert after("down", panel="contexts").snippet == 1
    assert after().checkpoint == 11
    assert after("left", "left", panel="birth").checkpoint == 9
    assert after("down", panel="interventions").load == 1
    assert after("left", panel="interventions").cursor == len(QUOTED) - 2
    assert after("left", panel="statespace").cursor == len(QUOTED) - 2


def test_values_and_thresholds_stay_within_bounds() -> None:
    assert after("value_down", "value_down").value == 0.5
    assert after(*["value_up"] * 50).value == 10
    assert after(*["threshold_up"] * 9).threshold == 0.9
    assert after(*["threshold_down"] * 9).threshold == 0.1


@given(st.lists(st.sampled_from([*KEYS, *UNIT_KEYS, "up", "down", "left", "right"])), st.sampled_from([*PANELS, ""]),
       st.integers(0, 3), st.integers(0, 3), st.integers(0, 3), st.integers(0, 5))  # fmt: skip
def test_what_is_chosen_always_exists(
    keys: list[str], panel: str, rows: int, snippets: int, checkpoints: int, tops: int
) -> None:
    extent = dataclasses.replace(EXTENT, rows=rows, snippets=snippets, checkpoints=checkpoints, tops=tops, loads=rows)
    view = after(*keys, panel=panel, extent=extent)
    assert 0 <= view.cursor < len(QUOTED)
    assert 0 <= view.unit.unit < 32
    assert 0 <= view.row < max(rows, 1)
    assert 0 <= view.snippet < max(snippets, 1)
    assert 0 <= view.checkpoint < checkpoints or view.checkpoint == -1 == checkpoints - 1
    assert view.target < max(tops, 1) or view.target == TOP
    assert view == settle(view, extent)
    assert isinstance(command(panel or "text", view, READING), Measure)


def test_with_no_text_nothing_breaks_and_it_is_said() -> None:
    empty = Extent()
    for key in (*KEYS, *UNIT_KEYS, "up", "down", "left", "right"):
        change(NeuronView(), key, "text", empty)
    assert "no text yet" in why_unchanged("unit_next", "text", empty)
    assert "goes no further" in why_unchanged("up", "text", EXTENT)


# -- orders and rows -------------------------------------------------------------------------------------------------


def test_every_order_holds_every_unit_once() -> None:
    for how in EXTENT.orders:
        order = order_of(READING, 1, "h", how, UNITS, "inside quotes")
        assert sorted(order.tolist()) == list(range(32))
    spread = READING.units[0, 1].astype(np.float32).std(axis=0)
    assert (np.diff(spread[order_of(READING, 1, "h", "variance", None, "")]) <= 0).all()
    assert order_of(READING, 1, "h", "concept", UNITS, "inside quotes")[0] == 1
    np.testing.assert_array_equal(order_of(READING, 0, "h", "clustering", None, ""), READING.order[0])


def test_a_sample_knows_no_clustering() -> None:
    sample = fake_sample(fake_config(), RNG)
    assert possible_orders(sample, None) == ("index", "variance")
    assert possible_orders(READING, UNITS) == EXTENT.orders
    np.testing.assert_array_equal(order_of(sample, 0, "h", "clustering", None, ""), np.arange(32))


def test_a_unit_that_is_infinite_comes_last() -> None:
    units = READING.units.copy()
    units[0, 1, 5, 7] = np.inf
    order = order_of(dataclasses.replace(READING, units=units), 1, "h", "variance", None, "")
    assert order[-1] == 7


def test_the_table_puts_what_is_furthest_above_its_null_first() -> None:
    best = ranked(UNITS, "margin")
    assert len(best) == 8
    assert (best[0].concept, best[0].unit, best[0].known) == ("inside quotes", 1, True)
    assert (best[-1].concept, best[-1].known) == ("comment", False)
    assert [row.margin for row in best] == sorted((row.margin for row in best), reverse=True)
    assert len(ranked(UNITS, "concept")) == 24
    scores = [row.score for row in ranked(UNITS, "score")]
    assert scores == sorted(scores, reverse=True)
    places = [(row.layer, row.unit) for row in ranked(UNITS, "unit")]
    assert places == sorted(places)


def test_scores_that_are_none_come_last_and_break_nothing() -> None:
    bad = dataclasses.replace(UNITS, scores=np.full_like(UNITS.scores, np.nan), nulls=np.full_like(UNITS.nulls, np.nan))
    assert len(ranked(bad, "margin")) == 8
    assert not any(row.known for row in found(bad))
    none = dataclasses.replace(UNITS, concepts=(), measures=(), units=np.zeros((0, 3), int))
    assert ranked(none, "margin") == ranked(none, "score") == []


def test_loads_are_ranked_without_what_was_left_out() -> None:
    event = fake_interventions(QUOTED, 2, 32, RNG)
    assert (loads(event)[0].layer, loads(event)[0].unit) == (1, 1)
    load = event.load.copy()
    load[0] = np.nan
    assert {row.layer for row in loads(dataclasses.replace(event, load=load))} == {1}
    assert loads(dataclasses.replace(event, load=np.zeros((0, 0)))) == []


# -- what is asked ---------------------------------------------------------------------------------------------------


def test_every_panel_asks_its_probe_for_what_it_takes() -> None:
    view = after("mark", "left", "mark", "toggle")
    for panel in PANELS:
        sent = command(panel, view, READING)
        assert sent.probe == probe_of(panel)
        assert set(arguments(sent)) <= set(TAKES[sent.probe]), panel


def test_the_text_is_read_again_or_the_one_shown() -> None:
    sample = fake_sample(fake_config(), RNG)
    assert Asker(NeuronView()).again() == Request()
    assert Asker(NeuronView(), sample).again() == Request(source="prompt", prompt=sample.text)
    asked = Request(source="validation", start=400)
    assert Asker(NeuronView(asked=asked), READING).again() == asked
    assert Asker(NeuronView(asked=asked, live=True), sample).again().prompt == sample.text


def test_excerpts_follow_each_other_and_begin_again() -> None:
    first = excerpt(NeuronView(), "validation", 1000)
    assert (first.source, first.start, first.length) == ("validation", 0, 400)
    second = excerpt(NeuronView(asked=first), "validation", 1000)
    assert second.start == 400
    third = excerpt(NeuronView(asked=second), "validation", 1000)
    assert third.start == 800
    assert excerpt(NeuronView(asked=third), "validation", 1000).start == 0
    assert excerpt(NeuronView(asked=third), "train", None).start == 0


def test_what_is_measured_is_the_text_on_the_screen_whatever_the_network_would_write_now() -> None:
    view = settle(NeuronView(unit=UnitView(1, 3, "f"), asked=Request(seed=5)), EXTENT)
    for panel in ("statespace", "birth", "attribution"):
        given = arguments(command(panel, view, READING))
        assert (given["source"], given["prompt"], given["layer"]) == ("prompt", QUOTED, 1)
    assert arguments(command("birth", view, READING))["units"] == [3]


def test_a_span_asks_for_its_pattern_and_no_span_for_the_unit() -> None:
    view = settle(NeuronView(unit=UnitView(1, 3)), EXTENT)
    assert arguments(command("contexts", view, READING)) == {"layer": 1, "units": [3], "chars": 1_000_000}
    span = after("mark", "left", "left", "mark", "threshold_up", view=view)
    given = arguments(command("contexts", span, READING))
    assert (given["span"], given["threshold"], given["prompt"]) == ([len(QUOTED) - 3, len(QUOTED)], 0.6, QUOTED)


def test_an_intervention_goes_on_from_the_cursor_with_what_is_shown_of_the_units() -> None:
    view = after("up", "toggle", "field", "field", view=NeuronView(unit=UnitView(1, 3), seed=4))
    given = arguments(Asker(view, READING, temperature=0.5).command("interventions"))
    assert given == {"layer": 1, "units": [3], "seed": 4, "prompt": QUOTED[:4], "field": "i", "temperature": 0.5}
    assert [arguments(command("interventions", dataclasses.replace(view, how=how), READING)).get("how", "zero")
            for how in range(5)] == list(HOWS)  # fmt: skip
    clamp = arguments(command("interventions", dataclasses.replace(view, how=HOWS.index("clamp")), READING))
    assert clamp["value"] == 1.0
    assert "value" not in arguments(command("interventions", dataclasses.replace(view, how=1), READING))


def test_only_states_are_held_in_turn() -> None:
    view = settle(NeuronView(unit=UnitView(1, 3, "f")), EXTENT)
    given = arguments(Asker(view, READING).ranking())
    assert (given["ranked"], given.get("field", "h")) == (True, "h")
    cell = dataclasses.replace(view, unit=UnitView(1, 3, "c"))
    assert arguments(Asker(cell, READING).ranking())["field"] == "c"


def test_an_attribution_explains_what_is_chosen_at_the_cursor() -> None:
    view = after("up")
    given = arguments(command("attribution", view, READING))
    assert given["prompt"] == QUOTED[:4]
    assert "target" not in given
    other = arguments(command("attribution", after("target", view=view), READING))
    assert other["target"] == READING.top[1][3]
    unit = arguments(command("attribution", dataclasses.replace(view, target=TOP, method=2), READING))
    assert unit["of_unit"] is True
    assert unit["method"] == METHODS[2]


def test_bytes_are_asked_for_as_the_characters_that_they_spell() -> None:
    shown = "café".encode().decode("latin-1")
    assert typed(shown, True) == "café"
    assert typed(shown[:-1], True) == "caf"  # half a character
    assert typed("café", False) == "café"
    reading = dataclasses.replace(READING, text=shown + QUOTED[5:])
    given = arguments(Asker(settle(NeuronView(), Extent(reading)), reading, bytes_mode=True).command("birth"))
    assert given["prompt"].startswith("café")


def test_concepts_of_ones_own_are_checked_and_travel() -> None:
    assert concept_given(" Romeo =ROMEO|Romeo") == ("Romeo=ROMEO|Romeo", "")
    assert [concept_given(text) for text in ("", "Romeo", "=x", "a=")] == [("", "")] * 4
    assert concept_given("a=(")[1].startswith("( is no regular expression: missing )")
    too_much = ("a=x{99999999999999999999}", "a=" + "(" * 3000 + ")" * 3000)  # what `re` refuses in other ways
    assert [concept_given(text)[0] for text in too_much] == [""] * 2
    assert concept_given("a=[[x]") == ("a=[[x]", "")  # without a warning
    view = settle(NeuronView(own=("Romeo=ROMEO",), concept="Romeo"), EXTENT)
    assert arguments(command("units", view, READING))["concept"] == ["Romeo=ROMEO"]
    assert arguments(command("birth", view, READING))["concept"] == ["Romeo=ROMEO"]
    built_in = dataclasses.replace(view, concept="inside quotes")
    assert arguments(command("birth", built_in, READING))["concept"] == ["inside quotes"]


@pytest.mark.parametrize("panel", list(WALKS))
def test_walks_are_of_panels_that_there_are(panel: str) -> None:
    assert panel in PANELS

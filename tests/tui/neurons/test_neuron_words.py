"""What the neuron lab's panels say, in the room there is, and that they keep their shape whatever they are given."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import numpy as np
import pytest

from rnnscope.charts.palette import DARK
from rnnscope.charts.spans import plain, width
from rnnscope.charts.text import cells
from rnnscope.tui.asking import Standing
from rnnscope.tui.look import Look
from rnnscope.tui.neuron_rows import ranked
from rnnscope.tui.neuron_view import TOP, Extent, NeuronView, settle
from rnnscope.tui.neuron_words import QUESTIONS, intervention_next, target_next, units_words
from rnnscope.tui.snapshot import When
from rnnscope.tui.view import UnitView
from rnnscope.tui.widgets.asked import AskedPanel
from rnnscope.tui.widgets.neurons import attribution, birth, contexts, interventions, saturation, statespace
from rnnscope.tui.widgets.neurons.concepts import ConceptsPanel, columns_that_fit, sentence
from rnnscope.tui.widgets.neurons.text import TextPanel
from tests.fakes import fake_config
from tests.neuron_fakes import QUOTED, fake_contexts, neuron_events

WIDTHS = [18, 30, 58, 78, 118, 198]
SIZES = [(18, 6), (38, 9), (58, 16), (78, 19), (198, 50)]
PANELS: dict[str, type[AskedPanel]] = {
    "activations": TextPanel, "units": ConceptsPanel, "contexts": contexts.ContextsPanel,
    "saturation": saturation.SaturationPanel, "statespace": statespace.StateSpacePanel, "birth": birth.BirthPanel,
    "interventions": interventions.InterventionsPanel, "attribution": attribution.AttributionPanel,
}  # fmt: skip


def made(text: str = QUOTED) -> dict[str, Any]:
    events = neuron_events(fake_config(), text, np.random.default_rng(0))
    return {event.kind: event for event in events}


EVENTS = made()


def filled(kind: str, event: Any, *, mono: bool = False, cursor: int = 20) -> AskedPanel:
    """Return the panel of a measurement, with everything that it is given."""
    panel = PANELS[kind](id=kind)
    panel.look = Look(DARK, mono)
    text = getattr(event, "text", "")
    unit = UnitView(1, 1, "h")
    more: dict[str, tuple[object, ...]] = {
        "activations": (unit, min(cursor, max(len(text) - 1, 0)), 3, 9, "index", np.arange(32)),
        "units": ("margin", 0), "contexts": (0,), "saturation": (unit, ()),
        "statespace": (0, 0, text[-getattr(event, "trajectory", 0) :], cursor), "birth": (3,),
        "interventions": (0,), "attribution": (),
    }  # fmt: skip
    panel.inputs = (event, When(300), *more[kind])
    return panel


def text_of(panel: AskedPanel, size: tuple[int, int] = (118, 36)) -> str:
    painted = panel.paint(*size)
    return plain([painted.left, painted.right, *painted.rows])


@pytest.mark.parametrize("mono", [False, True])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", list(PANELS))
def test_every_panel_keeps_its_shape(kind: str, size: tuple[int, int], mono: bool) -> None:
    painted = filled(kind, EVENTS[kind], mono=mono).paint(*size)
    assert len(painted.rows) <= size[1]
    assert all(width(row) <= size[0] for row in painted.rows)


@pytest.mark.parametrize(
    "text", ["순환 신경망은 글자를 읽는다. cafe\u0301! " * 5, "[/b]\x1b[2J\x07[red]x\u202e", "a", "\n"]
)
@pytest.mark.parametrize("kind", list(PANELS))
def test_whatever_the_text_is_made_of(kind: str, text: str) -> None:
    for size in ((38, 9), (78, 19)):
        painted = filled(kind, made(text)[kind], cursor=len(text)).paint(*size)
        assert all(width(row) <= size[0] for row in painted.rows)
        shown = plain(painted.rows).replace("\n", "")
        assert not any(ord(c) < 32 or 0x7F <= ord(c) < 0xA0 or c == "\u202e" for c in shown)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("kind", list(PANELS))
def test_numbers_that_are_none_break_nothing(kind: str, value: float) -> None:
    event = EVENTS[kind]
    bad = {
        field.name: np.full_like(found, value)
        for field in dataclasses.fields(event)
        if isinstance(found := getattr(event, field.name), np.ndarray) and found.dtype.kind == "f"
    }
    bad |= {
        field.name: value for field in dataclasses.fields(event) if field.name.startswith(("loss_", "delta", "at_"))
    }
    panel = filled(kind, dataclasses.replace(event, **bad))
    for size in ((38, 9), (118, 36)):
        assert all(width(row) <= size[0] for row in panel.paint(*size).rows)


@pytest.mark.parametrize("kind", list(PANELS))
def test_a_panel_without_data_says_what_key_gets_it_how_far_it_is_and_what_went_wrong(kind: str) -> None:
    panel = PANELS[kind](id=kind)
    following = ("unit 3 of layer 1 held at zero",) if kind in ("interventions", "attribution") else ()
    for standing, said in (
        (Standing(), "M: "), (Standing((f"{kind}: 40% reading",), 0.4), "40%"),
        (Standing(("error: no such file",), bad=True), "no such file"),
    ):  # fmt: skip
        panel.inputs = (None, standing, *following)
        text = text_of(panel, (58, 14))
        assert said in text or said.replace("M: ", "press M: ") in text


@pytest.mark.parametrize("kind", list(PANELS))
def test_every_panel_is_explained_in_three_sentences_with_its_formula(kind: str) -> None:
    panel = PANELS[kind]
    assert len(re.split(r"\.\s(?=[A-Z])", panel.summary)) == 3, panel.summary
    assert re.search(r"h_t|AUC|σ|∂", panel.summary)
    assert panel.chips
    assert panel.details
    assert panel.key == "M"


# -- what they say ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("room", WIDTHS)
def test_every_line_fits(room: int) -> None:
    for row in ranked(EVENTS["units"], "margin"):
        assert 0 < cells(sentence(row, room)) <= room
    event = EVENTS["interventions"]
    assert cells(interventions.changes_words(event, room)) <= room
    assert cells(birth.checkpoint_words(EVENTS["birth"], 3, room)) <= room
    assert cells(saturation.always_words(EVENTS["saturation"], 0, room)) <= room
    assert all(cells(line) <= room for line in attribution.words(EVENTS["attribution"], room))


def test_a_row_of_the_table_in_words() -> None:
    rows = ranked(EVENTS["units"], "margin")
    assert sentence(rows[0], 118).startswith("unit 1 of layer 2: inside quotes, AUC 0.97 (null 0.61), it is high there")
    low = dataclasses.replace(rows[0], sign=-1)
    assert "it is low there" in sentence(low, 118)
    assert "no better than chance" in sentence(rows[-1], 118)
    text = text_of(filled("units", EVENTS["units"]))
    assert "✗ 0.63" in text
    assert text.count("✗ 0.6") == 1
    assert "mean 0." in text  # of a count
    assert "%" in text  # of a yes/no concept


def test_columns_leave_room_for_the_names() -> None:
    panel = filled("units", EVENTS["units"])
    assert isinstance(panel, ConceptsPanel)
    for room in (58, 78, 118):
        assert "parenthesis depth" in text_of(panel, (room, 16))
    assert columns_that_fit([], 20) == 5


def test_the_text_is_read_out_at_the_cursor() -> None:
    panel = filled("activations", EVENTS["activations"], cursor=14)
    text = text_of(panel, (118, 30))
    assert f'15/{len(QUOTED)} ‘"’' in text
    assert "next I 0.52  " in text
    for field in ("h", "c", "i", "f", "g", "o"):
        assert re.search(rf" {field} [-+]?\d\.\d\d", text), field
    assert "prompt · map by index" in text


def test_a_context_shows_what_was_found_whole_with_its_neighbours() -> None:
    event = EVENTS["contexts"]
    for number in range(8):
        piece, values, peak = contexts.cut(event, number, 30)
        snippet = event.snippets[number]
        at = int(event.peaks[number])
        assert len(piece) == len(values) <= 30
        assert piece[peak] == ("↵" if snippet[at] == "\n" else snippet[at])
    pattern = fake_contexts(QUOTED, 32, np.random.default_rng(0), span="I am not")
    text = text_of(filled("contexts", pattern))
    assert "the same pattern" in text
    assert "on throughout ‘I am not’" in text
    assert "5 units: 0 1 2 3 4" in text
    assert "99%" in text


def test_the_list_of_contexts_keeps_the_row_selected_in_sight() -> None:
    lines = contexts.listed(EVENTS["contexts"])
    assert [line.number for line in lines] == [-1, 0, 1, 2, 3, -1, 4, 5, 6, 7]
    for room in range(2, 12):
        for number in range(8):
            first = contexts.scrolled(lines, number, room)
            assert number in [line.number for line in lines[first : first + room]]


def test_gates_are_counted_and_drawn_beside_each_other_where_there_is_room() -> None:
    event = EVENTS["saturation"]
    left, right = event.left.copy(), event.right.copy()
    left[3], right[3] = 0.05, 0.95
    full = dataclasses.replace(event, left=left, right=right)
    assert saturation.always_words(full, 3, 118).startswith("f forget gate: 0 of 64 low 90% of the time, 64 high")
    fields = event.fields
    assert [fields[i] for i in saturation.chosen_fields(event, "f", 1)] == ["f"]
    assert [fields[i] for i in saturation.chosen_fields(event, "h", 9)] == ["h", "i", "f", "o"]
    assert [fields[i] for i in saturation.chosen_fields(event, "x", 1)] == ["i"]
    text = text_of(filled("saturation", event), (160, 20))
    for name in ("h above 0.9", "i above 0.9", "share of time below 0.1", "share of time below -0.9"):
        assert name in text


def test_a_unit_leaves_a_trail_over_the_measurements() -> None:
    event = EVENTS["saturation"]
    moved = dataclasses.replace(event, left=event.left * 0, right=event.right * 0)
    way = saturation.way_of(((100, moved), (300, event)), "f", UnitView(1, 1))
    assert way[0] == (0.0, 0.0)
    assert way[1] == (float(event.left[3, 1, 1]), float(event.right[3, 1, 1]))
    panel = filled("saturation", event)
    panel.inputs = (*panel.inputs[:3], ((100, moved), (300, event)))
    assert "over training" in text_of(panel, (58, 16))


def test_kinds_of_characters_and_concepts_colour_the_state_space() -> None:
    event = EVENTS["statespace"]
    kinds = [statespace.CLASSES[statespace.class_of(c)] for c in "aZb7 \n.É"]
    assert kinds == ["vowel", "capital", "consonant", "digit", "space", "newline", "other", "capital"]
    for colour, labels in ((0, 7), (1, 2), (2, 5)):
        groups = statespace.groups_of(event, colour, DARK)
        assert len(groups) == labels
        assert sum(which.sum() for *_, which in groups) == len(event.points)
        assert len({shade for _, _, shade, _ in groups}) == labels
    panel = filled("statespace", event)
    text = text_of(panel)
    assert "PC 1, 31% of the variance" in text
    assert "PC 2, 14% of the variance" in text
    assert "3 components explain 51%" in text
    assert "vowel  consonant  capital  digit  space  newline  other" in text
    panel.inputs = (*panel.inputs[:2], 1, 1, *panel.inputs[4:])
    assert "PC 3, 6% of the variance" in text_of(panel)
    assert "not inside quotes  inside quotes" in text_of(panel)


def test_the_trail_ends_at_the_cursor_of_the_text_that_was_read() -> None:
    event = EVENTS["statespace"]
    begin = len(event.points) - event.trajectory
    assert statespace.trail_of(event, QUOTED, 30, 120) == (begin + 11, begin + 31)
    assert statespace.trail_of(event, QUOTED, 3, 120) == (begin, begin + 4)
    end = len(event.points)
    assert statespace.trail_of(event, "another text", 3, 60) == (end - 12, end)


def test_a_birth_says_when_and_how_well() -> None:
    event = EVENTS["birth"]
    step = int(event.steps[3])
    said = birth.checkpoint_words(event, 3, 118)
    assert said.startswith(f"checkpoint 4 of {len(event.steps)}: step {step:,} · validation")
    assert "inside quotes: AUC 0." in said
    plain_one = dataclasses.replace(event, concept="", scores=np.zeros(0))
    assert "AUC" not in birth.checkpoint_words(plain_one, 3, 118)
    text = text_of(filled("birth", event))
    assert f"step {step}" in text
    assert "validation nats/char" in text
    assert "training step" in text


def test_an_intervention_says_what_was_done_and_what_it_cost() -> None:
    event = EVENTS["interventions"]
    said = interventions.changes_words(event, 198)
    assert said == ("unit 1 of layer 2 held at zero: validation 1.583 → 1.642 nats (+0.059), T 0.8, seed 1")
    text = text_of(filled("interventions", event))
    for expected in ("control: the network as it is", "changed: held at zero", "load-bearing", "layer 2 unit 1",
                     "+0.3100", "first difference: character"):  # fmt: skip
        assert expected in text
    same = dataclasses.replace(event, difference=-1, changed=event.control, load=np.zeros((0, 0)))
    assert "both are the same" in text_of(filled("interventions", same))
    assert "load-bearing" not in text_of(filled("interventions", same))


def test_units_are_named_and_what_comes_next_is_said() -> None:
    assert units_words(1, (3,)) == "unit 3 of layer 2"
    assert units_words(1, (3,), "f") == "f of unit 3 of layer 2"
    assert units_words(0, tuple(range(8))) == "units 0, 1, 2, 3, 4, 5 … (8) of layer 1"
    reading = EVENTS["activations"]
    extent = Extent(reading, tops=5)
    view = settle(NeuronView(unit=UnitView(1, 3), how=2, value=0.5), extent)
    assert intervention_next(view) == "unit 3 of layer 2 held at 0.5"
    view = dataclasses.replace(view, cursor=14)
    assert target_next(view, reading) == '‘I’ after ‘"’, integrated gradients'
    unit = dataclasses.replace(view, target=TOP, method=3)
    assert target_next(unit, reading) == 'unit 3 of layer 2 after ‘"’, occlusion'
    assert target_next(view, None) == "integrated gradients"
    assert set(QUESTIONS) == {"prompt", "file", "concept"}


def test_an_attribution_names_method_baseline_target_and_what_it_misses() -> None:
    text = text_of(filled("attribution", EVENTS["attribution"])).replace("\n", " ")
    for expected in ("layer integrated gradients on the embedding", "baseline: a space at every position",
                     "logit of ‘e’ as the next character = 5.310, at the baseline 1.020",
                     "miss the difference by 0.31%", "±√(score / 1.", "strongest: ", " back ",
                     "connectivity ‖∂logit/∂x_t‖"):  # fmt: skip
        assert expected in text
    event = dataclasses.replace(EVENTS["attribution"], at_baseline=float("nan"), delta=float("nan"))
    assert "miss" not in " ".join(attribution.words(event, 118))
    assert attribution.largest(np.array([np.nan, -3.0, 2.0])) == 3.0
    assert attribution.largest(np.array([np.nan])) == attribution.largest(np.zeros(3)) == 1.0


def test_small_attributions_are_seen_beside_large_ones_and_the_strongest_are_named() -> None:
    shades = attribution.coloured(np.array([4.0, -1.0, 0.01, 0.0]))
    np.testing.assert_allclose(shades, [1.0, -0.5, 0.05, 0.0])
    event = dataclasses.replace(EVENTS["attribution"], text='a" b', scores=np.array([0.1, -2.5, np.nan, 1.5]))
    assert attribution.strongest(event, 118).startswith(
        'strongest: ‘"’ 2 back -2.50 · ‘b’ last +1.50 · ‘a’ 3 back +0.10'
    )
    for room in (30, 58):
        assert cells(attribution.strongest(event, room)) <= room


def test_a_concept_that_never_changes_is_said_to_be_absent() -> None:
    scores = EVENTS["units"].scores.copy()
    scores[2] = np.nan
    event = dataclasses.replace(EVENTS["units"], scores=scores)
    last = ranked(event, "margin")[-1]
    assert sentence(last, 118) == "position in line: never changes in the text that was read, so no unit can tell it"
    (line,) = [line for line in text_of(filled("units", event)).split("\n") if "position in line" in line]
    assert line.split()[3:6] == ["–", "–", "–"]

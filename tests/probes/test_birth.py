"""One unit over the checkpoints of a run, against the plain step and counting by hand."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rnnscope.errors import UserError
from rnnscope.model import CharRNN
from rnnscope.probes import birth
from rnnscope.probes.birth import cut, measure
from rnnscope.probes.subject import Cancelled, Subject
from rnnscope.recording.requests import Request
from rnnscope.registry import CELLS
from rnnscope.saved import weights_name
from rnnscope.training.checkpoint import save_weights
from tests.probes.neuron import corpus, subject

PROMPT = Request(source="prompt", prompt='she said "no"', layer=0, units=(2, 5), field="h")
STEPS = (0, 20, 300)


def a_run(folder: Path, cell: str = "lstm", layers: int = 1, **options: Any) -> Subject:
    """A subject after 300 steps, with three checkpoints in its folder, each of other weights."""
    looked_at = dataclasses.replace(subject(cell, layers), folder=folder, step=300, **options)
    for step in STEPS:
        with torch.no_grad():
            for parameter in looked_at.model.parameters():
                parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(step)), alpha=0.3)
        save_weights(looked_at.model, folder / weights_name(step))
    return looked_at


def at(looked_at: Subject, step: int) -> CharRNN:
    """The network as it was after `step` updates, made anew."""
    model = subject(looked_at.config.model.cell, looked_at.config.model.layers).model
    model.load_state_dict(saved(looked_at.folder / weights_name(step)))
    return model


def saved(path: Path) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    return load_file(path)


def by_hand(model: CharRNN, ids: np.ndarray, layer: int, unit: int, state_index: int = 0) -> tuple[list[float], Any]:
    """A unit's values and the log probabilities after each character, step by step."""
    state, values, after = model.initial_state(1), [], []
    for symbol in ids:
        logits, state = model.step(torch.tensor([int(symbol)]), state)
        values.append(float(state[layer][state_index][0, unit]))
        after.append(torch.log_softmax(logits[0].double(), -1))
    return values, after


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("cell", CELLS)
def test_values_are_those_of_each_checkpoint(cell: str, layers: int, tmp_path: Path) -> None:
    looked_at = a_run(tmp_path, cell, layers)
    field, index = ("c", 1) if cell == "lstm" else ("h", 0)
    event = measure(looked_at, dataclasses.replace(PROMPT, layer=layers - 1, field=field))
    assert event.steps.tolist() == list(STEPS)
    assert event.text == PROMPT.prompt
    assert (event.field, event.layer, event.unit) == (field, layers - 1, 2)
    assert (event.concept, event.measure, event.scores.size) == ("", "", 0)
    assert event.values.dtype == np.float16
    ids = looked_at.corpus.vocabulary.encode(PROMPT.prompt)
    for step, values in zip(STEPS, event.values, strict=True):
        wanted, _ = by_hand(at(looked_at, step), ids, layers - 1, 2, index)
        np.testing.assert_allclose(values, wanted, rtol=2e-3, atol=1e-3)


def test_losses_and_scores_are_of_the_same_characters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(birth, "SCORED", 150)
    monkeypatch.setattr(birth, "WARM_UP", 20)
    looked_at = a_run(tmp_path)
    event = measure(looked_at, dataclasses.replace(PROMPT, concept=("letter=[a-z]",)))
    assert (event.concept, event.measure) == ("letter", "AUC")
    text = looked_at.corpus.validation.astype(np.int64)
    pieces = cut(text, 150, birth.STREAMS, 20)
    assert len(pieces.counted) == 144
    yes = np.array([looked_at.corpus.vocabulary.symbols[text[p]].islower() for p in pieces.counted])
    for step, loss, score in zip(STEPS, event.losses, event.scores, strict=True):
        model, units, nats = at(looked_at, step), [], []
        for piece in pieces.ids.T:
            values, after = by_hand(model, piece, 0, 2)
            units += values[20:]
            start = len(units) - len(piece) + 20
            nats += [-float(log_p[text[p + 1]]) for log_p, p in zip(after[20:], pieces.counted[start:], strict=False)]
        assert loss == pytest.approx(np.mean(nats), rel=1e-5)
        value = np.array(units)
        above = np.mean([np.mean((v > value[~yes]) + 0.5 * (v == value[~yes])) for v in value[yes]])
        assert score == pytest.approx(max(above, 1 - above), abs=1e-4)


def test_a_count_is_scored_by_the_squared_correlation(tmp_path: Path) -> None:
    looked_at = a_run(tmp_path)
    event = measure(looked_at, dataclasses.replace(PROMPT, concept=("position in line",)))
    assert event.measure == "R2"
    text = looked_at.corpus.validation.astype(np.int64)
    pieces = cut(text, birth.SCORED, birth.STREAMS, birth.WARM_UP)
    label, column = [], 0
    for symbol in looked_at.corpus.vocabulary.decode(text):
        label.append(column)
        column = 0 if symbol == "\n" else column + 1
    values = [by_hand(looked_at.model, piece, 0, 2)[0][-len(pieces.targets) :] for piece in pieces.ids.T]
    wanted = np.corrcoef(np.concatenate(values), np.array(label)[pieces.counted])[0, 1] ** 2
    assert event.scores[-1] == pytest.approx(wanted, abs=1e-4)


@pytest.mark.parametrize("length", [2, 3, 4, 5, 17, 100, 1000])
def test_pieces_count_no_character_twice_and_are_spread_over_the_text(length: int) -> None:
    text = np.random.default_rng(0).integers(0, 50, length)
    pieces = cut(text, 300, 7, 10)
    steps, count = pieces.targets.shape
    assert len(pieces.counted) == steps * count > 0
    assert (np.diff(pieces.counted) >= 1).all()
    assert pieces.counted[-1] == length - 2
    read = pieces.ids[-steps:]
    np.testing.assert_array_equal(read.T.ravel(), text[pieces.counted])
    np.testing.assert_array_equal(pieces.targets.T.ravel(), text[pieces.counted + 1])
    if length == 1000:
        assert pieces.ids.shape == (10 + 300 // 7, 7)
        assert pieces.counted[0] == 10
    if length == 100:  # all of it, but for what fills the state and what does not divide
        assert len(pieces.counted) == 7 * (89 // 7)


def test_the_weights_of_now_are_the_last_where_no_file_has_them(tmp_path: Path) -> None:
    looked_at = dataclasses.replace(a_run(tmp_path), step=345)
    with torch.no_grad():
        looked_at.model.layers[0].get_parameter("weight_hh_l0").zero_()
    event = measure(looked_at, PROMPT)
    assert event.steps.tolist() == [*STEPS, 345]
    wanted, _ = by_hand(looked_at.model, looked_at.corpus.vocabulary.encode(PROMPT.prompt), 0, 2)
    np.testing.assert_allclose(event.values[-1], wanted, rtol=2e-3, atol=1e-3)
    assert not np.array_equal(event.values[-1], event.values[-2])


def test_a_checkpoint_thinned_away_meanwhile_is_left_out_and_a_damaged_one_named(tmp_path: Path) -> None:
    seen: list[str] = []

    def report(share: float, what: str) -> None:
        assert 0 <= share <= 1
        if what == "step 20":
            (tmp_path / weights_name(20)).unlink(missing_ok=True)
        seen.append(what)

    looked_at = a_run(tmp_path, report=report)
    assert measure(looked_at, PROMPT).steps.tolist() == [0, 300]
    assert list(dict.fromkeys(seen)) == ["step 0", "step 20", "step 300"]
    (tmp_path / weights_name(0)).write_bytes(b"no weights")
    with pytest.raises(UserError, match=r"step-0\.safetensors is corrupt"):
        measure(looked_at, PROMPT)


def test_it_can_be_broken_off(tmp_path: Path) -> None:
    def report(share: float, what: str) -> None:
        if share > 0.3:
            raise Cancelled

    with pytest.raises(Cancelled):
        measure(a_run(tmp_path, report=report), PROMPT)


@pytest.mark.parametrize(
    ("concept", "message"), [(("capital", "vowel"), "give one"), (("nonsense",), "none of that name")]
)
def test_a_concept_that_cannot_be_followed_is_refused(concept: tuple[str, ...], message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=message):
        measure(a_run(tmp_path), dataclasses.replace(PROMPT, concept=concept))


def test_the_subject_and_its_files_are_left_as_they_were(tmp_path: Path) -> None:
    looked_at = a_run(tmp_path)
    looked_at.model.train()
    weights, random = [p.clone() for p in looked_at.model.parameters()], torch.get_rng_state()
    files = {path: path.read_bytes() for path in tmp_path.iterdir()}
    measure(looked_at, Request(length=8, concept=("capital",)))
    assert looked_at.model.training
    assert all(torch.equal(a, b) for a, b in zip(weights, looked_at.model.parameters(), strict=True))
    assert torch.equal(torch.get_rng_state(), random)
    assert files == {path: path.read_bytes() for path in tmp_path.iterdir()}


@pytest.mark.parametrize("cell", CELLS)
def test_a_diverged_network_and_a_short_text(cell: str, tmp_path: Path) -> None:
    looked_at = a_run(tmp_path, cell)
    with torch.no_grad():
        looked_at.model.layers[0].get_parameter("weight_hh_l0")[0, 0] = float("nan")
    looked_at = dataclasses.replace(looked_at, corpus=corpus(validation="Is"))
    event = measure(looked_at, dataclasses.replace(PROMPT, concept=("vowel",)))
    assert np.isnan(event.losses[-1]) or np.isfinite(event.losses).all()
    assert np.isfinite(event.losses[:2]).all()
    assert np.isnan(event.values[-1]).any()
    assert np.isnan(event.scores).all()  # of two characters one counts: nothing to tell apart

"""Attribution against closed forms, brute force and finite differences, all through the plain step, in float64."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from rnnscope.config import ModelConfig
from rnnscope.errors import UserError
from rnnscope.model import CharRNN
from rnnscope.probes import attribution
from rnnscope.probes.attribution import DELTA, OCCLUDED, measure
from rnnscope.probes.subject import Cancelled, Subject
from rnnscope.recording.neuron_events import Attribution
from rnnscope.recording.requests import Request
from rnnscope.registry import CELLS
from tests.probes.neuron import corpus, subject

METHODS = ("integrated_gradients", "input_x_gradient", "feature_ablation", "occlusion", "connectivity")
TEXT = 'so "s"\n'
FIELDS = [(cell, field) for cell, entry in CELLS.items() for field in entry.shown]


def small(cell: str, layers: int = 2, *, one_hot: bool = False, kernel: str = "scan") -> Subject:
    """A subject in float64, without weights so large that no number of steps integrates them."""
    usual = subject(cell, layers)
    torch.manual_seed(0)
    config = ModelConfig(cell=cell, layers=layers, hidden=6, embedding=4, one_hot=one_hot)
    model = CharRNN(config, len(usual.corpus.vocabulary), kernel=kernel).double()
    return dataclasses.replace(usual, model=model)


def ask(looked_at: Subject, method: str = "integrated_gradients", **options: Any) -> Attribution:
    return measure(looked_at, Request(source="prompt", method=method, **{"prompt": TEXT} | options))  # type: ignore[arg-type]


def vectors(looked_at: Subject, text: str = TEXT) -> Tensor:
    """The network's input vectors (N, I) for a text."""
    return looked_at.model.embed(torch.from_numpy(looked_at.corpus.vocabulary.encode(text))).detach()


def baseline(looked_at: Subject) -> Tensor:
    """The commonest character of the training text, a space, as often: (N, I)."""
    return vectors(looked_at, " " * len(TEXT))


def number(model: CharRNN, x: Tensor, index: int, field: str = "", layer: int = 0) -> Tensor:
    """What is explained, from input vectors (N, I), step by step by the definition, one text alone."""
    state, found = list(model.initial_state(1)), None
    for x_t in x:
        below = x_t[None]
        for at, module in enumerate(model.layers):
            if field and at == layer and field not in model.cell.states:
                p = below @ module.get_parameter("weight_ih_l0").T + model.cell.bias(module)
                gates = model.cell.gate_values(p, state[at], model.cell.recurrent(module))
                found = gates[model.cell.gates.index(field)][0, index]
            state[at] = model.cell.step(below, state[at], module)
            below = state[at][0]
    if field:
        return state[layer][model.cell.states.index(field)][0, index] if found is None else found
    return model.decoder(below)[0, index]


def target_of(looked_at: Subject, event: Attribution) -> int:
    return int(looked_at.corpus.vocabulary.encode(event.target)[0])


@pytest.mark.parametrize(("layers", "one_hot"), [(1, True), (3, False)])
@pytest.mark.parametrize("cell", CELLS)
def test_integrated_gradients_are_complete(cell: str, layers: int, one_hot: bool) -> None:
    looked_at = small(cell, layers, one_hot=one_hot)
    event = ask(looked_at)
    index = target_of(looked_at, event)
    value, at_baseline = (number(looked_at.model, f(looked_at), index).item() for f in (vectors, baseline))
    assert event.value == pytest.approx(value, rel=1e-9)
    assert event.at_baseline == pytest.approx(at_baseline, rel=1e-9)
    assert event.delta == pytest.approx(abs(event.scores.sum() - (value - at_baseline)) / abs(value - at_baseline))
    assert event.delta < DELTA
    assert event.method.startswith(f"integrated gradients, of the {'one-hot input' if one_hot else 'embedding'}, ")


@pytest.mark.parametrize(("layers", "one_hot"), [(1, True), (3, False)])
@pytest.mark.parametrize("cell", CELLS)
def test_integrated_gradients_are_those_of_one_text_at_a_time_by_hand(
    cell: str, layers: int, one_hot: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attribution, "STEPS", 5)
    monkeypatch.setattr(attribution, "DELTA", math.inf)
    looked_at = small(cell, layers, one_hot=one_hot)
    event = ask(looked_at)
    assert event.method.endswith(", 10 steps")
    x, base = vectors(looked_at), baseline(looked_at)
    mean = torch.zeros_like(x)
    for point, weight in zip(*np.polynomial.legendre.leggauss(5), strict=True):
        for share in (0.25 + point / 4, 0.75 + point / 4):  # in either half of the line
            at = (base + share * (x - base)).requires_grad_()
            mean += weight / 4 * torch.autograd.grad(number(looked_at.model, at, target_of(looked_at, event)), at)[0]
    np.testing.assert_allclose(event.scores, (mean * (x - base)).sum(-1), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("of_unit", [False, True])
def test_stretches_are_halved_where_the_gradient_is_a_spike(of_unit: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at = small("tanh", 1, one_hot=True)
    model = looked_at.model
    with torch.no_grad():  # the first unit switches in an instant, a third of the way from spaces to anything else
        for name in ("weight_hh_l0", "bias_ih_l0", "bias_hh_l0"):
            model.layers[0].get_parameter(name)[0] = 0
        model.layers[0].get_parameter("weight_ih_l0")[0] = 600
        model.layers[0].get_parameter("weight_ih_l0")[0, looked_at.corpus.vocabulary.encode(" ")] = -300
    options: dict[str, Any] = {"of_unit": of_unit, "prompt": "no"}
    event = ask(looked_at, **options)
    assert event.delta < DELTA
    steps = int(event.method.split(", ")[-1].removesuffix(" steps"))
    assert steps % attribution.STEPS == 0
    assert steps > 2 * attribution.STEPS
    monkeypatch.setattr(attribution, "MOST_STEPS", 1)
    rough = ask(looked_at, **options)
    assert rough.method.endswith(f", {2 * attribution.STEPS} steps")
    assert rough.delta > DELTA


def linear(layers: int) -> Subject:
    """A ReLU network that is linear wherever it is read, as nothing in it is negative."""
    looked_at = small("relu", layers)
    with torch.no_grad():
        for parameter in looked_at.model.parameters():
            parameter.abs_()
    return looked_at


@pytest.mark.parametrize("layers", [1, 2])
def test_on_a_linear_network_every_method_gives_the_closed_form(layers: int) -> None:
    looked_at = linear(layers)
    model, x = looked_at.model, vectors(looked_at)
    event = ask(looked_at)
    w_in, w_hh = ([getattr(layer, f"weight_{name}_l0").detach() for layer in model.layers] for name in ("ih", "hh"))
    out = model.decoder.weight[target_of(looked_at, event)].detach()
    exact, powers = [], [torch.linalg.matrix_power(w, n) for w in w_hh for n in range(len(x))]
    for lag in range(len(x) - 1, -1, -1):
        if layers == 1:
            through = powers[lag] @ w_in[0]
        else:
            first, second = powers[: len(x)], powers[len(x) :]
            through = sum(second[lag - k] @ w_in[1] @ first[k] for k in range(lag + 1)) @ w_in[0]
        exact.append(out @ through)
    gradient = torch.stack(exact)
    share = (gradient * (x - baseline(looked_at))).sum(-1).numpy()
    assert event.delta < 1e-7
    for method in ("integrated_gradients", "feature_ablation"):
        np.testing.assert_allclose(ask(looked_at, method).scores, share, rtol=1e-7, atol=1e-12)
    np.testing.assert_allclose(ask(looked_at, "input_x_gradient").scores, (gradient * x).sum(-1), rtol=1e-9)
    windows = [range(start, start + OCCLUDED) for start in range(len(x) - OCCLUDED + 1)]
    occluded = [np.mean([share[w].sum() for w in windows if t in w]) for t in range(len(x))]
    np.testing.assert_allclose(
        ask(looked_at, "occlusion").scores, occluded, rtol=1e-6, atol=1e-6
    )  # Captum counts in float32
    np.testing.assert_allclose(event.connectivity, gradient.norm(dim=-1), rtol=1e-9)
    np.testing.assert_allclose(ask(looked_at, "connectivity").scores, gradient.norm(dim=-1), rtol=1e-9)


@pytest.mark.parametrize(
    ("cell", "layers", "kernel"),
    [*((cell, layers, "scan") for cell in CELLS for layers in (1, 3)), ("lstm", 3, "fused"), ("gru", 1, "fused")],
)
def test_connectivity_and_input_x_gradient_are_finite_differences(cell: str, layers: int, kernel: str) -> None:
    looked_at = small(cell, layers, kernel=kernel)
    event = ask(looked_at, "input_x_gradient")
    x, index = vectors(looked_at), target_of(looked_at, event)
    gradient, step = torch.zeros_like(x), 1e-5
    for at in np.ndindex(*x.shape):
        nudge = torch.zeros_like(x)
        nudge[at] = step
        up, down = (number(looked_at.model, x + sign * nudge, index) for sign in (1, -1))
        gradient[at] = (up - down).item() / (2 * step)
    np.testing.assert_allclose(event.connectivity, gradient.norm(dim=-1), rtol=1e-5, atol=1e-9)
    np.testing.assert_allclose(event.scores, (gradient * x).sum(-1), rtol=1e-5, atol=1e-9)
    assert math.isnan(event.delta)
    assert math.isnan(event.at_baseline)
    assert event.baseline == "none"


@pytest.mark.parametrize("cell", CELLS)
def test_ablation_and_occlusion_leave_characters_out(cell: str) -> None:
    looked_at = small(cell)
    event = ask(looked_at, "feature_ablation", target="s")
    x, index = vectors(looked_at), target_of(looked_at, event)
    assert event.target == "s"
    assert event.explained == "logit of 's' after 7 characters"

    def without(start: int, stop: int) -> float:
        left = x.clone()
        left[start:stop] = baseline(looked_at)[0]
        return event.value - number(looked_at.model, left, index).item()

    np.testing.assert_allclose(event.scores, [without(t, t + 1) for t in range(len(x))], rtol=1e-7, atol=1e-12)
    drops = {start: without(start, start + OCCLUDED) for start in range(len(x) - OCCLUDED + 1)}
    mean = [np.mean([drop for start, drop in drops.items() if start <= t < start + OCCLUDED]) for t in range(len(x))]
    event = ask(looked_at, "occlusion", target="s")
    np.testing.assert_allclose(event.scores, mean, rtol=1e-5, atol=1e-7)
    assert event.method == "occlusion, 5 characters at a time, mean of all"


@pytest.mark.parametrize("layer", [0, 2])
@pytest.mark.parametrize(("cell", "field"), FIELDS)
def test_a_units_value_is_explained(cell: str, field: str, layer: int) -> None:
    looked_at = small(cell, 3)
    unit = {"of_unit": True, "field": field, "layer": layer, "units": (4, 1)}
    event = ask(looked_at, **unit)
    model, x = looked_at.model, vectors(looked_at)
    shown = model.trace(torch.from_numpy(looked_at.corpus.vocabulary.encode(TEXT))[:, None], model.initial_state(1))[2]
    assert event.value == pytest.approx(float(shown[layer][field][-1, 0, 4]), rel=1e-9)
    assert event.at_baseline == pytest.approx(number(model, baseline(looked_at), 4, field, layer).item(), rel=1e-9)
    assert event.delta < DELTA
    assert event.explained == f"{field} of unit 4 in layer {layer + 1} of 3 after 7 characters"
    assert event.target == ""
    at = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(number(model, at, 4, field, layer), at)
    np.testing.assert_allclose(event.connectivity, gradient.norm(dim=-1), rtol=1e-8, atol=1e-14)
    scores = ask(looked_at, "input_x_gradient", **unit).scores
    np.testing.assert_allclose(scores, (gradient * x).sum(-1), rtol=1e-8, atol=1e-14)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("length", [1, 2])
def test_texts_of_one_and_two_characters(method: str, length: int) -> None:
    for options in ({}, {"of_unit": True, "field": "f"}):
        event = ask(small("lstm"), method, prompt="so"[:length], **options)
        assert event.scores.shape == (length,)
        assert np.isfinite(event.scores).all()


@pytest.mark.parametrize("method", METHODS)
def test_of_a_long_text_the_last_characters_are_scored_and_the_others_stay(
    method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at = small("lstm")
    whole = ask(looked_at, method, prompt="No, it " + TEXT)
    monkeypatch.setattr(attribution, "CONTEXT", len(TEXT))
    part = ask(looked_at, method, prompt="No, it " + TEXT)
    assert part.text == TEXT
    assert part.value == pytest.approx(whole.value, rel=1e-12)
    assert part.target == whole.target
    assert part.explained == whole.explained == f"logit of {whole.target!r} after 14 characters"
    np.testing.assert_allclose(part.connectivity, whole.connectivity[7:], rtol=1e-12)
    if part.baseline == "none":
        np.testing.assert_allclose(part.scores, whole.scores[7:], rtol=1e-12)
    else:
        assert part.baseline == "' ' in place of a character; the 7 characters before stay"
        assert whole.baseline == "' ' in place of a character"
        assert part.at_baseline != whole.at_baseline
    if method == "integrated_gradients":
        assert part.delta < DELTA


def test_the_position_says_where_the_text_ends_and_the_target_what_comes() -> None:
    looked_at = small("gru")
    short, at = ask(looked_at, prompt=TEXT[:6]), ask(looked_at, position=5)
    assert at.text == short.text == TEXT[:6]
    assert at.target == short.target
    np.testing.assert_array_equal(at.scores, short.scores)
    logits = [number(looked_at.model, vectors(looked_at), i).item() for i in range(looked_at.model.vocabulary_size)]
    assert target_of(looked_at, ask(looked_at)) == int(np.argmax(logits))


@pytest.mark.parametrize(
    ("options", "message"),
    [({"position": 7}, "has 7 characters"), ({"target": "so"}, "give one character"), ({"target": "Z"}, "has no 'Z'")],
)
def test_what_cannot_be_explained_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        ask(small("tanh"), **options)


@pytest.mark.parametrize("method", METHODS)
def test_model_and_random_state_are_left_as_they_were(method: str) -> None:
    looked_at = small("lstm", kernel="fused")
    model = looked_at.model.train()
    model.record_gradients = True
    weights, random = [p.clone() for p in model.parameters()], torch.get_rng_state()
    ask(looked_at, method)
    with torch.no_grad():  # whoever asks
        ask(looked_at, method, of_unit=True)
    assert model.training
    assert model.kernel == "fused"
    assert model.record_gradients
    assert all(torch.equal(a, b) for a, b in zip(weights, model.parameters(), strict=True))
    assert all(p.grad is None and p.requires_grad for p in model.parameters())
    assert torch.equal(torch.get_rng_state(), random)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("cell", CELLS)
def test_a_diverged_network_gives_nan_and_no_error(cell: str, method: str) -> None:
    looked_at = small(cell)
    with torch.no_grad():
        looked_at.model.layers[0].get_parameter("weight_hh_l0")[0, 0] = float("nan")
    for of_unit in (False, True):
        event = ask(looked_at, method, of_unit=of_unit)
        assert not np.isfinite(event.value)
        assert event.scores.shape == (len(TEXT),)
        assert math.isnan(event.delta)


@pytest.mark.parametrize("method", METHODS)
def test_it_can_be_broken_off_and_says_how_far_it_is(method: str) -> None:
    shares: list[float] = []

    def report(share: float, what: str) -> None:
        shares.append(share)
        if len(shares) > 2:
            raise Cancelled

    with pytest.raises(Cancelled):
        ask(dataclasses.replace(small("lstm"), report=report), method)
    assert all(0 <= share <= 1 for share in shares)


def test_a_number_that_the_text_does_not_change() -> None:
    looked_at = small("tanh")
    torch.nn.init.zeros_(looked_at.model.decoder.weight)
    event = ask(looked_at)
    assert event.delta == 0
    assert not event.scores.any()


def test_the_baseline_is_the_commonest_character_of_the_training_text() -> None:
    looked_at = subject(text=corpus("abb" * 9, "aaa" * 9))
    event = ask(looked_at, "feature_ablation", prompt="abab")
    assert event.baseline == "'b' in place of a character"
    assert (event.scores[[1, 3]] == 0).all()
    assert (event.scores[[0, 2]] != 0).all()

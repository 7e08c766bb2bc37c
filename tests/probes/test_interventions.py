"""Interventions against the cells' definitions, written out one character at a time in float64."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from rnnscope.errors import UserError
from rnnscope.model import CharRNN, State
from rnnscope.probes import interventions
from rnnscope.probes.stretches import spread
from rnnscope.probes.subject import Cancelled, Subject
from rnnscope.recording.requests import Request
from rnnscope.registry import CELLS
from tests.probes.neuron import corpus, subject

CPU = torch.device("cpu")
HOWS = ("zero", "mean", "clamp", "scale", "flip")


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read little."""
    monkeypatch.setattr(interventions, "LOSS_STRETCHES", 3)
    monkeypatch.setattr(interventions, "LOSS_LENGTH", 40)
    monkeypatch.setattr(interventions, "RANK_STRETCHES", 3)
    monkeypatch.setattr(interventions, "RANK_LENGTH", 30)
    monkeypatch.setattr(interventions, "ROWS", 7)  # two units at a time, and an odd one


def double(cell: str, layers: int = 2) -> Subject:
    found = subject(cell, layers, 5)
    found.model.double()
    return found


def changed(value: Tensor, how: str, to: float, mean: Tensor) -> Tensor:
    return {
        "zero": lambda: torch.zeros_like(value),
        "mean": lambda: mean.expand_as(value),
        "clamp": lambda: torch.full_like(value, to),
        "scale": lambda: to * value,
        "flip": lambda: -value,
    }[how]()


@torch.no_grad()
def plain(model: CharRNN, ids: Tensor, request: Request, mean: Tensor) -> tuple[Tensor, State]:
    """Return logits (T, B, V) by the definition, with the units of a state held after each step."""
    state, found = model.initial_state(ids.shape[1]), []
    which, units = model.cell.states.index(request.field), list(request.units)
    for row in ids:
        x, after = model.embed(row), []
        for index, layer in enumerate(model.layers):
            parts = [part.clone() for part in model.cell.step(x, state[index], layer)]
            if index == request.layer:
                parts[which][:, units] = changed(parts[which][:, units], request.how, request.value, mean[units])
            after.append(tuple(parts))
            x = parts[0]
        state = tuple(after)
        found.append(model.decoder(x))
    return torch.stack(found), state


def nats(logits: Tensor, ids: Tensor) -> float:
    return float(functional.cross_entropy(logits[:-1].flatten(0, 1), ids[1:].flatten()))


def mean_of(model: CharRNN, ids: Tensor, request: Request) -> Tensor:
    """Return the mean (H,) of the field over all characters of ids but the last, by the definition."""
    state, values = model.initial_state(ids.shape[1]), []
    for row in ids[:-1]:
        _, state = model.step(row, state)
        values.append(state[request.layer][model.cell.states.index(request.field)])
    return torch.stack(values).mean((0, 1))


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize(("cell", "field"), [(cell, field) for cell, entry in CELLS.items() for field in entry.states])
def test_held_states_give_the_losses_and_texts_of_the_definition(cell: str, field: str, how: str) -> None:
    found = double(cell)
    model = found.model
    value = 0.3 if how == "clamp" else 1.7
    request = Request(
        how=how, field=field, layer=0, units=(1, 4), value=value, prompt="Ann: ", length=30, temperature=0.0
    )
    event = interventions.measure(found, request)
    ids = spread(found.corpus.validation, 3, 40, CPU)
    mean = mean_of(model, ids, request)
    assert event.loss_changed == pytest.approx(nats(plain(model, ids, request, mean)[0], ids), rel=1e-12)
    none = Request(how="scale", value=1.0, field=field, units=(0,))
    assert event.loss_control == pytest.approx(nats(plain(model, ids, none, mean)[0], ids), rel=1e-12)
    encode = found.corpus.vocabulary.encode
    for text, probability, asked in (
        (event.changed, event.probability_changed, request),
        (event.control, event.probability_control, none),
    ):
        read = torch.from_numpy(encode("Ann: " + text))[:, None]
        expected = plain(model, read, asked, mean)[0][4:-1, 0]
        assert torch.equal(read[5:, 0], expected.argmax(-1))
        wanted = torch.softmax(expected, -1).gather(1, read[5:])[:, 0]
        np.testing.assert_allclose(probability, wanted, rtol=1e-6)
    pairs = [n for n, (a, b) in enumerate(zip(event.control, event.changed, strict=True)) if a != b]
    assert event.difference == (pairs[0] if pairs else -1)


def lstm_step(
    model: CharRNN, x: Tensor, state: tuple[Tensor, Tensor], held: dict[str, Tensor]
) -> tuple[Tensor, Tensor]:
    p = dict(model.layers[0].named_parameters())
    h, c = state
    a = x @ p["weight_ih_l0"].T + p["bias_ih_l0"] + h @ p["weight_hh_l0"].T + p["bias_hh_l0"]
    i, f, g, o = a.chunk(4, 1)
    gates = {"i": i.sigmoid(), "f": f.sigmoid(), "g": g.tanh(), "o": o.sigmoid()}
    for name, value in held.items():
        gates[name] = gates[name].clone()
        gates[name][:, 2] = value
    c = gates["f"] * c + gates["i"] * gates["g"]
    return gates["o"] * c.tanh(), c


def gru_step(model: CharRNN, x: Tensor, state: tuple[Tensor], held: dict[str, Tensor]) -> tuple[Tensor]:
    p = dict(model.layers[0].named_parameters())
    (h,) = state
    (xr, xz, xn), (hr, hz, hn) = (
        (v @ p[f"weight_{w}_l0"].T + p[f"bias_{w}_l0"]).chunk(3, 1) for v, w in ((x, "ih"), (h, "hh"))
    )
    gates = {"r": (xr + hr).sigmoid(), "z": (xz + hz).sigmoid()}
    for name, value in held.items():
        if name != "n":
            gates[name][:, 2] = value
    n = (xn + gates["r"] * hn).tanh()
    if "n" in held:
        n[:, 2] = held["n"]
    return ((1 - gates["z"]) * n + gates["z"] * h,)


@pytest.mark.parametrize(("how", "value"), [("zero", 0.0), ("clamp", 1.0), ("clamp", 0.6), ("mean", 0.0)])
@pytest.mark.parametrize(("cell", "gate"), [("lstm", g) for g in "ifgo"] + [("gru", g) for g in "rzn"])
def test_held_gates_are_those_of_the_equations(cell: str, gate: str, how: str, value: float) -> None:
    found = double(cell, 1)
    model = found.model
    ids = spread(found.corpus.validation, 3, 40, CPU)
    target = torch.tensor(value, dtype=torch.float64)
    if how == "mean":
        target = model.trace(ids[:-1], model.initial_state(3))[2][0][gate][:, :, 2].mean()
    step = lstm_step if cell == "lstm" else gru_step
    with torch.no_grad():
        state, logits = model.initial_state(3)[0], []
        for row in ids:
            state = step(model, model.embed(row), state, {gate: target})
            logits.append(model.decoder(state[0]))
    event = interventions.measure(found, Request(how=how, value=value, field=gate, units=(2,), length=5))
    assert event.loss_changed == pytest.approx(nats(torch.stack(logits), ids), rel=1e-9)
    assert event.loss_changed != event.loss_control
    assert event.field == gate


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("cell", CELLS)
def test_no_change_reproduces_the_control_exactly(cell: str, layers: int) -> None:
    found = subject(cell, layers)
    for field in CELLS[cell].shown:
        request = Request(how="none", layer=layers - 1, units=(0, 3), field=field, length=60, prompt='"Is it')
        event = interventions.measure(found, request)
        assert event.control == event.changed
        assert event.difference == -1
        assert event.loss_control == event.loss_changed
        np.testing.assert_array_equal(event.probability_control, event.probability_changed)
    other = interventions.measure(found, Request(how="zero", units=tuple(range(6)), length=60, prompt='"Is it'))
    assert other.control == event.control
    assert other.changed != other.control
    assert other.changed[: other.difference] == other.control[: other.difference]


@pytest.mark.parametrize("layer", [0, 1])
@pytest.mark.parametrize(("cell", "field"), [(cell, field) for cell, entry in CELLS.items() for field in entry.states])
def test_every_unit_in_turn_is_each_unit_alone(cell: str, field: str, layer: int) -> None:
    found = double(cell)
    event = interventions.measure(found, Request(ranked=True, layer=layer, field=field, how="none", length=3))
    ids = spread(found.corpus.validation, 3, 30, CPU)
    asked = Request(how="mean", layer=layer, field=field)
    mean = mean_of(found.model, ids, asked)
    without = nats(plain(found.model, ids, Request(how="scale", value=1.0), mean)[0], ids)
    for unit in range(5):
        one = Request(how="mean", layer=layer, field=field, units=(unit,))
        gain = nats(plain(found.model, ids, one, mean)[0], ids) - without
        assert event.load[layer, unit] == pytest.approx(gain, rel=1e-5, abs=1e-9)
    assert np.isnan(event.load[1 - layer]).all()


def test_a_unit_that_nobody_reads_bears_nothing() -> None:
    found = double("gru", 1)
    with torch.no_grad():
        found.model.layers[0].get_parameter("weight_hh_l0")[:, 3] = 0
        found.model.decoder.weight[:, 3] = 0
        found.model.decoder.weight[:, 1] *= 5
    load = interventions.measure(found, Request(ranked=True, length=3)).load[0]
    assert abs(load[3]) < 1e-12
    assert (np.abs(load[[0, 1, 2, 4]]) > 1e-5).all()


@pytest.mark.parametrize("cell", CELLS)
def test_a_model_of_nan_is_measured_all_the_same(cell: str) -> None:
    found = subject(cell)
    with torch.no_grad():
        for weight in found.model.parameters():
            weight.fill_(math.nan)
    for field in (CELLS[cell].shown[0], CELLS[cell].shown[-1]):
        event = interventions.measure(found, Request(how="mean", field=field, length=20, ranked=field == "h"))
        assert len(event.changed) == 20
        assert math.isnan(event.loss_changed)


@pytest.mark.parametrize("length", [1, 2, 30])
def test_a_short_validation_part_will_do(length: int) -> None:
    text = corpus(validation="Ann: Bob: (so) late? she said."[:length])
    event = interventions.measure(subject(text=text), Request(ranked=True, length=5))
    assert math.isnan(event.loss_control) == (length == 1)
    assert event.load.shape == (2, 6)


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        (Request(how="flip", field="o"), "h and c"),
        (Request(how="clamp", value=1.2, field="i"), "between 0 and 1"),
        (Request(how="clamp", value=-1.2, field="g"), "between -1 and 1"),
        (Request(ranked=True, field="f"), "--ranked"),
        (Request(prompt="§"), "§"),
    ],
)
def test_what_cannot_be_done_is_said(request_: Request, says: str) -> None:
    with pytest.raises(UserError, match=says):
        interventions.measure(subject("lstm"), request_)


def test_it_tells_how_far_it_is_and_can_be_broken_off() -> None:
    told: list[float] = []
    found = subject(report=lambda share, what: told.append(share))
    interventions.measure(found, Request(ranked=True, length=40))
    assert told == sorted(told)
    assert told[0] == 0
    assert 0.8 < told[-1] <= 1

    def enough(share: float, what: str) -> None:
        if share > 0.5:
            raise Cancelled

    with pytest.raises(Cancelled):
        interventions.measure(subject(report=enough), Request(ranked=True, length=40))

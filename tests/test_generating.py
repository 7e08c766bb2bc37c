"""The fast free run against the plain steps, and its draws against brute force."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor

from rnnscope import generating
from rnnscope.cells.base import LayerState
from rnnscope.generating import Stepper, Strategy, free_run, go_on, uniforms
from rnnscope.model import CharRNN, State
from tests.probes.lab import CELLS, V, make, random_state

CPU = torch.device("cpu")


@pytest.mark.parametrize("one_hot", [False, True])
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("cell", CELLS)
def test_steps_are_the_plain_ones(cell: str, layers: int, one_hot: bool) -> None:
    for dtype, within in ((torch.float64, 1e-12), (torch.float32, 1e-6)):
        model = make(cell, layers, one_hot=one_hot).to(dtype)
        stepper = Stepper(model)
        state = tuple(tuple(s.to(dtype) for s in layer) for layer in random_state(model, 4))
        for ids in torch.randint(V, (10, 4), generator=torch.Generator().manual_seed(3)):
            wanted, expected = model.step(ids, state)
            logits, state = stepper(ids, state)
            torch.testing.assert_close(logits.clone(), wanted, rtol=within, atol=within)
            for got, layer in zip(state, expected, strict=True):
                torch.testing.assert_close(tuple(s.clone() for s in got), layer, rtol=within, atol=within)


def test_a_stepper_keeps_the_weights_that_it_was_made_of() -> None:
    model = make("lnrnn", 2)
    stepper, state, ids = Stepper(model), random_state(model, 2), torch.tensor([1, 2])
    before, _ = stepper(ids, state)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(1.0)
    after, _ = stepper(ids, state)
    assert torch.equal(before, after)
    assert not torch.allclose(model.step(ids, state)[0], after)


@pytest.mark.parametrize("cell", CELLS)
def test_a_change_reaches_the_next_step_and_the_layer_above(cell: str) -> None:
    """Against the plain definition, layer by layer, with unit 2 of the middle layer held at 0.7."""
    model = make(cell, 3)

    def hold(layer: int, state: LayerState) -> LayerState:
        if layer != 1:
            return state
        h, *others = state
        h = h.clone()
        h[:, 2] = 0.7
        return (h, *others)

    def plain(ids: Tensor, state: State) -> tuple[Tensor, State]:
        x, after = model.embed(ids), []
        for index, layer in enumerate(model.layers):
            after.append(hold(index, model.cell.step(x, state[index], layer)))
            x = after[-1][0]
        return model.decoder(x), tuple(after)

    ids = torch.randint(V, (6, 2), generator=torch.Generator().manual_seed(3))
    expected = state = random_state(model, 2)
    stepper = Stepper(model)
    with torch.no_grad():
        for row in ids:
            wanted, expected = plain(row, expected)
    logits, after = stepper.read(ids, state, hold)
    torch.testing.assert_close(logits.clone(), wanted, rtol=1e-12, atol=1e-12)
    # The layers from 1 up alone, given what comes out of layer 0.
    lower = state[:1]
    for row in ids:
        (below,) = lower
        lower = (model.cell.step(model.embed(row), below, model.layers[0]),)
        p = torch.nn.functional.linear(lower[0][0], *stepper.inputs[1])
        found, state = stepper.above(1, p.detach(), state[-2:], hold)
    torch.testing.assert_close(found.clone(), wanted, rtol=1e-12, atol=1e-12)
    assert (after[1][0][:, 2] == 0.7).all()


def kept_by_hand(p: np.ndarray, top_k: int, top_p: float) -> np.ndarray:
    order = sorted(range(len(p)), key=lambda i: (-p[i], i))
    if top_k:
        order = order[:top_k]
    total = sum(p[i] for i in order)
    kept, held = [], 0.0
    for i in order:
        kept.append(i)
        held += p[i] / total
        if held >= top_p:
            break
    found = np.zeros_like(p)
    found[kept] = p[kept]
    return found / found.sum()


@settings(max_examples=60, deadline=None)
@given(
    logits=st.lists(st.floats(-8, 8), min_size=1, max_size=12),
    temperature=st.floats(0.05, 5),
    top_k=st.integers(0, 14),
    top_p=st.floats(0.01, 1),
)
def test_distributions_are_those_made_by_hand(
    logits: list[float], temperature: float, top_k: int, top_p: float
) -> None:
    z = np.array(logits) / temperature
    p = np.exp(z - z.max())
    p /= p.sum()
    cumulative = np.cumsum(np.sort(p)[::-1])
    assume(np.abs(cumulative - top_p).min() > 1e-9)  # else rounding decides on which side of the edge a sum falls

    found = Strategy(temperature, top_k, top_p).distribution(torch.tensor([logits], dtype=torch.float64))
    np.testing.assert_allclose(found[0], kept_by_hand(p, top_k, top_p), atol=1e-12)


def test_cold_takes_the_likeliest_and_nearly_cold_too() -> None:
    logits = torch.tensor([[0.0, 90.0, 89.9], [5.0, -3.0, 4.0]])
    for temperature in (0.0, 1e-30, 1e-6):
        for u in (0.0, generating.ALMOST_ONE):
            assert Strategy(temperature).draw(logits, torch.full((2,), u)).tolist() == [1, 0]
    assert Strategy(0.0).distribution(logits).tolist() == [[0, 1, 0], [1, 0, 0]]


def test_a_draw_inverts_the_cumulative_distribution() -> None:
    p = torch.tensor([0.0, 0.25, 0.0, 0.5, 0.25, 0.0])
    logits = p.log()
    numbers = torch.linspace(0, 1, 4001)[:-1]
    drawn = Strategy().draw(logits.expand(4000, 6), numbers)
    assert (torch.bincount(drawn, minlength=6) / 4000).tolist() == pytest.approx(p.tolist(), abs=1e-3)
    assert (drawn.diff() >= 0).all()
    edges = Strategy().draw(logits.expand(2, 6), torch.tensor([0.0, generating.ALMOST_ONE]))
    assert edges.tolist() == [1, 4]


def test_a_draw_never_runs_past_the_end() -> None:
    """Distributions of all kinds at the largest number that there is: the last character with a probability."""
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(3000, 300, generator=generator) * 20
    logits[:, 200:] = -torch.inf
    strategy = Strategy(3.0)
    drawn = strategy.draw(
        logits, torch.full((3000,), float(np.float32(1 - 2**-24) * np.float32(generating.ALMOST_ONE)))
    )
    assert (strategy.distribution(logits).gather(1, drawn[:, None]) > 0).all()


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_broken_row_is_drawn_uniformly(bad: float) -> None:
    logits = torch.tensor([[bad, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 50.0]])
    for strategy in (Strategy(), Strategy(0.5, top_k=2, top_p=0.9)):
        drawn = torch.stack([strategy.draw(logits, torch.full((2,), u)) for u in (0.1, 0.3, 0.6, 0.9)])
        assert drawn.tolist() == [[0, 3], [1, 3], [2, 3], [3, 3]]


def test_random_numbers_are_their_own() -> None:
    before = torch.get_rng_state()
    numbers = torch.stack(list(islice(uniforms(5, 300, CPU), 200)))
    assert torch.equal(torch.get_rng_state(), before)
    assert numbers.min() >= 0
    assert numbers.max() < 1
    assert abs(float(numbers.mean()) - 0.5) < 0.01
    assert torch.equal(torch.stack(list(islice(uniforms(5, 300, CPU), 70))), numbers[:70])
    assert not torch.equal(next(uniforms(6, 300, CPU)), numbers[0])


def test_a_free_run_reads_what_it_wrote() -> None:
    model = make("gru", 2).float()
    state = tuple(tuple(s.float() for s in layer) for layer in random_state(model, 3))
    logits = torch.randn(3, V, generator=torch.Generator().manual_seed(4))
    strategy, numbers = Strategy(0.7, top_k=6), list(islice(uniforms(2, 3, CPU), 25))
    found = list(free_run(Stepper(model), logits, state, strategy, iter(numbers)))
    assert len(found) == 25
    for (ids, before), uniform in zip(found, numbers, strict=True):
        torch.testing.assert_close(before.clone(), logits, rtol=1e-5, atol=1e-5)
        cumulative = strategy.distribution(logits).cumsum(-1)
        assert ids.tolist() == (cumulative <= uniform[:, None]).sum(-1).tolist()
        logits, state = model.step(ids.clone(), state)


def test_going_on_starts_after_what_was_given() -> None:
    model: CharRNN = make("lstm", 2).float()
    given_ids = torch.tensor([[1, 2], [3, 4], [0, 8]])
    drawn = torch.stack(list(islice(go_on(model, given_ids, Strategy(0.0), 1), 20)))
    logits, _, _ = model.trace(torch.cat([given_ids, drawn]), model.initial_state(2))
    assert torch.equal(drawn, logits[2:-1].argmax(-1))


def test_threads_are_as_before_afterwards() -> None:
    @generating.one_thread()
    def broken_off() -> None:
        assert torch.get_num_threads() == 1
        raise ZeroDivisionError

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with pytest.raises(ZeroDivisionError):
            broken_off()
        assert torch.get_num_threads() == 2
        next(islice(go_on(make("tanh"), torch.zeros(1, 1, dtype=torch.int64), Strategy(), 1), 3, None))
        assert torch.get_num_threads() == 2  # also while the text goes on
    finally:
        torch.set_num_threads(before)

"""The explicit forward and backward scans against autograd over the plain definition."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from rnnscope import cells, registry
from rnnscope.cells import memory, products
from rnnscope.cells.base import LayerState
from rnnscope.cells.scan import Record, scan

CELLS = list(registry.CELLS)
B, T, H = 3, 6, 5


class Problem:
    """One layer with random weights, input product, state and an arbitrary scalar L of its results."""

    def __init__(self, name: str, *, steps: int = T, seed: int = 0, masked: bool = False) -> None:
        torch.manual_seed(seed)
        self.cell = cells.get(name)
        layer = self.cell.layer(4, H).double()
        for parameter in layer.parameters():
            torch.nn.init.normal_(parameter, std=0.7)
        self.recurrent = tuple(w.detach().clone().requires_grad_() for w in self.cell.recurrent(layer))
        self.p = torch.randn(steps, B, len(self.cell.gates) * H).double().requires_grad_()
        self.state = tuple(torch.randn(B, H).double().requires_grad_() for _ in self.cell.states)
        self.mask = torch.bernoulli(torch.full((B, H), 0.6)).double() / 0.6 if masked else None
        self.weight = torch.randn(steps, B, H).double()
        self.final = torch.randn(len(self.cell.states), B, H).double()

    @property
    def inputs(self) -> list[Tensor]:
        return [self.p, *self.state, *self.recurrent]

    def scanned(self, record: Record | None = None) -> tuple[Tensor, LayerState]:
        # scan takes p's memory over, so it gets a copy
        return scan(self.cell, self.p.clone(), self.state, self.recurrent, mask=self.mask, record=record)

    def stepped(self, keep: list[LayerState] | None = None) -> tuple[Tensor, LayerState]:
        state, outputs = self.state, []
        for p_t in self.p:
            # Recurrent dropout masks h where it enters the recurrent product, and nowhere else.
            state = self.recur(p_t, state)
            for tensor in state:
                tensor.retain_grad()
            if keep is not None:
                keep.append(state)
            outputs.append(state[0])
        return torch.stack(outputs), state

    def recur(self, p_t: Tensor, state: LayerState) -> LayerState:
        if self.mask is None:
            return self.cell.recur(p_t, state, self.recurrent)
        if self.cell.name == "gru":  # z * h_{t-1} takes the whole h
            weight_hh, b_hn = self.recurrent
            (h,) = state
            (p_r, p_z, p_n), (q_r, q_z, q_n) = p_t.chunk(3, -1), ((h * self.mask) @ weight_hh.t()).chunk(3, -1)
            r, z = torch.sigmoid(p_r + q_r), torch.sigmoid(p_z + q_z)
            return ((1 - z) * torch.tanh(p_n + r * (q_n + b_hn)) + z * h,)
        return self.cell.recur(p_t, (state[0] * self.mask, *state[1:]), self.recurrent)

    def scalar(self, out: Tensor, after: LayerState) -> Tensor:
        return (out.sin() * self.weight).sum() + sum((s * f).sum() for s, f in zip(after, self.final, strict=True))


def gradients(problem: Problem, run: Callable[[], tuple[Tensor, LayerState]]) -> list[Tensor]:
    return list(torch.autograd.grad(problem.scalar(*run()), problem.inputs))


def assert_same(ours: list[Tensor], theirs: list[Tensor], tolerance: float = 1e-11) -> None:
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("steps", [1, T])
@pytest.mark.parametrize("name", CELLS)
def test_scan_is_the_definition(name: str, steps: int, masked: bool) -> None:
    problem = Problem(name, steps=steps, masked=masked)
    out, after = problem.scanned()
    expected, expected_after = problem.stepped()
    assert_same([out, *after], [expected, *expected_after])
    assert_same(gradients(problem, problem.scanned), gradients(problem, problem.stepped))


@pytest.mark.parametrize("name", CELLS)
def test_gradcheck(name: str) -> None:
    problem = Problem(name, steps=3)

    def outputs(p: Tensor, *others: Tensor) -> tuple[Tensor, ...]:
        count = len(problem.state)
        out, after = scan(problem.cell, p.clone(), others[:count], others[count:])
        return out, *after[1:]

    assert torch.autograd.gradcheck(outputs, problem.inputs, atol=1e-6)


@pytest.mark.parametrize("name", CELLS)
def test_recorded_norms_are_total_derivatives(name: str) -> None:
    """The by-product of the backward scan is ||dL/dh_t|| (and ||dL/dc_t||) of step-by-step autograd, to 1e-9."""
    problem, record, visited = Problem(name), Record(), []
    problem.scalar(*problem.scanned(record)).backward()
    problem.scalar(*problem.stepped(visited)).backward()
    for index, state in enumerate(problem.cell.states):
        exact = torch.stack([at_t[index].grad.norm(dim=-1) for at_t in visited])
        torch.testing.assert_close(record.norms[state], exact, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", CELLS)
def test_interleaved_scans(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Forward A, forward B, backward A, backward B, with every block of memory from the pool."""
    monkeypatch.setattr(memory, "SMALLEST", 0)
    first, second = Problem(name, seed=1), Problem(name, seed=2)
    expected = gradients(first, first.stepped), gradients(second, second.stepped)
    for _ in range(3):
        a, b = first.scalar(*first.scanned()), second.scalar(*second.scanned())
        assert_same(list(torch.autograd.grad(a, first.inputs)), expected[0])
        assert_same(list(torch.autograd.grad(b, second.inputs)), expected[1])


@pytest.mark.parametrize("name", CELLS)
def test_backward_twice(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A graph that is kept gives the same gradients again, whatever ran between."""
    monkeypatch.setattr(memory, "SMALLEST", 0)
    problem, other = Problem(name, seed=1), Problem(name, seed=2)
    scalar = problem.scalar(*problem.scanned())
    once = torch.autograd.grad(scalar, problem.inputs, retain_graph=True)
    once = tuple(g.clone() for g in once)
    gradients(other, other.scanned)
    assert_same(list(torch.autograd.grad(scalar, problem.inputs)), list(once), 0)


@pytest.mark.parametrize("name", CELLS)
def test_outputs_survive_later_scans(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "SMALLEST", 0)
    problem = Problem(name, seed=1)
    out, after = problem.scanned()
    before = [x.detach().clone() for x in (out, *after)]
    for seed in range(3):
        other = Problem(name, seed=seed)
        gradients(other, other.scanned)
    assert_same([out.detach(), *(x.detach() for x in after)], before, 0)


@pytest.mark.parametrize("name", CELLS)
def test_same_input_same_bits(name: str) -> None:
    problem = Problem(name)
    first, second = gradients(problem, problem.scanned), gradients(problem, problem.scanned)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_nan_and_infinity_pass_through(name: str, value: float) -> None:
    problem, record = Problem(name), Record()
    with torch.no_grad():
        problem.p[2, 1, 0] = value
    found = torch.autograd.grad(problem.scalar(*problem.scanned(record)), problem.inputs)
    assert all(g.shape == x.shape for g, x in zip(found, problem.inputs, strict=True))
    if value != value:
        assert record.norms["h"][0, 1].isnan()
        assert record.norms["h"][0, 0].isfinite()  # another sample of the batch


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("kind", ["onednn", "bf16"])
def test_other_products(name: str, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """float32 by oneDNN's products, and bf16 operands, near the float64 result."""
    if kind == "onednn" and not products.ONEDNN:
        pytest.skip("torch has no oneDNN product here")
    monkeypatch.setattr(products, "SMALLEST", 0)
    monkeypatch.setattr(products, "AVX512", True)
    problem = Problem(name)
    exact = gradients(problem, problem.stepped)
    inputs = [x.detach().float().requires_grad_() for x in problem.inputs]
    count = len(problem.state)
    precision = "bf16" if kind == "bf16" else "float32"
    assert products.make(inputs[1 + count], B, precision).kind == kind
    out, after = scan(
        problem.cell, inputs[0].clone(), tuple(inputs[1 : 1 + count]), tuple(inputs[1 + count :]), precision=precision
    )
    found = torch.autograd.grad(problem.scalar(out.double(), tuple(s.double() for s in after)), inputs)
    tolerance = 5e-2 if kind == "bf16" else 1e-5
    for ours, truth in zip(found, exact, strict=True):
        assert ours.dtype == torch.float32
        assert (ours.double() - truth).norm() <= tolerance * truth.norm()

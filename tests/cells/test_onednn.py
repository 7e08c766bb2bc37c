"""What oneDNN's LSTM layer keeps for its backward pass, read as gates, and a scan that begins with it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from rnnscope import cells
from rnnscope.cells import onednn
from rnnscope.cells.base import Forward, LayerState
from rnnscope.cells.scan import Record, scan

SIZES = [(1, 1, 3, 5), (7, 3, 10, 16), (50, 4, 32, 64), (9, 50, 64, 128), (4, 33, 7, 100)]  # T, B, I, H


@pytest.fixture(autouse=True)
def layer_is_there() -> None:
    if not onednn.AVAILABLE:
        pytest.skip("no oneDNN LSTM layer here")
    if not onednn._readable(2, 3, 4):
        assert torch.backends.cpu.get_cpu_capability() != "AVX2", "measured to be readable on such a CPU"
        pytest.skip("its workspace has another layout here")


class Layer:
    """An LSTM layer of random weights, its input and state; `exact`: the same in float64."""

    def __init__(self, steps: int, batch: int, inputs: int, hidden: int) -> None:
        random = torch.Generator().manual_seed(steps)
        self.cell = cells.get("lstm")
        self.layer = self.cell.layer(inputs, hidden)
        with torch.no_grad():
            for weight in self.layer.parameters():
                weight.uniform_(-1, 1, generator=random).div_(hidden**0.5)
        self.x = torch.randn(steps, batch, inputs, generator=random)
        self.state: LayerState = tuple(torch.randn(batch, hidden, generator=random) for _ in range(2))
        self.direction = torch.randn(steps, batch, hidden, generator=random)

    def exact(self) -> tuple[Tensor, LayerState, Tensor, list[LayerState], list[Tensor]]:
        """Return x, state, h_t, the state after every step and the weights: float64, autograd over the definition."""
        layer = torch.nn.LSTM(self.x.shape[2], self.direction.shape[2]).double()
        layer.load_state_dict(self.layer.state_dict())
        x = self.x.double().requires_grad_()
        state = start = tuple(s.double().requires_grad_() for s in self.state)
        visited: list[LayerState] = []
        for x_t in x:
            state = self.cell.step(x_t, state, layer)
            for tensor in state:
                tensor.retain_grad()
            visited.append(state)
        return x, start, torch.stack([h for h, _ in visited]), visited, list(layer.parameters())


@pytest.mark.parametrize("size", SIZES)
def test_gates_and_cells_are_those_of_the_definition(size: tuple[int, int, int, int]) -> None:
    problem = Layer(*size)
    x, start, _, visited, weights = problem.exact()
    with torch.no_grad():
        run = problem.cell.by_fused_layer(problem.x, problem.state, problem.layer)
        assert run is not None
        shown = problem.cell.shown(run)
        for t, (h, c) in enumerate(visited):
            before = start if t == 0 else visited[t - 1]
            p = x[t] @ weights[0].t() + weights[2] + weights[3]
            gates = problem.cell.gate_values(p, before, (weights[1],))
            for name, expected in zip(("h", "c", *problem.cell.gates), (h, c, *gates), strict=True):
                torch.testing.assert_close(shown[name][t].double(), expected, rtol=0, atol=1e-5)
        for ours, expected in zip(run.final, visited[-1], strict=True):
            torch.testing.assert_close(ours.double(), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("size", SIZES)
def test_back_propagation_from_it_is_autograds(size: tuple[int, int, int, int]) -> None:
    """Gradients of input, state and weights, and the recorded dL/dh_t and dL/dc_t, against float64, to 1e-4."""
    problem = Layer(*size)
    x, start, out, visited, weights = problem.exact()
    truth = torch.autograd.grad(
        (out * problem.direction.double()).sum() + visited[-1][1].sum(),
        [x, *start, *weights, *(tensor for state in visited for tensor in state)],
    )
    layer, record = problem.layer, Record()
    ours_x, state = problem.x.clone().requires_grad_(), tuple(s.clone().requires_grad_() for s in problem.state)
    with torch.no_grad():
        done = problem.cell.by_fused_layer(ours_x, state, layer)
    assert done is not None
    p = torch.nn.functional.linear(ours_x, layer.weight_ih_l0, problem.cell.bias(layer))
    got, after = scan(problem.cell, p, state, problem.cell.recurrent(layer), record=record, done=done)
    loss = (got * problem.direction).sum() + after[1].sum()
    found = torch.autograd.grad(loss, [ours_x, *state, *layer.parameters()])
    for ours, expected in zip(found, truth, strict=False):
        assert (ours.double() - expected).norm() <= 1e-4 * expected.norm()
    per_step = truth[len(found) :]
    for number, name in enumerate(problem.cell.states):
        exact = torch.stack([g.norm(dim=-1) for g in per_step[number::2]])
        torch.testing.assert_close(record.norms[name].double(), exact, rtol=1e-4, atol=1e-7)


def test_a_workspace_of_another_layout_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    def shifted(*given: object) -> tuple[Tensor, Tensor]:
        out, gates = run(*given)  # type: ignore[arg-type]
        return out, gates.roll(1, -1)

    def missing(*given: object) -> tuple[Tensor, Tensor]:
        raise RuntimeError("shape '[2, 3, 64]' is invalid for input of size 0")

    run: Callable[..., tuple[Tensor, Tensor]] = onednn._run
    problem = Layer(5, 3, 4, 16)
    for other in (shifted, missing):
        onednn._readable.cache_clear()
        monkeypatch.setattr(onednn, "_run", other)
        assert problem.cell.by_fused_layer(problem.x, problem.state, problem.layer) is None
    onednn._readable.cache_clear()


def test_only_float32_on_a_cpu_goes_there() -> None:
    problem = Layer(5, 3, 4, 16)
    doubled = torch.nn.LSTM(4, 16).double()
    state = tuple(s.double() for s in problem.state)
    assert problem.cell.by_fused_layer(problem.x.double(), state, doubled) is None
    run = problem.cell.by_fused_layer(problem.x, problem.state, problem.layer)
    assert isinstance(run, Forward)
    assert not run.out.requires_grad


def test_a_nan_passes_through() -> None:
    problem = Layer(5, 3, 4, 16)
    problem.x[2, 1] = float("nan")
    run = problem.cell.by_fused_layer(problem.x, problem.state, problem.layer)
    assert run is not None
    assert run.out[2:, 1].isnan().all()
    assert run.out[:, [0, 2]].isfinite().all()
    assert run.out[:2].isfinite().all()

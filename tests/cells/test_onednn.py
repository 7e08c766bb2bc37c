"""What oneDNN's LSTM layer keeps for its backward pass, read as gates, cells and gradients through time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from rnnscope import cells
from rnnscope.cells import onednn
from rnnscope.cells.base import LayerState, Record

SIZES = [  # T, B, I, H
    (1, 1, 3, 5),
    (7, 3, 10, 16),
    (50, 4, 32, 64),
    (9, 50, 64, 128),
    (4, 33, 7, 100),
    (3, 2, 600, 256),
]
sizes = pytest.mark.parametrize("size", SIZES)


@pytest.fixture(autouse=True)
def layer_is_there() -> None:
    if not onednn.AVAILABLE:
        pytest.skip("no oneDNN LSTM layer here")
    onednn._as_described.cache_clear()
    if not onednn._as_described(2, 3, 4):
        assert torch.backends.cpu.get_cpu_capability() != "AVX2", "measured to be readable on such a CPU"
        pytest.skip("its workspace has another layout here")


class Problem:
    """An LSTM layer of random weights, its input and state, and an arbitrary scalar L of its results."""

    def __init__(self, steps: int, batch: int, inputs: int, hidden: int) -> None:
        random = torch.Generator().manual_seed(steps)
        self.cell, self.layer = cells.get("lstm"), torch.nn.LSTM(inputs, hidden)
        with torch.no_grad():
            for weight in self.layer.parameters():
                weight.uniform_(-1, 1, generator=random).div_(hidden**0.5)
        self.x = torch.randn(steps, batch, inputs, generator=random, requires_grad=True)
        self.state: LayerState = tuple(torch.randn(batch, hidden, generator=random).requires_grad_() for _ in range(2))
        self.direction = torch.randn(steps, batch, hidden, generator=random)

    @property
    def inputs(self) -> list[Tensor]:
        return [self.x, *self.state, *self.layer.parameters()]

    def scalar(self, out: Tensor, after: LayerState) -> Tensor:
        return (out.sin() * self.direction.to(out)).sum() + after[1].cos().sum()

    def exact(self) -> tuple[Tensor, list[LayerState], list[tuple[Tensor, ...]], list[Tensor]]:
        """Return L, the states and gates of every step, and the inputs: float64, autograd over the definition."""
        layer = torch.nn.LSTM(self.x.shape[2], self.direction.shape[2]).double()
        layer.load_state_dict(self.layer.state_dict())
        x, *start = (tensor.detach().double().requires_grad_() for tensor in (self.x, *self.state))
        state, visited, gates = tuple(start), [], []
        for x_t in x:
            p = torch.nn.functional.linear(x_t, layer.weight_ih_l0, self.cell.bias(layer))
            gates.append(self.cell.gate_values(p, state, self.cell.recurrent(layer)))
            state = self.cell.recur(p, state, self.cell.recurrent(layer))
            visited.append(state)
        return (
            self.scalar(torch.stack([h for h, _ in visited]), state),
            visited,
            gates,
            [x, *start, *layer.parameters()],
        )


def fused(problem: Problem, record: Record | None = None) -> tuple[Tensor, LayerState]:
    found = problem.cell.fused(problem.x, problem.state, problem.layer, Record() if record is None else record)
    assert found is not None
    return found


@sizes
def test_states_and_gates_are_those_of_the_definition(size: tuple[int, int, int, int]) -> None:
    problem = Problem(*size)
    _, visited, gates, _ = problem.exact()
    with torch.no_grad():
        run = problem.cell.by_fused(problem.x, problem.state, problem.layer)
    assert run is not None
    shown = problem.cell.shown(run)
    for t, state in enumerate(visited):
        for name, expected in zip(("h", "c", *problem.cell.gates), (*state, *gates[t]), strict=True):
            torch.testing.assert_close(shown[name][t].double(), expected.detach(), rtol=0, atol=1e-5)
    for ours, expected in zip(run.final, visited[-1], strict=True):
        torch.testing.assert_close(ours.double(), expected.detach(), rtol=0, atol=1e-5)
    torch.testing.assert_close(run.saved[2], torch.tanh(run.saved[1]))


@sizes
def test_gradients_and_recorded_norms_are_autograds(size: tuple[int, int, int, int]) -> None:
    """Of input, state and weights, and the norms of the total dL/dh_t and dL/dc_t, against float64."""
    problem, record = Problem(*size), Record()
    loss, visited, _, exact_inputs = problem.exact()
    every_step = [tensor for state in visited for tensor in state]
    truth = torch.autograd.grad(loss, [*exact_inputs, *every_step])
    found = torch.autograd.grad(problem.scalar(*fused(problem, record)), problem.inputs)
    for ours, expected in zip(found, truth, strict=False):
        assert (ours.double() - expected).norm() <= 1e-5 * expected.norm()
    for number, name in enumerate(problem.cell.states):
        exact = torch.stack([g.norm(dim=-1) for g in truth[len(found) + number :: 2]])
        assert (record.norms[name].double() - exact).norm() <= 1e-5 * exact.norm()


@pytest.mark.parametrize("what", ["out", "h", "c"])
def test_gradient_from_one_side_alone(what: str) -> None:
    """L of the outputs, or of the last h or c alone: the totals still are autograd's."""
    problem, record = Problem(6, 3, 4, 16), Record()

    def alone(out: Tensor, after: LayerState) -> Tensor:
        return {"out": out[2], "h": after[0], "c": after[1]}[what].sin().sum()

    _, visited, _, _ = problem.exact()
    every_step = [tensor for state in visited for tensor in state]
    loss = alone(torch.stack([h for h, _ in visited]), visited[-1])
    truth = torch.autograd.grad(loss, every_step, allow_unused=True, materialize_grads=True)
    alone(*fused(problem, record)).backward()
    for number, name in enumerate(problem.cell.states):
        exact = torch.stack([g.norm(dim=-1) for g in truth[number::2]])
        torch.testing.assert_close(record.norms[name].double(), exact, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("gate", ["i", "f", "g", "o"])
@pytest.mark.parametrize("bias", [-300.0, -12.0, 12.0, 300.0])
def test_saturated_gates(gate: str, bias: float) -> None:
    """Gates of exactly 0 and 1, and cells of any size: tanh(c) and the recorded norms still are the definition's."""
    problem, record = Problem(6, 3, 4, 16), Record()
    at = problem.cell.gates.index(gate) * 16
    with torch.no_grad():
        problem.layer.get_parameter("bias_hh_l0")[at : at + 16] = bias
        problem.state[1].mul_(20)
    loss, visited, _, _ = problem.exact()
    truth = torch.autograd.grad(loss, [tensor for state in visited for tensor in state])
    problem.scalar(*fused(problem, record)).backward()
    for number, name in enumerate(problem.cell.states):
        exact = torch.stack([g.norm(dim=-1) for g in truth[number::2]])
        torch.testing.assert_close(record.norms[name].double(), exact, rtol=1e-5, atol=1e-6)
    with torch.no_grad():
        run = problem.cell.by_fused(problem.x, problem.state, problem.layer)
    assert run is not None
    if gate != "o" or bias > -20:  # else h is zero, and what tanh(c) is makes no difference to anything
        torch.testing.assert_close(run.saved[2], torch.tanh(run.saved[1]), rtol=1e-5, atol=2e-6)
    assert run.saved[2].isfinite().all()


def test_strides_of_input_state_and_gradients_do_not_matter() -> None:
    """A transposed input, a state that is a column of a larger one, gradients that are one number seen everywhere."""
    problem = Problem(6, 3, 4, 16)
    found = []
    for strided in (False, True):
        x, (h, c) = problem.x.detach(), (s.detach() for s in problem.state)
        if strided:
            x, h = x.transpose(0, 2).contiguous().transpose(0, 2), torch.stack((h, h), -1)[..., 0]
        x, h = x.requires_grad_(), h.requires_grad_()
        record = Record()
        got = problem.cell.fused(x, (h, c), problem.layer, record)
        assert got is not None
        out, after = got
        (out.sum() + after[0].sum() + after[1].sum()).backward()  # their gradients are expanded ones
        with torch.no_grad():
            run = problem.cell.by_fused(x, (h, c), problem.layer)
        assert run is not None
        found.append([out, *after, x.grad, h.grad, record.norms["h"], record.norms["c"], run.saved[1]])
    for plain, other in zip(*found, strict=True):
        torch.testing.assert_close(other, plain, rtol=1e-6, atol=1e-6)
    exact = Problem(6, 3, 4, 16)
    exact.scalar = lambda out, after: out.sum() + after[0].sum() + after[1].sum()  # type: ignore[method-assign]
    loss, visited, _, inputs = exact.exact()
    truth = torch.autograd.grad(loss, [inputs[0], inputs[1], *(h for h, _ in visited)])
    for ours, expected in zip(found[1][3:5], truth, strict=False):
        torch.testing.assert_close(ours.double(), expected, rtol=1e-5, atol=1e-6)
    norms = torch.stack([g.norm(dim=-1) for g in truth[2:]])
    torch.testing.assert_close(found[1][5].double(), norms, rtol=1e-5, atol=1e-6)


def test_measured_or_not_it_is_torchs_layer_bit_for_bit() -> None:
    problem = Problem(50, 20, 32, 64)
    stacked = tuple(s.unsqueeze(0) for s in problem.state)
    out, (h, c) = problem.layer(problem.x, stacked)
    expected = torch.autograd.grad(problem.scalar(out, (h[0], c[0])), problem.inputs)
    for record in (None, Record()):
        ours, after = fused(problem, record)
        assert torch.equal(ours, out)
        assert torch.equal(after[1], c[0])
        found = torch.autograd.grad(problem.scalar(ours, after), problem.inputs)
        assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


def test_backward_twice_and_interleaved() -> None:
    """A graph that is kept gives the same again, though another was back-propagated between."""
    first, second = Problem(8, 3, 4, 16), Problem(9, 3, 4, 16)
    record = Record()
    a, b = first.scalar(*fused(first, record)), second.scalar(*fused(second))
    once = torch.autograd.grad(a, first.inputs, retain_graph=True)
    norms = record.norms
    torch.autograd.grad(b, second.inputs)
    again = torch.autograd.grad(a, first.inputs)
    assert all(torch.equal(x, y) for x, y in zip(once, again, strict=True))
    assert all(torch.equal(norms[name], record.norms[name]) for name in norms)


def test_a_workspace_of_another_layout_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = Problem(5, 3, 4, 16)
    parts, run = onednn.parts, onednn.run

    def shifted(ran: onednn.Ran, inputs: int) -> onednn.Parts:
        return onednn.Parts(*(part.roll(1, -1) if i == which else part for i, part in enumerate(parts(ran, inputs))))

    def larger(*given: Any) -> onednn.Ran:
        ran = run(*given)
        return ran._replace(workspace=torch.cat((ran.workspace, ran.workspace[:4096])))

    def missing(*given: Any) -> onednn.Ran:
        return run(*given)._replace(workspace=torch.empty(0, dtype=torch.uint8))

    others: list[tuple[str, Callable[..., Any]]] = [("run", larger), ("run", missing)] + [("parts", shifted)] * 4
    for which, (name, other) in enumerate(others, -2):
        with monkeypatch.context() as patch:
            patch.setattr(onednn, name, other)
            onednn._as_described.cache_clear()
            assert problem.cell.fused(problem.x, problem.state, problem.layer, Record()) is None, which
            assert problem.cell.by_fused(problem.x, problem.state, problem.layer) is None
    onednn._as_described.cache_clear()
    assert problem.cell.fused(problem.x, problem.state, problem.layer, Record()) is not None


def test_only_float32_on_a_cpu_goes_there() -> None:
    problem = Problem(5, 3, 4, 16)
    state = tuple(s.double() for s in problem.state)
    assert problem.cell.fused(problem.x.double(), state, problem.layer.double(), Record()) is None
    assert problem.cell.by_fused(problem.x.double(), state, problem.layer.double()) is None


def test_nan_passes_through() -> None:
    problem, record = Problem(5, 3, 4, 16), Record()
    with torch.no_grad():
        problem.x[2, 1] = float("nan")
    out, after = fused(problem, record)
    assert out[2:, 1].isnan().all()
    assert out[:, [0, 2]].isfinite().all()
    problem.scalar(out, after).backward()
    assert record.norms["h"][:, 1].isnan().all()
    assert record.norms["h"][:, [0, 2]].isfinite().all()


def test_inference_mode_leaves_it_to_torchs_own_layer() -> None:
    """Nothing is read in it, and what was made in it is read as anything else is."""
    problem = Problem(6, 3, 4, 16)
    with torch.inference_mode():
        assert problem.cell.by_fused(problem.x, problem.state, problem.layer) is None
        made = (problem.state[0].clone(), problem.state[1].clone())
        x = problem.x.clone()
    with torch.no_grad():
        found = problem.cell.by_fused(x, made, problem.layer)
        expected = problem.cell.by_fused(problem.x, problem.state, problem.layer)
    assert found is not None
    assert expected is not None
    assert torch.equal(found.out, expected.out)
    assert torch.equal(found.saved[1], expected.saved[1])

"""The instrument checked on the device at hand: `python -m rnnscope.verify [--device D] [--json]`.

For each cell, kernel, number of layers and dtype: the total dL/dh_t (and dL/dc_t) of every layer and time step, as
the gradient panel measures it, against step-by-step autograd in float64 on the CPU with the same weights; with zero
and with carried state, and for both losses of the panel (all of the window, and the last step's alone); and the norms
that an update leaves as a by-product. Beside it, how wrong `output.retain_grad()` is, which many programs take for the
same thing. Needs torch, numpy and safetensors.
"""

from __future__ import annotations

import contextlib
import json
import math
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import torch
from torch import Tensor
from torch.nn import functional

from rnnscope import errors, registry
from rnnscope.arguments import verify_parser
from rnnscope.cells import products
from rnnscope.config import ModelConfig
from rnnscope.errors import UserError
from rnnscope.model import FUSED_CELLS, CharRNN, State
from rnnscope.probes.gradients import LOSSES, Losses, hidden_gradients
from rnnscope.training.device import resolve_device

TOLERANCE = {"float64": 1e-9, "float32": 1e-4}
VOCABULARY, EMBEDDING, HIDDEN, BATCH, STEPS = 13, 6, 24, 3, 16


@dataclass(frozen=True)
class Case:
    """One row of the report.

    max_rel_error: largest ||g - g*|| / ||g*|| over layers, time steps, states, losses, starts (zero, carried) and ways
    to multiply (those of small and of large networks); and that of the norms recorded by an update.
    naive_rel_error: the same of `output.retain_grad()`, for the loss of all time steps. underflowed: layer and time
    steps whose exact gradient is too small for the dtype, left out of the error.
    """

    cell: str
    kernel: str
    layers: int
    dtype: str
    max_rel_error: float
    naive_rel_error: float
    underflowed: int
    passed: bool


def _loss(logits: Tensor, targets: Tensor, losses: Losses) -> Tensor:
    """Sum of nats over the batch, of all time steps or of the last one."""
    if losses == "reach":
        logits, targets = logits[-1:], targets[-1:]
    return functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="sum")


def exact_gradients(model: CharRNN, ids: Tensor, targets: Tensor, state: State, losses: Losses) -> list[State]:
    """Return dL/dh_t (and dL/dc_t) as [t][layer][state], by autograd over the plain definition, one step at a time."""
    visited: list[State] = []
    logits = []
    for x_ids in ids:
        x, after = model.embed(x_ids), []
        for layer, layer_state in zip(model.layers, state, strict=True):
            layer_state = model.cell.step(x, layer_state, layer)
            for tensor in layer_state:
                tensor.retain_grad()
            after.append(layer_state)
            x = layer_state[0]
        state = tuple(after)
        visited.append(state)
        logits.append(model.decoder(x))
    loss = _loss(torch.stack(logits), targets, losses)
    loss.backward()  # type: ignore[no-untyped-call]
    model.zero_grad()
    return [tuple(tuple(_grad(tensor) for tensor in layer) for layer in at_t) for at_t in visited]


def _grad(tensor: Tensor) -> Tensor:
    return torch.zeros_like(tensor) if tensor.grad is None else tensor.grad


def naive_gradients(model: CharRNN, ids: Tensor, targets: Tensor, state: State) -> list[Tensor]:
    """Return per layer what `retain_grad()` leaves on a layer's output (T, B, H): the direct part of dL/dh_t alone."""
    outputs: list[Tensor] = []
    x = ids
    for index, layer in enumerate(model.layers):
        x, _ = model.run_layer(index, layer, x, state[index])
        x.retain_grad()
        outputs.append(x)
    _loss(model.decoder(x), targets, "total").backward()  # type: ignore[no-untyped-call]
    model.zero_grad()
    return [_grad(output) for output in outputs]


def recorded_norms(model: CharRNN, ids: Tensor, targets: Tensor, state: State) -> list[dict[str, Tensor]]:
    """Return per layer the norms (T, B) that an update leaves as a by-product of its own back-propagation."""
    model.record_gradients = True
    _loss(model(ids, state)[0], targets, "total").backward()  # type: ignore[no-untyped-call]
    model.record_gradients = False
    model.zero_grad()
    return model.recorded


def _largest_error(found: list[Tensor], exact: list[Tensor], smallest: float) -> tuple[float, int]:
    """Return the largest ||g - g*|| / ||g*|| over layers and time steps (norms over B and H), and how many ||g*|| are
    below `smallest` and left out. NaN or infinite gradients count as an infinite error. Lists: per layer (T, B, H).
    """
    worst, underflowed = 0.0, 0
    for ours, truth in zip(found, exact, strict=True):
        size = truth.flatten(1).norm(dim=1)
        error = (ours.detach().cpu().double() - truth).flatten(1).norm(dim=1)
        usable = size >= smallest
        underflowed += int((~usable).sum())
        relative = torch.nan_to_num(error[usable] / size[usable], nan=float("inf"))
        worst = max([worst, *relative.tolist()])
    return worst, underflowed


def check(cell: str, kernel: str, layers: int, dtype: str, device: torch.device) -> Case:
    """Compare one combination with step-by-step autograd in float64 on the CPU."""
    config = ModelConfig(cell=cell, layers=layers, hidden=HIDDEN, embedding=EMBEDDING)
    model = CharRNN(config, VOCABULARY, kernel=kernel).to(device=device, dtype=getattr(torch, dtype))
    oracle = CharRNN(config, VOCABULARY).double()
    oracle.load_state_dict({name: weight.cpu().double() for name, weight in model.state_dict().items()})
    ids, targets = torch.randint(VOCABULARY, (2, STEPS, BATCH))
    there = ids.to(device), targets.to(device)
    worst = naive = 0.0
    underflowed = 0
    smallest = torch.finfo(getattr(torch, dtype)).tiny
    for carried in (False, True):
        state = model.initial_state(BATCH)
        if carried:
            state = tuple(tuple(torch.randn(BATCH, HIDDEN).to(s).tanh_() for s in layer) for layer in state)
        oracle_state = tuple(tuple(s.cpu().double() for s in layer) for layer in state)
        for losses in LOSSES:
            visited = exact_gradients(oracle, ids, targets, oracle_state, losses)
            measured = [hidden_gradients(model, *there, state, losses)]
            with _products_of_large_networks():
                measured.append(hidden_gradients(model, *there, state, losses))
            for index, name in enumerate(model.cell.states):
                exact = [torch.stack([at_t[layer][index] for at_t in visited]) for layer in range(layers)]
                for found in measured:
                    error, left_out = _largest_error([layer[name] for layer in found], exact, smallest)
                    worst = max(worst, error)
                underflowed += left_out
                if losses == "total":
                    norms = [layer[name].unsqueeze(-1) for layer in recorded_norms(model, *there, state)]
                    exact_norms = [layer.norm(dim=-1, keepdim=True) for layer in exact]
                    worst = max(worst, _largest_error(norms, exact_norms, smallest)[0])
                if name == "h" and losses == "total":
                    direct = naive_gradients(model, *there, state)
                    naive = max(naive, _largest_error(direct, exact, smallest)[0])
    return Case(cell, kernel, layers, dtype, worst, naive, underflowed, worst < TOLERANCE[dtype])


@contextlib.contextmanager
def _products_of_large_networks() -> Iterator[None]:
    """Have the small network here multiply as a large one does, see cells/products.py."""
    before, products.SMALLEST = products.SMALLEST, 0
    try:
        yield
    finally:
        products.SMALLEST = before


@contextlib.contextmanager
def _exact_products() -> Iterator[None]:
    """Switch TF32 and other reduced-precision products off for a while; keep the caller's random state."""
    matmul, cudnn = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    try:
        with torch.random.fork_rng():
            yield
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = matmul, cudnn


def run(device: str = "cpu") -> list[Case]:
    """Return all cases on `device` ("cpu", "cuda", "cuda:N", "mps").

    Raises:
        UserError: the device is not there.
    """
    place = resolve_device(device)
    dtypes = ("float32",) if place.type == "mps" else ("float64", "float32")  # MPS has no float64
    cases = []
    with _exact_products():
        for cell in registry.CELLS:
            for kernel in ("scan", "fused") if cell in FUSED_CELLS else ("scan",):
                for layers in (1, 3):
                    for dtype in dtypes:
                        torch.manual_seed(1)
                        cases.append(check(cell, kernel, layers, dtype, place))
    return cases


def _table(cases: list[Case]) -> str:
    lines = [
        "largest relative error of dL/dh_t and dL/dc_t over layers and time steps, against step-by-step autograd",
        f"{'cell':7}{'kernel':8}{'layers':>6}  {'dtype':9}{'error':>9}  {'retain_grad()':>13}  {'underflow':>9}",
    ]
    for case in cases:
        lines.append(
            f"{case.cell:7}{case.kernel:8}{case.layers:6}  {case.dtype:9}{case.max_rel_error:9.1e}"
            f"  {case.naive_rel_error:13.1%}  {case.underflowed:9}  {'ok' if case.passed else 'FAILED'}"
        )
    failed = sum(not case.passed for case in cases)
    lines.append(f"{len(cases) - failed} of {len(cases)} passed (under 1e-9 in float64, 1e-4 in float32)")
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> int:
    """Run the check; return the exit status: 0, 1 if a case failed, 2 for a device that is not there."""
    options = verify_parser().parse_args(argv)
    try:
        cases = run(options.device)
    except UserError as error:
        print(f"rnnscope: {error}", file=sys.stderr)
        return errors.EXIT_USAGE
    if options.json:
        print(json.dumps({"device": str(resolve_device(options.device)), "cases": [_public(case) for case in cases]}))
    else:
        print(_table(cases))
    return errors.EXIT_OK if all(case.passed for case in cases) else errors.EXIT_FAILED


def _public(case: Case) -> dict[str, object]:
    """The case as JSON has it: finite numbers only, null for an infinite error."""
    values = asdict(case)
    del values["underflowed"]
    return {
        key: None if isinstance(value, float) and not math.isfinite(value) else value for key, value in values.items()
    }


if __name__ == "__main__":
    sys.exit(main())

"""Training throughput beside bare torch.nn: `python -m rnnscope.bench [--json] [--seconds S] [--threads N]`.

Each case alternates, in one process and after warm-up, single training steps of
- torch: the same network of torch.nn modules (fused layers), same optimiser and clipping, nothing measured;
- every step: ours, with the norm of dL/dh_t of every layer and time step recorded at every step (on a CPU with
  `--kernel scan`, which has them as a by-product; else with the kernel of `auto`);
- plain: ours with the kernel of `auto`, nothing recorded, and the gradient probe (reach and total), which the
  default cadence takes every `gradients_every` steps: the throughput at the default cadence is that of
  (plain * every + probe) / every;
- handmade: what a user writes today to get the norms, a loop over cells with retained gradients.
Ratios are of medians, above 1 where ours is faster. Needs torch, numpy and safetensors.
"""

from __future__ import annotations

import itertools
import json
import math
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from rnnscope import errors
from rnnscope.arguments import bench_parser
from rnnscope.config import ModelConfig, ProbeConfig, RunConfig, TrainingConfig
from rnnscope.errors import UserError
from rnnscope.model import CharRNN, State, resolve_kernel
from rnnscope.probes import gradients
from rnnscope.training.device import prepare, resolve_device
from rnnscope.training.optimisers import Optimizer
from rnnscope.training.step import train_step

VOCABULARY = 65
TRAINING = TrainingConfig(optimizer="adam")
EVERY = ProbeConfig().gradients_every
CLIP = 5.0
TURN = 4  # timed steps of one kind in a row


@dataclass(frozen=True)
class Setting:
    """One case: network and window."""

    name: str
    model: ModelConfig
    batch: int
    bptt: int

    @property
    def chars(self) -> int:
        """Characters of one training step."""
        return self.batch * self.bptt


SETTINGS = (
    Setting("relu 3x512 B1 T50", ModelConfig("relu", 3, 512, 100), 1, 50),
    Setting("lstm 2x128 B50 T50", ModelConfig("lstm", 2, 128, 64), 50, 50),
    Setting("tanh 2x128 B50 T50", ModelConfig("tanh", 2, 128, 64), 50, 50),
    Setting("lstm 2x512 B32 T100", ModelConfig("lstm", 2, 512, 64), 32, 100),
    Setting("gru 2x256 B32 T100", ModelConfig("gru", 2, 256, 64), 32, 100),
)


class Bare(nn.Module):
    """The same network of torch.nn modules."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, config.embedding)
        sizes = config.embedding, config.hidden, config.layers
        self.recurrent: nn.RNNBase
        if config.cell in ("tanh", "relu"):
            self.recurrent = nn.RNN(*sizes, nonlinearity=config.cell)
        else:
            self.recurrent = {"lstm": nn.LSTM, "gru": nn.GRU}[config.cell](*sizes)
        self.decoder = nn.Linear(config.hidden, VOCABULARY)

    def forward(self, ids: Tensor, state: object) -> tuple[Tensor, object]:
        out, state = self.recurrent(self.embedding(ids), state)
        return self.decoder(out), state


class HandMade(nn.Module):
    """A loop over torch.nn cells that retains the gradient of every hidden state."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.lstm = config.cell == "lstm"
        self.embedding = nn.Embedding(VOCABULARY, config.embedding)
        sizes = [config.embedding] + [config.hidden] * config.layers
        make: Callable[[int, int], nn.Module]
        if config.cell in ("tanh", "relu"):
            make = lambda i, h: nn.RNNCell(i, h, nonlinearity=config.cell)  # noqa: E731
        else:
            make = {"lstm": nn.LSTMCell, "gru": nn.GRUCell}[config.cell]
        self.cells = nn.ModuleList(make(i, h) for i, h in itertools.pairwise(sizes))
        self.decoder = nn.Linear(config.hidden, VOCABULARY)
        self.hidden: list[list[Tensor]] = []

    def forward(self, ids: Tensor, state: list[Any] | None) -> tuple[Tensor, list[Any]]:
        states: list[Any] = [None] * len(self.cells) if state is None else list(state)
        self.hidden, outputs = [], []
        for x in self.embedding(ids):
            at_t = []
            for index, cell in enumerate(self.cells):
                states[index] = cell(x, states[index])
                x = states[index][0] if self.lstm else states[index]
                x.retain_grad()
                at_t.append(x)
            self.hidden.append(at_t)
            outputs.append(x)
        return self.decoder(torch.stack(outputs)), states

    def norms(self) -> list[Tensor]:
        """Return per layer the norms of dL/dh_t, (T, B)."""
        layers = range(len(self.cells))
        return [torch.stack([h[index].grad for h in self.hidden]).norm(dim=-1) for index in layers]  # type: ignore[misc]


def _detached(state: object) -> object:
    if isinstance(state, Tensor):
        return state.detach()
    return type(state)(_detached(s) for s in state)  # type: ignore[call-arg,attr-defined]


def _usual_step(model: nn.Module, ids: Tensor, targets: Tensor) -> Callable[[], None]:
    """Return one training step as users write it, state carried."""
    optimizer = Optimizer(model.parameters(), TRAINING)
    carried: list[object] = [None]

    def step() -> None:
        optimizer.zero_grad()
        logits, state = model(ids, carried[0])
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimizer.step()
        loss.item()
        carried[0] = _detached(state)
        if isinstance(model, HandMade):
            model.norms()

    return step


def _our_steps(
    setting: Setting, ids: Tensor, targets: Tensor, precision: str
) -> tuple[Callable[[], None], Callable[[], None], Callable[[], None]]:
    """Return our training step with norms recorded, the same without, and the probe of the default cadence."""

    def make(record: bool) -> tuple[CharRNN, Callable[[], None]]:
        kernel = resolve_kernel("auto", setting.model.cell, ids.device.type, precision=precision)
        model = CharRNN(setting.model, VOCABULARY, kernel=kernel, precision=precision).to(ids.device)
        model.record_gradients = record
        optimizer = Optimizer(model.parameters(), TRAINING)
        carried = [model.initial_state(setting.batch)]

        def step() -> None:
            carried[0] = train_step(model, optimizer, ids, targets, carried[0], CLIP).state
            for layer in model.recorded:
                layer["h"].cpu()

        return model, step

    model, plain = make(False)
    start = model.initial_state(setting.batch)
    return make(True)[1], plain, lambda: _probe(model, ids, targets, start)


def _probe(model: CharRNN, ids: Tensor, targets: Tensor, state: State) -> None:
    gradients.measure(model, ids, targets, state, lambda ids: "")


def alternate(
    steps: dict[str, Callable[[], None]], seconds: float, rounds: int, device: torch.device
) -> dict[str, float]:
    """Return the median seconds of each function: they take turns for `seconds`, at least `rounds` turns each.

    A turn is one call that is not timed, so that the caches hold what they hold in training, and TURN that are.
    """
    times: dict[str, list[float]] = {name: [] for name in steps}
    for step in steps.values():
        step()
    end = time.perf_counter() + seconds
    while len(times[next(iter(steps))]) < rounds * TURN or time.perf_counter() < end:
        for name, step in steps.items():
            step()
            for _ in range(TURN):
                _wait(device)
                start = time.perf_counter()
                step()
                _wait(device)
                times[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in times.items()}


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


@dataclass(frozen=True)
class Result:
    """torch's throughput in characters a second, ours over it, and ours at every step over the handmade loop's."""

    name: str
    torch_chars_per_s: float
    every_step_ratio: float
    default_ratio: float
    handmade_ratio: float


@dataclass(frozen=True)
class Bf16Result:
    """Our plain training step with bf16 products, over bare torch in float32 and over our own in float32."""

    name: str
    ratio: float
    ours_ratio: float


def _window(setting: Setting, device: torch.device) -> tuple[Tensor, Tensor]:
    torch.manual_seed(1)
    ids, targets = torch.randint(VOCABULARY, (2, setting.bptt, setting.batch)).to(device)
    return ids, targets


def measure(setting: Setting, seconds: float, device: torch.device) -> Result:
    """Time one case."""
    ids, targets = _window(setting, device)
    every, plain, probe = _our_steps(setting, ids, targets, "float32")
    steps = {
        "torch": _usual_step(Bare(setting.model).to(device), ids, targets),
        "every": every,
        "handmade": _usual_step(HandMade(setting.model).to(device), ids, targets),
        "plain": plain,
        "probe": probe,
    }
    took = alternate(steps, seconds, 5, device)
    default = took["plain"] + took["probe"] / EVERY
    return Result(
        setting.name,
        setting.chars / took["torch"],
        took["torch"] / took["every"],
        took["torch"] / default,
        took["handmade"] / took["every"],
    )


def measure_bf16(setting: Setting, seconds: float, device: torch.device) -> Bf16Result:
    """Time one case with bf16 products."""
    ids, targets = _window(setting, device)
    steps = {
        "torch": _usual_step(Bare(setting.model).to(device), ids, targets),
        "bf16": _our_steps(setting, ids, targets, "bf16")[1],
        "float32": _our_steps(setting, ids, targets, "float32")[1],
    }
    took = alternate(steps, seconds, 5, device)
    return Bf16Result(setting.name, took["torch"] / took["bf16"], took["float32"] / took["bf16"])


def main(argv: list[str] | None = None) -> int:
    """Run the bench and print a table or JSON; return the exit status."""
    options = bench_parser().parse_args(argv)
    try:
        device = resolve_device(options.device)
    except UserError as error:
        print(f"rnnscope: {error}", file=sys.stderr)
        return errors.EXIT_USAGE
    prepare(RunConfig(threads=options.threads), device)
    results = []
    if not options.json:
        print(f"{'training, characters a second':31}{'torch':>9}   every step   default   over handmade")
    for setting in SETTINGS:
        result = measure(setting, options.seconds, device)
        results.append(result)
        if not options.json:
            print(
                f"{result.name:31}{result.torch_chars_per_s:9,.0f}{result.every_step_ratio:13.2f}"
                f"{result.default_ratio:10.2f}{result.handmade_ratio:16.2f}",
                flush=True,
            )
    mean = math.exp(statistics.fmean(math.log(result.default_ratio) for result in results))
    bf16 = [measure_bf16(s, options.seconds / 3, device) for s in SETTINGS if s.model.hidden >= 256 and s.batch > 1]
    if options.json:
        cases = [asdict(result) for result in results]
        print(json.dumps({"cases": cases, "geomean_default_ratio": mean, "bf16": [asdict(b) for b in bf16]}))
        return errors.EXIT_OK
    print(f"geometric mean at the default cadence {mean:.2f}")
    for b in bf16:
        print(f"bf16 {b.name:26}{b.ratio:9.2f} of torch in float32, {b.ours_ratio:.2f} of ours in float32")
    return errors.EXIT_OK


if __name__ == "__main__":
    sys.exit(main())

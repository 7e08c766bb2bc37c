"""The network: embedding (or one-hot) -> stacked recurrent cells -> decoder.

Shapes, time-major: B batch, T time steps, V vocabulary, E embedding, H hidden, L layers, G rows of weight_hh.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from rnnscope import cells, registry
from rnnscope.cells import products
from rnnscope.cells.base import Backward, Forward, LayerState, Record
from rnnscope.cells.initialise import initialise
from rnnscope.cells.scan import scan
from rnnscope.config import ModelConfig
from rnnscope.errors import UserError

State: TypeAlias = tuple[LayerState, ...]  # per layer: (h,) or (h, c), each (B, H)


FUSED_CELLS = frozenset({"tanh", "relu", "lstm", "gru"})  # torch.nn has a fused layer for these
# (cell, device type) -> the measured faster kernel; scan where nothing is listed.
FASTER = {(cell, "cuda"): "fused" for cell in FUSED_CELLS} | {("lstm", "cpu"): "fused"}


def resolve_kernel(
    kernel: str,
    cell: str,
    device: str,
    *,
    recurrent_dropout: float = 0.0,
    precision: str = "float32",
) -> str:
    """Return "scan" or "fused" for what was asked ("auto", "scan", "fused"): a fixed table, nothing measured now.

    Args:
        kernel, cell: the run's.
        device: "cpu", "cuda:0", ...
        recurrent_dropout, precision: the run's; torch's fused layers know neither dropout of the state nor bf16.

    Raises:
        UserError: the fused kernel is asked for what it cannot do.
    """
    reason = _why_not_fused(cell, recurrent_dropout, precision)
    if kernel == "fused" and reason:
        raise UserError(reason)
    if kernel != "auto":
        return kernel
    return "scan" if reason else FASTER.get((cell, device.split(":")[0]), "scan")


def _why_not_fused(cell: str, recurrent_dropout: float, precision: str) -> str | None:
    if cell not in FUSED_CELLS:
        return f"--kernel fused: torch has no fused layer for {cell}; use --kernel scan"
    if recurrent_dropout:
        return "--recurrent-dropout needs --kernel scan: torch's fused layers have none"
    if precision == "bf16":
        return "--precision bf16 needs --kernel scan"
    return None


class CharRNN(nn.Module):
    """A character-level recurrent network.

    Args:
        config: sizes, cell, initialisation and dropout.
        vocabulary_size: V.
        kernel: "scan" (ours) or "fused" (torch.nn's layer function); how `forward` computes, fixed for a run.
        precision: "float32" or "bf16" (operands of products rounded to bfloat16; scan only).

    Attributes:
        record_gradients: when set, every backward pass of `forward` leaves norms in `recorded`.
        recorded: per layer {"h": (T, B), "c": (T, B)}: norm over H of the total dL/dh_t of the last backward pass.

    Raises:
        UserError: an unknown cell, or options that do not go together.
    """

    def __init__(
        self, config: ModelConfig, vocabulary_size: int, *, kernel: str = "scan", precision: str = "float32"
    ) -> None:
        super().__init__()
        _check(config, kernel, precision)
        self.config = config
        self.vocabulary_size = vocabulary_size
        self.kernel = kernel
        self.precision = precision
        self.cell = cells.get(config.cell)
        self.record_gradients = False
        self._records: list[Record] = []
        self.embedding = None if config.one_hot else nn.Embedding(vocabulary_size, config.embedding)
        inputs = vocabulary_size if config.one_hot else config.embedding
        self.layers = nn.ModuleList(
            self.cell.layer(inputs if index == 0 else config.hidden, config.hidden) for index in range(config.layers)
        )
        for layer in self.layers:
            initialise(self.cell, layer, config.init, config.gain, config.forget_bias)
        self.decoder = nn.Linear(config.hidden, vocabulary_size)

    @property
    def recorded(self) -> list[dict[str, Tensor]]:
        """Norms left by the last backward pass; see the class."""
        return [record.norms for record in self._records]

    def initial_state(self, batch: int) -> State:
        """Return zeros, per layer (h,) or (h, c), each (batch, H)."""
        zeros = self.decoder.weight.new_zeros(batch, self.config.hidden)
        return tuple(tuple(zeros.clone() for _ in self.cell.states) for _ in self.layers)

    def forward(self, ids: Tensor, state: State) -> tuple[Tensor, State]:
        """Return logits (T, B, V) and the state after, for ids (T, B): the update path, under autograd."""
        self._records = [Record() for _ in self.layers] if self.record_gradients else []
        out, after = ids, []
        for index, layer in enumerate(self.layers):
            if index and self.training and self.config.dropout:
                out = functional.dropout(out, self.config.dropout)
            out, layer_state = self.run_layer(index, layer, out, state[index])
            after.append(layer_state)
        return self._linear(out, self.decoder.weight, self.decoder.bias), tuple(after)

    def run_layer(self, index: int, layer: nn.Module, x: Tensor, state: LayerState) -> tuple[Tensor, LayerState]:
        """One layer over all time steps; x is ids (T, B) for the first layer, else (T, B, H)."""
        record = self._records[index] if self._records else None
        if self.kernel == "fused":
            inputs = self.embed(x) if index == 0 else x
            ran = None if record is None else self.cell.fused(inputs, state, layer, record)
            if ran is not None:
                return ran
            out, after = self._fused(layer, inputs, state)
            if record is not None and out.requires_grad:
                self._watch(index, x.detach(), out, state, record)
            return out, after
        mask = None
        if self.training and self.config.recurrent_dropout:
            mask = functional.dropout(torch.ones_like(state[0]), self.config.recurrent_dropout)
        p = self._input_product(index, x)
        return scan(self.cell, p, state, self.cell.recurrent(layer), precision=self.precision, mask=mask, record=record)

    def _fused(self, layer: nn.Module, x: Tensor, state: LayerState) -> tuple[Tensor, LayerState]:
        """One layer by torch.nn's fused function."""
        stacked = tuple(s.unsqueeze(0) for s in state)
        out, after = layer(x, stacked if len(stacked) > 1 else stacked[0])
        return out, tuple(s.squeeze(0) for s in (after if isinstance(after, tuple) else (after,)))

    def _watch(self, index: int, x: Tensor, out: Tensor, state: LayerState, record: Record) -> None:
        """Have `record` filled during the backward pass of a fused layer, which gives only the direct dL/dh_t."""
        outputs = out.detach()

        def back_propagate(direct: Tensor) -> None:
            with torch.no_grad():
                run = self.recompute(index, x, outputs, state)
                record.take(self.cell.states, self.back_propagate(index, run, state, direct).states)

        out.register_hook(back_propagate)  # type: ignore[no-untyped-call]

    def recompute(self, index: int, x: Tensor, out: Tensor, state: LayerState) -> Forward:
        """Return what the forward scan of layer `index` would have left, from input and outputs of a fused layer."""
        recurrent = self.cell.recurrent(self.layers[index])
        product = products.make(recurrent[0], out.shape[1], self.precision)
        return self.cell.recomputed(self._input_product(index, x), out, state, recurrent, product)

    def back_propagate(self, index: int, run: Forward, state: LayerState, direct: Tensor) -> Backward:
        """Back-propagate through time in layer `index`, without autograd: direct (T, B, H) is dL/dh_t from above."""
        recurrent = self.cell.recurrent(self.layers[index])
        product = products.make(recurrent[0], direct.shape[1], self.precision)
        return self.cell.backward(run, state, recurrent, product, None, direct, (None,) * len(state))

    def embed(self, ids: Tensor) -> Tensor:
        """ids (...) -> embedding or dense one-hot vectors (..., I)."""
        if self.embedding is not None:
            return cast(Tensor, self.embedding(ids))
        return functional.one_hot(ids, self.vocabulary_size).to(self.decoder.weight.dtype)

    def _linear(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return products.linear(x, weight, bias, self.precision)

    def _input_product(self, index: int, x: Tensor) -> Tensor:
        """Return x_t @ weight_ih.T + bias for all t, (T, B, G), in memory of its own.

        In the first layer there are only V different inputs, so the product is taken once for each symbol of
        the vocabulary and looked up, unless the window has fewer characters than that.
        """
        layer = self.layers[index]
        weight, bias = layer.get_parameter("weight_ih_l0"), self.cell.bias(layer)
        if index:
            return self._linear(x, weight, bias)
        if self.embedding is None:
            table = weight.t() if bias is None else weight.t() + bias
        elif x.numel() < self.vocabulary_size:
            return self._linear(self.embed(x), weight, bias)
        else:
            table = self._linear(self.embedding.weight, weight, bias)
        return products.lookup(table, x)

    @torch.no_grad()
    def step(self, ids: Tensor, state: State) -> tuple[Tensor, State]:
        """Return logits (B, V) and the next state, for ids (B,): the plain definition, for sampling; no dropout."""
        x, after = self.embed(ids), []
        for layer, layer_state in zip(self.layers, state, strict=True):
            layer_state = self.cell.step(x, layer_state, layer)
            after.append(layer_state)
            x = layer_state[0]
        return functional.linear(x, self.decoder.weight, self.decoder.bias), tuple(after)

    @torch.no_grad()
    def runs(self, ids: Tensor, state: State) -> tuple[Tensor, list[Forward]]:
        """Return logits (T, B, V) and what each layer's forward scan leaves, without autograd and dropout.

        With the fused kernel the outputs are the fused layer's own, and what it hides is recomputed from them.
        """
        x, found = ids, []
        for index, layer_state in enumerate(state):
            found.append(self.run(index, x, layer_state))
            x = found[-1].out
        return self._linear(x, self.decoder.weight, self.decoder.bias), found

    @torch.no_grad()
    def run(self, index: int, x: Tensor, state: LayerState, *, scan: bool = False) -> Forward:
        """Return what the forward scan of layer `index` leaves; x is ids (T, B) for the first layer, else (T, B, H).

        scan: where a fused layer of the model hides some of that, do not recompute it: on CPUs a scan is faster.
        """
        layer = self.layers[index]
        if self.kernel == "fused":
            inputs = self.embed(x) if index == 0 else x
            done = self.cell.by_fused(inputs, state, layer)
            if done is not None:
                return done
            if not scan:
                return self.recompute(index, x, self._fused(layer, inputs, state)[0], state)
        recurrent = self.cell.recurrent(layer)
        product = products.make(recurrent[0], x.shape[1], self.precision)
        return self.cell.forward(self._input_product(index, x), state, recurrent, product, None)

    @torch.no_grad()
    def outputs(self, ids: Tensor, state: State) -> tuple[Tensor, State, list[Tensor]]:
        """Return logits (T, B, V), the state after, and each layer's h_t (T, B, H): `trace` without what a fused
        layer hides.
        """
        x, after, hidden = ids, [], []
        for index, (layer, layer_state) in enumerate(zip(self.layers, state, strict=True)):
            if self.kernel == "fused":
                x, layer_state = self.run_layer(index, layer, x, layer_state)
            else:
                run = self.run(index, x, layer_state)
                x, layer_state = run.out, run.final
            after.append(layer_state)
            hidden.append(x)
        return self._linear(x, self.decoder.weight, self.decoder.bias), tuple(after), hidden

    def trace(self, ids: Tensor, state: State) -> tuple[Tensor, State, list[dict[str, Tensor]]]:
        """Return logits (T, B, V), the state after, and per layer {"h": (T, B, H), "c": ..., gates after activation}.

        ids: (T, B). Without autograd and dropout.
        """
        logits, found = self.runs(ids, state)
        return logits, tuple(run.final for run in found), [self.cell.shown(run) for run in found]


def _check(config: ModelConfig, kernel: str, precision: str) -> None:
    if kernel not in ("scan", "fused"):
        raise UserError(f"kernel '{kernel}': resolve 'auto' with resolve_kernel first")
    reason = _why_not_fused(config.cell, config.recurrent_dropout, precision)
    if kernel == "fused" and reason and config.cell in registry.CELLS:
        raise UserError(reason)
    if config.forget_bias is not None and config.cell != "lstm":
        raise UserError(f"--forget-bias is for --cell lstm; {config.cell} has no forget gate")


def to_torch(model: CharRNN) -> dict[str, Tensor]:
    """Return the recurrent weights under the names of one torch.nn.RNN, LSTM or GRU of L layers (shared memory)."""
    return {
        name.replace("_l0", f"_l{index}"): parameter.detach()
        for index, layer in enumerate(model.layers)
        for name, parameter in layer.named_parameters()
    }


@torch.no_grad()
def from_torch(model: CharRNN, state: Mapping[str, Tensor]) -> None:
    """Copy the state dict of a torch.nn.RNN, LSTM or GRU of the same shape into `model`'s layers.

    Raises:
        UserError: names or shapes differ.
    """
    own = to_torch(model)
    if own.keys() != state.keys():
        raise UserError(f"weights do not fit: expected {', '.join(own)}; got {', '.join(state)}")
    for name, parameter in own.items():
        if parameter.shape != state[name].shape:
            raise UserError(f"weights do not fit: {name} is {list(state[name].shape)}, not {list(parameter.shape)}")
        parameter.copy_(state[name])

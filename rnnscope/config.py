"""What a run is made of: the one source of defaults, of command-line flags, and of what is saved with a run.

Every field below becomes a flag (`hidden` is `--hidden`, `one_hot` is `--one-hot`), its docstring the flag's
help, and its value part of the recording. To add an option, add a field here and read it where it matters.
"""

from __future__ import annotations

import dataclasses
import functools
import types
import typing
from dataclasses import dataclass
from typing import Any, Literal

from rnnscope.errors import UserError


@dataclass(frozen=True)
class TextConfig:
    """Which text is read, and how it is cut."""

    glob: str = "*.txt"
    """Which files of a folder are read (sorted by name)."""

    bytes: bool = False
    """Read raw bytes (256 symbols) instead of UTF-8 characters."""

    first: int | None = None
    """Only the first N characters."""

    length: int = 1_000_000
    """Length of a generated built-in text, in characters."""

    split: str = "90/5/5"
    """Training/validation/test parts in per cent, contiguous; 90/10 for no test part."""

    batches: Literal["stateful", "stateless"] = "stateful"
    """stateful: B parallel streams, hidden state carried; stateless: random windows from a zero state."""


@dataclass(frozen=True)
class ModelConfig:
    """The network: embedding (or one-hot) -> stacked recurrent cells -> decoder."""

    cell: str = "lstm"
    """Recurrent cell: tanh, relu, lstm, gru or lnrnn."""

    layers: int = 2
    """Number of recurrent layers."""

    hidden: int = 128
    """Units in each layer."""

    embedding: int = 64
    """Size of the character embedding."""

    one_hot: bool = False
    """Feed characters as one-hot vectors instead of an embedding."""

    init: Literal["default", "orthogonal", "identity", "gaussian"] = "default"
    """Initial recurrent weights: torch's default, orthogonal, scaled identity (Le et al. 2015), or N(0, g^2/H)."""

    gain: float = 1.0
    """Gain g of the initialiser (orthogonal, identity, gaussian)."""

    forget_bias: float | None = None
    """LSTM forget-gate bias (the sum of torch's two biases); None keeps the initialiser's."""

    dropout: float = 0.0
    """Dropout probability between layers."""

    recurrent_dropout: float = 0.0
    """Dropout probability on the recurrent state, one mask per window."""


@dataclass(frozen=True)
class TrainingConfig:
    """How it learns, and for how long."""

    batch: int = 32
    """Sequences in a batch (B)."""

    bptt: int = 50
    """Time steps of truncated back-propagation through time (T)."""

    optimizer: Literal["adam", "adamw", "rmsprop", "sgd"] = "rmsprop"
    """Optimiser."""

    lr: float = 4e-3
    """Learning rate."""

    momentum: float = 0.0
    """Momentum of SGD."""

    weight_decay: float = 0.0
    """Weight decay (decoupled in AdamW)."""

    lr_decay: float = 0.97
    """Factor applied to the learning rate every --lr-decay-every steps."""

    lr_decay_every: int = 250
    """Steps between two learning-rate decays."""

    clip: float | Literal["none"] = 5.0
    """Gradient clipping threshold, or none."""

    clip_by: Literal["norm", "value"] = "norm"
    """Clip the global norm, or each component by value."""

    scheduled_sampling: Literal["none", "linear", "exponential", "sigmoid"] = "none"
    """Feed the model more and more of its own samples instead of the true text: how fast (Bengio et al. 2015)."""

    sampling_steps: int = 5000
    """Training steps after which scheduled sampling has replaced half of the inputs."""

    sampling_floor: float = 0.0
    """Least share of true inputs that scheduled sampling leaves."""

    steps: int | None = None
    """Stop after so many training steps (0 only creates the run with its initial weights)."""

    epochs: float | None = None
    """Stop after so many passes over the training part (when no budget is given: 30)."""

    minutes: float | None = None
    """Stop after so many minutes of training."""

    validate_every: int = 500
    """Training steps between two measurements of the validation loss."""

    validation_chars: int = 100_000
    """At most so many characters of the validation part are measured each time."""

    on_divergence: Literal["halt", "continue"] = "halt"
    """What to do when a loss or gradient becomes NaN or infinite."""

    spike: float = 3.0
    """A loss so many nats above its running mean is a spike (0: none is)."""

    on_spike: Literal["freeze", "note"] = "freeze"
    """What to do at a spike: freeze training until someone decides (never with --headless), or note it and go on."""


@dataclass(frozen=True)
class ProbeConfig:
    """What is measured while it learns. Cadences are in training steps; 0 switches a probe off."""

    gradients_every: int = 50
    """Gradient norms through time (reach and total)."""

    sample_every: int = 50
    """A generated sample with its activations."""

    compare_every: int = 100
    """Teacher forcing beside free running."""

    triangle_every: int = 500
    """Which loss reaches which state (T x T)."""

    jacobian_every: int = 500
    """Spectral radius and singular values of the recurrence."""

    lyapunov_every: int = 1000
    """Leading Lyapunov exponents."""

    horizon_every: int = 1000
    """Half-life of the gradient and the context that the model uses."""

    clipping_every: int = 100
    """What clipping did over the last steps."""

    parameters_every: int = 100
    """Gradient, weight and update of every parameter tensor."""

    saturation_every: int = 250
    """How long gates are shut and open."""

    sample_length: int = 200
    """Characters of a generated sample (at most 10,000: training waits for them)."""

    compare_length: int = 100
    """Characters of the forced/free comparison (at most 10,000)."""

    temperature: float = 0.8
    """Sampling temperature."""

    probe_budget: float = 0.05
    """Largest share of training time that probes and snapshots may take; a due probe that would exceed it waits."""

    recording_budget: float = 200.0
    """Largest growth of the recording in MB an hour; above it only the newest arrays are kept."""


@dataclass(frozen=True)
class RunConfig:
    """Where it runs, and where it is kept."""

    run: str | None = None
    """Folder of the run (default: a numbered name under checkpoints/)."""

    seed: int = 1
    """Seed of the weights, the batches and dropout."""

    device: str = "auto"
    """auto, cpu, cuda, cuda:N or mps."""

    threads: int | None = None
    """CPU threads for torch (default: torch's own choice)."""

    precision: Literal["auto", "float32", "bf16"] = "auto"
    """bf16: matrix products in bfloat16; weights, state, loss and sums of gradients stay float32."""

    kernel: Literal["auto", "scan", "fused"] = "auto"
    """Recurrence: our explicit scan, torch's fused layer, or the measured faster of the two."""

    checkpoint_every: int = 1000
    """Training steps between two checkpoints. At most 64 stay, evenly spread (first, last and best always)."""


@dataclass(frozen=True)
class Config:
    """Everything that defines a run; saved with it, so that loading needs no flags."""

    texts: tuple[str, ...] = ("play",)
    """Files, folders, a built-in text (play, code, python) or a name from `rnnscope texts`; joined in this order."""

    text: TextConfig = TextConfig()
    model: ModelConfig = ModelConfig()
    training: TrainingConfig = TrainingConfig()
    probes: ProbeConfig = ProbeConfig()
    run: RunConfig = RunConfig()


def to_dict(config: Config) -> dict[str, Any]:
    """Return `config` as nested plain dictionaries, ready for JSON."""
    return dataclasses.asdict(config)


def from_dict(values: Any) -> Config:
    """Build a Config from what `to_dict` gave (unknown keys, of a newer minor version, are ignored).

    Raises:
        UserError: a section is not a table, or a value not of its option's type.
    """
    if not isinstance(values, dict):
        raise UserError("configuration: it must be a table of options; the run is damaged")
    sections: dict[str, Any] = {"texts": tuple(values.get("texts", Config.texts))}
    for section in dataclasses.fields(Config):
        if section.name == "texts":
            continue
        given = values.get(section.name, {})
        if not isinstance(given, dict):
            raise UserError(f"configuration: [{section.name}] must be a table of options")
        kind: Any = type(section.default)
        wanted = option_types(kind)
        known = {key: value for key, value in given.items() if key in wanted}
        for key, value in known.items():
            if not fits(value, wanted[key]):
                raise UserError(f"configuration: {key} = {value!r} does not fit; the run is damaged")
        sections[section.name] = kind(**known)
    return Config(**sections)


@functools.cache
def option_types(section: Any) -> dict[str, Any]:
    """Return the type of each option of a section, by name."""
    return typing.get_type_hints(section)


def fits(value: Any, hint: Any) -> bool:
    """Whether a value out of a file is of an option's type: a plain one, a Literal, a union of both, or a tuple of one.

    A list stands for a tuple.
    """
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return any(fits(value, choice) for choice in typing.get_args(hint))
    if typing.get_origin(hint) is typing.Literal:
        return value in typing.get_args(hint)
    if typing.get_origin(hint) is tuple:
        kind, *others = typing.get_args(hint)
        many = isinstance(value, list | tuple) and (others == [...] or len(value) == 1 + len(others))
        return many and all(fits(item, kind) for item in value)
    if isinstance(value, bool) or hint is bool:
        return isinstance(value, bool) and hint is bool
    return isinstance(value, (int, float) if hint is float else hint)

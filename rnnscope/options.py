"""Command lines: what each subcommand takes, and how words become dataclasses. The flags come from config.py."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import itertools
import re
import tomllib
import typing
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

import tyro
from tyro.conf import OmitArgPrefixes, Positional, arg

from rnnscope.config import (
    Config,
    ModelConfig,
    ProbeConfig,
    RunConfig,
    TextConfig,
    TrainingConfig,
    fits,
    option_types,
)
from rnnscope.errors import UserError
from rnnscope.recording.requests import Request

RUNS = "checkpoints"
"""Where runs land by default, under the current folder."""

T = TypeVar("T")


@dataclass(frozen=True)
class Interface:
    """How the command talks to you; not part of the run."""

    headless: bool = False
    """Train in the foreground with plain lines instead of the screen (also where stdout is no terminal)."""

    json: bool = False
    """One JSON object a line instead of plain lines; implies --headless."""

    resume: str | None = None
    """Continue this run: its folder, or its name under checkpoints/."""

    beside: tuple[str, ...] = ()
    """Runs that the screen draws in the same charts, to compare."""

    config: str | None = None
    """A TOML file of options, named as the flags; flags beat the file."""


@dataclass(frozen=True)
class Train:
    """Train a character-level recurrent network on a text and watch it learn."""

    texts: Positional[tuple[str, ...]] = Config.texts
    """Files, folders, a built-in text (play, code, python) or a name from `rnnscope texts`; joined in this order."""

    text: TextConfig = TextConfig()
    model: ModelConfig = ModelConfig()
    training: TrainingConfig = TrainingConfig()
    probes: ProbeConfig = ProbeConfig()
    run: RunConfig = RunConfig()
    interface: Interface = Interface()

    def to_config(self) -> Config:
        """Return the part that defines the run."""
        return Config(**{field.name: getattr(self, field.name) for field in dataclasses.fields(Config)})

    @staticmethod
    def of(config: Config, interface: Interface) -> Train:
        """Return the command line that would give `config`."""
        values = {field.name: getattr(config, field.name) for field in dataclasses.fields(Config)}
        return Train(**values, interface=interface)


@dataclass(frozen=True)
class Runs:
    """List runs, newest first; live ones are marked."""

    root: str = RUNS
    """Folder that holds the runs."""

    json: bool = False
    """One JSON object a line."""


@dataclass(frozen=True)
class OneRun:
    """What names a run."""

    run: Positional[str]
    """The run's folder, or its name under checkpoints/; demo is one that comes along."""


@dataclass(frozen=True)
class Watch(OneRun):
    """Open the screen on a running or finished run."""

    beside: tuple[str, ...] = ()
    """Other runs, drawn in the same charts."""


@dataclass(frozen=True)
class Inspect:
    """Open the screen on what a run has learned; the run itself is never written.

    Seconds after installing: rnnscope inspect demo
    """

    run: Positional[Annotated[str, arg(metavar="RUN|WEIGHTS")]]
    """A run's folder, its name under checkpoints/, demo, or one checkpoint: a file step-N.safetensors in a run's
    folder."""

    beside: tuple[str, ...] = ()
    """Other runs, drawn in the same charts."""

    device: str = "cpu"
    """Where the weights are looked at: cpu, cuda, cuda:N or mps. (The worker of a live run looks on its own device.)"""


@dataclass(frozen=True)
class Stop(OneRun):
    """Ask a run to write a checkpoint and end."""


@dataclass(frozen=True)
class Sample(OneRun):
    """Print text that a trained model writes."""

    prompt: str = ""
    """What the model reads first (default: a newline)."""

    temperature: float = 0.8
    """Sampling temperature; 0 always takes the most probable character."""

    length: int = 500
    """Number of characters to write."""

    seed: int = 1
    """Seed of the random draws."""

    best: bool = False
    """Use the weights with the lowest validation loss instead of the newest."""


@dataclass(frozen=True)
class Probe:
    """Measure one checkpoint of any run, live or not; nothing is written to the run.

    Which unit knows that it is inside quotes (then --layer and --units of the one that does, for interventions):

    rnnscope probe RUN units --concept 'quotes="[^"]*"'

    The textbook experiment, a random recurrence without input, whose leading exponent is 0.150 +-0.006 a step
    (--layers 1 is the textbook's network; a second layer adds exponents of its own to the list):

    rnnscope train play --cell tanh --layers 1 --hidden 512 --init gaussian --gain 2 --steps 0 --run r

    rnnscope probe r lyapunov --zero-input --json
    """

    run: Positional[Annotated[str, arg(metavar="RUN")]] = ""
    """The run's folder, or its name under checkpoints/; demo is one that comes along."""

    name: Positional[Annotated[str, arg(metavar="NAME")]] = ""
    """The probe; --list says which there are."""

    list: bool = False
    """List the probes."""

    json: bool = False
    """Print one JSON object of the numbers (NaN is null; infinities are "Infinity" and "-Infinity")."""

    npz: str | None = None
    """Write the numbers to this file, a numpy archive."""

    checkpoint: int | None = None
    """Step of the checkpoint to measure (default: the newest)."""

    zero_input: bool = False
    """lyapunov: no input (the biases stay), from a random state, instead of the run's text."""

    steps: int | None = None
    """lyapunov: time steps averaged over."""

    burn_in: int | None = None
    """lyapunov: time steps left out before."""

    exponents: int | None = None
    """lyapunov: how many, the largest first."""

    request: Request = Request()


@dataclass(frozen=True)
class Import:
    """Make a run of a plain PyTorch model: embedding (or one-hot), nn.RNN, nn.LSTM or nn.GRU, linear layer.

    The parts are found by their shapes, and by torch.nn's names for recurrent weights, whatever comes before these.
    Only tensors are read, nothing in the file is executed.
    """

    weights: Positional[Annotated[str, arg(metavar="WEIGHTS")]]
    """A state dict: a file of torch.save(model.state_dict(), ...), or .safetensors."""

    vocab: str
    """A JSON file with the characters in the order of their ids: a list, a string, or an object of ids by character."""

    text: str = "play"
    """The text that the model is looked at with: a file, folder, built-in text or name from `rnnscope texts`."""

    run: str | None = None
    """Folder of the run (default: the name of the weights under checkpoints/)."""

    cell: str | None = None
    """tanh or relu, which the weights of an nn.RNN do not tell (default: tanh)."""


@dataclass(frozen=True)
class Texts:
    """List the texts that need no file: built-in ones, and those that are fetched once."""


def parse(kind: type[T], command: str, arguments: list[str], default: T | None = None) -> T:
    """Turn words into a `kind`; --help prints and exits.

    Raises:
        UserError: words that do not parse, in one line.
    """
    said = io.StringIO()
    options: dict[str, Any] = {} if default is None else {"default": default}
    try:
        with contextlib.redirect_stderr(said):
            parsed: T = tyro.cli(kind, prog=f"rnnscope {command}", args=arguments, config=(OmitArgPrefixes,), **options)
            return parsed
    except SystemExit as stop:
        if not stop.code:
            raise
        raise UserError(_one_line(said.getvalue(), command)) from None


def _one_line(box: str, command: str) -> str:
    """Shorten tyro's complaint, a box of lines (or dashes, where stdout is not UTF-8), to its first sentences."""
    lines = [line.strip("│ ") for line in box.splitlines()][1:]  # without the title
    if lines and _is_rule(lines[0]):
        del lines[0]
    message = " ".join(itertools.takewhile(lambda line: not _is_rule(line), lines)).rstrip(".")
    hint = re.search(r"Perhaps you meant:[\s│]*(--[\w-]+)", box)
    meant = f" (did you mean {hint[1]}?)" if hint else ""
    return f"{message}{meant}; see rnnscope {command} --help"


def _is_rule(line: str) -> bool:
    return set(line) <= set("─-")


def read_toml(path: str) -> dict[str, Any]:
    """Read a TOML file of options: flat, or in the sections of config.py; return them by section.

    Raises:
        UserError: no such file, not TOML, or an option that does not exist.
    """
    try:
        given = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"--config {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"--config {path}: not a TOML file: {error}") from error
    homes = {
        option.name: section.name
        for section in dataclasses.fields(Config)
        if section.name != "texts"
        for option in dataclasses.fields(typing.cast(Any, section.default))
    }
    found: dict[str, Any] = {}
    for key, value in given.items():
        # [run] is a section and `run` an option: a table is always a section.
        if isinstance(value, dict) and key not in homes.values():
            sections = ", ".join(dict.fromkeys(homes.values()))
            raise UserError(f"--config {path}: there is no section [{key}]; the sections are {sections}")
        items = value.items() if isinstance(value, dict) else [(key, value)]
        for name, item in items:
            option = name.replace("-", "_")
            if option == "texts":
                found["texts"] = [item] if isinstance(item, str) else item
            elif option in homes:
                found.setdefault(homes[option], {})[option] = item
            else:
                raise UserError(f"--config {path}: there is no option {name}; see rnnscope train --help")
    return found


def merged(config: Config, changes: dict[str, Any]) -> Config:
    """Return `config` with the options of `read_toml` put in. Raises UserError on a value of the wrong type."""
    values: dict[str, Any] = {}
    for section, options in changes.items():
        if section == "texts":
            if not (isinstance(options, list) and options and all(isinstance(text, str) for text in options)):
                raise UserError(f"--config: texts = {options!r} does not fit; it takes one name or a list of names")
            values[section] = tuple(options)
            continue
        for name, value in options.items():
            check_type(name, value, getattr(Config(), section))
        values[section] = dataclasses.replace(getattr(config, section), **options)
    return dataclasses.replace(config, **values)


def check_type(name: str, value: Any, section: Any) -> None:
    """Raise UserError unless `value` is of the type that option `name` of `section` takes."""
    kind: Any = type(section)
    hint = option_types(kind)[name]
    if not fits(value, hint):
        raise UserError(f"--config: {name} = {value!r} does not fit; it takes {_in_words(hint)}")


def _in_words(hint: Any) -> str:
    choices = typing.get_args(hint)
    if typing.get_origin(hint) is typing.Literal:
        return " or ".join(repr(choice) for choice in choices)
    if choices:
        return " or ".join(_in_words(choice) for choice in choices if choice is not type(None))
    return {int: "a whole number", float: "a number", str: "text", bool: "true or false"}[hint]

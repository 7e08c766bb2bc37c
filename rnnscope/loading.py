"""A trained model out of a run's folder, with the vocabulary and configuration recorded there: no flags needed."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import torch

from rnnscope.charts.text import printable
from rnnscope.config import Config
from rnnscope.corpus import Vocabulary
from rnnscope.errors import UserError
from rnnscope.generating import Strategy, go_on
from rnnscope.model import CharRNN
from rnnscope.probes.sampling import default_prompt
from rnnscope.recording.reader import Reader
from rnnscope.saved import weights_steps
from rnnscope.training import checkpoint


@dataclass(frozen=True)
class Loaded:
    """A model in evaluation mode, and what is needed to talk to it."""

    model: CharRNN
    vocabulary: Vocabulary
    config: Config
    weights: Path


def load_run(folder: Path, *, best: bool = False, device: str = "cpu") -> Loaded:
    """Load the newest (or the best) weights of a run.

    Raises:
        UserError: no such run, no weights yet, corrupt files, or weights that do not fit the configuration.
    """
    with Reader(folder) as reader:
        config, meta = reader.config, reader.meta
    if "vocabulary" not in meta:
        raise UserError(f"{folder} has no vocabulary yet: its worker never got to the text; train it first")
    vocabulary = Vocabulary.from_json(meta["vocabulary"])
    steps = weights_steps(folder)
    name = checkpoint.BEST if best else checkpoint.weights_name(steps[-1]) if steps else ""
    if not name or not (folder / name).exists():
        raise UserError(f"{folder} has no {'best ' if best else ''}weights; train it first")
    model = CharRNN(config.model, len(vocabulary.symbols))
    checkpoint.load_weights(model, folder / name)
    return Loaded(model.to(torch.device(device)).eval(), vocabulary, config, folder / name)


def write_text(loaded: Loaded, prompt: str, length: int, temperature: float, seed: int) -> Iterator[str]:
    """Yield the prompt, then one by one `length` characters that the model writes after it (no prompt: a newline).

    Raises:
        UserError: the prompt holds characters that the model never saw; they are named.
    """
    model, vocabulary = loaded.model, loaded.vocabulary
    given = torch.from_numpy(vocabulary.encode_prompt(prompt or default_prompt(vocabulary)))[:, None]
    if prompt:
        yield from vocabulary.decode(given[:, 0].numpy())
    for ids in islice(go_on(model, given, Strategy(temperature), seed), length):
        yield vocabulary.decode(ids.numpy())


def as_output(characters: Iterator[str], bytes_mode: bool, *, terminal: bool) -> Iterator[bytes]:
    """Yield what to write to stdout: to a terminal only what it will not obey, elsewhere the exact text or bytes."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    for character in characters:
        raw = character.encode("latin-1") if bytes_mode else character.encode("utf-8", "surrogatepass")
        if terminal:
            text = decoder.decode(raw) if bytes_mode else character
            raw = "".join(symbol if symbol in "\n\t" else printable(symbol) for symbol in text).encode()
        yield raw

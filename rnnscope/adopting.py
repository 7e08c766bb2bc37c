"""A run made of weights that were trained elsewhere: its folder, its vocabulary, and what it says of itself."""

from __future__ import annotations

import dataclasses
import json
import math
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rnnscope.building import build
from rnnscope.config import Config, RunConfig, TrainingConfig
from rnnscope.corpus import Corpus, Vocabulary, absolute_texts, load
from rnnscope.corpus.batches import needed_characters
from rnnscope.errors import UserError
from rnnscope.examining import GIVEN_VOCABULARY
from rnnscope.importing import Parts, find_parts, read_weights
from rnnscope.options import RUNS, Import
from rnnscope.provenance import started, versions
from rnnscope.recording import events as e
from rnnscope.recording.place import check_new
from rnnscope.recording.writer import Writer
from rnnscope.saved import weights_name
from rnnscope.training.checkpoint import save_weights

PRIVATE = 0xE000, 0xF8FF
"""Unicode's private use area: symbols for ids that stand for no single character (padding, <unk>, ...)."""
SURROGATE = re.compile("[\ud800-\udfff]")
"""Half a character, which JSON may name and no text can hold."""
LONGEST_ID = 18
"""Digits of an id at most."""


@dataclass(frozen=True)
class Adopted:
    """What became of weights. validation: nats per character on the text's validation part."""

    folder: Path
    parts: Parts
    corpus: Corpus
    stand_ins: int
    validation: float


def adopt(asked: Import) -> Adopted:
    """Make a run of the weights, vocabulary and text asked for.

    Raises:
        UserError: something does not fit; nothing was written.
        RunFailed: the disk is full.
    """
    folder = Path(asked.run) if asked.run else _free(Path(RUNS) / (Path(asked.weights).stem or "imported"))
    check_new(folder)
    parts = find_parts(read_weights(Path(asked.weights)), asked.cell)
    vocabulary, stand_ins = read_vocabulary(Path(asked.vocab), parts.symbols)
    config = Config(texts=absolute_texts((asked.text,)), model=parts.model, run=RunConfig(device="cpu"))
    corpus = load(config.texts, config.text, vocabulary=vocabulary)
    config = dataclasses.replace(config, training=_windows(len(corpus.train)))
    trainer = build(config, corpus, {})
    trainer.model.load_state_dict(parts.weights)
    validated = trainer.validate()
    meta = {
        "vocabulary": vocabulary.to_json(), "text": corpus.name, "sha256": corpus.sha256, GIVEN_VOCABULARY: True,
        "versions": versions(), "kernels": {"cpu": trainer.model.kernel}, "imported": Path(asked.weights).name,
    }  # fmt: skip
    writer = Writer.create(folder, config, meta)
    try:
        save_weights(trainer.model, folder / weights_name(0))
        with writer:
            for event in (
                started(trainer, corpus, trainer.model.kernel, trainer.model.precision),
                e.Checkpoint(weights_name(0), "initial"),
                e.Validation(validated.loss, validated.chars, validated.seconds, True),
                e.Status(e.FINISHED, f"imported from {Path(asked.weights).name}, not trained here"),
            ):
                writer.event(0, event)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)  # ours: made a moment ago
        raise
    return Adopted(folder, parts, corpus, stand_ins, validated.loss)


def words(found: Adopted) -> Iterator[str]:
    """Yield what to tell of an import."""
    model, symbols = found.parts.model, found.parts.symbols
    inputs = "one-hot" if model.one_hot else f"embedding {model.embedding}"
    yield f"imported {model.cell} {model.layers}x{model.hidden}, {inputs}, {symbols} symbols, into {found.folder}"
    if found.stand_ins:
        yield f"{found.stand_ins} ids stand for no single character; private characters are shown for them"
    if found.parts.rounded:
        yield "the weights were rounded to float32"
    if found.corpus.unseen:
        yield f"{found.corpus.unseen:,} characters of {found.corpus.name} are not in the vocabulary, and were left out"
    yield f"validation loss on {found.corpus.name}: {found.validation:.3f} nats per character"
    if not found.validation < math.log(symbols):
        yield f"that is no better than guessing ({math.log(symbols):.3f}): is the vocabulary in the order of the ids?"
    yield f"look inside with: rnnscope inspect {found.folder}"


def read_vocabulary(path: Path, symbols: int) -> tuple[Vocabulary, int]:
    """Read which character each of V = `symbols` ids is, from JSON: a list, a string, or an object of ids by character.

    An id that stands for several characters (<pad>), or for none, gets a private one; their number is returned too.

    Raises:
        UserError: no such file, not such JSON, more characters than ids, fewer than half as many, or one twice.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"--vocab {path}: {error.strerror}") from error
    except ValueError as error:
        raise UserError(f"--vocab {path} is not JSON ({error})") from error
    by_id = _by_id(found, path)
    beyond = [index for index in by_id if not 0 <= index < symbols]
    if beyond:
        raise UserError(f"--vocab {path} has {len(by_id)} characters (id {max(beyond)}), and the model {symbols}")
    single = {index: name for index, name in by_id.items() if len(name) == 1 and not SURROGATE.match(name)}
    if len(set(single.values())) < len(single):
        raise UserError(f"--vocab {path} names a character twice")
    if not single:
        raise UserError(f"--vocab {path} names no single character; rnnscope looks at character-level models")
    others = symbols - len(single)
    if others > min(len(single), PRIVATE[1] - PRIVATE[0]):
        raise UserError(f"--vocab {path} names {len(single)} characters, and the model has {symbols:,}")
    private = (chr(code) for code in range(PRIVATE[0], PRIVATE[1] + 1) if chr(code) not in set(single.values()))
    return Vocabulary(tuple(single.get(index) or next(private) for index in range(symbols))), others


def _by_id(found: Any, path: Path) -> dict[int, str]:
    """Return the names of ids, however they are written down."""
    if isinstance(found, dict) and all(isinstance(name, str) for name in found.values()):
        # characters by id
        found = {name: int(key) for key, name in found.items() if key.isdecimal() and len(key) <= LONGEST_ID}
    if isinstance(found, dict) and found and all(type(index) is int for index in found.values()):
        by_id = {index: name for name, index in found.items()}
        if len(by_id) == len(found):
            return by_id
    if isinstance(found, list | str) and found and all(isinstance(name, str) for name in found):
        return dict(enumerate(found))
    raise UserError(f"--vocab {path} must be a list of characters, a string, or an object of ids by character")


def _windows(characters: int) -> TrainingConfig:
    """Return a training configuration whose windows the text has, so that probes of a window find one."""
    usual = TrainingConfig()
    batch, bptt = usual.batch, usual.bptt
    while needed_characters(batch, bptt, True) > characters and batch * bptt > 1:
        batch, bptt = (batch // 2, bptt) if batch > 1 else (batch, bptt // 2)
    return dataclasses.replace(usual, batch=batch, bptt=bptt)


def _free(folder: Path) -> Path:
    number, free = 1, folder
    while free.exists():
        number += 1
        free = folder.with_name(f"{folder.name}-{number}")
    return free

"""From the names of texts to a corpus: ids of the training, validation and test parts, and their vocabulary."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rnnscope.config import TextConfig
from rnnscope.corpus.batches import needed_characters
from rnnscope.corpus.cache import cache_folder, new_entry
from rnnscope.corpus.catalogue import Progress
from rnnscope.corpus.encode import SMALLEST_PART, Ids, Plan, encoded, limited, reported, survey
from rnnscope.corpus.sources import find_sources, title
from rnnscope.corpus.split import parse_split
from rnnscope.corpus.text import Block, Source
from rnnscope.corpus.vocabulary import Vocabulary
from rnnscope.errors import UserError

IN_MEMORY = 16 << 20  # bytes; a longer text is encoded into a file of the cache folder and memory-mapped
FORMAT = 1  # of that file


@dataclass(frozen=True)
class Corpus:
    """An encoded text.

    train, validation, test: ids, 1-D, of the smallest unsigned type; memory-mapped where the text is long.
    unseen: characters of validation and test that training never saw; they are left out of both. Where the vocabulary
        was given, all characters that it lacks, in training too.
    sha256: of vocabulary and ids, so that a changed text is noticed.
    """

    name: str
    vocabulary: Vocabulary
    train: Ids
    validation: Ids
    test: Ids
    unseen: int
    sha256: str


def load(
    texts: tuple[str, ...],
    text: TextConfig,
    *,
    progress: Progress | None = None,
    vocabulary: Vocabulary | None = None,
) -> Corpus:
    """Read, cut and encode a text; the same arguments and files always give the same corpus.

    progress: called with what may take long (downloads, reading, encoding) and the fraction done, block by block.
    vocabulary: of a model that learned elsewhere; by default it is that of the training part.

    Raises:
        UserError: no such file or folder, unreadable, empty, binary or not UTF-8, one distinct character, a part
            too short, a bad option, a failed download, or a cache folder that is needed and cannot be written.
    """
    shares = parse_split(text.split)
    for flag, value in (("--first", text.first), ("--length", text.length)):
        if value is not None and value < 1:
            raise UserError(f"{flag} {value}: it must be at least 1 character")
    sources = find_sources(texts, text, progress)
    name = title(texts, sources)
    size = sum(source.size for source in sources)
    if min(size, text.first or size) > IN_MEMORY:
        return _load_long(name, sources, text, shares, progress, vocabulary)
    blocks = list(_blocks(f"reading {name}", sources, text.first, progress))
    plan = _planned(survey(blocks, name, shares, text.bytes), vocabulary)
    parts: tuple[list[Ids], ...] = ([], [], [])
    unseen = 0
    for part, ids, left_out in encoded(blocks, plan):
        parts[part].append(ids)
        unseen += left_out
    train, validation, test = (np.concatenate([*part, np.empty(0, plan.dtype)]) for part in parts)
    digest = _digest(plan.vocabulary)
    for ids in (train, validation, test):
        digest.update(ids.data)
    corpus = Corpus(name, plan.vocabulary, train, validation, test, unseen, digest.hexdigest())
    _check_parts(corpus)
    return corpus


def _planned(plan: Plan, vocabulary: Vocabulary | None) -> Plan:
    return plan if vocabulary is None else dataclasses.replace(plan, vocabulary=vocabulary)


def check_windows(corpus: Corpus, batch: int, bptt: int, stateful: bool) -> None:
    """Check that the training part holds at least one window of T = `bptt` steps (for each of B = `batch` streams).

    Raises:
        UserError: it does not; the message says how long the text must be and which flags to lower.
    """
    if batch < 1 or bptt < 1:
        raise UserError(f"--batch {batch} --bptt {bptt}: both must be at least 1")
    needed = needed_characters(batch, bptt, stateful)
    have = len(corpus.train)
    if have >= needed:
        return
    total = have + len(corpus.validation) + len(corpus.test) + corpus.unseen
    whole = math.ceil(needed * total / have)
    window = f"{batch} streams of {bptt} time steps" if stateful else f"a window of {bptt} time steps"
    lower = "--batch or --bptt, or use --batches stateless" if stateful else "--bptt"
    if stateful and have <= bptt:
        lower = "--bptt and --batch"
    raise UserError(
        f"{corpus.name} is too short: its training part has {have:,} characters and {window} need {needed:,}; "
        f"take a text of at least {whole:,} characters, or lower {lower}"
    )


def _blocks(what: str, sources: list[Source], first: int | None, progress: Progress | None) -> Iterator[Block]:
    """Yield the first `first` characters of all sources (all, if None), telling `progress` how far it has come."""
    joined = (block for source in sources for block in source.blocks())
    read = limited(joined, first)
    size = sum(source.size for source in sources)
    total = min(size, first or size)
    return reported(read, total, lambda done: progress(what, done)) if progress else read


def _digest(vocabulary: Vocabulary) -> hashlib._Hash:
    return hashlib.sha256(vocabulary.to_json().encode())


def _check_parts(corpus: Corpus) -> None:
    if len(corpus.train) < SMALLEST_PART:  # where the vocabulary was given
        raise UserError(f"{corpus.name} has hardly a character that this model knows: take another text")
    if len(corpus.validation) < SMALLEST_PART:
        raise UserError(
            f"the validation part of {corpus.name} has fewer than {SMALLEST_PART} characters that training saw: "
            "use another --split or a longer text"
        )


# A long text: encoded once, block by block, into one file that holds the three parts one after the other.


def _load_long(
    name: str,
    sources: list[Source],
    text: TextConfig,
    shares: tuple[float, float, float],
    progress: Progress | None,
    vocabulary: Vocabulary | None,
) -> Corpus:
    given = [] if vocabulary is None else [vocabulary.to_json()]
    options = [FORMAT, text.bytes, text.first, shares, *given, *(source.identity for source in sources)]
    key = hashlib.sha256(json.dumps(options).encode()).hexdigest()[:24]
    folder = cache_folder("encoded") / key
    corpus = _open_long(name, folder)
    if corpus is None:
        shutil.rmtree(folder, ignore_errors=True)
        with new_entry(folder) as fresh:
            _encode_long(fresh, name, sources, text, shares, progress, vocabulary)
        corpus = _open_long(name, folder)
    if corpus is None:
        raise UserError(f"the encoded text in {folder} was damaged as it was written: delete it and try again")
    _check_parts(corpus)
    return corpus


def _encode_long(
    folder: Path,
    name: str,
    sources: list[Source],
    text: TextConfig,
    shares: tuple[float, float, float],
    progress: Progress | None,
    vocabulary: Vocabulary | None,
) -> None:
    surveyed = survey(_blocks(f"reading {name}", sources, text.first, progress), name, shares, text.bytes)
    plan = _planned(surveyed, vocabulary)
    digest = _digest(plan.vocabulary)
    lengths, unseen = [0, 0, 0], 0
    with (folder / "ids").open("wb") as file:
        for part, ids, left_out in encoded(_blocks(f"encoding {name}", sources, text.first, progress), plan):
            digest.update(ids.data)
            file.write(ids.data)
            lengths[part] += len(ids)
            unseen += left_out
    if (vocabulary is None and lengths[0] != plan.train_end) or sum(lengths) + unseen != plan.total:
        raise UserError(f"{name} changed while it was read: try again when it is complete")
    about = {
        "vocabulary": plan.vocabulary.to_json(),
        "lengths": lengths,
        "unseen": unseen,
        "sha256": digest.hexdigest(),
    }
    (folder / "about.json").write_text(json.dumps(about))


def _open_long(name: str, folder: Path) -> Corpus | None:
    """Return the corpus encoded in `folder`, or None if there is none that is whole."""
    try:
        about = json.loads((folder / "about.json").read_text())
        vocabulary = Vocabulary.from_json(about["vocabulary"])
        dtype = Plan(vocabulary, 0, 0, 0).dtype
        ids = np.memmap(folder / "ids", dtype, mode="r", shape=(sum(about["lengths"]),))
        if (folder / "ids").stat().st_size != ids.nbytes:
            return None
        train, validation, test = np.split(ids, np.cumsum(about["lengths"])[:2])
        return Corpus(name, vocabulary, train, validation, test, about["unseen"], about["sha256"])
    except (OSError, ValueError, KeyError, UserError):
        return None

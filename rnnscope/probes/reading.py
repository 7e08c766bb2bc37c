"""What is read: the text that somebody wants to look at."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from rnnscope.corpus import Vocabulary
from rnnscope.corpus.text import Block, file_source, unreadable
from rnnscope.errors import UserError
from rnnscope.generating import Strategy, go_on
from rnnscope.probes.sampling import default_prompt, device_of
from rnnscope.probes.subject import Subject
from rnnscope.recording.requests import Request

LONGEST = 10_000
"""Characters that can be looked at: every one of them is kept with all its units."""

OFTEN = 64
"""Characters written between two reports."""


class Text(NamedTuple):
    """A text to look at: ids (N,) int64; where it is from, in words; the first so many were given, not generated."""

    ids: NDArray[np.int64]
    source: str
    given: int


def text_of(subject: Subject, request: Request) -> Text:
    """Return the text that `request.source` names, N at least 1 and at most LONGEST characters.

    generate: `prompt` (default: a newline) and `length` characters that the model writes after it, from a zero state.
    prompt: all of it. validation, train, file: `length` characters from `start`, fewer at the end.

    Raises:
        UserError: nothing to read there, longer than LONGEST, a file that cannot be read, or a prompt with
            characters that the vocabulary lacks (in a file these are left out and counted in `source`).
    """
    if request.source != "prompt" and not 1 <= request.length <= LONGEST:
        raise UserError(f"--length {request.length}: give 1 to {LONGEST:,} characters")
    if request.start < 0:
        raise UserError(f"--start {request.start}: it must be at least 0")
    match request.source:
        case "generate":
            return _generated(subject, request)
        case "prompt":
            return _prompt(subject, request.prompt)
        case "file":
            return _from_file(subject.corpus.vocabulary, request)
    part = subject.corpus.validation if request.source == "validation" else subject.corpus.train
    if request.start >= len(part):
        raise UserError(f"--start {request.start}: the {request.source} part has {len(part):,} characters")
    ids = part[request.start : request.start + request.length].astype(np.int64)
    return Text(ids, f"{request.source}, from {request.start:,}", len(ids))


def _prompt(subject: Subject, prompt: str) -> Text:
    ids = subject.corpus.vocabulary.encode_prompt(prompt)
    if not 1 <= len(ids) <= LONGEST:
        raise UserError(f"--prompt has {len(ids):,} characters: give 1 to {LONGEST:,}")
    return Text(ids, "prompt", len(ids))


@torch.no_grad()
def _generated(subject: Subject, request: Request) -> Text:
    vocabulary, model = subject.corpus.vocabulary, subject.model
    given, _, count = _prompt(subject, request.prompt or default_prompt(vocabulary))
    drawn = []
    going = go_on(
        model, torch.from_numpy(given).to(device_of(model))[:, None], Strategy(request.temperature), request.seed
    )
    for n, ids in enumerate(islice(going, request.length)):
        drawn.append(ids)
        if n % OFTEN == 0:
            subject.report(0.0, "writing the text")
    written = torch.cat(drawn).cpu().numpy()
    source = f"generated at step {subject.step:,}, temperature {request.temperature:g}, seed {request.seed}"
    return Text(np.concatenate([given, written]), source, count)


def _from_file(vocabulary: Vocabulary, request: Request) -> Text:
    """Read `length` characters that the vocabulary has, from character `start` of the file on."""
    if not request.file:
        raise UserError("--source file: name it with --file")
    path = Path(request.file).expanduser()
    try:
        blocks = file_source(path, vocabulary.bytes_mode).blocks()
    except OSError as problem:
        raise unreadable(path, problem) from problem
    kept, unknown = _known(vocabulary, _from(blocks, request.start), request.length)
    if not len(kept):
        raise UserError(f"{path} has no character that this model knows from {request.start:,} on")
    left_out = f", {unknown:,} unknown characters left out" if unknown else ""
    return Text(kept, f"{path.name}, from {request.start:,}{left_out}", len(kept))


def _from(blocks: Iterator[Block], start: int) -> Iterator[Block]:
    """Yield `blocks` without the first `start` characters."""
    for block in blocks:
        yield block[start:]
        start = max(0, start - len(block))


def _known(vocabulary: Vocabulary, blocks: Iterator[Block], length: int) -> tuple[NDArray[np.int64], int]:
    """Return the ids of the first `length` characters that the vocabulary has, and how many others were among them."""
    codes = np.array([ord(symbol) for symbol in vocabulary.symbols])
    order = np.argsort(codes)
    codes = codes[order]
    kept: list[NDArray[np.int64]] = [np.empty(0, np.int64)]
    unknown = count = 0
    for block in blocks:
        place = np.searchsorted(codes, block).clip(max=len(codes) - 1)
        known = np.flatnonzero(codes[place] == block)[: length - count]
        full = count + len(known) == length
        unknown += (int(known[-1]) + 1 if full else len(block)) - len(known)
        count += len(known)
        kept.append(order[place[known]].astype(np.int64))
        if full:
            break
    return np.concatenate(kept), unknown

"""Code points to ids: one pass that surveys a text, one that encodes it, both over blocks of any long text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnnscope.corpus.split import boundaries
from rnnscope.corpus.text import Block
from rnnscope.corpus.vocabulary import BYTES, Vocabulary
from rnnscope.errors import UserError

Ids = NDArray[np.unsignedinteger]
UNICODE = 0x110000  # code points there are
SMALLEST_PART = 2  # characters: one to read, one to predict


@dataclass(frozen=True)
class Plan:
    """How a text is to be encoded: its vocabulary, and where its parts end (in characters of the text)."""

    vocabulary: Vocabulary
    train_end: int
    validation_end: int
    total: int

    @property
    def dtype(self) -> np.dtype[np.unsignedinteger]:
        """The smallest unsigned type that holds every id."""
        return np.min_scalar_type(len(self.vocabulary) - 1)


def survey(blocks: Iterable[Block], name: str, shares: tuple[float, float, float], bytes_mode: bool) -> Plan:
    """Read a text once and return how to encode it.

    The vocabulary is that of the training part alone, whose end is known only when the text has been read to its own:
    so the pass notes where each code point appears first.

    Raises:
        UserError: empty, one distinct character, or a part too short to predict anything in.
    """
    first_seen: dict[int, int] = {}
    seen = np.zeros(UNICODE, np.bool_)
    total = 0
    for block in blocks:
        new = np.flatnonzero(~seen[block])
        if new.size:
            codes, where = np.unique(block[new], return_index=True)
            seen[codes] = True
            first_seen.update(zip(codes.tolist(), (total + new[where]).tolist(), strict=True))
        total += len(block)
    if total == 0:
        raise UserError(f"{name} is empty: there is nothing to learn from")
    train_end, validation_end, _ = boundaries(total, shares)
    known = sorted(code for code, position in first_seen.items() if position < train_end)
    if len(known) == 1 and len(first_seen) == 1:
        raise UserError(f"{name} has one distinct character ({chr(known[0])!r}): there is nothing to predict")
    for part, length in (("training", train_end), ("validation", validation_end - train_end)):
        if length < SMALLEST_PART:
            raise UserError(
                f"{name} is too short ({total:,} characters): its {part} part would have {length}, and needs "
                f"{SMALLEST_PART}; take a longer text or another --split"
            )
    if len(known) == 1:
        raise UserError(f"the training part of {name} has one distinct character ({chr(known[0])!r}): change --split")
    vocabulary = BYTES if bytes_mode else Vocabulary(tuple(map(chr, known)))
    return Plan(vocabulary, train_end, validation_end, total)


def encoded(blocks: Iterable[Block], plan: Plan) -> Iterator[tuple[int, Ids, int]]:
    """Yield (part, ids, unseen) for each stretch of text: part 0 training, 1 validation, 2 test.

    unseen: characters of the stretch left out, since training never saw them.
    """
    table = np.full(UNICODE, -1, np.int32)
    table[[ord(symbol) for symbol in plan.vocabulary.symbols]] = np.arange(len(plan.vocabulary), dtype=np.int32)
    ends = (plan.train_end, plan.validation_end, plan.total)
    position = part = 0
    for block in blocks:
        ids = table[block]
        start = 0
        while start < len(ids):
            while position == ends[part] and part < 2:
                part += 1
            stop = min(len(ids), start + ends[part] - position)
            if stop == start:
                return  # longer than surveyed: a file that grows is read as far as it went
            piece = ids[start:stop]
            kept = piece[piece >= 0]
            yield part, kept.astype(plan.dtype), len(piece) - len(kept)
            position += stop - start
            start = stop


def limited(blocks: Iterable[Block], first: int | None) -> Iterator[Block]:
    """Yield the first `first` characters of `blocks` (all, if None)."""
    left = first
    for block in blocks:
        if left is not None and len(block) >= left:
            yield block[:left]
            return
        yield block
        if left is not None:
            left -= len(block)


def reported(blocks: Iterable[Block], total: int, report: Callable[[float], None]) -> Iterator[Block]:
    """Yield `blocks` while reporting which fraction of `total` characters has passed, 1 once, at the end."""
    done = 0
    for block in blocks:
        yield block
        done += len(block)
        if done < total:
            report(done / total)
    report(1.0)

"""Texts that need no file and no network, made by our own code: deterministic, of any length."""

from __future__ import annotations

import contextlib
import hashlib
import inspect
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from rnnscope.corpus.builtin import code, grammar, play, stdlib
from rnnscope.corpus.cache import cache_folder, write_text
from rnnscope.corpus.text import Block, Source, read_file, read_string
from rnnscope.errors import UserError

KEPT = 16 << 20  # characters: up to here a generated text is kept in the cache folder, which is quicker to read
STRETCH = 1 << 16  # characters generated at a time, a few milliseconds: so often can a reader be told to stop


@dataclass(frozen=True)
class BuiltIn:
    """A built-in text.

    pieces: yields it piece by piece, for ever (the standard library: to its end).
    code: what its content depends on; a text kept in the cache is used only while this is the same.
    """

    help: str
    pieces: Callable[[], Iterator[str]]
    code: Callable[[], str]


def _source_code(*modules: object) -> Callable[[], str]:
    return lambda: "".join(Path(inspect.getfile(module)).read_text() for module in modules)  # type: ignore[arg-type]


BUILTIN: dict[str, BuiltIn] = {
    "play": BuiltIn(
        "a play without end: speakers in capitals, quoted speech, (asides), wrapped lines",
        play.pieces,
        _source_code(play, grammar),
    ),
    "code": BuiltIn(
        "a program without end: nested brackets, indentation, strings, comments",
        code.pieces,
        _source_code(code, grammar),
    ),
    "python": BuiltIn("the sources of this Python's standard library", stdlib.pieces, stdlib.version),
}


def source(name: str, length: int, bytes_mode: bool) -> Source:
    """Return the first `length` characters of a built-in text."""
    key = hashlib.sha256(BUILTIN[name].code().encode()).hexdigest()[:16]
    identity = f"{name} {length} {key}"
    if length > KEPT:
        return Source(name, length, identity, lambda: _generate(name, length, bytes_mode))
    path = cache_folder("texts") / f"{name}-{length}-{key}.txt"
    return Source(name, length, identity, lambda: _kept(name, length, path, bytes_mode))


def generate(name: str, length: int) -> Iterator[str]:
    """Yield the first `length` characters of a built-in text, piece by piece."""
    for piece in BUILTIN[name].pieces():
        if len(piece) >= length:
            yield piece[:length]
            return
        yield piece
        length -= len(piece)


def _stretches(name: str, length: int) -> Iterator[str]:
    """Yield the same text in stretches long enough that numpy's calls for each cost little."""
    held, size = [], 0
    for piece in generate(name, length):
        held.append(piece)
        size += len(piece)
        if size >= STRETCH:
            yield "".join(held)
            held, size = [], 0
    yield "".join(held)


def _generate(name: str, length: int, bytes_mode: bool) -> Iterator[Block]:
    for stretch in _stretches(name, length):
        yield from read_string(stretch, bytes_mode)


def _kept(name: str, length: int, path: Path, bytes_mode: bool) -> Iterator[Block]:
    """Yield a text kept in the cache folder, or make it and keep it once it has been read to its end."""
    if os.path.isfile(path):  # unlike Path.is_file, False where the folder may not be entered
        yield from read_file(path, bytes_mode)
        return
    made = []
    for stretch in _stretches(name, length):
        made.append(stretch)
        yield from read_string(stretch, bytes_mode)
    with contextlib.suppress(UserError):  # it only saves time: without a cache folder the text is made each time
        write_text(path, "".join(made))

"""Text to code points: a stream of small numpy blocks, from a file or a string."""

from __future__ import annotations

import codecs
import io
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rnnscope.errors import UserError

Block: TypeAlias = NDArray[np.unsignedinteger]
"""A stretch of text as code points (or raw bytes): uint8 where all are below 256, else uint32."""

READ_SIZE = 1 << 20  # bytes read from a file at a time: bounds the memory of a text of any length
BOM = "\ufeff"


@dataclass(frozen=True)
class Source:
    """One text, not yet read.

    name: what a header calls it.
    size: its bytes, near enough to decide whether it fits in memory.
    identity: text that changes whenever the content may have; the key of what is cached.
    blocks: reads it from its beginning, each time it is called.
    """

    name: str
    size: int
    identity: str
    blocks: Callable[[], Iterator[Block]]


def file_source(path: Path, bytes_mode: bool) -> Source:
    """Return the source of a file.

    Raises:
        UserError: it is no ordinary file.
        OSError: it cannot be looked at.
    """
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise UserError(f"{path} is not an ordinary file (a device or pipe?): copy its text to a file first")
    identity = f"{path.resolve()} {found.st_size} {found.st_mtime_ns}"
    return Source(path.name, found.st_size, identity, lambda: read_file(path, bytes_mode))


def read_file(path: Path, bytes_mode: bool) -> Iterator[Block]:
    """Yield the code points of a UTF-8 file (a BOM left out, CRLF and CR turned into LF), or its raw bytes.

    Raises:
        UserError: unreadable, not UTF-8, or binary, with the offset in bytes.
    """
    try:
        with path.open("rb") as file:
            if bytes_mode:
                while chunk := file.read(READ_SIZE):
                    yield np.frombuffer(chunk, np.uint8)
            else:
                for text in normalised(_decoded(file, path)):
                    yield code_points(text)
    except OSError as problem:
        raise unreadable(path, problem) from problem


def read_string(text: str, bytes_mode: bool) -> Iterator[Block]:
    """Yield the code points of `text`, or the bytes of its UTF-8 form."""
    yield np.frombuffer(text.encode(), np.uint8) if bytes_mode else code_points(text)


def code_points(text: str) -> Block:
    """Return the code points of `text`, shape (len(text),)."""
    if text.isascii():  # a quarter of the memory, and nearly every text
        return np.frombuffer(text.encode("ascii"), np.uint8)
    return np.frombuffer(text.encode("utf-32-le"), np.uint32)


def normalised(texts: Iterable[str]) -> Iterator[str]:
    """Yield the same text without a leading BOM and with every line ending as LF."""
    newlines = io.IncrementalNewlineDecoder(None, translate=True)  # knows a CRLF that two blocks share
    first = True
    for text in texts:
        if first and text:
            text, first = text.removeprefix(BOM), False
        yield newlines.decode(text)
    yield newlines.decode("", final=True)


def unreadable(path: Path, problem: OSError) -> UserError:
    """Return the error for a path that the system refuses to read."""
    return UserError(f"cannot read {path}: {problem.strerror or problem}")


def _decoded(file: BinaryIO, path: Path) -> Iterator[str]:
    """Yield a UTF-8 file's text as it is read, BOM and line endings untouched."""
    decoder = codecs.getincrementaldecoder("utf-8")("strict")
    offset = 0  # bytes of the file before this chunk
    while True:
        chunk = file.read(READ_SIZE)
        if (binary := chunk.find(b"\0")) >= 0:
            hint = "is UTF-16 or UTF-32" if offset == 0 and chunk[:2] in (b"\xff\xfe", b"\xfe\xff") else "looks binary"
            raise UserError(
                f"{path} {hint} (a zero byte at offset {offset + binary:,}): convert it to UTF-8, "
                "or train on its raw bytes with --bytes"
            )
        pending = len(decoder.getstate()[0])  # bytes of an unfinished character
        try:
            text = decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError as problem:
            where = offset - pending + problem.start
            raise UserError(
                f"{path} is not UTF-8 (byte 0x{problem.object[problem.start]:02x} at offset {where:,}): convert it "
                f"(iconv -f latin1 -t utf-8), or train on its raw bytes with --bytes"
            ) from problem
        yield text
        if not chunk:
            return
        offset += len(chunk)

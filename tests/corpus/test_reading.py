from __future__ import annotations

import codecs
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnscope.corpus import text as reading
from rnnscope.corpus.text import code_points, file_source, normalised, read_file, read_string
from rnnscope.errors import UserError


def read(path: str, bytes_mode: bool = False) -> str:
    return "".join(chr(code) for block in read_file(Path(path), bytes_mode) for code in block.tolist())


@given(st.text())
def test_code_points_are_those_of_python(text: str) -> None:
    assert code_points(text).tolist() == [ord(character) for character in text]


@pytest.mark.parametrize("size", [1, 2, 3, 5, 1 << 20])
def test_blocks_of_any_size_give_the_same_text(
    write: Callable[..., str], monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(reading, "READ_SIZE", size)
    path = write(codecs.BOM_UTF8 + "Één\r\n학교 👩\r\n\rend\n\r\n".encode())
    assert read(path) == "Één\n학교 👩\n\nend\n\n"


def test_only_a_leading_bom_is_left_out(write: Callable[..., str]) -> None:
    assert read(write("\ufeffa\ufeffb")) == "a\ufeffb"


@given(st.text(alphabet="a\r\n"), st.integers(1, 4))
def test_line_endings_as_python_reads_them(text: str, size: int) -> None:
    pieces = [text[start : start + size] for start in range(0, len(text), size)]
    assert "".join(normalised(pieces)) == text.replace("\r\n", "\n").replace("\r", "\n")


def test_raw_bytes_are_left_alone(write: Callable[..., str]) -> None:
    content = codecs.BOM_UTF8 + b"\x00\xff\r\n"
    assert read(write(content), bytes_mode=True) == content.decode("latin-1")


@pytest.mark.parametrize("size", [1, 3, 7, 1 << 20])
def test_not_utf8_gives_the_offset_in_bytes(
    write: Callable[..., str], monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(reading, "READ_SIZE", size)
    path = write("é학교 caf".encode() + b"\xe9 noir")
    with pytest.raises(UserError, match=r"notes.txt is not UTF-8 \(byte 0xe9 at offset 12\).*--bytes"):
        read(path)


def test_a_file_cut_inside_a_character_is_not_utf8(write: Callable[..., str]) -> None:
    with pytest.raises(UserError, match="byte 0xed at offset 2"):
        read(write(b"ab" + "학".encode()[:2]))


def test_binary_and_utf16_are_told_apart(write: Callable[..., str]) -> None:
    with pytest.raises(UserError, match=r"looks binary \(a zero byte at offset 4\).*--bytes"):
        read(write(b"\x7fELF\x00\x01"))
    with pytest.raises(UserError, match="is UTF-16"):
        read(write("hello".encode("utf-16")))


def test_a_string_reads_as_characters_or_as_utf8_bytes() -> None:
    assert np.concatenate(list(read_string("é", False))).tolist() == [0xE9]
    assert np.concatenate(list(read_string("é", True))).tolist() == [0xC3, 0xA9]


def test_a_device_is_refused() -> None:
    with pytest.raises(UserError, match="not an ordinary file"):
        file_source(Path("/dev/null"), False)

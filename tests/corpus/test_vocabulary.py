from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnscope.corpus.vocabulary import BYTES, Vocabulary
from rnnscope.errors import UserError

KOREAN = "학교 e\u0301 👩‍🔬 ab\n"  # wide, combining, joined and control characters


def of(text: str) -> Vocabulary:
    return Vocabulary(tuple(sorted(set(text))))


@given(st.text(min_size=1))
def test_decode_undoes_encode(text: str) -> None:
    vocabulary = of(text)
    ids = vocabulary.encode(text)
    assert vocabulary.decode(ids) == text
    assert ids.dtype == np.int64
    assert ids.shape == (len(text),)


def test_a_symbol_is_one_code_point() -> None:
    assert len(of("e\u0301")) == 2
    assert len(of("👩‍🔬")) == 3


def test_json_keeps_every_kind_of_character() -> None:
    saved = of(KOREAN).to_json()
    assert saved.isascii()
    json.loads(saved)
    assert Vocabulary.from_json(saved) == of(KOREAN)
    assert Vocabulary.from_json(BYTES.to_json()) == BYTES


@pytest.mark.parametrize(
    "damaged", ["", "[]", "{}", '{"symbols": "aa", "bytes": false}', '{"symbols": "", "bytes": 1}']
)
def test_a_damaged_vocabulary_is_said_to_be_one(damaged: str) -> None:
    with pytest.raises(UserError, match="damaged"):
        Vocabulary.from_json(damaged)


def test_unknown_characters_are_named() -> None:
    with pytest.raises(UserError, match=r"has no 'x' 'y':") as caught:
        of("ab").encode("axby")
    assert "\n" not in str(caught.value)


def test_unknown_control_characters_and_surrogates_are_escaped() -> None:
    with pytest.raises(UserError) as caught:
        of("ab").encode("a\x1b\n\udc80")
    assert str(caught.value).isprintable()


def test_many_unknown_characters_are_cut_short() -> None:
    with pytest.raises(UserError, match="and 16 more"):
        of("ab").encode("cdefghijklmnopqrstuvwxyz")


def test_bytes_mode_reads_a_prompt_as_utf8_and_shows_latin1() -> None:
    assert BYTES.encode_prompt("é").tolist() == [0xC3, 0xA9]
    assert BYTES.decode(BYTES.encode_prompt("é")) == "Ã©"
    assert BYTES.encode("é").tolist() == [0xE9]
    assert of("aé").encode_prompt("é").tolist() == [1]

"""What a text copies and repeats, against brute force."""

from __future__ import annotations

import math
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnscope.config import TextConfig
from rnnscope.corpus import load
from rnnscope.corpus.copying import build_index, copied, distinct, longest_copy, repeated_lines, training_index

SHAKESPEARE = Path(__file__).parents[2].parent / "shared" / "data" / "shakespeare.txt"

texts = st.text("ab", max_size=80) | st.text("abcdefgh", max_size=80)


def ids(text: str) -> np.ndarray:
    return np.array([ord(letter) for letter in text], np.int64) - 97


def longest_piece(text: str, source: str, start: int) -> int:
    return max(n for n in range(len(text) - start + 1) if text[start : start + n] in source)


@settings(max_examples=200, deadline=None)
@given(texts)
def test_the_suffixes_are_sorted(source: str) -> None:
    wanted = sorted(range(len(source)), key=lambda place: source[place:])
    assert build_index(ids(source)).suffixes.tolist() == wanted


@settings(max_examples=200, deadline=None)
@given(texts, texts)
def test_the_longest_copies_are_those_of_brute_force(source: str, text: str) -> None:
    index = build_index(ids(source))
    wanted = [longest_piece(text, source, start) for start in range(len(text))]
    assert copied(ids(text), index).tolist() == wanted
    longest = max(wanted, default=0)
    assert longest_copy(ids(text), index) == (wanted.index(longest) if longest else 0, longest)


def test_pieces_longer_than_what_is_packed_or_compared_at_once() -> None:
    """Long periods: suffixes that agree for hundreds of symbols; copies of hundreds, ended by one wrong symbol."""
    random = np.random.default_rng(0)
    period = random.integers(0, 300, 700)
    source = np.concatenate([period, period, random.integers(0, 300, 50), period[:500]])
    index = build_index(source)
    suffixes = [source[place:].tolist() for place in index.suffixes]
    assert suffixes == sorted(suffixes)
    text = np.concatenate([[301, 302], source[100:1300], [303], period[:600], [5_000]])
    assert longest_copy(text, index) == (2, 1200)
    assert copied(text, index)[[0, 1, 2, 3, 1203]].tolist() == [0, 0, 1200, 1199, 600]
    assert longest_copy(source, index) == (0, len(source))


def test_one_symbol_for_ever() -> None:
    index = build_index(np.zeros(5000, np.uint8))
    np.testing.assert_array_equal(index.suffixes, np.arange(5000)[::-1])
    assert longest_copy(np.zeros(6000, np.int64), index) == (0, 5000)


def test_the_index_of_a_corpus_is_made_once_and_can_be_broken_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RNNSCOPE_CACHE", str(tmp_path))
    corpus, other = (load(("play",), TextConfig(length=length)) for length in (20_000, 21_000))

    class Stop(Exception):
        pass

    def stop() -> None:
        raise Stop

    with pytest.raises(Stop):
        training_index(corpus, working=stop)
    index = training_index(corpus)
    assert training_index(corpus) is index
    assert longest_copy(corpus.train[5_000:6_000], index) == (0, 1000)
    assert training_index(other) is not index
    monkeypatch.setattr("rnnscope.corpus.copying.INDEXED", 3_000)
    last = training_index(corpus)
    np.testing.assert_array_equal(np.sort(last.suffixes), np.arange(3_000))
    np.testing.assert_array_equal(last.text[:3_000], corpus.train[-3_000:])


def test_distinct_words() -> None:
    text = "the cat  saw\nthe cat run"  # the cat, cat saw, saw the, the cat, cat run
    assert distinct(text, 1) == 4 / 6
    assert distinct(text, 2) == 4 / 5
    assert distinct(text, 3) == 1
    assert distinct("a a a a", 2) == 1 / 3
    assert math.isnan(distinct("one two", 3))
    assert math.isnan(distinct("", 1))


def test_repeated_lines() -> None:
    assert repeated_lines("a\n\nb\n\na\na\nc") == pytest.approx(2 / 5)  # a comes twice more; blank lines do not count
    assert repeated_lines("a\nb") == 0
    assert math.isnan(repeated_lines("\n \n"))


@pytest.mark.skipif(not SHAKESPEARE.exists(), reason="shakespeare.txt is not at hand")
def test_a_megabyte_within_the_time() -> None:
    source = np.frombuffer(SHAKESPEARE.read_bytes(), np.uint8)
    began = time.perf_counter()
    index = build_index(source)
    assert time.perf_counter() - began < 10
    random = np.random.default_rng(0)
    text = np.concatenate([random.choice(source, 3_000), source[500_000:503_000], random.choice(source, 4_000)])
    began = time.perf_counter()
    start, length = longest_copy(text, index)
    assert time.perf_counter() - began < 5
    assert 2_990 <= start <= 3_000
    assert 3_000 <= length <= 3_020
    assert source.tobytes().find(text[start : start + length].tobytes()) >= 0
    assert source.tobytes().find(text[start : start + length + 1].tobytes()) < 0

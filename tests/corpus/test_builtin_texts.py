from __future__ import annotations

import dataclasses
import hashlib
import re
import time
from collections.abc import Iterator
from itertools import islice, pairwise
from pathlib import Path

import numpy as np
import pytest

from rnnscope.config import TextConfig
from rnnscope.corpus import builtin, load
from rnnscope.corpus.builtin import BUILTIN, code, generate, play, stdlib
from rnnscope.corpus.builtin.grammar import Draws, Grammar, words
from rnnscope.errors import UserError


def text(name: str, length: int) -> str:
    return "".join(generate(name, length))


PLAY = text("play", 300_000)
CODE = text("code", 300_000)


@pytest.mark.parametrize("name", BUILTIN)
@pytest.mark.parametrize("length", [1, 999, 50_000])
def test_any_length_and_a_longer_text_begins_with_a_shorter_one(name: str, length: int) -> None:
    assert len(text(name, length)) == length
    assert text(name, 60_000).startswith(text(name, length))


@pytest.mark.parametrize(
    ("name", "sha256"),
    [
        ("play", "a39d3b6bc4d9c439"),
        ("code", "1fb59e0ec52b4c7c"),
    ],
)
def test_the_texts_are_the_same_on_every_machine(name: str, sha256: str) -> None:
    """A lesson's numbers hang on these: change them only on purpose."""
    assert hashlib.sha256(text(name, 100_000).encode()).hexdigest().startswith(sha256)


@pytest.mark.parametrize("name", ["play", "code"])
def test_a_million_characters_are_made_quickly(name: str) -> None:
    def seconds() -> float:
        begun = time.thread_time()
        text(name, 1_000_000)
        return time.thread_time() - begun

    assert min(seconds() for _ in range(3)) < 0.5  # 0.13 on an idle core


@pytest.mark.parametrize("made", [PLAY, CODE], ids=["play", "code"])
def test_plain_printable_text(made: str) -> None:
    assert made.isascii()
    assert made.replace("\n", "").isprintable()
    assert not re.search(r"\^|[ \t]\n|<\w+>", made)  # no trace of the grammar, no spaces at line ends


# play


def speeches(made: str) -> list[tuple[str, str]]:
    return re.findall(r"^([A-Z]+):\n((?:.+\n)+)\n", made, re.MULTILINE)


def test_scenes_are_numbered_and_have_a_cast_that_takes_turns() -> None:
    scenes = re.split(r"^(?=SCENE )", PLAY, flags=re.MULTILINE)[1:-1]
    assert len(scenes) > 50
    for number, scene in enumerate(scenes, start=1):
        head, cast = scene.split("\n\n")[:2]
        assert re.fullmatch(rf"SCENE {number}\. [A-Z][a-z ]+\.", head)
        names = re.findall(r"[A-Z]{2,}", cast)
        assert play.CAST[0] <= len(set(names)) == len(names) <= play.CAST[1]
        speakers = [speaker for speaker, _ in speeches(scene)]
        assert play.SPEECHES[0] <= len(speakers) <= play.SPEECHES[1]
        assert set(speakers) <= set(names)
        assert all(one != two for one, two in pairwise(speakers))


def test_lines_are_filled_to_the_width_and_no_further() -> None:
    for _, speech in speeches(PLAY):
        lines = speech.splitlines()
        assert max(map(len, lines)) <= play.WIDTH
        for line, following in pairwise(lines):
            assert len(line) + 1 + len(following.split()[0]) > play.WIDTH


def test_quotes_and_parentheses_are_closed_and_sentences_end() -> None:
    quoted = asides = 0
    for _, speech in speeches(PLAY):
        assert speech.count('"') % 2 == 0
        assert re.sub(r"[^()]", "", speech).replace("()", "") == ""
        assert speech[-2] in '.!?")'
        quoted += '"' in speech
        asides += "(" in speech
        assert re.match(r'["(A-Z]', speech)
    assert min(quoted, asides) > 0.15 * len(speeches(PLAY))


def test_words_are_english_and_various() -> None:
    found = re.findall(r"[a-z]+", PLAY.lower())
    counts = np.sort(np.unique(found, return_counts=True)[1])[::-1]
    assert 400 < len(counts) < 700
    assert counts[:50].sum() < 0.7 * counts.sum()
    assert not re.search(r"\b[Aa] [aeiou]|\b[Aa]n [^aeiou]", PLAY)
    sentences = re.findall(r"[A-Z][^.!?]*[.!?]", PLAY.replace("\n", " "))
    assert len(set(sentences)) > 0.8 * len(sentences)


# code


def without_strings(line: str) -> str:
    return re.sub(r'"[^"]*"', '""', line)


def test_brackets_match_and_decide_the_indentation() -> None:
    complete = CODE[: CODE.rindex("\n\n") + 2]
    open_brackets: list[str] = []
    deepest = 0
    for line in complete.splitlines():
        bare = without_strings(line)
        comment = re.match(r"\s*(//| ?\*|/\*)", bare)
        closing = bare.lstrip()[:1] in ("}", "]")
        depth = sum(bracket in "{[" for bracket in open_brackets) - closing
        if line and not line.startswith(" *"):
            assert len(line) - len(line.lstrip()) == len(code.INDENT) * depth, line
        if comment:
            continue
        for symbol in re.findall(r"[][(){}]", bare):
            if symbol in "([{":
                open_brackets.append(symbol)
                deepest = max(deepest, len(open_brackets))
            else:
                assert open_brackets.pop() + symbol in ("()", "[]", "{}"), line
        if not line:
            assert open_brackets == []
    assert deepest >= 6


def test_strings_and_comments_are_there_and_hold_only_words() -> None:
    strings = re.findall(r'"([^"\n]*)"', CODE)
    assert len(strings) > 1000
    assert all(re.fullmatch(r"[A-Za-z .]*", string) for string in strings)
    comments = re.findall(r"//(.*)", CODE)
    assert len(comments) > 300
    assert all(re.fullmatch(r"[a-z ]+", comment) for comment in comments)


def test_no_function_runs_away() -> None:
    lengths = [len(piece) for piece in islice(code.pieces(), 5000)]
    assert np.mean(lengths) < 1500
    assert max(lengths) < 100_000


# grammar


def test_alternatives_come_as_often_as_their_weights_say() -> None:
    grammar = Grammar({"s": {"<a><a>": 1, "b": 3}, "a": {"x": 1, "y": 1, "z": 2}})
    draws = Draws(0)
    n = 40_000
    found = [grammar.sample("s", draws) for _ in range(n)]
    for text, p in {"b": 0.75, "xy": 1 / 64, "zz": 1 / 16, "yz": 1 / 32}.items():
        assert abs(found.count(text) / n - p) < 4 * np.sqrt(p * (1 - p) / n)


def test_draws_are_uniform_and_fixed() -> None:
    draws = Draws(5)
    values = np.array([draws.next() for _ in range(40_000)])
    raw = np.random.PCG64(5).random_raw(3)
    np.testing.assert_array_equal(values[:3], [(int(bits) >> 11) / 2**53 for bits in raw])
    assert abs(values.mean() - 0.5) < 0.006
    assert 0 <= values.min() < values.max() < 1
    assert {draws.below(3) for _ in range(100)} == {0, 1, 2}


def test_a_rule_that_is_missing_is_named() -> None:
    with pytest.raises(KeyError, match="nowhere"):
        Grammar({"s": {"<nowhere>": 1}})


def test_words_grow_rarer_along_the_list() -> None:
    weights = list(words("one two old_man four").items())
    assert [word for word, _ in weights] == ["one", "two", "old man", "four"]
    assert [weight for _, weight in weights] == sorted((weight for _, weight in weights), reverse=True)


# python


def test_python_is_the_standard_library_as_it_stands() -> None:
    made = text("python", 2_000_000)
    first = (Path(stdlib.os.__file__).parent / "__future__.py").read_text()
    assert made.startswith(first)
    assert "\r" not in made


def test_a_python_without_sources(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(stdlib.os, "__file__", str(tmp_path / "os.pyc"))
    with pytest.raises(UserError, match="no sources"):
        load(("python",), TextConfig())


# as a corpus


@pytest.mark.parametrize("name", BUILTIN)
def test_loads_by_name(name: str) -> None:
    corpus = load((name,), TextConfig(length=20_000))
    assert corpus.name == name
    assert corpus.vocabulary.decode(corpus.train) == text(name, 18_000)


def test_a_file_of_the_same_name_is_reached_by_its_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("play").write_text("abababab")
    assert len(load(("./play",), TextConfig(split="50/50")).train) == 4
    assert len(load(("play",), TextConfig(split="50/50", length=500)).train) == 250


def test_a_generated_text_is_kept_and_made_anew_when_its_code_changes(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = load(("play",), TextConfig(length=5000))
    (kept,) = (cache / "texts").iterdir()
    kept.write_text("abcdefgh" * 100)
    assert len(load(("play",), TextConfig(length=5000)).vocabulary) == 8  # it is read from there
    monkeypatch.setitem(BUILTIN, "play", builtin.BuiltIn("", BUILTIN["play"].pieces, lambda: "changed"))
    assert load(("play",), TextConfig(length=5000)).sha256 == first.sha256


def test_a_generated_text_needs_no_cache_folder(cache: Path) -> None:
    cache.write_text("a file stands here")
    assert len(load(("code",), TextConfig(length=5000)).train) == 4500


def test_bytes_mode_reads_a_built_in_text_too() -> None:
    corpus = load(("play",), TextConfig(length=5000, bytes=True))
    assert corpus.train.tobytes().decode() == text("play", 4500)


@pytest.mark.parametrize("length", [builtin.KEPT, 10 * builtin.KEPT], ids=["in memory", "long"])
def test_whoever_is_told_of_the_progress_can_break_it_off(
    cache: Path, monkeypatch: pytest.MonkeyPatch, length: int
) -> None:
    """As a worker does that is told to stop: not much more than one stretch is generated by then, and nothing kept."""

    class EnoughError(Exception):
        pass

    def enough(what: str, share: float | None) -> None:
        raise EnoughError(what)

    made: list[int] = []

    def counted() -> Iterator[str]:
        for piece in play.pieces():
            made.append(len(piece))
            yield piece

    monkeypatch.setitem(BUILTIN, "play", dataclasses.replace(BUILTIN["play"], pieces=counted))
    with pytest.raises(EnoughError, match="reading play"):
        load(("play",), TextConfig(length=length), progress=enough)
    assert builtin.STRETCH <= sum(made) < 2 * builtin.STRETCH
    assert not [path for path in cache.rglob("*") if path.is_file()]


def test_the_progress_of_a_short_text_rises_to_one() -> None:
    told: list[float | None] = []
    load(("code",), TextConfig(length=500_000), progress=lambda what, share: told.append(share))
    shares = [share for share in told if share is not None]
    assert len(shares) == len(told) > 5
    assert shares == sorted(shares)
    assert shares.count(1) == 1

"""Labels against texts labelled by hand, letter by letter: a dot (or 0) is no, anything else yes (or how many)."""

from __future__ import annotations

import io
import os
import time
import tokenize
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from rnnscope.concepts import code
from rnnscope.concepts.table import CONCEPTS, NAMES
from rnnscope.corpus.builtin import generate
from rnnscope.corpus.builtin.code import INDENT

HAND = r"""
inside quotes
| a "b c" d
| ..1111...
| a “b c” d
| ..1111...
| "a" "b"!
| 11..11..
| don't 'tis o'clock
| ..................
| say 'no' I'd
| ....111.....
| cry 'O, o' the sea.' Ay
| ....111111111111111....
| the kings' 'ay'
| ...........111.
| 'Tis so,' he
| ............
| it's ‘so’ he’s
| .....111......
| "it's" the 'a'
| 11111.........
| he said, ‘don’t’.
| .........111111..
| said "go⏎⏎we "do" it
| .....111.....111....
| 5" and "6
| .......11
| x = ['a', "b"]  # "c" it's
| .....11...11......11......
| „so“ «ja»
| 111..111.
| 'gone⏎⏎'there'
| .......111111.

string
| x = {'a': "b'"}  # 'c'
| .....11...111.........
| f(r"\"", y_=[])
| ...111.........
| a=[1]⏎b='''c⏎'d'''
| ........111111111.
| let a = ["x"]; // 'no'⏎
| .........11............
| he said "so"
| ............
| x_ = don't # no
| ...............
| a = ['b⏎c = 'd']
| ............11..

comment
| x = [1] # so⏎y = '#'
| ........1111........
| a = {}; /* b */ c
| ........111111...
| { a = 1; } // so⏎c
| ...........11111..
| http://a
| ........
| a = [4 // 2]
| ............

parenthesis depth
| a (b (c) d) e
| ..11122111...
| :) a (b⏎⏎c) d
| .............
| (a)(b
| 11.11
| x = [(')', 2)] # (
| .....1111111......

bracket depth
| a[b[c]] {d}
| .11221..11.
| f([1, {2}], ')')
| ..1111221.......

indentation
| a⏎  b⏎⏎c
| ..122...
| ⇥b⏎ ⇥c d
| 88.18888

position in line
| ab⏎⏎c⏎
| 012001

since newline
| ab⏎⏎c⏎
| 120010

position in word
| it's x_1, y' 'z
| 1234.123..1...1

capital
| aB É1ß
| .1.1..

vowel
| aBéÜy1
| 1.11..

digit
| a1 ²٣
| .1..1

whitespace
| a b⇥c⏎
| .1.1.1

speaker name
| ANNA:⏎Yes: no.⏎
| 11111..........
| Duke of York:⏎So:⏎⏎First Citizen:⏎No.
| 1111111111111......11111111111111....
| BOB: Go.⏎My LORD: a
| 1111...............
| ⏎⏎Then he said:⏎A
| .................

next is newline
| ab⏎⏎c
| .11..

next is space
| a  b ⏎
| 11.1..
"""
"""A text and its labels below each other, a character a column."""


def by_hand() -> list[tuple[str, str, str]]:
    found: list[tuple[str, str, str]] = []
    name = text = ""
    for line in HAND.strip().splitlines():
        if not line.startswith("| "):
            name = line or name
        elif text:
            found.append((name, text.replace("⏎", "\n").replace("⇥", "\t"), line[2:]))
            text = ""
        else:
            text = line[2:]
    return found


@pytest.mark.parametrize(("name", "text", "expected"), by_hand())
def test_labels_are_those_given_by_hand(name: str, text: str, expected: str) -> None:
    labels = NAMES[name].labels(text)
    assert len(expected) == len(text)
    assert labels.tolist() == [0 if mark == "." else int(mark) for mark in expected]


def test_every_concept_is_labelled_by_hand_and_explained() -> None:
    assert {name for name, _, _ in by_hand()} == set(NAMES)
    assert len(NAMES) == len(CONCEPTS)
    assert all(concept.help and "\n" not in concept.help for concept in CONCEPTS)
    assert {concept.measure for concept in CONCEPTS} == {"AUC", "R2"}


@pytest.mark.parametrize("concept", CONCEPTS, ids=lambda concept: concept.name)
@pytest.mark.parametrize("text", ["", "\n", " ", '"', "'", "(", "\t", "\x00\ud800é", "a" * 3])
def test_any_text_has_labels(concept: object, text: str) -> None:
    labels = concept.labels(text)  # type: ignore[attr-defined]
    assert labels.shape == (len(text),)
    assert labels.dtype == bool or (labels >= 0).all()


def test_labels_are_whole_numbers_only_for_counts() -> None:
    for concept in CONCEPTS:
        assert (concept.labels("a (b)").dtype == bool) == (concept.measure == "AUC")


# -- texts that say themselves what is so --------------------------------------------------------------------------


def test_the_play_closes_what_it_opens() -> None:
    text = "".join(generate("play", 60_000))
    marks = np.array([character == '"' for character in text])
    assert np.array_equal(NAMES["inside quotes"].labels(text), np.cumsum(marks) % 2 == 1)
    depth = np.cumsum([(character == "(") - (character == ")") for character in text])
    assert np.array_equal(NAMES["parenthesis depth"].labels(text), depth)
    said = NAMES["speaker name"].labels(text)
    lines = [line for line in text.split("\n") if line.endswith(":") and line[:-1].isupper()]
    assert said.sum() == sum(map(len, lines)) > 1000


def test_the_code_is_indented_by_its_open_braces() -> None:
    text = "".join(generate("code", 60_000))
    indentation = NAMES["indentation"].labels(text)
    at = 0
    for line in text.split("\n")[:-1]:
        blanks = len(line) - len(line.lstrip(" "))
        assert set(indentation[at + blanks : at + len(line)]) <= {blanks}
        assert blanks % len(INDENT) == 0 or line.lstrip().startswith("*")  # a comment's second line
        at += len(line) + 1
    strings, comments = code.literals(text)
    assert not (strings & comments).any()
    outside = ~(strings | comments)
    for name, opening, closing in (("parenthesis depth", "(", ")"), ("bracket depth", "[{", "]}")):
        steps = np.array([(character in opening) - (character in closing) for character in text])
        assert np.array_equal(NAMES[name].labels(text), np.cumsum(np.where(outside, steps, 0)))


def test_strings_and_comments_are_those_of_pythons_tokenizer() -> None:
    for path in islice(sorted(Path(os.__file__).parent.glob("*.py")), 3, 9):
        text = path.read_text(encoding="utf-8")
        strings, comments = _tokenized(text)
        found = code.literals(text)
        assert np.array_equal(found.strings, strings), path
        assert np.array_equal(found.comments, comments), path
        assert comments.any()


def _tokenized(text: str) -> tuple[np.ndarray, np.ndarray]:
    begins = np.concatenate([[0], np.cumsum([len(line) for line in text.splitlines(keepends=True)])])
    strings, comments = np.zeros(len(text), bool), np.zeros(len(text), bool)
    opened: list[int] = []  # where f-strings do, which are several tokens since Python 3.12
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        start, end = (int(begins[row - 1]) + column for row, column in (token.start, token.end))
        name = tokenize.tok_name[token.type]
        if name in ("STRING", "FSTRING_START"):
            start += min(token.string.find(mark) for mark in "'\"" if mark in token.string)
            opened.append(start)
        if name in ("STRING", "FSTRING_END"):
            strings[opened.pop() : end - 1] = True
        if name == "COMMENT":
            comments[start:end] = True
    return strings, comments


def test_a_hundred_thousand_characters_are_labelled_in_well_under_a_second() -> None:
    text = "".join(generate("code", 50_000)) + "".join(generate("play", 50_000))
    best = min(_seconds(text + "." * n) for n in range(3))  # another text each time: some of it is remembered
    assert best < 1.0


def _seconds(text: str) -> float:
    began = time.perf_counter()
    for concept in CONCEPTS:
        concept.labels(text)
    return time.perf_counter() - began

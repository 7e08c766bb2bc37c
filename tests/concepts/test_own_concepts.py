"""Concepts of one's own: NAME=REGEX."""

from __future__ import annotations

import re

import numpy as np
import pytest

from rnnscope.concepts import matching
from rnnscope.concepts.table import CONCEPTS, chosen, find, own
from rnnscope.errors import UserError


def labelled(definition: str, text: str) -> str:
    return "".join("1" if yes else "." for yes in own(definition).labels(text))


def test_what_the_expression_matches_is_labelled() -> None:
    assert labelled("shouting=[A-Z]{3,}", "So LOUD, OK") == "...1111...."
    assert labelled("first letter=^.", "ab\ncd") == "1..1."
    assert labelled("x=a=b", "a=b, ab") == "111...."  # only the first = divides
    assert labelled("nested=[[a]", "[a]") == "11."  # Python warns of it
    assert labelled("nothing=x*", "aa") == ".."
    assert own(" shouting =A").name == "shouting"
    assert own("shouting=A").measure == "AUC"


@pytest.mark.parametrize(
    ("definition", "said"),
    [
        ("=a", "before the = belongs a name"),
        (f"{'x' * 41}=a", "of 1 to 40 characters"),
        ("a\x1bb=a", "before the = belongs a name"),
        ("shouting", "give NAME=REGEX"),
        ("shouting=", "give NAME=REGEX"),
        ("vowel=[aeiouy]", "there is a concept of that name"),
        ("open=(", "is no regular expression (missing )"),
        ("often=a{99999999999999999999}", "is no regular expression"),
    ],
)
def test_what_is_no_concept_is_refused(definition: str, said: str) -> None:
    with pytest.raises(UserError) as problem:
        own(definition)
    assert said in str(problem.value)


def test_concepts_are_found_by_name_or_made() -> None:
    assert find("vowel") is CONCEPTS[8]
    assert find("shouting=A").name == "shouting"
    with pytest.raises(UserError, match="there are inside quotes, parenthesis depth"):
        find("vowels")


def test_own_concepts_come_after_the_table() -> None:
    names = [concept.name for concept in chosen(("vowel", "b=x", "a=y"))]
    assert names == [concept.name for concept in CONCEPTS] + ["b", "a"]
    assert chosen() == CONCEPTS
    with pytest.raises(UserError, match="given twice"):
        chosen(("a=x", "a=y"))


def test_an_expression_that_never_ends_is_given_up_in_one_line() -> None:
    with pytest.raises(UserError, match=r"^--concept: '\(a\+\)\+\$' needs more than 0.3 s on 61 characters; [^\n]+$"):
        matching.spans("a" * 60 + "b", "(a+)+$", seconds=0.3)


def test_what_fails_while_it_matches_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matching, "FIND", "raise MemoryError('no room')")
    with pytest.raises(UserError, match=r"^--concept: 'a' failed on this text \(MemoryError: no room\)$"):
        matching.spans("a", "a")


def test_matches_are_those_of_python_in_any_writing() -> None:
    text = "Ärger 안녕\nein zweiter\r\n\ud800 Ärger"
    expected = np.zeros(len(text), bool)
    for match in re.finditer("^.rger|r$", text, re.MULTILINE):
        expected[match.start() : match.end()] = True
    assert expected.any()
    np.testing.assert_array_equal(matching.spans(text, "^.rger|r$"), expected)

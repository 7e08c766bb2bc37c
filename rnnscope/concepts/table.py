"""The concepts that units are scored against. A new one is a function from a text to labels, and a line here."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from rnnscope.concepts import characters, code, matching, quotes
from rnnscope.concepts.characters import Labels
from rnnscope.errors import UserError
from rnnscope.recording.lab_events import Floats

Measure: TypeAlias = Literal["AUC", "R2"]

LONGEST_NAME = 40


@dataclass(frozen=True)
class Concept:
    """Something that a text says at every character.

    labels: text of N characters -> (N,) bool, or whole numbers for a count; of each character, once it has been read.
    measure: how well a unit tells it: AUC for yes/no, R2 for a count. help: one line.
    """

    name: str
    labels: Callable[[str], Labels]
    measure: Measure
    help: str


def _yes(name: str, labels: Callable[[str], Labels], help_: str) -> Concept:
    return Concept(name, labels, "AUC", help_)


def _count(name: str, labels: Callable[[str], Labels], help_: str) -> Concept:
    return Concept(name, labels, "R2", help_)


CONCEPTS: tuple[Concept, ...] = (
    _yes("inside quotes", quotes.inside_quotes, "from an opening quotation mark to its closing one"),
    _count("parenthesis depth", code.parenthesis_depth, "how many ( are open"),
    _count("bracket depth", code.bracket_depth, "how many [ and { are open"),
    _count("indentation", characters.indentation, "blanks that the line begins with"),
    _count("position in line", characters.position_in_line, "column, from 0; largest at the line end itself"),
    _count("position in word", characters.position_in_word, "which letter of its word, from 1; 0 between words"),
    _count("since newline", characters.since_newline, "characters read since the last line end, 0 at it"),
    _yes("capital", characters.capital, "a capital letter"),
    _yes("vowel", characters.vowel, "a, e, i, o, u"),
    _yes("digit", characters.digit, "0 to 9"),
    _yes("whitespace", characters.whitespace, "a space, a tab or a line end"),
    _yes("speaker name", characters.speaker, "the name that says who speaks, up to its colon"),
    _yes("comment", code.comment, "in a comment of a program"),
    _yes("string", code.string, "in a string of a program"),
    _yes("next is newline", characters.next_is_newline, "a line end follows"),
    _yes("next is space", characters.next_is_space, "a space follows"),
)

NAMES = {concept.name: concept for concept in CONCEPTS}


def own(definition: str) -> Concept:
    """Return the concept NAME=REGEX: characters that it matches are labelled yes (^ and $ match at every line).

    Raises:
        UserError: no name, one that is taken, or no regular expression.
    """
    name, equals, regex = (part.strip() if index == 0 else part for index, part in enumerate(definition.partition("=")))
    if not equals or not regex:
        raise UserError(f"--concept {definition!r}: give NAME=REGEX, like 'shouting=[A-Z]{{3,}}'")
    if not name or not name.isprintable() or len(name) > LONGEST_NAME:
        raise UserError(f"--concept {definition!r}: before the = belongs a name of 1 to {LONGEST_NAME} characters")
    if name in NAMES:
        raise UserError(f"--concept {definition!r}: there is a concept of that name; choose another")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of what the syntax may mean one day
            re.compile(regex, re.MULTILINE)
    except (re.error, OverflowError, RecursionError) as problem:
        raise UserError(f"--concept {definition!r}: {regex!r} is no regular expression ({problem})") from problem
    return _yes(name, lambda text: matching.spans(text, regex), f"characters that {regex} matches")


def find(entry: str) -> Concept:
    """Return the concept that `entry` names or, as NAME=REGEX, defines.

    Raises:
        UserError: neither.
    """
    if entry in NAMES:
        return NAMES[entry]
    if "=" not in entry:
        raise UserError(f"--concept {entry!r}: there is none of that name; there are {', '.join(NAMES)}, or NAME=REGEX")
    return own(entry)


def chosen(entries: Iterable[str] = ()) -> tuple[Concept, ...]:
    """Return all concepts of the table, and after them those that `entries` define.

    Raises:
        UserError: as `find`; a name given twice.
    """
    found = [find(entry) for entry in entries]
    added = [concept for concept in found if concept.name not in NAMES]
    names = [concept.name for concept in added]
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"--concept {name}=...: the name is given twice")
    return (*CONCEPTS, *added)


def labels_of(concepts: Iterable[Concept], text: str) -> Floats:
    """Return the labels (C, N) of C concepts as float32."""
    return np.array([concept.labels(text) for concept in concepts], np.float32)

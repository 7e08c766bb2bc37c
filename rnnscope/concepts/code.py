"""Strings, comments and brackets: what a reader of programs keeps track of. Text of N characters -> labels (N,)."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import Literal, NamedTuple, TypeAlias

import numpy as np

from rnnscope.concepts.characters import Labels

Language: TypeAlias = Literal["prose", "hash", "slash"]

MARKS = re.compile(r"[=_{}<>\[\]\\]")
ENOUGH = 0.01
"""A text is code where so many of its characters are marks that prose hardly uses."""

HASH_LINE = re.compile(r"^[ \t]*#(?!include|define|undef|if|else|elif|endif|pragma|error|line)", re.MULTILINE)
SLASH_LINE = re.compile(r"^[ \t]*(?://|/\*)", re.MULTILINE)
ENDED = re.compile(r";[ \t}]*(?:$|//|/\*)", re.MULTILINE)

_LONG = r'"""[\s\S]*?(?:"""|\Z)|' + r"'''[\s\S]*?(?:'''|\Z)"
_SHORT = r'"(?:\\[\s\S]|[^"\\\n])*(?:"|\Z)|' + r"'(?:\\[\s\S]|[^'\\\n])*(?:'|\Z)"
_PREFIX = r"(?<!\w)[rbfuRBFU]{0,2}"
LITERALS: dict[Language, re.Pattern[str]] = {
    "hash": re.compile(rf"(?P<comment>#[^\n]*)|{_PREFIX}(?P<string>{_LONG}|{_SHORT})"),
    "slash": re.compile(
        rf"(?P<comment>//[^\n]*)|(?P<block>/\*[\s\S]*?(?:\*/|\Z))|{_PREFIX}(?P<string>{_SHORT}|`[^`]*(?:`|\Z))"
    ),
}
"""A string that is opened and not closed on its line is none, but at the end of the text."""

BRACKET = re.compile(r"[()\[\]{}]|\n[ \t]*(?=\n)")
CLOSES = {")": "(", "]": "[", "}": "{"}


class Literals(NamedTuple):
    """Where a program has strings and comments, each (N,) bool."""

    strings: Labels
    comments: Labels


@functools.lru_cache(maxsize=4)
def language(text: str) -> Language:
    """Return whether a text is prose, or code whose comments begin with # or with //, by what it looks like."""
    if len(MARKS.findall(text)) < max(1, ENOUGH * len(text)):
        return "prose"
    hashes, slashes = len(HASH_LINE.findall(text)), len(SLASH_LINE.findall(text))
    if hashes == slashes:
        return "slash" if ENDED.search(text) else "hash"
    return "hash" if hashes > slashes else "slash"


@functools.lru_cache(maxsize=4)
def literals(text: str) -> Literals:
    """Return where strings and comments are: in each, after its opening mark and before the end of its closing one.

    Prose has none.
    """
    strings, comments = np.zeros(len(text), bool), np.zeros(len(text), bool)
    kind = language(text)
    for match in LITERALS[kind].finditer(text) if kind != "prose" else ():
        if match.lastgroup == "comment":
            comments[match.start() : match.end()] = True
            continue
        start, end = match.span(match.lastgroup or 0)
        labels = strings if match.lastgroup == "string" else comments
        labels[start : end - _closed(text, start, end)] = True
    strings.flags.writeable = comments.flags.writeable = False  # they are shared
    return Literals(strings, comments)


def _closed(text: str, start: int, end: int) -> int:
    """Return 1 where the literal's last character closes it, 0 where the text ended first."""
    opening = text[start : start + 2] if text.startswith("/*", start) else text[start]
    mark = opening * 3 if text.startswith(opening * 3, start) else opening[::-1]
    return int(end - start >= len(opening) + len(mark) and text.endswith(mark, start, end))


def string(text: str) -> Labels:
    """Return whether one is in a string of a program (of prose: nowhere)."""
    return literals(text).strings


def comment(text: str) -> Labels:
    """Return whether one is in a comment of a program (of prose: nowhere)."""
    return literals(text).comments


@functools.lru_cache(maxsize=4)
def _steps(text: str) -> Mapping[str, Labels]:
    """Return, for each opening bracket, +1 where a pair opens and -1 where it closes, (N,).

    Brackets without a partner count for nothing; at the end of the text those still open do. Of a program, strings
    and comments are left out; in prose a blank line ends what is open.
    """
    steps = {opening: np.zeros(len(text), np.int64) for opening in "([{"}
    outside = ~(literals(text).strings | literals(text).comments)
    prose = language(text) == "prose"
    opened: list[tuple[str, int]] = []
    for match in BRACKET.finditer(text):
        mark, at = match[0], match.start()
        if mark in steps:
            if outside[at]:
                opened.append((mark, at))
        elif mark in CLOSES:
            if outside[at]:
                _close(opened, CLOSES[mark], at, steps)
        elif prose:
            opened.clear()
    for mark, at in opened:
        steps[mark][at] += 1
    return steps


def _close(opened: list[tuple[str, int]], mark: str, at: int, steps: Mapping[str, Labels]) -> None:
    """Pair the closing bracket `at` with the newest open `mark`; what was opened since has no partner."""
    for index in range(len(opened) - 1, -1, -1):
        if opened[index][0] == mark:
            steps[mark][opened[index][1]] += 1
            steps[mark][at] -= 1
            del opened[index:]
            return


def parenthesis_depth(text: str) -> Labels:
    """Return how many ( are open."""
    return np.cumsum(_steps(text)["("])


def bracket_depth(text: str) -> Labels:
    """Return how many [ and { are open."""
    steps = _steps(text)
    return np.cumsum(steps["["] + steps["{"])

"""Labels that follow from characters and lines alone. Each function: text of N characters -> labels (N,).

All labels say what is so once the character has been read, as a state after it could know: at an opening quote one
is inside, at the closing one outside again.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Labels: TypeAlias = NDArray[Any]
"""Of each character: yes or no, or a whole number."""

TAB = 8  # columns between tab stops, as in a terminal

INDENTED = re.compile(r"^[ \t]+", re.MULTILINE)
"""The blanks a line begins with."""

SPEAKER = re.compile(
    r"^[A-Z][A-Z0-9 .,'&-]*:"  # HAMLET: To be ...
    r"|(?:(?<=\n\n)|\A)[A-Z][\w.'&-]*(?:,? (?:(?:of|the|and|to) )?[A-Z&][\w.'&-]*){0,4}:(?=\n)",  # First Citizen:
    re.MULTILINE,
)
"""A name that says who speaks: in capitals at the beginning of a line, or capitalised on a line of its own after a
blank one (as in shakespeare.txt)."""


def codes(text: str) -> Labels:
    """Return the code points of `text` (N,)."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)


def _each(text: str, holds: Callable[[str], bool]) -> Labels:
    """Return (N,) bool: whether `holds` of the character; asked once for each distinct one."""
    symbols, which = np.unique(codes(text), return_inverse=True)
    table = np.array([holds(chr(symbol)) for symbol in symbols], bool)
    labels: Labels = table[which.reshape(-1)] if len(symbols) else np.zeros(0, bool)
    return labels


def capital(text: str) -> Labels:
    """Return whether it is a capital letter."""
    return _each(text, str.isupper)


def vowel(text: str) -> Labels:
    """Return whether it is a, e, i, o or u, whatever its case and accent."""
    return _each(text, lambda symbol: unicodedata.normalize("NFD", symbol)[:1].lower() in tuple("aeiou"))


def digit(text: str) -> Labels:
    """Return whether it is a decimal digit."""
    return _each(text, str.isdecimal)


def whitespace(text: str) -> Labels:
    """Return whether it is a space, a tab or a line end."""
    return _each(text, str.isspace)


def spans(text: str, pattern: re.Pattern[str]) -> Labels:
    """Return (N,) bool: whether it is part of a match of `pattern`."""
    labels = np.zeros(len(text), bool)
    for match in pattern.finditer(text):
        labels[match.start() : match.end()] = True
    return labels


def speaker(text: str) -> Labels:
    """Return whether it is part of a name that says who speaks, up to its colon."""
    return spans(text, SPEAKER)


def _next_is(text: str, symbol: str) -> Labels:
    labels = np.zeros(len(text), bool)
    labels[:-1] = codes(text)[1:] == ord(symbol)
    return labels


def next_is_newline(text: str) -> Labels:
    """Return whether a line end follows; the last character of the text counts as no."""
    return _next_is(text, "\n")


def next_is_space(text: str) -> Labels:
    """Return whether a space follows; the last character of the text counts as no."""
    return _next_is(text, " ")


def _since(marks: Labels) -> Labels:
    """Return (N,) characters since the last mark, 0 at a mark; before the first, the index + 1."""
    at = np.arange(len(marks))
    since: Labels = at - np.maximum.accumulate(np.where(marks, at, -1)) if len(at) else at
    return since


def since_newline(text: str) -> Labels:
    """Return the characters read since the last line end: 0 at the line end itself, 1 at what follows."""
    return _since(codes(text) == 10)


def position_in_line(text: str) -> Labels:
    """Return the column, from 0; a line end is the last character of the line that it ends.

    It differs from `since_newline` at line ends: there it is largest, and that is 0.
    """
    ends = codes(text) == 10
    begins = np.concatenate([[True], ends[:-1]]) if len(ends) else ends
    return _since(begins)


def position_in_word(text: str) -> Labels:
    """Return which letter of its word it is, from 1; 0 outside words.

    A word is letters, digits and underscores, with single apostrophes inside it.
    """
    word = _each(text, lambda symbol: symbol.isalnum() or symbol == "_")
    apostrophe = _each(text, lambda symbol: symbol in "'\u2019")
    apostrophe[:1] = apostrophe[-1:] = False
    apostrophe[1:-1] &= word[:-2] & word[2:]
    return _since(~(word | apostrophe))


def indentation(text: str) -> Labels:
    """Return the columns of blanks that its line begins with, as far as they have been read; 0 at a line end.

    A tab goes to the next multiple of 8.
    """
    labels = np.zeros(len(text), np.int64)
    for match in INDENTED.finditer(text):
        blanks, start, width = match[0], match.start(), len(match[0])
        if "\t" in blanks:
            for n, blank in enumerate(blanks):
                before = int(labels[start + n - 1]) if n else 0
                labels[start + n] = before + 1 if blank == " " else (before // TAB + 1) * TAB
        else:
            labels[start : start + width] = np.arange(1, width + 1)
        end = text.find("\n", match.end())
        labels[match.end() : len(text) if end < 0 else end] = labels[match.end() - 1]
    return labels

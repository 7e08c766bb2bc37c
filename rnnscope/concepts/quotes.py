"""Quotation marks: where one is inside quotes, in prose and in programs.

Prose is quoted with "..." or with curly marks; with '...' only where the text has no double marks at all (as
shakespeare.txt). A single mark is told from an apostrophe by what stands beside it: a word that begins with an
apostrophe ('tis) opens nothing, and one that ends with it (o', kings') closes nothing. A quotation ends at the latest
with its paragraph. Of programs, strings are what is quoted (see code.py), and what stands between double marks in a
comment.
"""

from __future__ import annotations

import re

import numpy as np

from rnnscope.concepts import code
from rnnscope.concepts.characters import Labels

CLOSES = {'"': '"', "\u201c": "\u201d", "\u201e": "\u201c\u201d", "\u00ab": "\u00bb", "\u2018": "\u2019", "'": "'"}
"""What may close a quotation, by what opened it: straight, curly, low and angled marks."""

SINGLE = "'\u2019"
MARK = re.compile("[\"'\u201c\u201d\u201e\u00ab\u00bb\u2018\u2019]|\n[ \t]*(?=\n)")
BEFORE = re.compile(r"[\s(\[{\u2014\u2013-]")
"""What stands before a straight mark that opens (or nothing, or another mark)."""

ELISION = re.compile(
    "(?:tis|twas|twere|twill|twould|twixt|t|em|gainst|fore|scape[ds]?|mongst|longs|longeth|greed|bout|cause|neath|pon"
    r"|faith|sdeath|sblood|zounds|larum|havior|voided|pothecary|s|d|ll)\b",
    re.IGNORECASE,
)
"""Words that begin with an apostrophe."""

CLIPPED = re.compile(r"(?:(?<![\w'\u2019])(?:o|i|a|t|th|wi|ha|an|ye|da|ta|gi|fu|mo)|\w\win|s)\Z", re.IGNORECASE)
"""How words end that are written with an apostrophe after them: o', goin', kings'."""

COMMENTED = re.compile(r'"[^"\n]+"')
WORD = 24  # characters of a word that are looked at


def inside_quotes(text: str) -> Labels:
    """Return (N,) bool: from the opening mark on, until the closing one."""
    if code.language(text) != "prose":
        return _in_code(text)
    labels = np.zeros(len(text), bool)
    singles = not any(mark in text for mark in '"\u201c\u201e\u00ab')
    opened = -1
    for match in MARK.finditer(text):
        mark, at = match[0], match.start()
        if mark[0] == "\n":
            if opened >= 0 and text[opened] not in "'\u2018":  # what no single mark closes began with an apostrophe
                labels[opened:at] = True
            opened = -1
        elif opened < 0:
            if _opens(text, at, singles):
                opened = at
        elif mark in CLOSES[text[opened]] and (mark not in SINGLE or _closes(text, opened, at)):
            labels[opened:at] = True
            opened = -1
    if opened >= 0:
        labels[opened:] = True
    return labels


def _in_code(text: str) -> Labels:
    strings, comments = code.literals(text)
    labels = strings.copy()
    for match in COMMENTED.finditer(text):
        if comments[match.start()]:
            labels[match.start() : match.end() - 1] = True
    return labels


def _opens(text: str, at: int, singles: bool) -> bool:
    """Whether the mark `at` opens a quotation, none being open."""
    mark = text[at]
    if mark not in "\"'":
        return mark in CLOSES
    before = text[at - 1] if at else " "
    if not (BEFORE.match(before) or before in CLOSES):
        return False
    return mark == '"' or (singles and text[at + 1 : at + 2].isalnum() and not ELISION.match(text, at + 1))


def _closes(text: str, opened: int, at: int) -> bool:
    """Whether the single mark `at` closes what was opened, and is no apostrophe."""
    if text[at + 1 : at + 2].isalnum():
        return False
    before = text[max(opened + 1, at - WORD) : at]
    return before.isalnum() or not CLIPPED.search(before)

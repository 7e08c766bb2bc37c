"""Text from outside (a corpus, a model, a path, an error) made safe and measured in terminal cells.

Nothing that a terminal would obey may reach it, and columns have to stay aligned whatever the text is made of.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import NamedTuple

NEWLINE_MARK = "↵"
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_ZERO_WIDTH_PICTURE = "·"
_FILLERS = frozenset((0x115F, 0x1160, 0x3164, 0xFFA0))  # Hangul fillers: letters by category, drawn as nothing


def _is_disputed(code: int) -> bool:
    """Tell whether terminals disagree on the width: trigrams, tetragrams, counting rods (wide since Unicode 16)."""
    blocks = ((0x2630, 0x2637), (0x268A, 0x268F), (0x4DC0, 0x4DFF), (0x1D300, 0x1D37F))
    return any(first <= code <= last for first, last in blocks)


def _is_variation(code: int) -> bool:
    """Tell whether `code` is a variation selector or an emoji skin tone."""
    return 0xFE00 <= code <= 0xFE0F or 0xE0100 <= code <= 0xE01EF or 0x1F3FB <= code <= 0x1F3FF


@lru_cache(maxsize=8192)
def _picture(character: str) -> str:
    """Return what is shown for one character: itself, or one visible character of one cell in its stead."""
    code = ord(character)
    if character == "\n":
        return NEWLINE_MARK
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "\N{SYMBOL FOR DELETE}"
    if 0x20 <= code < 0x7F:
        return character
    category = unicodedata.category(character)
    if category == "Cc":  # C1 controls: 0x9B is a one-character CSI
        return _REPLACEMENT
    # Lone surrogates cannot be encoded; the width of the others is anybody's guess.
    if category in ("Cs", "Co", "Cn") or _is_disputed(code):
        return _REPLACEMENT
    if 0x1F1E6 <= code <= 0x1F1FF:  # regional indicators would join in pairs to a flag of uncertain width
        return chr(code - 0x1F1E6 + ord("A"))
    if code in _FILLERS or _is_variation(code):  # would change the width or the colour of the character before
        return _ZERO_WIDTH_PICTURE
    if category in ("Cf", "Zl", "Zp"):  # zero width, bidi controls, tags, line and paragraph separator
        return _ZERO_WIDTH_PICTURE
    if category == "Zs":
        return " " if unicodedata.east_asian_width(character) not in "WF" else character
    return character


def printable(text: str) -> str:
    """Return `text` with every control, zero-width and unassigned character replaced by a visible one.

    The result has the same number of characters, so that values by character stay aligned: newline becomes ↵, the
    other C0 controls their pictures (U+2400...), format characters (zero width, bidi) a middle dot, C1 controls,
    surrogates, private-use and unassigned code points U+FFFD. Combining marks stay, they take no cell.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(_picture, text))


@lru_cache(maxsize=8192)
def cell_width(character: str) -> int:
    """Return the terminal cells that one character takes after `printable`: 0 (combining), 1 or 2 (wide)."""
    code = ord(character)
    if 0x20 <= code < 0x7F:
        return 1
    shown = _picture(character)
    if unicodedata.category(shown) in ("Mn", "Me", "Mc"):
        return 0
    code = ord(shown)
    if 0x1160 <= code <= 0x11FF or 0xD7B0 <= code <= 0xD7FF:  # Hangul vowels and finals join the initial before
        return 0
    return 2 if unicodedata.east_asian_width(shown) in "WF" else 1


def cells(text: str) -> int:
    """Return the width of `text` in terminal cells."""
    if text.isascii():
        return len(text)
    return sum(map(cell_width, text))


def crop(text: str, width: int) -> str:
    """Cut or pad `text` with spaces to exactly `width` cells; a wide character cut in half becomes a space."""
    used = 0
    for i, character in enumerate(text):
        step = cell_width(character)
        if used + step > width:
            return text[:i] + " " * (width - used)
        used += step
    return text + " " * (width - used)


def shorten(text: str, width: int) -> str:
    """Return `text` in at most `width` cells, an ellipsis at its end where something was left out."""
    if cells(text) <= width:
        return text
    return crop(text, width - 1).rstrip() + "…" if width > 0 else ""


class Placed(NamedTuple):
    """One character of a wrapped line: where it is in the text, what is shown, and the cells that it takes."""

    at: int
    shown: str
    cells: int


def wrap(text: str, width: int) -> list[list[Placed]]:
    """Break `text` into lines of at most `width` cells, character by character.

    A newline is shown as ↵ at the end of its line and breaks it. Combining characters stay in the line of their
    base; one without a base gets a dotted circle's place as its own cell. A wide character that does not fit
    moves to the next line (and is shown as ? where even an empty line is too narrow for it).
    """
    width = max(width, 1)
    lines: list[list[Placed]] = [[]]
    used = 0
    broken = False  # the line ended in a newline: the next character opens another one
    for index, character in enumerate(text):
        shown = _picture(character)
        size = cell_width(character)
        if size > width:
            shown, size = "?", 1
        if size == 0 and (broken or not lines[-1] or lines[-1][-1].shown == NEWLINE_MARK):
            shown, size = "◌", 1  # nothing to combine with
        if broken or used + size > width:
            lines.append([])
            used = 0
        lines[-1].append(Placed(index, shown, size))
        used += size
        broken = character == "\n"
    return lines

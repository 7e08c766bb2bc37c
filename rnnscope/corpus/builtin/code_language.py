"""The built-in text `code`, described for `reading.py`: every probability is that of its own tables."""

from __future__ import annotations

from typing import NamedTuple

from rnnscope.corpus.builtin.code import INDENT, RULES
from rnnscope.corpus.builtin.derivations import Derivations, Stack
from rnnscope.corpus.builtin.reading import Belief, Groups, grouped

TEXT = "text"
"""The symbol of the whole: a function, and so on for ever."""


class Line(NamedTuple):
    """The line that is being written: braces open where it begins, its first character but for spaces, its last."""

    depth: int = 0
    first: str = ""
    last: str = "\n"


class Code:
    """A program without end."""

    name = "code"

    def __init__(self) -> None:
        rules = {TEXT: {f"<function><{TEXT}>": 1.0}, **RULES}
        self._derivations = Derivations(rules, r"\^|[^^\n]*\n|[^^\n]+")  # a piece ends with its line
        self._begin = self._derivations.push((f"<{TEXT}>",), self._derivations.end)
        self._groups: dict[tuple[Stack, int], Groups] = {}

    def expand(self, state: Stack, place: Line) -> Groups:
        """Return what may come next: the pieces of the grammar, indented where a line begins."""
        depth = place.depth if place.last == "\n" else 0
        key = state, depth
        if key not in self._groups:
            self._groups[key] = grouped(
                (piece if piece == "\n" else INDENT * (depth - (piece[0] in "}]")) + piece, left, probability)
                for piece, left, probability in self._derivations.expand(state)
            )
        return self._groups[key]

    def after(self, place: Line, character: str) -> Line:
        """Return the line after one more character: a brace at its beginning closes, one at its end opens."""
        depth, first, last = place
        if character != "\n":
            return Line(depth, first or character.strip(" "), character)
        if last == "\n":
            return Line()
        return Line(max(0, depth + (last in ("{", "[")) - (first in ("}", "]"))))

    def after_blank_line(self) -> Belief:
        """Return the belief where a function ends and another begins."""
        return {("", self._begin): 1.0}

    def start(self, text: str) -> tuple[Belief, Line, str]:
        """Return the belief at the last blank line, or where there is none at the beginning of the text."""
        return self.after_blank_line(), Line(), text[text.rfind("\n\n") + 2 if "\n\n" in text else 0 :]

"""What a generator expects next while somebody reads a text character by character.

A belief is a set of states that the generator may be in, weighted by how probable each is after what was read. A
character that no state could have written is a slip. Then the belief goes on from what could have stood there instead:
after a word that cannot be, from any word; after another sign, as if signs before it had been left out, or it were not
there.
"""

from __future__ import annotations

import string
from collections.abc import Iterable
from typing import Any, Protocol, TypeAlias

State: TypeAlias = Any
"""A generator's own, hashable."""
Entry: TypeAlias = tuple[str, State]
"""Characters that are certain to come, and the state after them."""
Belief: TypeAlias = dict[Entry, float]
Place: TypeAlias = Any
"""What the text read so far says of the layout: it decides how a piece is written."""
Groups: TypeAlias = dict[str, list[tuple[str, State, float]]]
"""By its first character, what may come next: the rest of it, the state after it, the probability."""

MOST = 400
"""States that are kept after a slip."""
PATIENCE = 12
"""Slips since the last blank line after which nothing is believed until the next one."""
LEFT_OUT = 4
"""Signs that may have been left out at once, of these:"""
CLOSING = frozenset(')]};,.:?!" \n')
SPACES = {" ": "\n", "\n": " "}
"""What each may stand for: a line ends in the wrong place."""


class Language(Protocol):
    """A generator, described."""

    def expand(self, state: State, place: Place) -> Groups:
        """Return what may come next; the probabilities add up to 1."""

    def after(self, place: Place, character: str) -> Place:
        """Return the place after one more character."""

    def after_blank_line(self) -> Belief:
        """Return the belief after an empty line: there the generator begins something new."""

    def start(self, text: str) -> tuple[Belief, Place, str]:
        """Return belief and place at a point in `text` where both are known, and the rest of `text` after it."""


class Reading:
    """One text being read. text: what stands before it, written by the generator."""

    def __init__(self, language: Language, text: str) -> None:
        self.language = language
        self.belief, self.place, rest = language.start(text)
        self._before_word, self._lost = self.belief, False  # lost: inside a word that cannot be
        self._last, self._slips = "", 0
        for character in rest:
            self.read(character)

    def expected(self) -> dict[str, float]:
        """Return the characters that may come next with their probabilities; {} inside a word that cannot be."""
        found: dict[str, float] = {}
        for (rest, state), weight in self.belief.items():
            if rest:
                found[rest[0]] = found.get(rest[0], 0.0) + weight
                continue
            for character, group in self.language.expand(state, self.place).items():
                for _, _, probability in group:
                    found[character] = found.get(character, 0.0) + weight * probability
        return found

    def read(self, character: str) -> None:
        """Go on past one more character."""
        if is_word(character):
            self.belief = normalised(self._letter(character))
            self._lost = not self.belief
        else:
            self.belief = normalised(self._sign(character))
            self._before_word, self._lost = self.belief, False
        if character == self._last == "\n":
            self._slips = 0
        elif self._slips > PATIENCE:
            self.belief = self._before_word = {}
        self.place, self._last = self.language.after(self.place, character), character

    def _letter(self, character: str) -> Belief:
        """Return the belief after a character of a word; {} where there can be no such word."""
        found = {} if self._lost else self._accept(self.belief, character)
        if found or self._lost:
            return found
        self._slips += 1
        if is_word(self._last):
            return {}
        early: Belief = {}  # of a line that is not indented far enough
        for (rest, state), weight in self.belief.items():
            _add(early, (rest.lstrip(" "), state), weight)
        return self._accept(early, character)

    def _sign(self, character: str) -> Belief:
        """Return the belief after a character that is no part of a word."""
        before = self._any_word() if self._lost else self.belief
        if found := self._accept(before, character):
            return found
        self._slips += 1
        if not self._lost and is_word(self._last):  # the word ended too early
            before = self._any_word()
            if found := self._accept(before, character):
                return found
        if character == self._last == "\n":
            return self.language.after_blank_line()
        return self._nearest(before, character)

    def _accept(self, belief: Belief, character: str) -> Belief:
        """Return what is left of a belief that `character` was read in."""
        found: Belief = {}
        for (rest, state), weight in belief.items():
            if rest:
                if rest[0] == character:
                    _add(found, (rest[1:], state), weight)
            else:
                for after, new, probability in self.language.expand(state, self.place).get(character, ()):
                    _add(found, (after, new), weight * probability)
        return found

    def _any_word(self) -> Belief:
        """Return the belief after any word that might have stood where the last one does."""
        found: Belief = {}
        level = self._before_word
        while level:
            deeper: Belief = {}
            for (rest, state), weight in level.items():
                left = rest.lstrip(WORD)
                if left:
                    _add(found, (left, state), weight)
                    continue
                for character, group in self.language.expand(state, self.place).items():
                    for after, new, probability in group:
                        if is_word(character):
                            _add(deeper, (after, new), weight * probability)
                        else:
                            _add(found, (character + after, new), weight * probability)
            level = deeper
        return likeliest(normalised(found))

    def _nearest(self, belief: Belief, character: str) -> Belief:
        """Return the belief after a sign that cannot be: it stands for the other space, others were left out before it,
        or else it is one too many.
        """
        if found := self._accept(belief, SPACES.get(character, "")):
            return found
        further = belief
        for _ in range(LEFT_OUT):
            further = self._without_sign(further)
            found = self._accept(further, character)
            if found:
                return likeliest(found)
        return belief

    def _without_sign(self, belief: Belief) -> Belief:
        """Return the belief after a closing sign, of what expects one."""
        found: Belief = {}
        for (rest, state), weight in belief.items():
            if rest:
                if rest[0] in CLOSING:
                    _add(found, (rest[1:], state), weight)
                continue
            for first, group in self.language.expand(state, self.place).items():
                if first in CLOSING:
                    for after, new, probability in group:
                        _add(found, (after, new), weight * probability)
        return found


def grouped(found: Iterable[tuple[str, State, float]]) -> Groups:
    """Return texts, none of them empty, by their first characters."""
    groups: Groups = {}
    for text, state, probability in found:
        groups.setdefault(text[0], []).append((text[1:], state, probability))
    return groups


WORD = string.ascii_letters + string.digits + "_"


def is_word(character: str) -> bool:
    """Whether a character is part of a word."""
    return character != "" and character in WORD


def normalised(belief: Belief) -> Belief:
    """Return a belief whose weights add up to 1."""
    total = sum(belief.values())
    return {entry: weight / total for entry, weight in belief.items()}


def likeliest(belief: Belief) -> Belief:
    """Return the MOST weighty states of a belief."""
    return dict(sorted(belief.items(), key=lambda item: -item[1])[:MOST])


def _add(belief: Belief, entry: Entry, weight: float) -> None:
    belief[entry] = belief.get(entry, 0.0) + weight

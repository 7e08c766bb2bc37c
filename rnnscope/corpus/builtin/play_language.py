"""The built-in text `play`, described for `reading.py`: every probability is that of its own tables and draws.

What its layout decides without chance depends on what is still to come: "a" becomes "an" before a vowel, and a line
ends where the next word would not fit. So a state's alternatives are whole words, each with the space or line end
before it.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from rnnscope.corpus.builtin.derivations import Derivations, Stack
from rnnscope.corpus.builtin.play import CAST, NAMES, PLACES, RULES, SPEECHES, WIDTH
from rnnscope.corpus.builtin.reading import Belief, Groups, State, grouped

VOWELS = frozenset("aeiou")
ARTICLE = re.compile(r"\b[Aa]$")


class Scene(NamedTuple):
    """What the text says of the place that is being written at: the line so far, and of the scene the number, cast,
    last speaker, and how many have spoken.
    """

    line: str = ""
    number: int = 0
    cast: tuple[str, ...] = ()
    speaker: str = ""
    speeches: int = 0


class Header(NamedTuple):
    """In a scene's list of names: those listed, and whether the next is the last."""

    names: tuple[str, ...]
    last: bool = False


class Words(NamedTuple):
    """In a speech, between two words: what is left of it, which article asks the next word for its beginning ("a", "an"
    or ""), and whether that is the speech's first.
    """

    left: Stack
    article: str = ""
    first: bool = False


TURN = "turn"
"""The state after a speech, or after a scene's header."""


class Play:
    """A play without end."""

    name = "play"

    def __init__(self) -> None:
        self._derivations = Derivations(RULES, r"\^| |[^^ ]+")
        self._speech = self._derivations.push(("<speech>",), self._derivations.end)
        self._plain: dict[Stack, list[tuple[str, Stack, float]]] = {}
        self._words: dict[Words, list[tuple[str, State, float]]] = {}
        self._groups: dict[tuple[Words, int], Groups] = {}

    def expand(self, state: State, place: Scene) -> Groups:
        """Return what may come next."""
        if isinstance(state, Words):
            return self._speak(state, WIDTH - 1 - len(place.line))
        return grouped(_listed(state) if isinstance(state, Header) else self._turn(place))

    def _turn(self, place: Scene) -> list[tuple[str, State, float]]:
        """Return the next scene's places, and the speakers whose turn it may be."""
        ends = _ends(place.speeches, *SPEECHES) if place.cast else 1.0
        head = f"SCENE {place.number + 1}. "
        found: list[tuple[str, State, float]] = []
        if ends:
            found += [(f"{head}{where}.\n\n(", Header(()), ends / len(PLACES)) for where in PLACES]
        speech = Words(self._speech, first=True)
        others = [name for name in place.cast if name != place.speaker]
        return found + [(f"{name}:\n", speech, (1 - ends) / len(others)) for name in others if ends < 1]

    def _speak(self, state: Words, room: int) -> Groups:
        """Return the next words, after a line end where the line has no `room` left for them."""
        if state.left is self._derivations.end:
            return {"\n": [("\n", TURN, 1.0)]}
        if state not in self._words:
            self._words[state] = self._next_words(state)
        words = self._words[state]
        room = max(0, min(room, max(len(word) for word, _, _ in words)))  # as many tables as differ
        if (state, room) not in self._groups:
            self._groups[state, room] = grouped(
                (word if state.first else ("\n" if len(word) > room else " ") + word, after, probability)
                for word, after, probability in words
            )
        return self._groups[state, room]

    def _next_words(self, state: Words) -> list[tuple[str, State, float]]:
        """Return the words that may come next; an article is told by how the word after it begins."""
        words = self._plain_words(state.left)
        if state.article:
            words = [word for word in words if (word[0][0] in VOWELS) == (state.article == "an")]
        total = sum(probability for _, _, probability in words)
        found: list[tuple[str, State, float]] = []
        for word, left, probability in words:
            share = probability / total
            if not ARTICLE.search(word) or left is self._derivations.end:
                found.append((word, Words(left), share))
                continue
            vowel = sum(p for after, _, p in self._plain_words(left) if after[0] in VOWELS)
            found.append((word, Words(left, "a"), share * (1 - vowel)))
            found.append((f"{word}n", Words(left, "an"), share * vowel))
        return [one for one in found if one[2] > 0]

    def _plain_words(self, left: Stack) -> list[tuple[str, Stack, float]]:
        """Return the words that may come next before articles are changed, and what is left after the space behind."""
        if left not in self._plain:
            found: dict[tuple[str, Stack], float] = {}
            open_words = [("", left, 1.0)]
            while open_words:
                word, stack, weight = open_words.pop()
                for piece, below, probability in self._derivations.expand(stack):
                    if piece in ("", " "):
                        found[word, below] = found.get((word, below), 0.0) + weight * probability
                    else:
                        open_words.append((word + piece, below, weight * probability))
            self._plain[left] = [(word, below, weight) for (word, below), weight in found.items()]
        return self._plain[left]

    def after(self, place: Scene, character: str) -> Scene:
        """Return the place after one more character."""
        return _line_ended(place) if character == "\n" else place._replace(line=place.line + character)

    def after_blank_line(self) -> Belief:
        """Return the belief where somebody else speaks, or a scene begins."""
        return {("", TURN): 1.0}

    def start(self, text: str) -> tuple[Belief, Scene, str]:
        """Return belief and place after the last speech; the text has to hold the beginning of its scene."""
        blocks = text.split("\n\n")
        last = len(blocks) - 1
        if last and blocks[last - 1].startswith("SCENE "):
            last -= 1  # in its header the cast is the second block
        rest = "\n\n".join(blocks[last:])
        before = text[: len(text) - len(rest)]
        place = Scene()
        for line in before[max(0, before.rfind("SCENE ")) :].split("\n")[:-1]:
            place = _line_ended(place._replace(line=line))
        return self.after_blank_line(), place, rest


def _listed(header: Header) -> list[tuple[str, State, float]]:
    """Return the names that may come next in a list, with what stands behind them."""
    left = [name for name in NAMES if name not in header.names]
    if header.last:
        return [(f"{name} enter.)\n\n", TURN, 1 / len(left)) for name in left]
    last = _ends(len(header.names) + 2, *CAST)  # the one after this name is the last
    found: list[tuple[str, State, float]] = []
    for name in left:
        names = (*header.names, name)
        found.append((f"{name}, ", Header(names), (1 - last) / len(left)))
        found.append((f"{name} and ", Header(names, True), last / len(left)))
    return [one for one in found if one[2] > 0]


def _ends(count: int, fewest: int, most: int) -> float:
    """Return how probable it is that there are `count`, where there are at least so many and any number between
    fewest and most was as likely as another.
    """
    return 0.0 if count < fewest else 1 / (most - count + 1) if count < most else 1.0


def _line_ended(place: Scene) -> Scene:
    """Return the place where a line begins: what the one that ends has told."""
    line = place.line
    place = place._replace(line="")
    if head := re.match(r"SCENE (\d{1,9})\. ", line):
        return place._replace(number=int(head[1]), cast=(), speaker="", speeches=0)
    if cast := re.fullmatch(r"\((.*) enter\.\)", line):
        return place._replace(cast=tuple(re.split(", | and ", cast[1])))
    if name := re.fullmatch(r"([A-Z]+):", line):
        return place._replace(speaker=name[1], speeches=place.speeches + 1)
    return place

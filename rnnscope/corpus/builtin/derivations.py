"""All the ways in which a grammar may go on from where a text has come to, each with its probability.

What is left to be derived is a stack of parts; a text read so far leaves a few stacks possible. Nothing here is
approximate: a stack's alternatives are those of the grammar's tables (a probabilistic context-free grammar's prefix
probabilities, Stolcke 1995, by leftmost derivation; no rule may begin with itself). Rules are factored from the left
first, or every choice that is still open would double the stacks.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

from rnnscope.corpus.builtin.grammar import Rules

CAPITAL = "^"
"""Makes the next letter a capital."""


class Stack:
    """Parts still to be derived, `top` first; the same parts are always the same object, so that they hash fast.

    top: a piece of text, or the name of a symbol in brackets; None at the end.
    """

    __slots__ = ("below", "expansions", "top", "upper")

    def __init__(self, top: str | None, below: Stack | None) -> None:
        self.top, self.below = top, below
        self.expansions: dict[bool, list[Expansion]] = {}
        self.upper: dict[str, Stack] = {}  # the stacks with one more part on top


class Expansion(NamedTuple):
    """A piece of text that may come next ("" at the end), what is left then, and the probability."""

    piece: str
    left: Stack
    probability: float


Parts: TypeAlias = tuple[str, ...]


class Derivations:
    """A grammar's rules, ready to be followed.

    Args:
        rules: as in grammar.py.
        pieces: a regular expression; texts are cut into what it matches. CAPITAL has to be a match of its own.
    """

    def __init__(self, rules: Rules, pieces: str) -> None:
        self._alternatives: dict[str, list[tuple[Parts, float]]] = {}
        for name, alternatives in rules.items():
            total = sum(alternatives.values())
            weighted = [(tuple(_parts(text, pieces)), weight / total) for text, weight in alternatives.items()]
            self._add(f"<{name}>", weighted)
        self.end = Stack(None, None)

    def _add(self, name: str, alternatives: list[tuple[Parts, float]]) -> None:
        """Add a rule, what its alternatives begin with in common only once: which of them it is, is left open."""
        by_first: dict[Parts, list[tuple[Parts, float]]] = {}
        for parts, weight in alternatives:
            by_first.setdefault(parts[:1], []).append((parts, weight))
        found = self._alternatives[name] = []
        for first, group in by_first.items():
            if len(group) == 1 or not first:
                found += group
                continue
            total = sum(weight for _, weight in group)
            rest = f"{name[:-1]}.{len(self._alternatives)}>"
            self._add(rest, [(parts[1:], weight / total) for parts, weight in group])
            found.append(((*first, rest), total))

    def push(self, parts: Parts, stack: Stack) -> Stack:
        """Return `stack` with `parts` on top of it."""
        for part in reversed(parts):
            if part not in stack.upper:
                stack.upper[part] = Stack(part, stack)
            stack = stack.upper[part]
        return stack

    def expand(self, stack: Stack, capital: bool = False) -> list[Expansion]:
        """Return the pieces that may come next; capital: the first letter becomes one."""
        if capital not in stack.expansions:
            stack.expansions[capital] = self._expand(stack, capital)
        return stack.expansions[capital]

    def _expand(self, stack: Stack, capital: bool) -> list[Expansion]:
        top, below = stack.top, stack.below
        if top is None or below is None:
            return [Expansion("", stack, 1.0)]
        if top == CAPITAL:
            return self.expand(below, True)
        if top not in self._alternatives:
            return [Expansion(top[:1].upper() + top[1:] if capital else top, below, 1.0)]
        found: dict[tuple[str, Stack], float] = {}
        for parts, probability in self._alternatives[top]:
            for piece, left, share in self.expand(self.push(parts, below), capital):
                found[piece, left] = found.get((piece, left), 0.0) + probability * share
        return [Expansion(piece, left, probability) for (piece, left), probability in found.items()]


def _parts(text: str, pieces: str) -> Iterator[str]:
    for index, part in enumerate(re.split(r"(<\w+>)", text)):
        yield from [part] if index % 2 else re.findall(pieces, part)

"""A probabilistic context-free grammar, and sampling from it.

The built-in texts are sampled from grammars that stand in their files as plain tables, so that the probability of
every choice is known: what a model could at best predict can be computed from the same tables.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from itertools import accumulate
from typing import TypeAlias

import numpy as np

Rules: TypeAlias = Mapping[str, Mapping[str, float]]
"""For each symbol its alternatives, with weights that need not add up to 1; <name> in one stands for a symbol."""

_DRAWS = 1 << 14  # random numbers made at a time


class Draws:
    """Uniform numbers in [0, 1), the same for ever: only a bit generator's raw output is promised never to change."""

    def __init__(self, seed: int) -> None:
        self._bits = np.random.PCG64(seed)
        self.next = self._endless().__next__

    def _endless(self) -> Iterator[float]:
        while True:
            yield from ((self._bits.random_raw(_DRAWS) >> np.uint64(11)) * 2.0**-53).tolist()

    def below(self, count: int) -> int:
        """Return an integer from 0 to count - 1."""
        return int(self.next() * count)


class _Rule:
    """A symbol's alternatives, each with its parts last first, as a stack takes them.

    cumulative: the probability of each alternative or an earlier one, without the last, which is 1.
    """

    __slots__ = ("alternatives", "cumulative")
    alternatives: list[list[str | _Rule]]
    cumulative: list[float]


class Grammar:
    """Rules made ready for sampling."""

    def __init__(self, rules: Rules) -> None:
        """Compile `rules`.

        Raises:
            KeyError: an alternative names a symbol without a rule.
        """
        self._rules = {name: _Rule() for name in rules}
        for name, alternatives in rules.items():
            total = sum(alternatives.values())
            self._rules[name].cumulative = [weight / total for weight in accumulate(alternatives.values())][:-1]
            self._rules[name].alternatives = [self._parts(text) for text in alternatives]

    def _parts(self, text: str) -> list[str | _Rule]:
        pieces = re.split(r"<(\w+)>", text)  # text, symbol, text, symbol, ..., text
        parts = [self._rules[piece] if index % 2 else piece for index, piece in enumerate(pieces)]
        return [part for part in parts if part != ""][::-1]

    def sample(self, symbol: str, draws: Draws) -> str:
        """Return a random expansion of `symbol`."""
        next_draw = draws.next
        text: list[str] = []
        stack: list[str | _Rule] = [self._rules[symbol]]
        while stack:
            part = stack.pop()
            if isinstance(part, str):
                text.append(part)
            else:
                stack += part.alternatives[bisect_right(part.cumulative, next_draw())]
        return "".join(text)


def words(text: str) -> dict[str, float]:
    """Return words as alternatives, the earlier the likelier, as in a natural language (Zipf's law, flattened)."""
    return {word.replace("_", " "): 1 / (rank + 4) for rank, word in enumerate(text.split())}

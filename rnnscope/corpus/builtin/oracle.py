"""The true distribution of the built-in texts `play` and `code`: what the best possible model would predict.

Exact for what the generator can write. Of each next character SLIP of the probability is set apart for anything, so
that a text that it cannot write has a probability too: a character that cannot be costs ln(V / SLIP) nats, and inside
a word that cannot be, where nothing is known, each one ln V. (How the reading goes on after that: see reading.py.)
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnnscope.corpus.builtin.code_language import Code
from rnnscope.corpus.builtin.play_language import Play
from rnnscope.corpus.builtin.reading import Language, Reading

SLIP = 1e-3
"""Probability that is spread over all characters."""

LOOK_BACK = 20_000
"""Characters before a place that suffice to find out where in its structure the generator is: more than any scene."""

LANGUAGES: dict[str, Callable[[], Language]] = {"play": Play, "code": Code}


class Judged(NamedTuple):
    """nats of each character (T,), the distributions (T, V) that they came from, and where anything was known (T,)."""

    nats: NDArray[np.float64]
    expected: NDArray[np.float64]
    known: NDArray[np.bool_]


class Oracle:
    """A generator that judges texts over the V `symbols`."""

    def __init__(self, language: Language, symbols: Sequence[str]) -> None:
        self._language, self._symbols = language, symbols
        self._index = {symbol: index for index, symbol in enumerate(symbols)}

    def judge(self, before: str, texts: Sequence[str]) -> list[Judged]:
        """Return what it makes of each of `texts`, all of which go on after `before`.

        before: written by the generator, from its beginning or LOOK_BACK characters back.
        """
        reading = Reading(self._language, before[-LOOK_BACK:])
        return [self._judge(copy.copy(reading), text) for text in texts]

    def _judge(self, reading: Reading, text: str) -> Judged:
        nats, expected = np.zeros(len(text)), np.zeros((len(text), len(self._symbols)))
        known = np.zeros(len(text), np.bool_)
        for n, character in enumerate(text):
            known[n] = bool(reading.belief)
            for symbol, probability in reading.expected().items():
                if symbol in self._index:
                    expected[n, self._index[symbol]] = (1 - SLIP) * probability
            expected[n] += (1 - expected[n].sum()) / len(self._symbols)
            nats[n] = -np.log(expected[n, self._index[character]])
            reading.read(character)
        return Judged(nats, expected, known)


def oracle_of(texts: tuple[str, ...], symbols: Sequence[str]) -> Oracle | None:
    """Return the oracle of a run's texts, where they are one of the two that have one."""
    make = LANGUAGES.get(texts[0]) if len(texts) == 1 else None
    return None if make is None else Oracle(make(), symbols)

"""A judge of texts that has only counted: the best Kneser-Ney model of the run's training text."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rnnscope.corpus import Corpus
from rnnscope.ngrams import KneserNey, Model, count, kneser_ney_nats
from rnnscope.probes.subject import Subject

COUNTED = 4_000_000
"""Characters of the training part that are counted, the last ones: 10 orders of them need about half a gigabyte."""
TRIED = 50_000
"""Characters of the validation part by which the judge is chosen."""
HIGHEST = 6
"""Its highest order."""

_judges: dict[tuple[str, int], KneserNey] = {}  # by corpus; one at a time


def counted(corpus: Corpus) -> NDArray[np.unsignedinteger]:
    """Return the part of the training text that n-grams are counted in."""
    return corpus.train[-COUNTED:]


def judge(subject: Subject) -> tuple[str, Model]:
    """Return the Kneser-Ney model, of order 1 to 6, that knows the validation part best, and its name.

    `nats(ids (..., T))` of it is the surprise at each character, in one process it is built once for a corpus (about
    2 s for a million characters).
    """
    corpus = subject.corpus
    key = corpus.sha256, len(corpus.train)
    if key not in _judges:
        table = count(counted(corpus), HIGHEST, len(corpus.vocabulary))
        means = [float(nats.mean()) for nats in kneser_ney_nats(table, corpus.validation[:TRIED], HIGHEST)]
        _judges.clear()
        _judges[key] = KneserNey(table, 1 + int(np.argmin(means)))
    found = _judges[key]
    return found.name, found

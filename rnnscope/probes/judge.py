"""A judge of texts that has only counted: the best Kneser-Ney model of the run's training text."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rnnscope.corpus import Corpus
from rnnscope.ngrams import KneserNey, Model, count, kneser_ney_nats
from rnnscope.probes.subject import Subject

COUNTED = 4_000_000
"""Characters of the training part that are counted at most, the last ones: up to order 10, half a gigabyte or so."""
TRIED = 50_000
"""Characters of the validation part by which the judge is chosen."""
HIGHEST = 6
"""Its highest order."""

_judges: dict[tuple[str, int], KneserNey] = {}  # by corpus; one at a time


def counted(corpus: Corpus, order: int) -> NDArray[np.unsignedinteger]:
    """Return the part of the training text in which n-grams up to `order` are counted: shorter for orders above 10."""
    return corpus.train[-(COUNTED * 10 // max(order, 10)) :]


def judge(subject: Subject, share: float = 0.0) -> tuple[str, Model]:
    """Return the name and the model: the Kneser-Ney model, of order 1 to 6, that knows the validation part best.

    Its `nats(ids (..., T))` is the surprise at each character. Built once for a corpus, which takes about 2 s for a
    million characters; share: how far the probe that asks has come, for its report meanwhile.

    Raises:
        Cancelled: out of subject.report.
    """
    corpus = subject.corpus
    key = corpus.sha256, len(corpus.train)
    if key not in _judges:
        text = counted(corpus, HIGHEST)
        report = subject.report
        table = count(text, HIGHEST, len(corpus.vocabulary), counting=lambda n: report(share, f"counting {n}-grams"))
        means = [float(nats.mean()) for nats in kneser_ney_nats(table, corpus.validation[:TRIED], HIGHEST)]
        _judges.clear()
        _judges[key] = KneserNey(table, 1 + int(np.argmin(means)))
    found = _judges[key]
    return found.name, found

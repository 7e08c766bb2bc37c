"""The n-gram rival: what whoever only counts makes of the same text, in nats per character and in writing.

Maximum likelihood (Y. Goldberg, "The unreasonable effectiveness of character-level language models", 2015; he counts
only the characters before, so his order n is n + 1 here) beside interpolated Kneser-Ney.
"""

from __future__ import annotations

import math
import time

import numpy as np

from rnnscope.ngrams import KneserNey, Model, Table, Unsmoothed, count, kneser_ney_nats, unsmoothed_nats, write
from rnnscope.probes.judge import counted
from rnnscope.probes.sampling import default_prompt
from rnnscope.probes.subject import Subject
from rnnscope.recording.reading_events import Ngram
from rnnscope.recording.requests import Request

SMOOTHED = 9
"""The highest order of Kneser-Ney."""
JUDGED = 1_000_000
"""Characters of the validation part that are judged at most, the first ones."""

UNSMOOTHED_WRITERS = (4, 10)
SMOOTHED_WRITER = 6

COUNTING, JUDGING = 0.7, 0.9
"""Share of the time after which all is counted, and after which all is judged."""


def measure(subject: Subject, request: Request) -> Ngram:
    """Count the training part, judge the validation part, and write `request.length` characters after the prompt.

    Order n predicts a character from the n - 1 before it. The last 4,000,000 characters of the training part are
    counted (fewer above order 10) and the first 1,000,000 of the validation part are judged. The texts (without the
    prompt; by default a newline) are drawn at temperature 1, by the unsmoothed models of orders 4 and 10 and by
    Kneser-Ney of order 6, so far as they were asked for, else by the highest of each kind. The model is not looked at.

    Raises:
        Cancelled: out of subject.report.
        UserError: the prompt has a character that is not in the vocabulary.
    """
    began = time.perf_counter()
    corpus, orders = subject.corpus, sorted(set(request.orders))
    highest, symbols = orders[-1], len(corpus.vocabulary)
    prompt = corpus.vocabulary.encode_prompt(request.prompt or default_prompt(corpus.vocabulary))
    judged = corpus.validation[:JUDGED]

    def counting(n: int) -> None:
        subject.report(COUNTING * (n - 1) / highest, f"counting {n}-grams")

    table = count(counted(corpus, highest), highest, symbols, counting=counting)
    kneser_ney, unsmoothed, unseen = (np.full(highest + 1, math.nan) for _ in range(3))  # by order
    for n, nats in enumerate(kneser_ney_nats(table, judged, min(highest, SMOOTHED)), 1):
        kneser_ney[n] = nats.mean()
        subject.report(COUNTING + 0.6 * (JUDGING - COUNTING) * n / highest, f"Kneser-Ney {n}-gram")
    for n, nats in enumerate(unsmoothed_nats(table, judged, highest), 1):
        known = np.isfinite(nats)
        unsmoothed[n], unseen[n] = nats[known].mean() if known.any() else math.nan, 1 - known.mean()
        subject.report(JUDGING - 0.4 * (JUDGING - COUNTING) * (1 - n / highest), f"unsmoothed {n}-gram")

    texts = []
    writers = _writers(table, orders)
    for done, writer in enumerate(writers):

        def writing(share: float, done: int = done, name: str = writer.name) -> None:
            subject.report(JUDGING + (1 - JUDGING) * (done + share) / len(writers), f"the {name} writes")

        texts.append(corpus.vocabulary.decode(write(writer, prompt, request.length, request.seed, writing=writing)))
    return Ngram(
        orders=np.array(orders),
        kneser_ney=kneser_ney[orders],
        unsmoothed=unsmoothed[orders],
        unseen=unseen[orders],
        names=tuple(writer.name for writer in writers),
        texts=tuple(texts),
        chars=len(judged),
        seconds=time.perf_counter() - began,
    )


def _writers(table: Table, orders: list[int]) -> list[Model]:
    unsmoothed = [n for n in UNSMOOTHED_WRITERS if n in orders] or orders[-1:]
    smoothed = SMOOTHED_WRITER if SMOOTHED_WRITER in orders else min(orders[-1], SMOOTHED)
    return [*(Unsmoothed(table, n) for n in unsmoothed), KneserNey(table, smoothed)]

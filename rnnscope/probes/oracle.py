"""What the generator of a built-in text itself expects: the judge that knows the truth."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rnnscope.corpus.builtin.oracle import LOOK_BACK, oracle_of
from rnnscope.probes.subject import Subject
from rnnscope.recording.lab_events import Floats

JUDGED = 64
"""Prefixes at most that it reads on from, about 10,000 characters a second."""
KEPT = 250_000
"""Characters after all prefixes at most, for each of which two distributions are kept: some 250 MB."""


class Verdict(NamedTuple):
    """name: of the generator. free, true: its mean nats (N,) on what the model wrote and on the true text, after P
    prefixes; expected_free, expected_true (N, P, V): the distributions that it drew or would have drawn them from, NaN
    where it could not have come to (inside a word that it never writes, and after too many slips).
    """

    name: str
    free: Floats
    true: Floats
    expected_free: Tensor
    expected_true: Tensor


def judge(
    subject: Subject, starts: NDArray[np.int64], given: Tensor, truth: Tensor, free: Tensor, begin: float, end: float
) -> Verdict | None:
    """Return what the generator of the subject's text makes of truth and free (N, P), which go on after given (T, P),
    the stretches of the validation part from starts (P,); None where it has none that is known.

    begin, end: shares of the caller's work, for its reports. Raises Cancelled.
    """
    corpus = subject.corpus
    oracle = oracle_of(subject.config.texts, corpus.vocabulary.symbols)
    if oracle is None:
        return None
    decode = corpus.vocabulary.decode
    found = []
    prefixes = min(len(starts), JUDGED, max(1, KEPT // len(truth)))
    for n, start in enumerate(starts[:prefixes].tolist()):
        subject.report(begin + (end - begin) * n / prefixes, f"the generator of {subject.config.texts[0]} judges")
        before = corpus.validation[max(0, start - LOOK_BACK) : start]
        earlier = corpus.train[max(0, len(corpus.train) - (LOOK_BACK - len(before))) :]
        known = np.concatenate([earlier, before, given[:, n].cpu().numpy()])
        found.append(oracle.judge(decode(known), [decode(x[:, n].cpu().numpy()) for x in (free, truth)]))
    columns = list(zip(*found, strict=True))  # of free, of true
    nats = [np.mean([one.nats for one in column], 0).astype(np.float32) for column in columns]
    expected = [[np.where(one.known[:, None], one.expected, np.nan) for one in column] for column in columns]
    return Verdict(subject.config.texts[0], *nats, *(torch.from_numpy(np.stack(column, 1)) for column in expected))


def divergence(expected: Tensor, logits: Tensor) -> Tensor:
    """Return the mean KL(o || p) (N,) in nats over the prefixes where o is known, of distributions o (N, P, V) from
    those that logits (N, P, V) stand for; NaN where it is known nowhere.
    """
    log_p = torch.log_softmax(logits.cpu().double(), -1)
    return (torch.xlogy(expected, expected) - expected * log_p).sum(-1).nanmean(1)


def excess(free: Tensor, true: Tensor) -> Tensor:
    """Return the excess accumulated error (N,) in percent (Arora et al. 2022), from mean errors (N,) at each position.

    100 (AccErr(n) - n eps(n)) / (n eps(n)), with AccErr(n) the sum of the first n errors KL(o || p) in the contexts
    that the model wrote itself, and eps(n) the mean of the first n in true ones: 0 where errors do not accumulate.
    """
    usual = true.cumsum(0)
    return 100 * (free.cumsum(0) - usual) / usual

"""The events of the sampling lab: what happens when the model reads its own writing. See `events.py` for the rest.

Each comes from the probe of its own name. Curves are (3, N): mean, 10% and 90% quantile over the prefixes, by position
n, after n + 1 characters.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, TypeAlias

from rnnscope.recording.lab_events import Floats, Ints


@dataclass(frozen=True)
class Exposure:
    """Teacher forcing beside free running, over P prefixes of the validation text.

    One of them in full: prefix, truth, free (N characters each), and (N,) arrays of it: forced_probability of each
    true character, free_probability of each own one (both at temperature 1), forced_entropy and free_entropy (nats) of
    the distributions that they came from; divergence: index of the first character that differs, -1 if none.
    Curves (3, N): nll under forcing (nats); distance ||h_forced - h_free|| / ||h_forced||, all layers' h;
    jensen_shannon between the two next-character distributions (nats, at most ln 2).
    distance_reference, shannon_reference: the same for states on unrelated pieces of real text, means.
    judge: name of the n-gram judge, "" if none; judge_free, judge_true (N,): its nats per character on what the model
    wrote, and on the true text. oracle: name of the generator whose own distribution judged, "" where there is none;
    oracle_free, oracle_true (N,): its nats; excess (N,): accumulated excess error in percent (Arora et al. 2022), empty
    without an oracle. auc (N,): of a held-out logistic probe that tells forced from free states at each position
    (0.5: it cannot).
    """

    kind: ClassVar[str] = "exposure"
    prefixes: int
    temperature: float
    prefix: str
    truth: str
    free: str
    divergence: int
    forced_probability: Floats
    free_probability: Floats
    forced_entropy: Floats
    free_entropy: Floats
    nll: Floats
    distance: Floats
    jensen_shannon: Floats
    distance_reference: float
    shannon_reference: float
    judge: str
    judge_free: Floats
    judge_true: Floats
    oracle: str
    oracle_free: Floats
    oracle_true: Floats
    excess: Floats
    auc: Floats
    seconds: float


@dataclass(frozen=True)
class Recovery:
    """One character of the prefix corrupted, and how loss and state come back. N characters follow it.

    One example in full: text (what was read, up to and with the wrong character), position in it, was, became; clean,
    corrupt (N,): nats of each following true character with the true prefix and with the corrupted one. Over P
    prefixes, curves (3, N): gain (corrupt - clean nats) and distance (of the states, relative). reference: distance of
    states on unrelated text.
    after (P,): characters until the state's distance stays below a tenth of the reference, -1 where it does not.
    """

    kind: ClassVar[str] = "recovery"
    prefixes: int
    text: str
    position: int
    was: str
    became: str
    following: str
    clean: Floats
    corrupt: Floats
    gain: Floats
    distance: Floats
    reference: float
    after: Ints
    seconds: float


@dataclass(frozen=True)
class Decoding:
    """The same prompt and seed decoded in C ways: names ("T 0.5, top 10") and texts so far; done once all are whole.

    distinct (C, 3): distinct n-grams over all n-grams, n = 1, 2, 3 words; repeated (C,): share of the lines that
    occurred before; copied (C,): length of the longest piece that occurs in the training text, copies: that piece.
    nats (C,): mean -ln probability (at temperature 1) of what was written. NaN and "" until done.
    """

    kind: ClassVar[str] = "decoding"
    prompt: str
    seed: int
    names: tuple[str, ...]
    texts: tuple[str, ...]
    done: bool
    distinct: Floats
    repeated: Floats
    copied: Ints
    copies: tuple[str, ...]
    nats: Floats
    seconds: float


@dataclass(frozen=True)
class Ngram:
    """The n-gram rival on the run's own split: orders (K,); kneser_ney (K,) interpolated, nats per character of the
    validation part (NaN where not built); unsmoothed (K,): maximum likelihood, nats on the characters that it gives
    any probability; unseen (K,): share of those that it gives none. names and texts: what two of them write.
    """

    kind: ClassVar[str] = "ngram"
    orders: Ints
    kneser_ney: Floats
    unsmoothed: Floats
    unseen: Floats
    names: tuple[str, ...]
    texts: tuple[str, ...]
    chars: int
    seconds: float


@dataclass(frozen=True)
class Asked:
    """How far a probe that somebody asked for has come: share 0 to 1, `what` it does; error: why it could not."""

    kind: ClassVar[str] = "asked"
    probe: str
    share: float
    what: str = ""
    error: str = ""


ReadingEvent: TypeAlias = Exposure | Recovery | Decoding | Ngram | Asked
READING_EVENTS = (Exposure, Recovery, Decoding, Ngram, Asked)

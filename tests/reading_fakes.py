"""Made-up but plausible events of the sampling lab, for tests of readers and screens. No torch."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rnnscope.recording.reading_events import Asked, Decoding, Exposure, Ngram, ReadingEvent, Recovery

NONE = np.zeros(0, np.float32)
KNESER_NEY = (3.347, 2.484, 2.045, 1.729, 1.579, 1.558, 1.565, 1.578, 1.591, np.nan)
UNSMOOTHED = (3.347, 2.462, 1.968, 1.511, 1.173, 0.936, 0.781, 0.676, 0.602, 0.549)
UNSEEN = (0.0, 0.0004, 0.0042, 0.021, 0.063, 0.131, 0.224, 0.331, 0.437, 0.535)
WRITTEN = (
    "and the sing of mand the wither, sir, I will not speak the man.\n"
    "PERDITA:\nWhat shall I do to make the sun a king?\n"
)


def reading_events(text: str, rng: np.random.Generator) -> list[ReadingEvent]:
    """Return one event of every kind, the texts made of `text`."""
    return [
        fake_exposure(text, rng), fake_recovery(text, rng), fake_decoding(text, rng), fake_ngram(text),
        Asked("units", 0.4, "reading the text"),
    ]  # fmt: skip


def _curve(mean: NDArray[np.float64], spread: float) -> NDArray[np.float32]:
    """Return a curve (3, N) with a band about it, not below zero."""
    return np.stack([mean, np.maximum(mean - spread, 0), mean + spread]).astype(np.float32)


def fake_exposure(text: str, rng: np.random.Generator, n: int = 200, oracle: bool = False) -> Exposure:
    """Return two continuations that part after 23 characters; curves that rise and settle below their references."""
    truth = (text * (n // len(text) + 2))[60 : 60 + n]
    own = WRITTEN if text.isascii() and "[" not in text else text[::-1]
    free = (truth[:23] + own * n)[:n]
    divergence = next((i for i, (a, b) in enumerate(zip(truth, free, strict=True)) if a != b), -1)
    at = np.arange(n)
    rise = 1 - np.exp(-at / 12)
    wobble = rng.normal(0, 0.04, (4, n))
    falling = 1.7 + 0.35 * np.exp(-at / 15)
    forced_probability, free_probability = rng.beta(0.8, 1.2, (2, n)).clip(1e-4, 1).astype(np.float32)
    forced_entropy, free_entropy = rng.gamma(2.0, 0.7, (2, n)).astype(np.float32)
    return Exposure(
        prefixes=64, temperature=1.0, prefix=text[:60], truth=truth, free=free, divergence=divergence,
        forced_probability=forced_probability, free_probability=free_probability,
        forced_entropy=forced_entropy, free_entropy=free_entropy,
        nll=_curve(falling + wobble[0], 1.4), distance=_curve(0.95 * rise + wobble[1] * rise, 0.25),
        jensen_shannon=_curve(0.38 * rise + wobble[2] * rise / 2, 0.2),
        distance_reference=1.06, shannon_reference=0.41,
        judge="Kneser-Ney of order 6", judge_free=(1.9 + 0.5 * rise + wobble[3]).astype(np.float32),
        judge_true=(1.62 + wobble[0]).astype(np.float32),
        oracle="play" if oracle else "",
        oracle_free=(0.9 + 0.4 * rise).astype(np.float32) if oracle else NONE,
        oracle_true=np.full(n, 0.88, np.float32) if oracle else NONE,
        excess=(12 * rise + wobble[1]).astype(np.float32) if oracle else NONE,
        auc=(0.5 + 0.22 * rise + wobble[2] / 2).astype(np.float32), seconds=2.1,
    )  # fmt: skip


def fake_recovery(text: str, rng: np.random.Generator, n: int = 100) -> Recovery:
    """Return a corruption that the state forgets within some twenty characters."""
    read, at = (text * 2)[:60], 52
    following = (text * (n // len(text) + 2))[60 : 60 + n]
    fade = np.exp(-np.arange(n) / 7)
    clean = rng.gamma(1.5, 1.1, n)
    after = np.where(rng.uniform(size=64) < 0.06, -1, rng.poisson(17, 64))
    return Recovery(
        prefixes=64, text=read[:at] + "q" + read[at + 1 :], position=at, was=read[at], became="q", following=following,
        clean=clean.astype(np.float32), corrupt=(clean + 2.1 * fade * rng.uniform(0.2, 1.6, n)).astype(np.float32),
        gain=_curve(1.6 * fade + rng.normal(0, 0.03, n) * fade, 0.5) - np.float32(0.02),
        distance=_curve(0.7 * fade, 0.12), reference=1.06, after=after, seconds=0.8,
    )  # fmt: skip


def fake_decoding(text: str, rng: np.random.Generator, n: int = 300, done: bool = True) -> Decoding:
    """Return four columns, the coldest of which says the same line again and again, and one that copies."""
    line = text.splitlines()[1] if text.count("\n") > 1 else text[:40]
    noise = "".join(rng.choice(list("abcdefgh ijkl,mnop'qrst uvwxyz\n.KQ!"), n))
    pool = text + WRITTEN * 9
    texts = ((line + "\n") * n, WRITTEN[::1] * 9, pool, noise)
    copies = (line, WRITTEN[4:30], text[60:110], noise[3:8]) if done else ("",) * 4
    unknown = np.full(4, np.nan, np.float32)
    return Decoding(
        prompt="ROMEO:\n", seed=1, names=("T 0.2", "T 0.5", "T 1", "T 2"),
        texts=tuple(one[: n if done else 20 + 10 * i] for i, one in enumerate(texts)), done=done,
        distinct=np.array([[0.21, 0.24, 0.26], [0.48, 0.71, 0.83], [0.72, 0.93, 0.98], [0.99, 1.0, 1.0]], np.float32)
        if done else np.full((4, 3), np.nan, np.float32),
        repeated=np.array([0.83, 0.31, 0.02, 0.0], np.float32) if done else unknown,
        copied=np.array([len(one) for one in copies]), copies=copies,
        nats=np.array([0.31, 0.72, 1.58, 4.9], np.float32) if done else unknown, seconds=0.9,
    )  # fmt: skip


def fake_ngram(text: str) -> Ngram:
    """Return the figures of Tiny Shakespeare (FACTS.md section 2 for Kneser-Ney up to order 7)."""
    return Ngram(
        orders=np.arange(1, 11), kneser_ney=np.array(KNESER_NEY), unsmoothed=np.array(UNSMOOTHED),
        unseen=np.array(UNSEEN), names=("order 4", "order 10"), texts=(WRITTEN * 4, text * 2), chars=111_540,
        seconds=11.2,
    )  # fmt: skip

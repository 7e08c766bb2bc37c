"""Decoding: the same prompt and the same random numbers, the next character chosen in several ways side by side."""

from __future__ import annotations

import dataclasses
import math
import time

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rnnscope.corpus import Corpus
from rnnscope.corpus.copying import distinct, longest_copy, repeated_lines, training_index
from rnnscope.generating import Stepper, Strategy, log_probability_of, one_thread, uniforms
from rnnscope.probes.sampling import default_prompt, device_of
from rnnscope.probes.subject import Subject
from rnnscope.recording.reading_events import Decoding
from rnnscope.recording.requests import Request

DRAFT_EVERY = 0.2
"""Seconds between two drafts of the texts."""
OFTEN = 16
"""Characters between two reports."""
WRITTEN = 0.8
"""Share of the work after which the texts are whole."""
NGRAMS = (1, 2, 3)
"""Lengths, in words, of the n-grams that are counted."""


def measure(subject: Subject, request: Request) -> Decoding:
    """Write `length` characters after the prompt (default: a newline), once for each temperature (0: greedy).

    Every step has one random number for all columns. The texts so far are drafted while they grow; then each is
    compared with itself and with the training part (its last 4,000,000 characters).

    Raises:
        UserError: the prompt has characters that the vocabulary lacks.
        Cancelled: out of subject.report.
    """
    started = time.perf_counter()
    vocabulary = subject.corpus.vocabulary
    prompt = request.prompt or default_prompt(vocabulary)
    given = torch.from_numpy(vocabulary.encode_prompt(prompt)).to(device_of(subject.model))
    strategies = [Strategy(temperature, request.top_k, request.top_p) for temperature in request.temperatures]
    columns = len(strategies)
    unknown = Decoding(
        prompt=vocabulary.decode(given.cpu().numpy()),
        seed=request.seed,
        names=tuple(name_of(strategy) for strategy in strategies),
        texts=("",) * columns,
        done=False,
        distinct=np.full((columns, len(NGRAMS)), math.nan, np.float32),
        repeated=np.full(columns, math.nan, np.float32),
        copied=np.zeros(columns, np.int64),
        copies=("",) * columns,
        nats=np.full(columns, math.nan, np.float32),
        seconds=0.0,
    )
    written, nats = _written(subject, given, strategies, request.length, unknown)
    subject.report(WRITTEN, "looking for copies in the training text")
    index = training_index(subject.corpus, working=lambda: subject.report(WRITTEN, "sorting the training text"))
    pieces = [longest_copy(column, index) for column in written.T]
    texts = _texts(subject.corpus, written)
    return dataclasses.replace(
        unknown,
        texts=texts,
        done=True,
        distinct=np.array([[distinct(text, n) for n in NGRAMS] for text in texts], np.float32),
        repeated=np.array([repeated_lines(text) for text in texts], np.float32),
        copied=np.array([size for _, size in pieces], np.int64),
        copies=tuple(text[start : start + size] for text, (start, size) in zip(texts, pieces, strict=True)),
        nats=nats.astype(np.float32),
        seconds=time.perf_counter() - started,
    )


def name_of(strategy: Strategy) -> str:
    """Return a strategy in words, as the head of its column."""
    if strategy.temperature <= 0:
        return "greedy"
    name = f"T {strategy.temperature:g}"
    if strategy.top_k:
        name += f", top {strategy.top_k}"
    return name + (f", p {strategy.top_p:g}" if strategy.top_p < 1 else "")


def _written(
    subject: Subject, given: Tensor, strategies: list[Strategy], length: int, draft: Decoding
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return ids (N, C) and the mean nats (C,) of what each strategy writes after given (T,)."""
    model, columns = subject.model, len(strategies)
    logits, state, _ = model.outputs(given[:, None], model.initial_state(1))
    logits = logits[-1].expand(columns, -1)
    state = tuple(tuple(part.expand(columns, -1) for part in layer) for layer in state)
    stepper, numbers = Stepper(model), uniforms(draft.seed, 1, given.device)
    written = np.empty((length, columns), np.int64)
    nats = np.zeros(columns)
    drafted = time.monotonic()
    for n in range(length):
        uniform = next(numbers)
        ids = torch.cat([s.draw(logits[i : i + 1], uniform) for i, s in enumerate(strategies)])
        written[n] = ids.cpu().numpy()
        nats -= log_probability_of(ids, logits).cpu().numpy() / length
        if n % OFTEN == 0:
            subject.report(WRITTEN * n / length, "writing")
        if time.monotonic() - drafted >= DRAFT_EVERY:
            drafted = time.monotonic()
            subject.draft(dataclasses.replace(draft, texts=_texts(subject.corpus, written[: n + 1])))
        with one_thread():
            logits, state = stepper(ids, state)
    return written, nats


def _texts(corpus: Corpus, written: NDArray[np.int64]) -> tuple[str, ...]:
    return tuple(corpus.vocabulary.decode(column) for column in written.T)

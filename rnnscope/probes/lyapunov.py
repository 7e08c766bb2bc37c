"""The leading Lyapunov exponents of the state's recurrence: by how many nats a step small differences grow or fade.

By QR decompositions along the trajectory (Benettin et al. 1980; for recurrent networks Vogt et al. 2020, Engelken
et al. 2023). What is carried is a block of gradients, backwards, by the cells' own backward scans, instead of
differences forwards: J and its transpose have the same singular values, so the exponents are the same, and they are
the rates at which back-propagated gradients grow or fade. They are carried in the precision in which the network
learns, where that holds all that happens between two decompositions, else in float64.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rnnscope.model import CharRNN, State
from rnnscope.probes.linearised import Trajectory
from rnnscope.recording.lab_events import Lyapunov

COUNT = 20
"""Exponents, by default."""
STEPS, BURN_IN = 1500, 300
"""Averaged over, and left out at either end, by default: some seconds for a small network."""
LIVE_STEPS, LIVE_BURN_IN, LIVE_COUNT = 200, 50, 10
"""The same while it learns."""

EVERY = 16
"""Steps between two QR decompositions, at most."""
SPREAD = {torch.float64: 1e-6, torch.float32: 1e-3}
"""Smallest against largest growth between two of them, at which they are made twice as often: float64 holds 1e-16 and
float32 1e-7, and what lies below that beside the largest is lost."""

GONE = 1e-14
"""A growth in one step, in float64, below so much of the largest is nothing but rounding: that direction dies."""

Pull = Callable[[Tensor, int, int], Tensor]


def exponents(
    pull: Pull,
    size: int,
    steps: int,
    settle: int,
    count: int,
    generator: torch.Generator,
    dtype: torch.dtype = torch.float64,
) -> Tensor:
    """Return the `count` leading Lyapunov exponents over steps 1 ... `steps`, descending, (N,) float64, nats a step.

    -inf for directions that die altogether, as behind ReLUs that are off.

    Args:
        pull: (rows (N, D), start, stop) -> rows @ J_stop ... J_{start+1}.
        size: D.
        settle: further steps after `steps`, passed first and left out: there the block turns into the directions
            that grow most.
        generator: of the first block.
        dtype: of the rows that `pull` takes; decompositions and sums are made in float64.

    Raises:
        Lost: a single step is more than numbers of that dtype can hold; never with float64.
    """
    block = torch.randn(size, min(count, size), generator=generator, dtype=torch.float64)
    block = torch.linalg.qr(block)[0]
    logs = torch.zeros(block.shape[1], dtype=torch.float64)
    every, stop = EVERY, steps + settle
    while stop:
        start = max(stop - every, steps if stop > steps else 0)
        after, r = torch.linalg.qr(pull(block.t().to(dtype), start, stop).t().double())
        growth = r.diagonal().abs()
        if not _held(growth, dtype):
            if every > 1:
                every //= 2  # and once more from here, so that nothing is lost
                continue
            if dtype != torch.float64:
                raise Lost(f"one step spreads further than {dtype} can hold")
        if stop <= steps:
            logs += torch.where(growth < GONE * growth.max(), 0, growth).log()
        block, stop = after, start
    return (logs / steps).sort(descending=True).values


class Lost(ArithmeticError):
    """Directions fade so much faster than others that the precision asked for does not show by how much."""


def _held(growth: Tensor, dtype: torch.dtype) -> bool:
    """Whether a product between two decompositions, which grew so much, was within what its numbers can hold."""
    kind = torch.finfo(dtype)
    least, most = float(growth.min()), float(growth.max())
    return least > max(SPREAD[dtype] * most, kind.tiny / kind.eps) and most < kind.max


def random_state(model: CharRNN, generator: torch.Generator) -> State:
    """Return a state of one sample with every number from N(0, 1), float64."""
    like = model.initial_state(1)
    return tuple(tuple(torch.randn(s.shape, generator=generator, dtype=torch.float64) for s in layer) for layer in like)


def measure(
    model: CharRNN,
    ids: Tensor | None,
    *,
    count: int = COUNT,
    steps: int = STEPS,
    burn_in: int = BURN_IN,
    seed: int = 0,
    look: Callable[[], None] = lambda: None,
) -> Lyapunov:
    """Return the event.

    Args:
        ids: the text that drives the network from a zero state, (T,); or None for no input, from a random state.
        count: exponents, at most D.
        steps, burn_in: averaged over, and left out at either end: before, the state forgets where it began; after,
            the directions settle. A text shorter than steps + 2 burn_in is used in the same proportion.
        seed: of the random state and the first directions.
        look: called every few time steps; what it raises breaks off.

    NaN where there is no text, or the network's numbers are not finite.
    """
    began = time.perf_counter()
    generator = torch.Generator().manual_seed(seed)
    if ids is None:
        read, state = torch.zeros(steps + 2 * burn_in, dtype=torch.int64), random_state(model, generator)
    else:
        read, state = ids[: steps + 2 * burn_in], model.initial_state(1)
        burn_in = min(burn_in, len(read) * burn_in // (steps + 2 * burn_in))
        steps = len(read) - 2 * burn_in
    if not steps:
        return Lyapunov(np.full(count, np.nan), 0, 0, ids is None, time.perf_counter() - began)

    def found_in(dtype: torch.dtype) -> Tensor:
        path = Trajectory(model, read, state, zero_input=ids is None, dtype=dtype)

        def pull(rows: Tensor, start: int, stop: int) -> Tensor:
            look()
            return path.pull(rows, start + burn_in, stop + burn_in)

        return exponents(pull, path.size, steps, burn_in, count, generator, dtype)

    try:
        found = found_in(model.decoder.weight.dtype)
    except Lost:  # directions that die, as ReLU's
        found = found_in(torch.float64)
    return Lyapunov(found.numpy(), steps, burn_in, ids is None, time.perf_counter() - began)


def while_learning(model: CharRNN, text: NDArray[Any], seed: int, look: Callable[[], None] = lambda: None) -> Lyapunov:
    """Return the event for the beginning of `text` (ids; the validation part), short enough for a training run."""
    ids = torch.from_numpy(text[: LIVE_STEPS + 2 * LIVE_BURN_IN].astype(np.int64))
    return measure(model, ids, count=LIVE_COUNT, steps=LIVE_STEPS, burn_in=LIVE_BURN_IN, seed=seed, look=look)

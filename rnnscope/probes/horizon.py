"""How far back the gradient reaches, beside how far back the model uses what it read. The two can disagree.

- The reach's half-life is about learning: after how many steps back half of the last loss's gradient is gone.
- The loss with the state reset k characters back is about prediction: what the model gains from older text. The same
  characters are predicted for every k, each from exactly k characters read from a zero state.
- A gate's half-life is about one unit's own memory: after ln 2 / -ln(mean gate) steps half of what it held is left,
  if nothing else wrote to it: f of the LSTM (c_t = f c_{t-1} + ...), z of the GRU (h_t = (1 - z) n + z h_{t-1}).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from rnnscope.model import CharRNN, State
from rnnscope.probes.gradients import hidden_gradients, summarise
from rnnscope.probes.sampling import device_of
from rnnscope.recording.events import Floats
from rnnscope.recording.lab_events import Horizon

GATES = {"lstm": "f", "gru": "z"}
"""The gate that says how much of its state a unit keeps."""

CONTEXTS = tuple(2**i for i in range(7))
"""Characters of context k, 1 to 64."""

STREAMS = 32
"""Stretches of text from which characters to predict are taken."""
EACH = 4
"""Characters predicted in each."""
APART = 16
"""Characters from one prediction to the next in a stretch."""

BLOCK = 1 << 23  # logits of one forward pass, T * B * V at most: 32 MB
CHARS = 1 << 12  # and characters, T * B: between two of them a measurement can be broken off


def half_life(log_reach: Floats, floor: Floats, bad: Floats) -> Floats:
    """Return (L,) lags until the mean reach has fallen to half of its value at lag 0; inf where it never has.

    Interpolated linearly in log10 between the two lags around it. Where every sample's gradient is zero (or
    underflowed) at a lag, it has fallen there. NaN where there is no gradient at lag 0.

    Args:
        log_reach: batch mean of log10 norm (L, T), index T-1 is lag 0. floor, bad: fractions (L, T), see Gradients.
    """
    gone = (floor > 0) & np.isnan(log_reach) & (bad == 0)
    found = []
    for logs, empty in zip(log_reach[:, ::-1].astype(np.float64), gone[:, ::-1], strict=True):
        level = logs[0] - np.log10(2)
        fallen = np.flatnonzero((logs <= level) | empty)
        if not np.isfinite(level):
            found.append(np.nan)
        elif len(fallen) == 0:
            found.append(np.inf)
        else:
            lag = int(fallen[0])
            drop = logs[lag - 1] - logs[lag]
            found.append(lag - 1 + (logs[lag - 1] - level) / drop if np.isfinite(drop) else float(lag))
    return np.array(found)


@torch.no_grad()
def gate_half_lives(model: CharRNN, ids: Tensor, state: State) -> Floats:
    """Return (L, H) half-lives in steps of each unit's gate, averaged over ids (T, B); (0, 0) for cells without one."""
    name = GATES.get(model.cell.name)
    if name is None:
        return np.zeros((0, 0), np.float32)
    layers = model.trace(ids, state)[2]
    means = np.stack([layer[name].cpu().double().mean((0, 1)).numpy() for layer in layers])
    with np.errstate(divide="ignore"):
        lives: Floats = (np.log(2) / -np.log(means)).astype(np.float32)
    return np.abs(lives)  # a gate of exactly 1 gives -inf for minus zero


class Places(NamedTuple):
    """Where characters are predicted. starts (S,): of the stretches; offsets (P,): of what is read just before each.

    Position starts[s] + offsets[p] is the last character read, the next one is predicted.
    """

    starts: NDArray[np.integer]
    offsets: NDArray[np.integer]

    @property
    def last_read(self) -> NDArray[np.integer]:
        """Positions of the last characters read, (S * P,)."""
        return (self.starts[:, None] + self.offsets).ravel()


def _on() -> None:
    """Let a measurement go on."""


def places(length: int, warm_up: int, streams: int = STREAMS, each: int = EACH, apart: int = APART) -> Places:
    """Spread predictions evenly over a text of `length` characters (at least 2); the same ones every time.

    Each stretch is read from its start for `warm_up` characters before its first prediction. A short text has
    fewer and shorter stretches.
    """
    readable = length - 1  # the last character can only be predicted
    warm_up = min(warm_up, readable)
    each = max(1, min(each, (readable - warm_up) // apart + 1))
    span = warm_up + (each - 1) * apart
    starts = np.unique(np.linspace(0, readable - span, streams).astype(np.int64))
    return Places(starts, warm_up - 1 + apart * np.arange(each))


@torch.no_grad()
def context_loss(
    model: CharRNN, text: NDArray[Any], last_read: NDArray[np.integer], k: int, look: Callable[[], None] = _on
) -> float:
    """Return the mean of -log p(text[i+1] | the k characters up to i, read from a zero state), i in `last_read`.

    look: called now and then; what it raises breaks off.
    """
    total, width = 0.0, max(1, min(BLOCK // (k * model.vocabulary_size), CHARS // k))
    for i in range(0, len(last_read), width):
        look()
        some = last_read[i : i + width]
        ids = _on_device(model, text[some[None, :] + np.arange(1 - k, 1)[:, None]])
        logits, _ = model(ids, model.initial_state(len(some)))
        total += _nats(logits[-1], _on_device(model, text[some + 1]))
    return total / len(last_read)


@torch.no_grad()
def carried_loss(model: CharRNN, text: NDArray[Any], where: Places, look: Callable[[], None] = _on) -> float:
    """Return the mean loss at the same places with the state carried from the start of each stretch; look: as above."""
    logits, state = [], model.initial_state(len(where.starts))
    done = 0
    for offset in where.offsets:  # up to each prediction in turn
        ids = _on_device(model, text[where.starts[None, :] + np.arange(done, offset + 1)[:, None]])
        streams = ids.shape[1]
        for piece in torch.split(ids, max(1, min(BLOCK // (streams * model.vocabulary_size), CHARS // streams))):
            look()
            out, state = model(piece, state)
        logits.append(out[-1])
        done = int(offset) + 1
    last_read = where.starts[None, :] + where.offsets[:, None]
    return _nats(torch.cat(logits), _on_device(model, text[last_read.ravel() + 1])) / last_read.size


def _nats(logits: Tensor, targets: Tensor) -> float:
    """Return the loss of logits (N, V) summed in float64."""
    return float(functional.cross_entropy(logits, targets, reduction="none").cpu().double().sum())


def _on_device(model: CharRNN, ids: NDArray[Any]) -> Tensor:
    return torch.from_numpy(ids.astype(np.int64)).to(device_of(model))


def measure(
    model: CharRNN,
    ids: Tensor,
    targets: Tensor,
    state: State,
    text: NDArray[Any],
    *,
    contexts: tuple[int, ...] = CONTEXTS,
    streams: int = STREAMS,
    warm_up: int | None = None,
    look: Callable[[], None] = _on,
) -> Horizon:
    """Return the event: half-lives on one window (ids, targets (T, B), the state before it), losses on held-out text.

    Without dropout; touches no random state, .grad or weight.

    Args:
        text: ids of the validation part. contexts: those longer than the text are left out.
        warm_up: characters read before `full_loss`'s first prediction in each of `streams` stretches, at least as
            many as the longest context (default: twice as many).
        look: called now and then, at least every few thousand characters; what it raises breaks off.
    """
    started = time.perf_counter()
    reach = hidden_gradients(model, ids, targets, state, "reach")
    norms = [torch.linalg.vector_norm(layer["h"].cpu(), dim=-1, dtype=torch.float64).numpy() for layer in reach]
    summary = summarise(np.stack(norms))
    contexts = tuple(k for k in contexts if k < len(text))
    losses, full, count = np.zeros(0), float("nan"), 0
    if contexts:
        where = places(len(text), max(warm_up or 2 * max(contexts), max(contexts)), streams)
        training = model.training
        model.eval()
        try:
            losses = np.array([context_loss(model, text, where.last_read, k, look) for k in contexts])
            full, count = carried_loss(model, text, where, look), len(where.last_read)
        finally:
            model.train(training)
    lives = gate_half_lives(model, ids, state)
    return Horizon(
        half_life=half_life(summary.mean, summary.floor, summary.bad),
        contexts=np.array(contexts, np.int64),
        loss=losses,
        full_loss=full,
        chars=count,
        gate_half_lives=lives,
        gate=GATES.get(model.cell.name, ""),
        seconds=time.perf_counter() - started,
    )

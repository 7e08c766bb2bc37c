"""A long text read quickly: in pieces side by side, each after a stretch of what comes before it.

One character after the other, a network reads no faster than its small products allow; B pieces at once are read by
products of B rows. All but the first piece begin in the zero state WARM_UP characters early, and what they do until
their own beginning does not count: by then the state has forgotten where it began, as far as the network can forget.
Shapes: T time steps, B streams, H units, L layers; N = B n characters are read, n of each stream.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rnnscope.cells.base import LayerState
from rnnscope.concepts.scoring import Single
from rnnscope.corpus import Corpus
from rnnscope.model import CharRNN, State
from rnnscope.probes.sampling import device_of
from rnnscope.recording.requests import Request

WARM_UP = 200
SHORTEST = 2_000
"""Characters of a stream at least, where there is more than one: so reading twice costs a tenth at most."""
STREAMS, STREAMS_GPU = 128, 512
STEPS = 64
"""Time steps read at a time: bounds the memory of what is in between."""

Report = Callable[[float], None]


class Piece(NamedTuple):
    """What some time steps of all streams left.

    places: (T, B) where in the text each is. values: of each layer asked for, its fields by name, each (T, B, H).
    """

    places: NDArray[np.int64]
    values: list[dict[str, Single]]


class Streams(NamedTuple):
    """How a text is cut: B streams of n characters each, after `warm_up` characters of the stream before."""

    streams: int
    length: int
    warm_up: int

    @property
    def chars(self) -> int:
        """The characters that are read, N: what does not go into streams of one length is left out at the end."""
        return self.streams * self.length


def _no_report(share: float) -> None:
    """Report to nobody."""


def cut(chars: int, most: int, shortest: int = SHORTEST, warm_up: int = WARM_UP) -> Streams:
    """Return how a text of `chars` characters, at least 1, is cut into at most `most` streams."""
    count = max(1, min(most, chars // shortest))
    return Streams(count, chars // count, min(warm_up, chars // count))


def streams_for(model: CharRNN, chars: int) -> Streams:
    """Return how a text of `chars` characters is cut for the device that the model is on."""
    return cut(chars, STREAMS if device_of(model).type == "cpu" else STREAMS_GPU)


def held_out(corpus: Corpus, chars: int) -> NDArray[np.int64]:
    """Return `chars` characters that end with held-out text: of the validation part and, where that is too short, of
    the end of the training part before it.
    """
    validation = corpus.validation[:chars]
    before = max(0, min(chars - len(validation), len(corpus.train)))
    return np.concatenate([corpus.train[len(corpus.train) - before :], validation]).astype(np.int64)


@torch.no_grad()
def read(
    model: CharRNN,
    ids: NDArray[np.int64],
    fields: Sequence[str],
    layers: Sequence[int],
    *,
    cut: Streams | None = None,
    report: Report = _no_report,
) -> Iterator[Piece]:
    """Yield what `fields` of `layers` were after each character of ids (N,), without dropout, STEPS steps at a time.

    The layers above the last of them are not computed, nor, of a fused kernel, what is not asked for.

    Args:
        fields: names of states and gates. layers: ascending, from 0.
        cut: None for `streams_for`.
        report: called with the share done, before each piece.
    """
    plan = cut or streams_for(model, len(ids))
    starts = plan.length * np.arange(plan.streams)
    state = model.initial_state(plan.streams)
    if plan.streams > 1:
        state = _warm(model, ids, plan, max(layers))
    for begin in range(0, plan.length, STEPS):
        report(begin / plan.length)
        places = starts + np.arange(begin, min(begin + STEPS, plan.length))[:, None]
        values, state = _advance(model, _given(model, ids[places]), state, fields, layers)
        yield Piece(places, values)
    report(1.0)


def _warm(model: CharRNN, ids: NDArray[np.int64], plan: Streams, layer: int) -> State:
    """Return the state of the layers up to `layer` after what comes before each stream; zeros for the first."""
    before = plan.length * np.arange(plan.streams) + np.arange(-plan.warm_up, 0)[:, None]
    state = model.initial_state(plan.streams)
    for start in range(0, plan.warm_up, STEPS):
        given = _given(model, ids[np.maximum(before[start : start + STEPS], 0)])
        _, state = _advance(model, given, state, (), (layer,))
    for tensor in (tensor for layer_state in state for tensor in layer_state):
        tensor[0] = 0
    return state


def _given(model: CharRNN, ids: NDArray[np.int64]) -> Tensor:
    return torch.from_numpy(ids).to(device_of(model))


def _advance(
    model: CharRNN, ids: Tensor, state: State, fields: Sequence[str], layers: Sequence[int]
) -> tuple[list[dict[str, Single]], State]:
    """Read ids (T, B); return the fields of the layers asked for, and the state after of those up to the last."""
    x, after = ids, []
    values = []
    for index in range(max(layers) + 1):
        x, shown, layer_state = _layer(model, index, x, state[index], fields if index in layers else ())
        after.append(layer_state)
        if index in layers:
            values.append({field: shown[field].float().cpu().numpy() for field in fields})
    return values, tuple(after)


def _layer(
    model: CharRNN, index: int, x: Tensor, state: LayerState, fields: Sequence[str]
) -> tuple[Tensor, dict[str, Tensor], LayerState]:
    """Return a layer's outputs (T, B, H), what may be shown of it, and the state after."""
    if model.kernel == "fused" and set(fields) <= {"h"}:  # spares what the fused kernel hides
        out, after = model.run_layer(index, model.layers[index], x, state)
        return out, {"h": out}, after
    run = model.run(index, x, state, scan=x.device.type == "cpu")
    return run.out, model.cell.shown(run), tuple(tensor.clone() for tensor in run.final)


def gather(
    model: CharRNN,
    ids: NDArray[np.int64],
    field: str,
    layers: Sequence[int],
    *,
    plan: Streams | None = None,
    report: Report = _no_report,
) -> list[Single]:
    """Return of each of the layers what `field` was after each of the first N characters, (H, N) float32.

    plan: None for `streams_for`; one stream reads all of them from a zero state.
    """
    plan = plan or streams_for(model, len(ids))
    found = [np.empty((model.config.hidden, plan.streams, plan.length), np.float32) for _ in layers]
    for piece in read(model, ids, (field,), layers, cut=plan, report=report):
        first = int(piece.places[0, 0])
        for whole, layer in zip(found, piece.values, strict=True):
            values = layer[field]
            whole[:, :, first : first + len(values)] = values.transpose(2, 1, 0)
    return [whole.reshape(len(whole), plan.chars) for whole in found]


def alone(model: CharRNN, ids: NDArray[np.int64], request: Request, report: Report) -> Single:
    """Return the field of the layer that `request` names while ids (N,) are read from a zero state, (N, H)."""
    plan = cut(len(ids), 1)
    return gather(model, ids, request.field, (request.layer,), plan=plan, report=report)[0].T

"""The training loop as an object that makes one update at a time.

A caller asks for the next window of text, may measure whatever it likes on it, then has the update made:

    window = trainer.next_window()
    row = trainer.update(window)

Nothing in here knows the recording, the probes or the clock: what an update does depends on the configuration,
the seed, the text and the number of the step alone. That is what makes a resumed run exact.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rnnscope.config import Config
from rnnscope.corpus import Batches, Corpus, make_batches
from rnnscope.errors import UserError
from rnnscope.model import CharRNN, State
from rnnscope.saved import OTHERWISE
from rnnscope.training import checkpoint
from rnnscope.training.optimisers import Optimizer
from rnnscope.training.schedule import scheduled_lr
from rnnscope.training.scheduled import own_inputs, truth_share
from rnnscope.training.step import train_step

DEFAULT_EPOCHS = 30.0

SAMPLING = 1 << 32
"""Added to the seed of scheduled sampling, whose numbers are not those that the weights came from."""


@dataclass(frozen=True)
class Window:
    """What one update reads. x, y (T, B) int64 (x with what scheduled sampling puts there); state: the hidden state
    before x; epoch: passes done after it.
    """

    x: Tensor
    y: Tensor
    state: State
    epoch: float


@dataclass(frozen=True)
class Update:
    """What one update did. loss: mean nats per character; norms: global gradient norm before and after clipping."""

    step: int
    epoch: float
    chars: int
    loss: float
    lr: float
    grad_norm: float
    grad_norm_clipped: float
    applied: bool  # False where the loss or a gradient was not finite: the weights were left alone

    @property
    def finite(self) -> bool:
        """Whether loss and gradient are numbers."""
        return math.isfinite(self.loss) and math.isfinite(self.grad_norm)


@dataclass(frozen=True)
class Snapshot:
    """A trainer at one step: its weights, and what `Trainer` keeps beside them. Nothing in it is shared."""

    step: int
    weights: dict[str, Tensor]
    state: dict[str, Any]


@dataclass(frozen=True)
class Validated:
    """Mean loss in nats per character over `chars` characters, and the seconds it took."""

    loss: float
    chars: int
    seconds: float


class Trainer:
    """Model, optimiser and data position of one run.

    What can be changed while training: `lr_scale` (factor on the scheduled rate), `clip` (threshold or None),
    `clip_by` ("norm" or "value"), the length of the windows (`set_bptt`), the recurrent weights
    (`scale_recurrent`) and the carried state (`reset_state`). All of it is in checkpoints and snapshots.
    """

    def __init__(self, config: Config, corpus: Corpus, *, device: torch.device, kernel: str, precision: str) -> None:
        self.config, self.corpus, self.device = config, corpus, device
        torch.manual_seed(config.run.seed)
        self.model = CharRNN(config.model, len(corpus.vocabulary.symbols), kernel=kernel, precision=precision)
        self.model.to(device)
        self.optimizer = Optimizer(self.model.parameters(), config.training)
        training = config.training
        self.batches: Batches = make_batches(
            corpus.train, config.text.batches, training.batch, training.bptt, config.run.seed
        )
        self.zero = self.model.initial_state(training.batch)
        self.state = self.zero
        self.step = self.chars = 0
        self.lr_scale = 1.0
        self.clip = None if training.clip == "none" else float(training.clip)
        self.clip_by: str = training.clip_by
        self.best_validation = math.inf
        self.sampling = torch.Generator().manual_seed(SAMPLING + config.run.seed)  # for scheduled sampling

    @property
    def total_steps(self) -> int | None:
        """Number of updates after which the run ends; None where only --minutes bounds it."""
        training = self.config.training
        limits = [] if training.steps is None else [training.steps]
        epochs = training.epochs
        if epochs is None and training.steps is None and training.minutes is None:
            epochs = DEFAULT_EPOCHS
        if epochs is not None:
            limits.append(self.batches.steps_until(epochs))
        return min(limits) if limits else None

    def next_window(self) -> Window:
        """Return the next (T, B) window of text on the device, with the state that it starts from.

        With scheduled sampling some of its inputs are samples of the model as it is now.
        """
        window = self.batches.next()
        state = self.zero if window.fresh else self.state
        x, y = (self._to_device(ids) for ids in (window.x, window.y))
        share = truth_share(self.step, self.config.training)
        if share < 1:
            x = own_inputs(self.model, x, state, share, self.sampling)
        return Window(x, y, state, window.epoch)

    def _to_device(self, ids: np.ndarray[Any, Any]) -> Tensor:
        tensor = torch.from_numpy(ids)
        if self.device.type == "cuda":
            return tensor.pin_memory().to(self.device, non_blocking=True)
        return tensor.to(self.device)

    def update(self, window: Window, look: Callable[[], None] | None = None) -> Update:
        """Make one update: forward, loss, back-propagation through time, clipping, optimiser.

        look: called between back-propagation and clipping, see `train_step`.
        """
        self.step += 1
        lr = self.optimizer.lr = scheduled_lr(self.step, self.config.training) * self.lr_scale
        result = train_step(self.model, self.optimizer, window.x, window.y, window.state, self.clip, self.clip_by, look)
        # A state that became NaN or infinite would spoil every later window, up to the next epoch.
        self.state = result.state if result.applied or _finite(result.state) else self.zero
        self.chars += window.x.numel()
        return Update(
            self.step, window.epoch, self.chars, float(result.loss), lr,
            float(result.grad_norm), float(result.grad_norm_clipped), result.applied,
        )  # fmt: skip

    @torch.no_grad()
    def validate(
        self,
        part: np.ndarray[Any, Any] | None = None,
        columns: int = 32,
        window: int = 128,
        stop: Callable[[], bool] = lambda: False,
    ) -> Validated:
        """Return the mean loss in nats per character over the start of a held-out part (validation by default).

        The part is cut into `columns` contiguous streams read side by side, `window` time steps at a time, each from
        a zero state that is then carried. Products are of the run's precision, the loss is taken in float32 and
        summed in float64. Reading ends after --validation-chars characters, or where `stop()` says so: `chars` is
        then smaller, 0 (and the loss NaN) where nothing was read.
        """
        started = time.perf_counter()
        data = self.corpus.validation if part is None else part
        data = data[: self.config.training.validation_chars + 1]
        columns = max(1, min(columns, (len(data) - 1) // 8))
        length = (len(data) - 1) // columns
        offsets = np.arange(columns) * length
        training_mode = self.model.training
        self.model.eval()
        state = self.model.initial_state(columns)
        total, chars = 0.0, 0
        for start in range(0, length, window):
            if stop():
                break
            index = offsets[None, :] + np.arange(start, min(start + window, length))[:, None]
            x, y = (self._to_device(data[index + shift].astype(np.int64)) for shift in (0, 1))
            logits, state = self.model(x, state)
            loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1).float(), y.flatten(), reduction="sum")
            total += float(loss)  # summed on the CPU in float64, which not every device has
            chars += index.size
        self.model.train(training_mode)
        return Validated(total / chars if chars else math.nan, chars, time.perf_counter() - started)

    def save(self, folder: Path, more: dict[str, Any] | None = None) -> str:
        """Write weights and training state of this step into `folder`; return the weights' file name.

        The state goes first: a weights file always has its state beside it. more: numbers and strings of the
        caller's own, which `load` gives back.
        """
        weights = folder / checkpoint.weights_name(self.step)
        checkpoint.save_state(self._state(more), checkpoint.state_path(weights))
        checkpoint.save_weights(self.model, weights)
        return weights.name

    def _state(self, more: dict[str, Any] | None) -> dict[str, Any]:
        """Return all but the weights that decides how training goes on."""
        cuda = self.device.type == "cuda"
        return {
            "step": self.step,
            "chars": self.chars,
            "optimizer": self.optimizer.state,
            "carried": self.state,
            "random": torch.get_rng_state(),
            "random_cuda": torch.cuda.get_rng_state(self.device) if cuda else None,
            "batches": self.batches.state_dict(),
            "sampling": None if self.config.training.scheduled_sampling == "none" else self.sampling.get_state(),
            "lr": self.config.training.lr,
            "lr_scale": self.lr_scale,
            "clip_configured": self.config.training.clip,
            "clip": self.clip,
            "clip_by_configured": self.config.training.clip_by,
            "clip_by": self.clip_by,
            "best_validation": None if math.isinf(self.best_validation) else self.best_validation,
            "text": self.corpus.sha256,
            "more": more or {},
        }

    def snapshot(self) -> Snapshot:
        """Return a copy in memory of everything that `restore` needs to train on exactly from here."""
        weights = {name: tensor.clone() for name, tensor in self.model.state_dict().items()}
        return Snapshot(self.step, weights, copy.deepcopy(self._state(None)))

    def save_snapshot(self, folder: Path, snapshot: Snapshot, more: dict[str, Any] | None = None) -> str:
        """Write a snapshot as `save` would have written it then; return the weights' file name."""
        here = self.snapshot()
        self.restore(snapshot)
        try:
            return self.save(folder, more)
        finally:
            self.restore(here)

    def restore(self, snapshot: Snapshot) -> None:
        """Go back to a snapshot of this trainer, which stays as it is."""
        self.model.load_state_dict(snapshot.weights)
        self._restore(copy.deepcopy(snapshot.state))

    def set_bptt(self, length: int) -> None:
        """Change T from the next window on. Raises UserError: not a length that the text has."""
        self.batches.set_bptt(length)

    @torch.no_grad()
    def scale_recurrent(self, factor: float, layer: int | None = None) -> None:
        """Multiply W_hh by `factor`, in one layer (from 0) or in all."""
        chosen = self.model.layers if layer is None else [self.model.layers[layer]]
        for module in chosen:
            module.get_parameter("weight_hh_l0").mul_(factor)

    def reset_state(self) -> None:
        """Let the next window start from a zero state."""
        self.state = self.zero

    def load(self, weights: Path) -> dict[str, Any]:
        """Continue exactly from a checkpoint that `save` wrote; return what it was given as `more`.

        Raises:
            UserError: corrupt or truncated files, weights that do not fit, or another text than it was trained on.
        """
        state = checkpoint.load_state(checkpoint.state_path(weights))
        checkpoint.load_weights(self.model, weights)
        if state.get("text") != self.corpus.sha256:
            raise UserError("the text is not the one this run was trained on; resume with the same text")
        try:
            self._restore(state)
            return dict(state["more"])
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            path = checkpoint.state_path(weights)
            raise UserError(f"{path} does not fit the run ({error!r}); {OTHERWISE}") from error

    def _restore(self, state: dict[str, Any]) -> None:
        self.step, self.chars = state["step"], state["chars"]
        self.optimizer.load(state["optimizer"])
        self.state = tuple(tuple(s.to(self.device) for s in layer) for layer in state["carried"])
        torch.set_rng_state(state["random"])
        if self.device.type == "cuda" and state["random_cuda"] is not None:
            torch.cuda.set_rng_state(state["random_cuda"], self.device)
        self.batches.load_state_dict(state["batches"])
        if state.get("sampling") is not None:
            self.sampling.set_state(state["sampling"])
        # What was changed while training goes on, unless --resume came with another value: that one holds then.
        if state.get("lr", self.config.training.lr) == self.config.training.lr:
            self.lr_scale = state["lr_scale"]
        if state.get("clip_configured", self.config.training.clip) == self.config.training.clip:
            self.clip = state["clip"]
        if state["clip_by_configured"] == self.config.training.clip_by:
            self.clip_by = state["clip_by"]
        best = state["best_validation"]
        self.best_validation = math.inf if best is None else best


def _finite(state: State) -> bool:
    return all(bool(torch.isfinite(tensor).all()) for layer in state for tensor in layer)

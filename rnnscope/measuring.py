"""What the worker measures: probes by name, when they are due, and the account of the time that they take."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Sequence

import torch

from rnnscope.clock import Stopwatch
from rnnscope.config import Config
from rnnscope.probes import (
    clipping,
    comparison,
    gradients,
    horizon,
    jacobian,
    lyapunov,
    parameters,
    sample,
    saturation,
    triangle,
)
from rnnscope.probes.schedule import Schedule, Spent
from rnnscope.probes.subject import Cancelled
from rnnscope.recording import events as e
from rnnscope.registry import PROBES
from rnnscope.training.loop import Trainer, Update, Window

SEEDS = 1_000_003  # probes draw from a generator of their own, seeded by run and step

BEFORE_UPDATE = frozenset({"gradients", "clipping"})
"""Probes of a window that are taken before the update on it; the others look at the weights after it."""

HURRY = 0.5
"""Seconds that measuring the end may take when somebody waits for the run to stop."""


class Measuring:
    """The probes of one session.

    Args:
        trainer, config: what is measured, and how.
        clock: of active training time; runs while a probe is taken, unless a command asked for it.
        record: takes each event with its step. flush: called before what is slow, to have written what is known.
        told: whether somebody waits for the run to stop; asked in the middle of a slow probe, which then is given up.
    """

    def __init__(
        self,
        trainer: Trainer,
        config: Config,
        clock: Stopwatch,
        record: Callable[[e.Event, int], None],
        flush: Callable[[], None],
        told: Callable[[], bool],
    ) -> None:
        self.trainer, self.config, self.clock = trainer, config, clock
        self._record, self._flush, self._told = record, flush, told
        self.schedule = Schedule(
            {name: getattr(config.probes, entry.cadence) for name, entry in PROBES.items()},
            config.probes.probe_budget,
            early=frozenset(name for name, entry in PROBES.items() if entry.early),
            began=clock.seconds,
        )
        self.validating = Spent(clock.seconds)
        self.window: Window | None = None  # the last that was trained on
        self.steps: dict[str, int] = {}  # of each probe's newest measurement
        self._norms: deque[tuple[float, float]] = deque(maxlen=clipping.STEPS)  # before and after clipping
        self._was: parameters.Before | None = None  # for "parameters", where it is due
        self._copying = 0.0  # seconds that took
        self._inside = 0.0  # seconds of probes asked for in the middle of the one being taken

    def due(self, window: Window, step: int, asked: bool) -> tuple[list[str], list[str]]:
        """Return the probes to take before and after the update on `window`, which is number `step`.

        asked: somebody has training go on by single steps; these are measured whatever the cadence.
        """
        self.window = window
        names = self.schedule.due(step, self.clock.seconds)
        if asked:
            names = [*self.schedule.at_once, *(name for name in names if name not in self.schedule.at_once)]
        before = [name for name in names if name in BEFORE_UPDATE]
        return before, [name for name in names if name not in BEFORE_UPDATE]

    def update(self, window: Window, after: list[str]) -> Update:
        """Make the update, keeping what the probes to be taken `after` it need to know of it."""
        update = self.trainer.update(window, self._copy if "parameters" in after else None)
        self._norms.append((update.grad_norm, update.grad_norm_clipped))
        return update

    def forget(self) -> None:
        """Training went back: what is known of the last updates is of another future."""
        self._norms.clear()
        self.steps.clear()

    def _copy(self) -> None:
        began = time.perf_counter()
        self._was = parameters.before(self.trainer.model)
        self._copying = time.perf_counter() - began

    def take(self, name: str, step: int, temperature: float, asked: bool) -> None:
        """Take a probe, record it as of `step`, and book its time; `asked`: outside the budget.

        Nothing is recorded of a probe during which the run is told to stop.
        """
        self._flush()
        began, outside, self._inside = time.perf_counter(), self._inside, 0.0
        try:
            event = measure(
                name, self.trainer, self.config, temperature, step, self.window,
                norms=self._norms, was=self._was, look=self._look,
            )  # fmt: skip
        except Cancelled:
            return
        self._record(event, step)
        took = time.perf_counter() - began
        seconds, self._inside = took - self._inside, outside + took
        if name == "parameters":
            seconds, self._was = seconds + self._copying, None
        self.schedule.took(name, seconds, self.clock.seconds, asked)
        self.steps[name] = step

    def _look(self) -> None:
        if self._told():
            raise Cancelled

    def take_last(self, temperature: float, hurry: bool, told: Callable[[], bool]) -> None:
        """Take the early probes once more, so that what stays on screen is of the last step.

        The gradients are those of the last window, under the weights after it. Nothing is taken in a hurry that is
        not known to be quick, nor once `told` to stop.
        """
        step = self.trainer.step
        names = [name for name in self.schedule.at_once if self.steps.get(name) != step]
        costs = [self.schedule.cost(name) for name in names]
        if self.window is None or (hurry and sum(math.inf if cost is None else cost for cost in costs) >= HURRY):
            return
        with self.clock:
            for name in names:
                if not told():
                    self.take(name, step, temperature, asked=True)
        self.record_cost()

    def record_cost(self) -> None:
        """Record the share of the last seconds that probes and validation took."""
        now = self.clock.seconds
        cost = e.Cost(self.schedule.share(now), self.validating.share(now), self.schedule.skipped)
        self._record(cost, self.trainer.step)


def measure(
    name: str,
    trainer: Trainer,
    config: Config,
    temperature: float,
    step: int,
    window: Window | None = None,
    *,
    norms: Sequence[tuple[float, float]] = (),
    was: parameters.Before | None = None,
    look: Callable[[], None] = lambda: None,
) -> e.Event:
    """Take the probe `name` of the registry.

    Args:
        window: needed by all that measure one. norms: of the last updates, for "clipping". was: what
            `parameters.before` copied during the update on `window`, for "parameters". look: called now and then by
            slow ones; what it raises breaks off.

    Raises:
        ValueError: no such probe, or something that it needs is missing.
    """
    model, corpus, probes = trainer.model, trainer.corpus, config.probes
    vocabulary, seed = corpus.vocabulary, config.run.seed * SEEDS + step
    match name:
        case "gradients" if window is not None:
            return gradients.measure(model, window.x, window.y, window.state, vocabulary.decode)
        case "sample":
            return sample.measure(model, vocabulary, length=probes.sample_length, temperature=temperature, seed=seed)
        case "comparison":
            return comparison.measure(
                model, vocabulary, corpus.validation, length=probes.compare_length, temperature=temperature, seed=seed
            )
        case "triangle" if window is not None:
            return triangle.measure(model, window.x, window.y, window.state, vocabulary.decode)
        case "jacobian" if window is not None:
            return jacobian.measure(model, window.x, window.state)
        case "lyapunov":
            return lyapunov.while_learning(model, corpus.validation, seed, look)
        case "horizon" if window is not None:
            return horizon.measure(model, window.x, window.y, window.state, corpus.validation, look=look)
        case "clipping" if window is not None:
            return clipping.measure(
                model, window.x, window.y, window.state, norms, threshold=trainer.clip, by=trainer.clip_by
            )
        case "parameters" if window is not None and was is not None:
            return parameters.measure(model, was, window.x, window.state)
        case "saturation":
            return saturation.while_learning(model, corpus)
    raise ValueError(f"probe {name!r} is not known, or lacks what it is measured on")


@torch.no_grad()
def warm_up(trainer: Trainer) -> None:
    """Compute next to nothing once, before the clock of training and probes runs.

    What a first product costs (threads that start, code that is read from disk) is then paid by no measurement:
    the first gradients took 55 ms instead of 110 on a machine that had just read the libraries, where this took 50,
    and 10 on a warm one. Nothing of the model or of any random state is touched.
    """
    batch = trainer.config.training.batch
    ids = torch.zeros(2, batch, dtype=torch.int64, device=trainer.device)
    state = trainer.model.initial_state(batch)
    gradients.hidden_gradients(trainer.model, ids, ids, state, "reach")
    trainer.model.step(ids[0], state)

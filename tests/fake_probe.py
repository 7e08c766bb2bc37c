"""A probe for tests of whatever surrounds probes: `request.prompt` says how it behaves. It minds no manners at all."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import torch

from rnnscope.errors import UserError
from rnnscope.probes.subject import Subject
from rnnscope.recording.neuron_events import Saturation
from rnnscope.recording.reading_events import Decoding
from rnnscope.recording.requests import Request

PATIENCE = 30.0


def measure(subject: Subject, request: Request) -> Saturation:
    """Do what the prompt says, then return an event that tells the seed and the step."""
    BEHAVIOURS[request.prompt or "well"](subject)
    one = np.full((1, 1, 1), float(subject.step), np.float32)
    return Saturation(("h",), one[0, 0], one[0, 0], one, one, request.seed, 0.0)


def well(subject: Subject) -> None:
    subject.report(0.5, "half done")


def rude(subject: Subject) -> None:
    """Leave another mode, other weights, gradients and random states."""
    model = subject.model
    model.train(not model.training)
    ids = torch.randint(0, model.vocabulary_size, (5, 2))
    logits, _ = model(ids, model.initial_state(2))
    logits.sum().backward()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter))
    model.record_gradients = True
    torch.manual_seed(5)


def rude_and_wrong(subject: Subject) -> None:
    rude(subject)
    raise UserError("there is nothing\nto see")


def broken(subject: Subject) -> None:
    raise ZeroDivisionError("one by nought")


def patient(subject: Subject) -> None:
    """Report until somebody has had enough."""
    began = time.monotonic()
    while time.monotonic() - began < PATIENCE:
        rude(subject)
        subject.report((time.monotonic() - began) / PATIENCE, "waiting")
        time.sleep(0.001)


def drafting(subject: Subject) -> None:
    """Show an unfinished event for half a second."""
    began = time.monotonic()
    while time.monotonic() - began < 0.5:
        nothing = np.zeros((1, 3), np.float32)
        subject.draft(
            Decoding("a", 1, ("T 1",), ("ab",), False, nothing, nothing[0], np.zeros(1, int), (), nothing[0], 0.0)
        )
        subject.report(0.5, "writing")
        time.sleep(0.001)


def chatty(subject: Subject) -> None:
    """Report as often as one can, for 0.6 s."""
    began = time.monotonic()
    while time.monotonic() - began < 0.6:
        subject.report(0.1, "again")


BEHAVIOURS: dict[str, Callable[[Subject], None]] = {
    function.__name__: function for function in (well, rude, rude_and_wrong, broken, patient, drafting, chatty)
}

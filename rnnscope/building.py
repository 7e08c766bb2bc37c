"""The trainer of a run, from its configuration and text, on the device at hand."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from rnnscope.config import Config
from rnnscope.corpus import Corpus, check_windows
from rnnscope.model import resolve_kernel
from rnnscope.training.device import check_room, prepare, resolve_device, resolve_precision
from rnnscope.training.loop import Trainer


def build(config: Config, corpus: Corpus, kernels: Mapping[str, str]) -> Trainer:
    """Return a trainer at step 0; sets torch's process-wide switches.

    Args:
        config, corpus: the run's.
        kernels: by device type, the kernel that the run began with; it is kept, since the other differs in last bits.

    Raises:
        UserError: no such device here, a text shorter than one window, a GPU without room, or a kernel that cannot
            do what is asked.
    """
    device = resolve_device(config.run.device)
    prepare(config.run, device)
    check_windows(corpus, config.training.batch, config.training.bptt, config.text.batches == "stateful")
    check_room(config, len(corpus.vocabulary), device)
    kernel, precision = how(config, device, kernels)
    return Trainer(config, corpus, device=device, kernel=kernel, precision=precision)


def how(config: Config, device: torch.device, kernels: Mapping[str, str]) -> tuple[str, str]:
    """Return the kernel and the precision of a run on `device`. kernels: see `build`. Raises UserError as `build`."""
    precision = resolve_precision(config.run.precision)
    kernel = resolve_kernel(
        config.run.kernel, config.model.cell, device.type,
        recurrent_dropout=config.model.recurrent_dropout,
        precision=precision,
    )  # fmt: skip
    return kernels.get(device.type, kernel), precision

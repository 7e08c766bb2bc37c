"""The demo that comes along: `python -m rnnscope.demo DIR` makes it anew, in some minutes on one CPU core.

It trains a small GRU on the built-in play, then keeps what a demo needs: a few checkpoints along the way, weights
alone, and a recording of every so many steps. On one machine with one version of torch the weights come out the same.
"""

from __future__ import annotations

import argparse
import dataclasses
import shutil
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

import torch

from rnnscope.config import Config, ModelConfig, ProbeConfig, RunConfig, TextConfig, TrainingConfig
from rnnscope.errors import EXIT_OK, UserError, one_line
from rnnscope.headless import PlainLines
from rnnscope.recording import events as e
from rnnscope.recording.lock import NAME as LOCK
from rnnscope.recording.mailbox import NAME as MAILBOX
from rnnscope.recording.place import check_new
from rnnscope.recording.reader import Reader
from rnnscope.recording.writer import StepRow, Writer
from rnnscope.saved import weights_name, weights_steps
from rnnscope.worker import Session

CONFIG = Config(
    texts=("play",),
    text=TextConfig(length=600_000),
    model=ModelConfig(cell="gru", layers=1, hidden=80, embedding=16),
    training=TrainingConfig(
        batch=32, bptt=100, optimizer="adam", lr=6e-3, lr_decay=0.85, lr_decay_every=250, clip=1.0, steps=3_000,
    ),
    probes=ProbeConfig(sample_length=200, compare_length=100),
    run=RunConfig(device="cpu", seed=2, checkpoint_every=150),
)  # fmt: skip

# A GRU, and this seed: a unit of its own tells "inside quotes" soon. (AUC of the best unit of GRUs 1x96 after 1,000
# steps, seeds 1 to 5: 0.79 0.99 0.99 0.95 0.91; of LSTMs 1x64, on c, 0.79 at most.)

SHARES = (0.0, 0.05, 0.1, 0.2, 1.0)
"""Of the steps: where the checkpoints are that are kept."""

ROWS = 400
"""Steps that are kept of the recording, at most."""

KEPT = {"gradients": 8, "parameters": 2, "clipping": 2, "triangle": 1, "sample": 1, "comparison": 1, "jacobian": 4,
        "lyapunov": 8, "horizon": 4, "cost": 1, "validation": 40}  # fmt: skip
"""Events that are kept of each kind, at most, evenly chosen; those of other kinds are left out, or added below."""


def make(folder: Path, steps: int) -> None:
    """Train for so many steps and put what a demo needs into `folder`.

    Raises:
        UserError: the folder exists already. RuntimeError: training failed.
    """
    check_new(folder)
    torch.set_num_threads(1)  # sums come out in the same order, whatever the machine
    config = dataclasses.replace(CONFIG, training=dataclasses.replace(CONFIG.training, steps=steps))
    with tempfile.TemporaryDirectory() as place:
        trained = Path(place) / "run"
        Writer.create(trained, config, {}).close()
        lines = PlainLines(trained)
        try:
            code = Session(trained, observer=lines).run()
        finally:
            lines.close()
        if code != EXIT_OK:
            raise RuntimeError(f"training ended with exit status {code}")
        _keep(trained, folder, steps)


def _keep(trained: Path, folder: Path, steps: int) -> None:
    there = weights_steps(trained)
    chosen = sorted({min(there, key=lambda step: abs(step - share * steps)) for share in SHARES})
    with Reader(trained) as reader:
        meta = {name: reader.meta[name] for name in ("vocabulary", "text", "sha256", "versions", "kernels")}
        with Writer.create(folder, reader.config, meta) as writer:
            rows = reader.last_steps(steps, steps)
            things: list[tuple[int, int, StepRow | e.Event]] = [(row.step, 0, row) for row in _evenly(rows, ROWS)]
            for kind, count in KEPT.items():
                things += [(one.step, 1, one.event) for one in reader.history(kind, count)]
            for kind in ("started", "settings"):
                things += [(one.step, -1, one.event) for one in reader.history(kind, 1)]
            things += [(step, 2, e.Checkpoint(weights_name(step), "every")) for step in chosen]
            things += [(steps, 3, e.Status(e.FINISHED, f"finished {steps} steps"))]
            for step, _, thing in sorted(things, key=lambda thing: thing[:2]):
                if isinstance(thing, StepRow):
                    writer.scalar(thing)
                else:
                    writer.event(step, thing)
    for step in chosen:
        shutil.copyfile(trained / weights_name(step), folder / weights_name(step))
    for name in (LOCK, MAILBOX):  # of this machine, and of no use to anybody
        (folder / name).unlink(missing_ok=True)


def _evenly(rows: list[StepRow], count: int) -> Iterable[StepRow]:
    """Return at most `count` of the rows, the last one among them."""
    every = max(1, -(-len(rows) // count))
    return rows[(len(rows) - 1) % every :: every]


def main(arguments: list[str]) -> int:
    """Make the demo."""
    parser = argparse.ArgumentParser("python -m rnnscope.demo", description=__doc__)
    parser.add_argument("folder", type=Path, help="where to put it; must not exist")
    parser.add_argument("--steps", type=int, default=CONFIG.training.steps, help="training steps")
    asked = parser.parse_args(arguments)
    try:
        make(asked.folder, asked.steps)
    except UserError as error:
        print(f"rnnscope: {one_line(str(error))}", file=sys.stderr)
        return 2
    size = sum(path.stat().st_size for path in asked.folder.iterdir())
    print(f"{asked.folder}: {size:,} bytes")
    return EXIT_OK


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

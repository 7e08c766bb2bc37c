"""A made-up run with plausible events of every kind, for tests of readers and screens. No torch."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from rnnscope.config import Config, ModelConfig, ProbeConfig, TrainingConfig
from rnnscope.recording.events import (
    FINISHED,
    TRAINING,
    Checkpoint,
    Comparison,
    Cost,
    Gradients,
    Sample,
    Settings,
    Started,
    Status,
    StepRow,
    Validation,
)
from rnnscope.recording.writer import Writer
from rnnscope.registry import CELLS
from tests.lab_fakes import lab_events

TEXT = (
    "ROMEO:\nBut, soft! what light through yonder window breaks?\nIt is the east, and Juliet is the sun.\n"
    "Arise, fair sun, and kill the envious moon,\nWho is already sick and pale with grief,\n"
    "That thou her maid art far more fair than she.\n"
)
LAB_EVERY = 300


def fake_config(layers: int = 2, hidden: int = 32, cell: str = "lstm") -> Config:
    """A small configuration that matches `make_fake_run`."""
    return Config(
        texts=("shakespeare.txt",),
        model=ModelConfig(cell=cell, layers=layers, hidden=hidden),
        training=TrainingConfig(steps=10_000, validate_every=100),
        probes=ProbeConfig(sample_length=80, compare_length=60),
    )


def make_fake_run(
    folder: Path, steps: int = 500, layers: int = 2, hidden: int = 32, live: bool = False, cell: str = "lstm"
) -> Writer:
    """Record a made-up run of `steps` steps. Returns its writer: closed, or open (lock held) if `live`."""
    config = fake_config(layers, hidden, cell)
    symbols = sorted(set(TEXT))
    writer = Writer.create(folder, config, {"corpus": {"name": "shakespeare.txt"}, "vocabulary": symbols})
    writer.event(0, fake_started())
    writer.event(0, Status(TRAINING))
    writer.event(0, Settings(lr_scale=1.0, clip=5.0, temperature=0.8))
    writer.event(0, Checkpoint("step-0.safetensors", "initial"))
    add_fake_steps(writer, 0, steps)
    if not live:
        writer.event(steps, Checkpoint(f"step-{steps}.safetensors", "last"))
    return left(writer, steps, live)


def left(writer: Writer, steps: int, live: bool) -> Writer:
    """Leave a made-up run as one that trains (`live`: lock held), or as one that has finished."""
    writer.flush(force=True)
    if not live:
        writer.event(steps, Status(FINISHED, f"{steps} steps"))
        writer.close()
    return writer


def add_fake_steps(writer: Writer, after: int, steps: int) -> None:
    """Record steps after+1 ... after+steps, with the probes' events at the cadence of the configuration."""
    config = writer.config
    rng = np.random.default_rng(after)
    for step in range(after + 1, after + steps + 1):
        writer.scalar(fake_step(step, rng))
        if step == 1 or step % config.probes.gradients_every == 0:
            writer.event(step, fake_gradients(config, rng))
        if step == 1 or step % config.probes.sample_every == 0:
            writer.event(step, fake_sample(config, rng))
        if step == 1 or step % config.probes.compare_every == 0:
            writer.event(step, fake_comparison(config, rng))
            writer.event(step, Cost(probes=0.031, validation=0.012, skipped=0))
        if step == 1 or step % LAB_EVERY == 0:
            for event in lab_events(config, TEXT, rng):
                writer.event(step, event)
        if step % config.training.validate_every == 0:
            loss = 1.5 + 2.6 * math.exp(-step / 300)
            writer.event(step, Validation(loss=loss, chars=50_000, seconds=0.4, best=True))
    writer.flush(force=True)


def fake_started() -> Started:
    """What a worker says when it begins."""
    return Started(
        device="cpu",
        kernel="scan",
        precision="float32",
        threads=2,
        parameters=982_000,
        train_chars=1_003_854,
        validation_chars=55_770,
        test_chars=55_770,
        unseen_chars=0,
        steps_per_epoch=401.5,
        total_steps=10_000,
    )


def fake_step(step: int, rng: np.random.Generator) -> StepRow:
    """A loss that falls from ln 65 with noise; every few steps a gradient that is clipped."""
    norm = float(3 + 2 * rng.lognormal(0, 0.5))
    return StepRow(
        step=step,
        loss=1.4 + 2.7 * math.exp(-step / 300) + float(rng.normal(0, 0.05)),
        lr=2e-3,
        grad_norm=norm,
        grad_norm_clipped=min(norm, 5.0),
        epoch=step / 401.5,
        seconds=step * 0.04,
        chars=step * 2500,
    )


def fake_gradients(config: Config, rng: np.random.Generator) -> Gradients:
    """Reach that fades with the lag until it underflows in the lowest layer; a nearly flat total."""
    L, T = config.model.layers, config.training.bptt
    lag = np.arange(T)[::-1]
    rate = 0.12 + 0.9 * (np.arange(L)[::-1, None] == L - 1)  # the lowest layer fades fastest
    reach = -1.5 - rate * lag + rng.normal(0, 0.05, (L, T))
    floor = np.where(reach < -45, 1.0, 0.0)
    reach = np.where(reach < -45, np.nan, reach)
    total = -0.3 + rng.normal(0, 0.05, (L, T))
    none = np.zeros((L, T))
    lstm = config.model.cell == "lstm"
    arrays = {
        "reach": reach,
        "reach_low": reach - 0.4,
        "reach_high": reach + 0.4,
        "reach_floor": floor,
        "reach_bad": none,
        "total": total,
        "total_low": total - 0.2,
        "total_high": total + 0.2,
        "total_floor": none,
        "total_bad": none,
        "cell_reach": reach - 0.5 if lstm else np.zeros((0, 0)),
        "cell_total": total - 0.5 if lstm else np.zeros((0, 0)),
    }
    as_float32 = {name: array.astype(np.float32) for name, array in arrays.items()}
    return Gradients(**as_float32, text=(TEXT * (T // len(TEXT) + 1))[:T], seconds=0.02)


def fake_sample(config: Config, rng: np.random.Generator) -> Sample:
    """Text with units that do something: unit 0 follows the line, unit 1 the capitals, the others drift."""
    L, H, N = config.model.layers, config.model.hidden, config.probes.sample_length
    entry = CELLS[config.model.cell]
    text = (TEXT * (N // len(TEXT) + 1))[:N]
    fields = entry.shown
    units = np.tanh(np.cumsum(rng.normal(0, 0.3, (len(fields), L, N, H)), axis=2))
    column = np.array([len(text[: n + 1].rsplit("\n", 1)[-1]) for n in range(N)])
    units[..., 0] = np.tanh(column / 20 - 1)
    units[..., min(1, H - 1)] = [0.9 if letter.isupper() else -0.6 for letter in text]
    gates = [index for index, name in enumerate(fields) if name in ("i", "f", "o", "r", "z")]
    units[gates] = (units[gates] + 1) / 2
    probability = rng.uniform(0.05, 1, N).astype(np.float32)
    probability[0] = np.nan
    return Sample(text, 7, 0.8, probability, fields, units.astype(np.float16), 0.05)


def fake_comparison(config: Config, rng: np.random.Generator) -> Comparison:
    """Two continuations of one prefix whose states part and settle near the reference distance."""
    N = config.probes.compare_length
    truth = (TEXT * (N // len(TEXT) + 2))[60 : 60 + N]
    free = (truth[: N // 5] + "and the sing of mand the wither, " * N)[:N]
    probability = rng.uniform(0.02, 1, N).astype(np.float32)
    distance = (0.9 * (1 - np.exp(-np.maximum(0, np.arange(N) - N // 5) / 8))).astype(np.float32)
    return Comparison(
        prefix=TEXT[:60],
        truth=truth,
        free=free,
        temperature=0.8,
        probability=probability,
        nll=-np.log(probability),
        free_probability=rng.uniform(0.1, 1, N).astype(np.float32),
        distance=distance,
        reference=1.05,
        seconds=0.05,
    )

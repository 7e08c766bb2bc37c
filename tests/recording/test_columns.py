"""Scalars read as columns: every step, or buckets of them."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from rnnscope.config import Config
from rnnscope.recording import columns
from rnnscope.recording.events import StepRow
from rnnscope.recording.reader import Reader
from rnnscope.recording.writer import Writer


def test_scalars_that_are_no_numbers_survive(tmp_path: Path) -> None:
    values = [math.nan, math.inf, -math.inf, 0.0, 1e-320]
    with Writer.create(tmp_path / "run", Config()) as writer:
        for step, value in enumerate(values, start=1):
            writer.scalar(StepRow(step, value, value, value, value, value, value, step))
    with Reader(tmp_path / "run") as reader:
        read = reader.scalars()
    for column in (read.lr, read.grad_norm, read.grad_norm_clipped, read.epoch, read.seconds):
        np.testing.assert_array_equal(column, values)
    np.testing.assert_array_equal(read.loss, [math.nan, math.nan, math.nan, 0.0, 1e-320])
    assert read.bad.tolist() == [1, 1, 1, 0, 0]
    assert read.count.tolist() == [0, 0, 0, 1, 1]


def test_very_many_steps_are_read_in_buckets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The buckets that SQL makes against numpy over the same steps, across a resume and a gap."""
    folder = tmp_path / "run"
    rng = np.random.default_rng(1)
    loss = rng.normal(2, 1, 1000)
    loss[[17, 500]], loss[501], loss[896:960] = math.nan, -math.inf, math.inf
    norm = rng.lognormal(0, 1, 1000)
    with Writer.create(folder, Config()) as writer:
        for step in range(1, 1000):
            if step == 700:
                writer.flush(force=True)
                writer.begin_segment(699)
            after = min(1.0, norm[step])
            writer.scalar(StepRow(step, loss[step], 1e-3, norm[step], after, step / 10, step / 2, step * 7))
    monkeypatch.setattr(columns, "MANY", 100)
    monkeypatch.setattr(columns, "BUCKETS", 20)
    with Reader(folder) as reader:
        got = reader.scalars()
        assert len(reader.scalars()) == 0
    width = 64
    pieces = []
    for start in range(0, 1000, width):
        inside = np.arange(max(1, start), min(1000, start + width))
        pieces += [part for part in (inside[inside <= 699], inside[inside > 699]) if len(part)]
    assert got.step.tolist() == [int(piece[-1]) for piece in pieces]
    for row, piece in enumerate(pieces):
        finite = loss[piece][np.isfinite(loss[piece])]
        assert got.count[row] == len(finite)
        assert got.bad[row] == len(piece) - len(finite)
        expected = [finite.mean(), finite.min(), finite.max()] if len(finite) else [math.nan] * 3
        np.testing.assert_allclose([got.loss[row], got.loss_low[row], got.loss_high[row]], expected, rtol=1e-12)
        np.testing.assert_allclose(got.grad_norm[row], norm[piece].mean(), rtol=1e-12)
        np.testing.assert_allclose(got.clipped[row], (norm[piece] > 1).mean(), rtol=1e-12)
        assert got.chars[row] == piece[-1] * 7
    assert got.newest is not None
    assert got.newest.step == 999

"""The thinning rule: no hour adds more than the budget, and the newest measurement is always there."""

from __future__ import annotations

import contextlib
import itertools
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnscope.config import Config, ProbeConfig
from rnnscope.recording.events import LARGE
from rnnscope.recording.reader import Reader
from rnnscope.recording.thinning import Bucket
from rnnscope.recording.writer import STEP_BYTES, Writer
from tests import fakes


@given(
    budget=st.floats(0.1, 500),
    events=st.lists(st.tuples(st.floats(0, 300), st.integers(1, 5_000_000)), max_size=200),
)
def test_no_hour_adds_more_than_the_budget(budget: float, events: list[tuple[float, int]]) -> None:
    bucket = Bucket(budget, 0.0)
    largest = max((size for _, size in events), default=0)
    times = list(itertools.accumulate(gap for gap, _ in events))
    kept = [(now, size) for now, (_, size) in zip(times, events, strict=True) if bucket.keep(size, now)]
    for start, _ in kept:
        hour = sum(size for now, size in kept if start <= now < start + 3600)
        # Only an event larger than the whole bucket (a tenth of the budget at most) can exceed it, once.
        assert hour <= budget * 1e6 + (largest if largest > budget * 1e5 else 0) + 1


def test_the_first_ones_are_kept_then_about_the_rate() -> None:
    bucket = Bucket(200.0, 0.0)
    kept = [second for second in range(3600) if bucket.keep(600_000, second)]
    assert kept[:13] == list(range(13))
    assert 0.9 < len(kept) * 0.6 / 200 <= 1


def test_one_larger_than_the_bucket_is_kept_when_it_is_full() -> None:
    bucket = Bucket(200.0, 0.0)  # 8 MB, then 53 kB a second
    assert bucket.keep(20_000_000, 0.0)
    assert not bucket.keep(1, 1.0)
    assert not bucket.keep(20_000_000, 300.0)
    assert bucket.keep(20_000_000, 400.0)


def test_a_budget_of_nothing_keeps_nothing() -> None:
    assert not Bucket(0.0, 0.0).keep(1, 1e6)


def test_steps_come_out_of_the_same_budget() -> None:
    bucket = Bucket(200.0, 0.0)
    bucket.spend(7_999_999, 0.0)
    assert bucket.keep(1, 0.0)
    assert not bucket.keep(2, 0.0)
    bucket.spend(10**12, 0.0)  # the debt is bounded by an hour
    assert not bucket.keep(1, 3599.0)
    assert bucket.keep(1, 3601.0)


@pytest.mark.parametrize("together", [True, False], ids=["in one flush", "each flushed"])
def test_what_does_not_fit_gives_way_to_the_next(tmp_path: Path, together: bool) -> None:
    config = Config(probes=ProbeConfig(recording_budget=0.5))  # a bucket of 50 kB
    rng = np.random.default_rng(0)
    with Writer.create(tmp_path / "run", config) as writer, Reader(tmp_path / "run") as reader:
        reader.poll()
        for step in range(1, 21):
            writer.event(step, fakes.fake_sample(fakes.fake_config(layers=1, hidden=16), rng))  # about 16 kB
            if not together:
                writer.flush(force=True)
                (newest,) = reader.poll()
                assert newest.step == step
        writer.event(21, fakes.fake_comparison(config, rng))
    with contextlib.closing(sqlite3.connect(tmp_path / "run" / "run.db")) as connection:
        rows = connection.execute("SELECT step, keep FROM events WHERE kind = 'sample' ORDER BY step").fetchall()
    assert rows[-1] == (20, 0)
    assert all(keep for _, keep in rows[:-1])
    assert [step for step, _ in rows[:-1]] == list(range(1, len(rows)))
    assert 2 <= len(rows) <= 5


def test_the_file_does_not_grow_past_the_budget(tmp_path: Path) -> None:
    config = Config(probes=ProbeConfig(recording_budget=1.0))
    rng = np.random.default_rng(0)
    sample = fakes.fake_sample(fakes.fake_config(hidden=64), rng)
    with Writer.create(tmp_path / "run", config) as writer:
        for step in range(1, 200):
            writer.event(step, sample)
            if step % 3 == 0:
                writer.flush(force=True)
    budget = 100_000 + 2 * sample.units.nbytes  # the bucket, and two that were not kept (the old leaves a gap)
    assert (tmp_path / "run" / "run.db").stat().st_size < budget + 100_000


def test_a_new_segment_leaves_the_old_one_its_newest(tmp_path: Path) -> None:
    config = Config(probes=ProbeConfig(recording_budget=0.0))
    rng = np.random.default_rng(0)
    with Writer.create(tmp_path / "run", config) as writer:
        writer.event(5, fakes.fake_gradients(config, rng))
        writer.begin_segment(5)
        writer.event(8, fakes.fake_gradients(config, rng))
    with Writer.open(tmp_path / "run") as writer:
        writer.event(9, fakes.fake_gradients(config, rng))
    with contextlib.closing(sqlite3.connect(tmp_path / "run" / "run.db")) as connection:
        rows = connection.execute("SELECT segment, step, keep FROM events ORDER BY id").fetchall()
    assert rows == [(1, 5, 0), (2, 9, 0)]
    assert "gradients" in LARGE


def test_the_size_of_a_step_is_as_stated(tmp_path: Path) -> None:
    sizes = []
    for steps in (1000, 21_000):
        with Writer.create(tmp_path / str(steps), Config()) as writer:
            rng = np.random.default_rng(0)
            for step in range(1, steps + 1):
                writer.scalar(fakes.fake_step(step, rng))
        sizes.append((tmp_path / str(steps) / "run.db").stat().st_size)
    assert (sizes[1] - sizes[0]) / 20_000 == pytest.approx(STEP_BYTES, rel=0.1)

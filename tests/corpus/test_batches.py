from __future__ import annotations

import itertools
import json
import time
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnscope.corpus import Batches, make_batches
from rnnscope.errors import UserError

Mode = Literal["stateful", "stateless"]
MODES: tuple[Mode, ...] = ("stateful", "stateless")


def numbers(n: int) -> np.ndarray:
    """A text whose n-th character is n: an id says where it comes from."""
    return np.arange(n, dtype=np.uint32)


@given(st.sampled_from(MODES), st.integers(1, 7), st.integers(1, 9), st.integers(0, 200), st.integers(0, 3))
def test_every_target_is_the_next_character(mode: Mode, batch: int, bptt: int, extra: int, seed: int) -> None:
    batches = make_batches(numbers(batch * bptt + 1 + extra), mode, batch, bptt, seed)
    for _ in range(5):
        window = batches.next()
        assert window.x.shape == window.y.shape == (bptt, batch)
        assert window.x.dtype == window.y.dtype == np.int64
        np.testing.assert_array_equal(window.y, window.x + 1)
        np.testing.assert_array_equal(np.diff(window.x, axis=0), 1)


@given(st.integers(1, 5), st.integers(1, 8), st.integers(0, 100), st.integers(0, 5))
def test_streams_go_on_where_they_stopped_and_cover_an_epoch(batch: int, bptt: int, extra: int, seed: int) -> None:
    n = batch * bptt + 1 + extra
    batches = make_batches(numbers(n), "stateful", batch, bptt, seed)
    steps = int(batches.steps_per_epoch)
    for epoch in range(3):
        windows = [batches.next() for _ in range(steps)]
        assert [window.fresh for window in windows] == [True] + [False] * (steps - 1)
        for before, after in itertools.pairwise(windows):
            np.testing.assert_array_equal(after.x[0], before.y[-1])
        read = np.sort(np.concatenate([window.x.ravel() for window in windows]))
        np.testing.assert_array_equal(np.diff(read), 1)  # nothing twice, one stretch without a gap
        assert len(read) >= n - (batch + 1) * bptt
        assert windows[-1].epoch == pytest.approx(epoch + 1)


def test_every_epoch_starts_at_an_offset_of_its_own() -> None:
    batches = make_batches(numbers(1000), "stateful", 4, 10, 1)
    starts = set()
    for _ in range(50):
        starts.add(int(batches.next().x[0, 0]))
        for _ in range(int(batches.steps_per_epoch) - 1):
            batches.next()
    assert len(starts) >= 10  # T = 10 at least are possible
    assert max(starts) <= 1000 - 1 - 4 * 10 * int(batches.steps_per_epoch)


def test_stateless_windows_come_from_everywhere_and_start_fresh() -> None:
    batches = make_batches(numbers(200), "stateless", 10, 20, 1)
    windows = [batches.next() for _ in range(300)]
    starts = np.concatenate([window.x[0] for window in windows])
    assert all(window.fresh for window in windows)
    assert (starts.min(), starts.max()) == (0, 200 - 21)  # both ends are reached
    counts = np.bincount(starts, minlength=180)
    assert abs(counts - counts.mean()).max() < 6 * np.sqrt(counts.mean())  # evenly: 3,000 draws of 180 places
    assert batches.steps_per_epoch == pytest.approx(199 / 200)
    assert windows[-1].epoch == pytest.approx(300 * 200 / 199)


@pytest.mark.parametrize("mode", MODES)
def test_the_seed_decides(mode: Mode) -> None:
    def drawn(seed: int) -> np.ndarray:
        batches = make_batches(numbers(5000), mode, 4, 5, seed)
        return np.stack([batches.next().x for _ in range(600)])

    np.testing.assert_array_equal(drawn(7), drawn(7))
    assert (drawn(7) != drawn(8)).any()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("done", [0, 1, 13, 40, 41])
def test_a_saved_position_goes_on_exactly(mode: Mode, done: int) -> None:
    ids = numbers(500)
    straight, saved = (make_batches(ids, mode, 4, 3, 1) for _ in range(2))
    for _ in range(done):
        straight.next()
        saved.next()
    state = json.loads(json.dumps(saved.state_dict()))
    resumed = make_batches(ids, mode, 4, 3, 999)
    resumed.load_state_dict(state)
    for _ in range(100):
        one, two = straight.next(), resumed.next()
        np.testing.assert_array_equal(one.x, two.x)
        assert (one.fresh, one.epoch) == (two.fresh, two.epoch)


def test_a_state_is_not_changed_by_going_on() -> None:
    batches = make_batches(numbers(500), "stateless", 4, 3, 1)
    state = batches.state_dict()
    before = json.dumps(state)
    batches.next()
    assert json.dumps(state) == before


def test_a_position_of_another_text_is_refused() -> None:
    state = make_batches(numbers(5000), "stateful", 4, 3, 1).state_dict()
    with pytest.raises(UserError, match="another text"):
        make_batches(numbers(500), "stateful", 4, 3, 1).load_state_dict(state)


@pytest.mark.parametrize(("mode", "needed"), [("stateful", 13), ("stateless", 4)])
def test_a_text_shorter_than_one_window_is_refused(mode: Mode, needed: int) -> None:
    make_batches(numbers(needed), mode, 4, 3, 1).next()
    with pytest.raises(UserError, match="lower --batch or --bptt"):
        make_batches(numbers(needed - 1), mode, 4, 3, 1)
    with pytest.raises(UserError, match="at least 1"):
        make_batches(numbers(needed), mode, 0, 3, 1)


def best_time(batches: Batches) -> float:
    best = 1.0
    for _ in range(20):
        begun = time.thread_time()
        for _ in range(20):
            batches.next()
        best = min(best, (time.thread_time() - begun) / 20)
    return best


@pytest.mark.parametrize("mode", MODES)
def test_a_window_costs_well_under_a_millisecond(mode: Mode, tmp_path: Path) -> None:
    in_memory = np.zeros(2_000_000, np.uint8)
    in_memory.tofile(tmp_path / "ids")
    mapped = np.memmap(tmp_path / "ids", np.uint8, mode="r")
    assert best_time(make_batches(in_memory, mode, 50, 50, 1)) < 3e-4
    assert best_time(make_batches(mapped, mode, 50, 50, 1)) < 3e-4


def test_the_window_length_can_change_between_two_windows() -> None:
    ids = np.arange(1000, dtype=np.uint16)
    batches = make_batches(ids, "stateful", 2, 10, 1)
    first = batches.next()
    batches.set_bptt(25)
    second = batches.next()
    assert (second.x[0] == first.x[-1] + 1).all()  # the streams go on
    assert second.x.shape == (25, 2)
    assert not second.fresh
    assert second.epoch > first.epoch
    assert batches.steps_until(1) == pytest.approx(1 + (1000 - 10) / 50, abs=2)
    kept = batches.state_dict()
    rest = [batches.next() for _ in range(40)]
    again = make_batches(ids, "stateful", 2, 10, 7)
    again.load_state_dict(kept)
    for window in rest:
        other = again.next()
        assert (other.x == window.x).all()
        assert (other.fresh, other.epoch) == (window.fresh, window.epoch)
    assert sum(window.fresh for window in rest) >= 1
    assert all((window.y[:-1] == window.x[1:]).all() for window in rest)


@pytest.mark.parametrize("length", [0, -3, 500])
def test_a_window_length_that_cannot_be(length: int) -> None:
    batches = make_batches(np.zeros(900, np.uint8), "stateful", 2, 10, 1)
    with pytest.raises(UserError, match="bptt"):
        batches.set_bptt(length)
    assert batches.bptt == 10

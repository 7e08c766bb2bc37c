"""What the lab draws over training steps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rnnscope.recording import commands as c
from rnnscope.recording.reader import Reader
from rnnscope.tui.lab_history import KEPT, HistoryReader, log_reach, reaches, thinned
from rnnscope.tui.slopes import decay, predicted
from rnnscope.tui.source import Source
from tests.fakes import add_fake_steps, fake_config, fake_gradients
from tests.tui.lab.lab_screen import done, lab_run


def test_it_is_read_at_once_and_grows_by_what_is_polled(tmp_path: Path) -> None:
    writer = lab_run(tmp_path / "run", live=True)
    with Reader(tmp_path / "run") as reader:
        history = HistoryReader()
        first = history.update(reader, reader.poll())
        assert first.reaches is not None
        assert first.reaches.step.tolist() == [1, 50, 100, 150, 200, 250, 300, 300]
        assert first.reaches.reach.shape == (8, 2, 50)
        assert history.update(reader, reader.poll()) is first
        add_fake_steps(writer, 300, 100)
        second = history.update(reader, reader.poll())
        assert second.reaches is not None
        assert second.reaches.step[-1] == 400
        assert second.parameters is first.parameters  # nothing new there: nothing to draw again
    writer.close()


def test_lag_0_comes_first_and_zero_is_told_from_what_is_no_number() -> None:
    event = fake_gradients(fake_config(), np.random.default_rng(0))
    event.reach[0, :3] = np.nan
    event.reach_floor[0, :3] = (1, 0, 0)
    event.reach_bad[0, :3] = (0, 1, 0)
    row = log_reach(event)
    np.testing.assert_array_equal(row[:, 0], event.reach[:, -1].astype(np.float64))
    assert row[0, -1] == -np.inf
    assert row[0, -2] == np.inf
    assert np.isnan(row[0, -3])


def test_windows_of_different_lengths_stand_in_one_field() -> None:
    found = reaches([(1, np.zeros((1, 3))), (5, np.ones((1, 5)))])
    assert found is not None
    assert found.reach.shape == (2, 1, 5)
    assert np.isnan(found.reach[0, 0, 3:]).all()
    assert reaches([]) is None


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=60, unique=True), st.integers(2, 20))
def test_thinning_keeps_both_ends_and_the_order(steps: list[int], limit: int) -> None:
    rows = [(step, None) for step in sorted(steps)]
    kept = thinned(rows, limit)
    assert len(kept) == min(len(rows), limit)
    assert kept[0] == rows[0]
    assert kept[-1] == rows[-1]
    assert kept == sorted(set(kept) & set(rows))


def test_thinning_leaves_no_hole() -> None:
    rows: list[tuple[int, None]] = []
    for step in range(0, 5000, 5):
        rows = thinned([*rows, (step, None)])
    gaps = np.diff([step for step, _ in rows])
    assert len(rows) == KEPT
    assert gaps.max() <= 3 * np.median(gaps)


def test_every_change_is_marked(tmp_path: Path) -> None:
    writer = lab_run(tmp_path / "run", live=True)
    for step, command in ((50, c.ScaleRecurrent(1.1)), (100, c.ResetState()), (150, c.SetBptt(20)),
                          (200, c.SetClip(2.0, "value")), (250, c.Rewind(192, factor=0.1))):  # fmt: skip
        done(writer, step, command)
    source = Source(tmp_path / "run")
    snapshot = source.poll()
    assert snapshot.marks == (
        (50, "W_hh×1.1"), (100, "state 0"), (150, "T 20"), (200, "clip 2 by value"),
        (250, "lr ×0.1 rewind to step 192"),
    )  # fmt: skip
    assert source.poll().marks is snapshot.marks
    source.close()
    writer.close()


def test_the_slope_of_a_straight_line_is_found_beyond_its_bent_beginning() -> None:
    lag = np.arange(40.0)
    log_reach = -0.25 * lag + 1.5
    log_reach[:4] = 9.0
    log_reach[30:] = -np.inf
    slope, start = decay(log_reach) or (0.0, 0.0)
    np.testing.assert_allclose((slope, start), (-0.25, 1.5), atol=1e-9)


def test_too_little_of_it_has_no_slope() -> None:
    assert decay(np.array([0.0, -1.0, np.nan])) is None
    assert decay(np.full(30, -np.inf)) is None
    assert decay(np.zeros(0)) is None


def test_the_predicted_slope_is_in_decades() -> None:
    np.testing.assert_allclose(predicted(np.array([np.log(0.1), -5.0])), -1.0)
    assert np.isnan(predicted(np.zeros(0)))

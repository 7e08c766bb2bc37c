"""What the sampling lab's panels say in words, in the room there is."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from rnnscope.charts.spans import plain, width
from rnnscope.charts.text import cells
from rnnscope.recording.events import Comparison
from rnnscope.recording.reading_events import Decoding, Exposure, Ngram, Recovery
from rnnscope.tui.captions import longest
from rnnscope.tui.curves import curves_of, grown, settled
from rnnscope.tui.pairs import lines_of, pair_of, parted, starts, surprise
from rnnscope.tui.sampling_view import CURVES
from rnnscope.tui.snapshot import When
from rnnscope.tui.widgets.sampling_lab.curves import CurvesPanel, at_words, end_words
from rnnscope.tui.widgets.sampling_lab.decoding import column_widths, figures, kinds, share
from rnnscope.tui.widgets.sampling_lab.ngram import NgramPanel, standing_words
from rnnscope.tui.widgets.sampling_lab.pair import placing, readout, smoothed
from rnnscope.tui.widgets.sampling_lab.recovery import recovered
from rnnscope.tui.widgets.sampling_lab.recovery import words as recovery_words
from tests.fakes import TEXT, fake_comparison, fake_config
from tests.reading_fakes import fake_decoding, fake_exposure, fake_ngram, fake_recovery

WIDTHS = [20, 40, 58, 78, 118, 198]


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


EXPOSURE: Exposure = fake_exposure(TEXT, rng())
ORACLE: Exposure = fake_exposure(TEXT, rng(), oracle=True)
COMPARISON: Comparison = fake_comparison(fake_config(), rng())
RECOVERY: Recovery = fake_recovery(TEXT, rng())
DECODING: Decoding = fake_decoding(TEXT, rng())
NGRAM: Ngram = fake_ngram(TEXT)


@pytest.mark.parametrize("columns", WIDTHS)
def test_every_line_fits(columns: int) -> None:
    pair = pair_of(EXPOSURE)
    assert pair is not None
    for line in (
        readout(pair, 30, columns), longest(columns, *recovery_words(RECOVERY)),
        longest(columns, *standing_words(NGRAM, 1.6)), longest(columns, *standing_words(NGRAM, None)),
        *(end_words(curve, columns) for curve in curves_of(ORACLE).values()),
    ):  # fmt: skip
        assert 0 < cells(line) <= columns


def test_surprise_is_minus_the_logarithm_of_the_probability() -> None:
    np.testing.assert_allclose(surprise([1.0, np.exp(-2), 0.0]), [0.0, 2.0, np.inf])
    assert parted("abc", "abd") == 2
    assert parted("abc", "ab") == -1


def test_both_measurements_make_a_pair_but_only_one_knows_the_entropy() -> None:
    live, asked = pair_of(COMPARISON), pair_of(EXPOSURE)
    assert live is not None
    assert asked is not None
    assert list(live.values) == ["probability", "surprise"]
    assert list(asked.values) == ["probability", "surprise", "entropy"]
    assert live.divergence == 12
    assert asked.divergence == EXPOSURE.divergence == 23
    assert pair_of(None) is None
    assert pair_of(DECODING) is None


def test_the_readout_names_both_characters_and_says_where_they_agree() -> None:
    pair = pair_of(EXPOSURE)
    assert pair is not None
    line = readout(pair, 23, 118)
    assert line.startswith(f"character 24: the truth ‘{EXPOSURE.truth[23]}’, p {EXPOSURE.forced_probability[23]:.2g}")
    assert f"its own ‘{EXPOSURE.free[23]}’" in line
    assert "(the same)" in readout(pair, 3, 118)
    assert "H " in readout(pair, 23, 58)  # in less room what follows from p is left out first
    assert "nothing" in readout(dataclasses.replace(pair, free="ab"), 23, 118)


def test_lines_start_where_both_panes_break() -> None:
    pair = pair_of(EXPOSURE)
    assert pair is not None
    found = starts(pair, 58)
    assert found[0] == 0
    assert list(found) == sorted(set(found))
    assert found[-1] < pair.length
    for start, stop in lines_of(pair, 58):
        assert 0 < stop - start <= 27


@pytest.mark.parametrize("height", [3, 8, 16, 34])
@pytest.mark.parametrize("at", [0, 100, 199])
def test_the_line_of_the_cursor_is_always_seen(height: int, at: int) -> None:
    pair = pair_of(EXPOSURE)
    assert pair is not None
    place = placing(pair, at, 58, height)
    assert any(start <= at + place.given < stop for start, stop in place.lines)
    assert len(place.lines) <= place.rows
    assert place.top + place.rows + place.chart <= height


def test_smoothing_leaves_out_what_is_no_number() -> None:
    values = np.arange(40.0)
    np.testing.assert_allclose(smoothed(values)[5:-5], values[5:-5])
    np.testing.assert_allclose(smoothed(values)[0], 2.5)
    values[7] = np.inf
    assert np.isfinite(smoothed(values)).all()
    assert np.isnan(smoothed(np.full(5, np.nan))).all()


def test_every_curve_has_its_reference_and_unit() -> None:
    found = curves_of(ORACLE, 1.6)
    assert tuple(found) == CURVES
    references = {name: [words for _, words in curve.references] for name, curve in found.items()}
    assert references == {
        "loss": ["validation loss"], "distance": ["unrelated"], "shannon": ["unrelated"], "judge": [], "oracle": [],
        "excess": ["no bias"], "auc": ["chance"],
    }  # fmt: skip
    assert found["auc"].references[0][0] == 0.5
    assert [line.name for line in found["judge"].lines] == ["own", "true"]
    assert "oracle" not in curves_of(EXPOSURE)
    assert "excess" not in curves_of(EXPOSURE)
    assert curves_of(EXPOSURE)["loss"].references == ()
    assert list(curves_of(COMPARISON)) == ["loss", "distance"]
    assert "one prefix" in curves_of(COMPARISON)["loss"].says[0]


def test_scales_grow_in_visible_steps_only() -> None:
    assert grown((0.0, 2.0), np.array([0.1, 2.0, np.nan])) == (0.0, 2.0)
    assert grown((0.0, 2.0), np.array([2.1])) == (0.0, 5.0)
    assert grown((0.0, 50.0), np.array([-3.0, 120.0])) == (-5.0, 200.0)
    assert settled(np.array([9.0, 9.0, 9.0, 1.0])) == 1.0
    assert np.isnan(settled(np.zeros(0)))


def test_values_at_the_cursor_come_with_their_band() -> None:
    curve = curves_of(EXPOSURE)["distance"]
    mean, low, high = EXPOSURE.distance[:, 49]
    assert at_words(curve, 49) == f"after 50: {mean:.2f} ({low:.2f} to {high:.2f})"
    assert at_words(curve, 5000) == "after 5001: –"
    assert at_words(curves_of(EXPOSURE)["judge"], 49).startswith("after 50: own 2.")


@pytest.mark.parametrize(("columns", "height"), [(58, 16), (78, 19), (118, 34), (198, 54), (30, 8), (10, 3)])
@pytest.mark.parametrize("event", [ORACLE, EXPOSURE, COMPARISON], ids=["oracle", "exposure", "live"])
def test_curves_fill_their_panel(event: Exposure | Comparison, columns: int, height: int) -> None:
    panel = CurvesPanel(id="curves")
    panel.inputs = (event, 1.6, When(5), "distance", 20, None)
    rows = panel.paint(columns, height).rows
    assert len(rows) == height
    assert all(width(row) <= columns for row in rows)


def test_recovery_counts_only_those_that_come_back() -> None:
    some = dataclasses.replace(RECOVERY, after=np.array([3, 9, -1, 5]))
    assert recovered(some) == (5.0, 3, 1)
    assert "after 5 characters, 1 of 4 not within 100" in recovery_words(some)[0]
    none = dataclasses.replace(RECOVERY, after=np.array([-1, -1]))
    assert "no state of 2 is back within 100 characters" in recovery_words(none)[0]


def test_the_kinds_of_characters_in_a_column() -> None:
    prompt, text = "P\n", "ab\ncd\nab\n\n\nefgh"
    found = "".join(map(str, kinds(prompt, text, "fg")))
    assert found == "11" + "000" + "000" + "222" + "0" + "0" + "0330"
    assert set(kinds("", "ab", "zz")) == {0}


def test_figures_of_a_column_are_known_once_it_is_whole() -> None:
    assert figures(DECODING, 0) == [("distinct 1/2/3", ".21 .24 .26"), ("repeated lines", "83%"),
                                    ("longest copy", str(DECODING.copied[0])), ("nats/char", "0.31")]  # fmt: skip
    assert {value for _, value in figures(fake_decoding(TEXT, rng(), done=False), 0)} == {"–"}
    assert [share(v) for v in (0.0, 0.5, 0.996, 1.0, np.nan)] == [".00", ".50", "1.0", "1.0", "–"]


@pytest.mark.parametrize(("columns", "count"), [(58, 4), (118, 3), (78, 1), (9, 4)])
def test_columns_share_the_width(columns: int, count: int) -> None:
    sizes = column_widths(columns, count)
    assert sum(sizes) + count - 1 == columns
    assert max(sizes) - min(sizes) <= 1


def test_the_run_stands_among_the_rivals() -> None:
    assert "does not beat the 1-gram yet (3.347)" in standing_words(NGRAM, 3.5)[0]
    assert standing_words(NGRAM, 1.7)[0] == (
        "validation loss 1.700: you now beat the 4-gram (1.729), not yet the 9-gram (1.591)"
    )
    assert "beat every n-gram, the best has 1.558 (order 6)" in standing_words(NGRAM, 1.5)[0]
    assert "no validation loss yet" in standing_words(NGRAM, None)[0]
    empty = dataclasses.replace(NGRAM, kneser_ney=np.full(10, np.nan))
    assert "no Kneser-Ney model" in standing_words(empty, 1.5)[0]


def test_the_table_of_orders_marks_what_is_beaten_and_where_the_run_is() -> None:
    panel = NgramPanel(id="ngram")
    panel.inputs = (NGRAM, 2.1, None)
    lines = plain(panel.paint(78, 20).rows).split("\n")
    assert [line.count("●") for line in lines[2:12]] == [1, 1, 0, 0, 0, 0, 0, 0, 0, 0]
    assert [line.count("○") for line in lines[2:12]] == [0, 0, 1, 1, 1, 1, 1, 1, 1, 0]
    assert len({line.index("│") for line in lines[2:12] if "│" in line}) == 1
    assert "order 4 writes" in "\n".join(lines)

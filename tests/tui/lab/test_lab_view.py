"""What one looks at in the lab: pure changes."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnscope.tui.actions import ACTIONS, in_groups
from rnnscope.tui.lab_view import KEYS, WALKS, Extent, LabView, change, settle, why_unchanged
from rnnscope.tui.screens.gradients import GradientsScreen
from rnnscope.tui.screens.live import LiveScreen
from rnnscope.tui.screens.table import SCREENS, Entry
from rnnscope.tui.session import Session

EXTENT = Extent(layers=2, steps=50, rows=11, has_cell=True)
MULTIPLEXERS = {"ctrl+b", "ctrl+s", "ctrl+j", "ctrl+a"}


def after(*keys: str, panel: str = "", extent: Extent = EXTENT) -> LabView:
    view = LabView()
    for key in keys:
        view = change(view, key, panel, extent)
    return view


def test_toggles_go_round() -> None:
    assert [after(*["kind"] * n).kind for n in range(3)] == ["reach", "total", "reach"]
    assert [after(*["part"] * n).part for n in range(4)] == ["all", "direct", "recurrent", "all"]
    assert [after(*["state"] * n).state for n in range(3)] == ["h", "c", "h"]
    assert [after(*["retain"] * n).retain for n in range(3)] == [False, True, False]
    assert [after(*["layer"] * n, "kind").layer for n in range(3)] == [1, 0, 1]  # the last one first


def test_only_a_cell_with_c_shows_it() -> None:
    assert after("state", extent=Extent(layers=1)).state == "h"
    assert settle(LabView(state="c"), Extent(layers=1)).state == "h"
    assert "no c" in why_unchanged("state", "through", Extent(layers=1))


def test_the_cursor_starts_at_the_last_loss_and_never_points_at_the_future() -> None:
    start = settle(LabView(), EXTENT)
    assert (start.t, start.s) == (49, 39)
    view = after(*["right"] * 30, panel="triangle")
    assert (view.t, view.s) == (49, 49)
    view = after("right", *["up"] * 20, panel="triangle")
    assert (view.t, view.s) == (29, 29)


def test_rows_are_walked_one_and_ten_at_a_time() -> None:
    assert [after(key, panel="parameters").row for key in ("up", "down", "right", "left")] == [0, 1, 10, 0]
    assert after("right", "sort", panel="parameters").row == 0
    assert after("open").opened
    assert not after("open", "close").opened
    assert not after("open", extent=Extent()).opened


@given(st.lists(st.sampled_from([*KEYS, "up", "down", "left", "right"])), st.sampled_from(["", *WALKS]),
       st.integers(0, 3), st.integers(0, 9), st.integers(0, 9))  # fmt: skip
def test_what_is_chosen_always_exists(keys: list[str], panel: str, layers: int, steps: int, rows: int) -> None:
    extent = Extent(layers, steps, rows)
    view = settle(after(*keys, panel=panel, extent=extent), extent)
    assert 0 <= view.layer < max(layers, 1)
    assert 0 <= view.s <= view.t < max(steps, 1)
    assert 0 <= view.row < max(rows, 1)


@pytest.mark.parametrize("entry", SCREENS, ids=[entry.name for entry in SCREENS])
def test_a_key_does_one_thing_on_a_screen(entry: Entry, tmp_path: Path) -> None:
    groups = entry.make(Session(tmp_path, ()), entry.name).groups
    keys = [key for action in in_groups(groups) for key in action.keys]
    doubled = {key for key in keys if keys.count(key) > 1}
    assert doubled <= {"enter"}  # opens a row of the table, and elsewhere fills the screen as f does
    assert not MULTIPLEXERS & set(keys)


def test_what_steers_the_run_and_the_display_is_the_same_on_every_screen() -> None:
    everywhere = ("training", "asking", "pages", "display")
    taken = {key for action in in_groups(everywhere) for key in action.keys}
    others = {key for action in ACTIONS if action.group not in everywhere for key in action.keys}
    assert taken & others <= {"enter"}


def test_a_key_of_the_first_two_screens_means_the_same_on_both() -> None:
    labels: dict[str, set[str]] = {}
    for action in in_groups({*LiveScreen.groups, *GradientsScreen.groups}):
        for key in action.keys:
            labels.setdefault(key, set()).add(action.label)
    shared = {key: found for key, found in labels.items() if len(found) > 1}
    assert shared == {"enter": {"focused panel only", "open"}}

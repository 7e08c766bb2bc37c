"""The budget of the probes holds over any 30 s, and what is due depends on the step alone."""

from __future__ import annotations

from bisect import bisect_left
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnscope.probes.schedule import WINDOW, Schedule, Spent

BUDGET = 0.05
ROOM = BUDGET * WINDOW

LIVE = ("gradients", "sample", "comparison")
LAB = {"clipping": 0.05, "parameters": 0.03, "triangle": 0.3, "jacobian": 0.2, "horizon": 0.5, "lyapunov": 0.5}
EVERY = {"clipping": 100, "parameters": 100, "triangle": 500, "jacobian": 500, "horizon": 1000, "lyapunov": 1000}

Taken = list[tuple[str, float, float]]  # name, begin, end


def simulate(
    schedule: Schedule,
    costs: dict[str, float],
    step_seconds: float,
    until: float,
    cold: dict[str, float] | None = None,
    *,
    booked: float = 0.0,
) -> Taken:
    """Run a schedule against a made-up clock, each measurement at its cost (the first at `cold`); return them all.

    booked: seconds that every 64th step takes of the account, and are returned as "booked".
    """
    taken: Taken = []
    now, step = 0.0, 0
    first = dict(cold or {})
    while now < until:
        step += 1
        if booked and step % 64 == 1:
            now += booked
            schedule.book(booked, now)
            taken.append(("booked", now - booked, now))
        for name in schedule.due(step, now):
            begun = now
            now += first.pop(name, costs[name])
            schedule.took(name, now - begun, now)
            taken.append((name, begun, now))
        now += step_seconds
    return taken


def firsts(taken: Taken) -> Taken:
    """The first measurement of each."""
    return list({name: (name, begin, end) for name, begin, end in reversed(taken)}.values())


def largest_window(taken: Taken) -> float:
    """The most seconds of measuring that any 30 s without a first measurement hold, overlaps counted exactly."""
    begin, end = (np.array([row[i] for row in taken]) for i in (1, 2))
    first = set(firsts(taken))
    barred = np.array([row in first for row in taken])
    most = 0.0
    for start in np.concatenate([begin, end - WINDOW]):
        inside = np.minimum(end, start + WINDOW) - np.maximum(begin, start)
        if start >= 0 and not (inside[barred] > 0).any():
            most = max(most, float(inside.clip(0).sum()))
    return most


@settings(max_examples=60, deadline=None)
@given(
    probes=st.lists(
        st.tuples(st.floats(1e-3, ROOM), st.integers(1, 200), st.booleans(), st.floats(1, 40)), min_size=1, max_size=6
    ),
    step_seconds=st.floats(0.04, 3.0),
)
def test_no_30_seconds_hold_more_than_the_budget(
    probes: list[tuple[float, int, bool, float]], step_seconds: float
) -> None:
    names = [f"probe{i}" for i in range(len(probes))]
    rows = dict(zip(names, probes, strict=True))
    schedule = Schedule(
        {name: every for name, (_, every, _, _) in rows.items()}, BUDGET,
        frozenset(name for name, (_, _, early, _) in rows.items() if early),
    )  # fmt: skip
    costs = {name: cost for name, (cost, _, _, _) in rows.items()}
    cold = {name: cost * slow for name, (cost, _, _, slow) in rows.items()}
    taken = simulate(schedule, costs, step_seconds, 120.0, cold)
    assert largest_window(taken) <= ROOM + 1e-9


@settings(max_examples=60, deadline=None)
@given(
    costs=st.lists(st.floats(1e-3, 0.2), min_size=1, max_size=5),
    step_seconds=st.floats(0.02, 0.5),
    share=st.floats(0.0, 0.015),
)
def test_what_is_booked_leaves_the_rest_of_the_budget(costs: list[float], step_seconds: float, share: float) -> None:
    """Snapshots of the black box (1% is much): no 30 s hold more than the budget of them and of probes together."""
    names = [f"probe{i}" for i in range(len(costs))]
    schedule = Schedule(dict.fromkeys(names, 3), BUDGET, frozenset(names[::2]))
    booked = share * 64 * step_seconds
    taken = simulate(schedule, dict(zip(names, costs, strict=True)), step_seconds, 150.0, booked=booked)
    late = [one for one in taken if one[1] > WINDOW]
    begins = [begin for _, begin, _ in late]
    assert begins == sorted(begins)
    for start in begins:
        first, last = (bisect_left(begins, at) for at in (start, start + WINDOW))
        inside = [min(end, start + WINDOW) - begin for _, begin, end in late[first:last]]
        assert sum(inside) <= ROOM + 1e-9
    if booked:
        at = taken[-1][2]
        sums = sum(end - begin for _, begin, end in taken if end > at - WINDOW)
        assert schedule.share(at) == pytest.approx(sums / WINDOW, rel=1e-6)


@settings(max_examples=30, deadline=None)
@given(data=st.data(), usual=st.floats(0.01, 0.3))
def test_surprises_exceed_the_budget_by_no_more_than_themselves(data: st.DataObject, usual: float) -> None:
    schedule = Schedule({"a": 5, "b": 9}, BUDGET)
    taken: Taken = []
    now, surprise = 0.0, 0.0
    for step in range(1, 1000):
        for name in schedule.due(step, now):
            seconds = usual * data.draw(st.sampled_from([1.0, 1.0, 1.0, 0.5, 6.0]))
            surprise = max(surprise, seconds - (schedule.cost(name) or 0.0))
            taken.append((name, now, now + seconds))
            now += seconds
            schedule.took(name, seconds, now)
        now += 0.1
    assert largest_window(taken) <= ROOM + surprise + 1e-9


@pytest.mark.parametrize("cold", [1, 10])
def test_the_first_screen_is_soon_fresh_and_no_30_seconds_after_its_first_measurements_exceed_the_budget(
    cold: int,
) -> None:
    costs = {"gradients": 0.045, "sample": 0.06, "comparison": 0.06, **LAB}
    cadences = {"gradients": 50, "sample": 50, "comparison": 100, **EVERY}
    schedule = Schedule(cadences, BUDGET, frozenset(LIVE))
    taken = simulate(schedule, costs, 0.02, 120.0, {name: costs[name] * cold for name in LIVE})
    begun = max(end for name, _, end in firsts(taken) if name in LIVE)
    begins = {name: [begin for other, begin, _ in taken if other == name and begin > begun] for name in LIVE}
    for name in LIVE:
        assert begins[name][0] < begun + 4.0
        assert begins[name][1] < begun + 10.0
        assert max(later - earlier for earlier, later in pairwise(begins[name])) < 16.0
    after = [(name, begin, end) for name, begin, end in taken if begin > begun]
    known = [one for one in after if one not in firsts(after) or one[0] in LIVE]
    for start in (begin for _, begin, _ in known):
        assert sum(end - begin for _, begin, end in known if start <= begin < start + WINDOW) <= ROOM


@pytest.mark.parametrize("cold", [0.4, 1.2])
def test_after_a_cold_start_recent_measurements_follow_soon(cold: float) -> None:
    """Seen on a machine that had just started: the first gradients and comparison took 1.2 s each, later ones 0.05."""
    costs = {"gradients": 0.045, "sample": 0.06, "comparison": 0.06}
    schedule = Schedule({"gradients": 50, "sample": 50, "comparison": 100}, BUDGET, frozenset(costs))
    taken = simulate(schedule, costs, 0.02, 60.0, {"gradients": cold, "comparison": cold})
    begun = taken[2][2]  # when the first ones are done
    again = min(end for name, _, end in taken[3:] if name == "gradients")
    assert again - begun < 12.0
    assert sum(begun < end < 33.0 for name, _, end in taken if name == "gradients") >= 3


def test_a_probe_that_was_slow_once_is_not_thought_slow_for_ever() -> None:
    schedule = Schedule({"a": 1}, BUDGET)
    for seconds in (0.04, 0.04, 4.0, 0.04):
        schedule.took("a", seconds, 1.0)
    assert schedule.cost("a") == 0.04
    assert Schedule({"a": 1}, BUDGET).cost("a") is None


def test_measurements_spread_evenly() -> None:
    costs = {"a": 0.1, "b": 0.02}
    taken = simulate(Schedule({"a": 1, "b": 1}, BUDGET), costs, 0.01, 200.0)
    gaps = [later - end for (_, _, end), (_, later, _) in pairwise(taken)]
    assert max(gaps) < 4.0  # 0.1 s are 2 s of budget
    assert sum(end - begin for _, begin, end in taken) > 0.04 * 200  # and the budget is used


def test_cheap_probes_are_taken_whenever_they_are_due() -> None:
    taken = simulate(Schedule({"a": 10}, BUDGET, frozenset({"a"})), {"a": 1e-6}, 0.03, 3.0)
    assert len(taken) == 1 + 10  # at the first step and at each tenth


def test_the_first_of_each_early_one_is_taken_at_once_however_dear() -> None:
    schedule = Schedule({"a": 50, "late": 50, "b": 100, "off": 0}, BUDGET, frozenset({"a", "b", "off"}))
    assert schedule.at_once == ["a", "b"]
    assert schedule.due(1, 0.0) == ["a", "b"]
    schedule.took("a", 100.0, 100.0)
    assert schedule.due(2, 100.0) == ["b"]
    schedule.took("b", 0.1, 100.1)
    assert schedule.due(3, 100.2) == []
    assert schedule.due(50, 120.0) == ["a"]
    schedule.took("a", 0.1, 120.1)
    assert schedule.due(51, 125.0) == ["late"]  # never taken: planned with 0.1 s, and so alone


def test_dear_probes_and_cheap_ones_share_the_time() -> None:
    costs = {"dear": 1.2, "cheap": 0.04}
    taken = simulate(Schedule({"dear": 1, "cheap": 1}, BUDGET), costs, 0.03, 1000.0)
    seconds = {name: sum(end - begin for taken_name, begin, end in taken if taken_name == name) for name in costs}
    assert abs(seconds["dear"] - seconds["cheap"]) <= 1.2 + 1e-9
    assert seconds["dear"] >= 6 * 1.2


@pytest.mark.parametrize("lyapunov", [0.1, 0.5, 1.2, 2.0])
def test_the_live_screen_moves_while_the_lab_measures_too(lyapunov: float) -> None:
    live = {"gradients": 0.045, "sample": 0.06, "comparison": 0.06}
    costs = {**live, **LAB, "lyapunov": lyapunov}
    cadences = {"gradients": 50, "sample": 50, "comparison": 100, **EVERY}
    taken = simulate(Schedule(cadences, BUDGET, frozenset(live)), costs, 0.02, 400.0)
    begun = {name: [begin for taken_name, begin, _ in taken if taken_name == name] for name in costs}
    for name in live:
        gaps = [later - earlier for earlier, later in pairwise(begun[name])]
        assert sum(gaps) / len(gaps) < 9.0
        assert max(gaps) < (16.0 if lyapunov <= 0.6 else 45.0)
    for name in LAB:
        assert begun[name][0] < 75.0
    assert min(len(begun[name]) for name in LAB if name != "lyapunov") >= 2
    assert largest_window(taken) <= max(ROOM, lyapunov) + 1e-9


def test_one_that_is_longer_than_the_budget_is_taken_alone() -> None:
    costs = {"dear": 2.0, "cheap": 0.04}
    taken = simulate(Schedule({"dear": 1, "cheap": 1}, BUDGET), costs, 0.03, 1000.0)
    dear = [(begin, end) for name, begin, end in taken if name == "dear"][1:]  # the first: its cost was not known
    assert len(dear) >= 4
    for begin, end in dear:
        assert not [1 for _, other, stop in taken if other != begin and stop > begin - WINDOW and other < end + WINDOW]


def test_due_ones_that_wait_are_counted() -> None:
    schedule = Schedule({"a": 1}, BUDGET)
    simulate(schedule, {"a": 0.25}, 0.03, 90.0)
    assert schedule.skipped > 1000


def test_what_a_person_asked_for_is_shown_but_not_charged() -> None:
    schedule = Schedule({"a": 10, "b": 10}, BUDGET)
    schedule.took("a", 3.0, 3.0, asked=True)
    assert schedule.share(30.0) == pytest.approx(0.1)
    assert schedule.share(3.0 + WINDOW) == 0
    assert schedule.due(10, 3.1) == ["a"]
    schedule.took("a", 0.1, 3.2)
    assert schedule.due(20, 3.3) == []  # that one was charged


@pytest.mark.parametrize(("budget", "expected"), [(0.0, []), (1.0, ["a", "b"])])
def test_no_budget_and_no_limit(budget: float, expected: list[str]) -> None:
    schedule = Schedule({"a": 1, "b": 1}, budget, frozenset({"a"}))
    assert schedule.due(1, 0.0) == ["a"]
    schedule.took("a", 0.5, 0.5)
    assert schedule.due(2, 100.0) == expected


def test_the_share_is_that_of_the_last_30_seconds_or_of_what_there_was() -> None:
    spent = Spent(began=100.0)
    assert spent.share(100.0) == 0.0
    spent.add(101.0, 0.5)
    spent.add(104.0, 0.5)
    assert spent.share(105.0) == pytest.approx(0.2)
    assert spent.share(130.0) == pytest.approx(1 / 30)
    assert spent.share(132.0) == pytest.approx(0.5 / 30)
    assert spent.share(134.0) == 0.0


def test_a_resumed_session_begins_its_account_anew() -> None:
    for began in (0.0, 1000.0):
        schedule = Schedule({"a": 5}, BUDGET, frozenset({"a"}), began)
        assert schedule.due(7, began) == ["a"]
        schedule.took("a", 1.0, began + 1.0)
        assert schedule.share(began + 2.0) == pytest.approx(0.5)


@pytest.mark.parametrize("cost", [2.0, 5.0])
def test_one_longer_than_the_budget_rests_until_it_is_its_share(cost: float) -> None:
    taken = simulate(Schedule({"dear": 1}, BUDGET), {"dear": cost}, 0.03, 3000.0)
    assert len(taken) >= 3
    assert sum(end - begin for _, begin, end in taken[1:]) <= BUDGET * (taken[-1][2] - taken[0][2]) + 1e-9


def test_a_dear_early_one_leaves_the_others_their_part() -> None:
    schedule = Schedule({"live": 50, "lab": 500}, BUDGET, frozenset({"live"}))
    taken = simulate(schedule, {"live": 3.0, "lab": 0.1}, 0.5, 900.0)
    assert [name for name, _, _ in taken].count("lab") >= 2

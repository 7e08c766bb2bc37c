"""The budget of the probes holds over any 30 s, and what is due depends on the step alone."""

from __future__ import annotations

import pytest

from rnnscope.probes.schedule import WINDOW, Schedule


def simulate(
    costs: dict[str, float], step_seconds: float, steps: int, budget: float = 0.05
) -> list[tuple[float, float]]:
    """Run a schedule against a made-up clock; return (when, cost) of what was taken."""
    schedule = Schedule(dict.fromkeys(costs, 10), budget)
    now, taken = 0.0, []
    for step in range(1, steps + 1):
        for name in schedule.due(step, now):
            taken.append((now, costs[name]))
            now += costs[name]
            schedule.took(name, costs[name])
        now += step_seconds
    return taken


@pytest.mark.parametrize("cost", [0.001, 0.05, 0.2])
@pytest.mark.parametrize("step_seconds", [0.002, 0.03, 0.5])
def test_no_30_seconds_hold_more_than_the_budget(cost: float, step_seconds: float) -> None:
    taken = simulate({"a": cost, "b": cost / 2}, step_seconds, int(120 / step_seconds))
    first = taken[2:]  # the first of each is taken at once
    for start, _ in first:
        spent = sum(cost for when, cost in first if start <= when < start + WINDOW)
        assert spent <= 0.05 * WINDOW + 1e-9


def test_cheap_probes_are_taken_whenever_they_are_due() -> None:
    taken = simulate({"a": 1e-6}, 0.03, 100)
    assert len(taken) == 1 + 10  # at the first step and at each tenth


def test_the_first_of_each_is_taken_at_once_however_dear() -> None:
    schedule = Schedule({"a": 50, "b": 100, "off": 0}, 0.05)
    assert schedule.due(1, 0.0) == ["a", "b"]
    schedule.took("a", 100.0)
    assert schedule.due(2, 100.0) == ["b"]


def test_dear_probes_take_turns_and_waiting_ones_are_counted() -> None:
    schedule = Schedule({"a": 1, "b": 1}, 0.05)
    counts = {"a": 0, "b": 0}
    now = 0.0
    for step in range(1, 3000):
        for name in schedule.due(step, now):
            schedule.took(name, 0.25)
            counts[name] += 1
            now += 0.25
        now += 0.03
    assert abs(counts["a"] - counts["b"]) <= 1
    assert schedule.skipped > 1000


def test_what_a_person_asked_for_is_shown_but_not_charged() -> None:
    schedule = Schedule({"a": 10}, 0.05)
    credit = schedule.credit
    schedule.took("a", 3.0, asked=True)
    assert schedule.credit == credit
    assert schedule.share(10.0) == pytest.approx(0.1)
    assert schedule.share(100.0) == 0

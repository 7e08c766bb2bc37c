"""The account of the probes' cost adds up."""

from __future__ import annotations

import json
import re
from types import SimpleNamespace

import pytest

from rnnscope import bench_probes
from rnnscope.recording import events as e
from rnnscope.recording.writer import StepRow
from rnnscope.registry import PROBES
from tests.test_worker import config


def test_every_probe_is_in_the_account() -> None:
    small = config(training={"steps": None, "epochs": None, "validate_every": 0})
    costs, figures = bench_probes.measure(2.0, small)
    assert [cost.name for cost in costs] == list(PROBES)
    gradients = costs[0]
    assert gradients.taken >= 1
    assert 0 < gradients.seconds < 5
    assert figures["share_with_the_first"] == pytest.approx(sum(cost.share for cost in costs))
    assert figures["chars_per_s"] > 0
    assert 0 < figures["share_of_snapshots"] < 0.5


def test_the_first_thirty_seconds_do_not_count(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    account = bench_probes.Account()
    for seconds, share in ((10.0, 0.9), (31.0, 0.5), (40.0, 0.04), (70.0, 0.03)):
        account.updated(StepRow(1, 1.0, 1.0, 1.0, 1.0, 0.1, seconds, 100))
        account.recorded(1, e.Cost(share, 0.0, 0))

    class Told:
        def __init__(self, folder: object, observer: bench_probes.Account) -> None:
            observer.last, observer.shares = account.last, account.shares

            self.measuring = SimpleNamespace(schedule=SimpleNamespace(booked=0.7))

        def run(self) -> int:
            return 0

    monkeypatch.setattr(bench_probes, "Session", Told)
    assert bench_probes.main(as_json=True, seconds=1.0) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["largest_share_of_30_s"] == 0.04
    assert figures["share_of_snapshots"] == pytest.approx(0.01)
    assert bench_probes.main(as_json=False, seconds=1.0) == 0
    assert re.search(r"^snapshots +64 +1.00%$", capsys.readouterr().out, re.MULTILINE)

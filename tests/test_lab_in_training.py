"""The lab's probes in a session: they change nothing that is learned, and tell of the very update they are taken at."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rnnscope.recording import lab_events as lab
from rnnscope.registry import PROBES
from tests.sessions import Recorder, config, run

MINE = ("horizon", "clipping", "parameters")
OFF = {entry.cadence: 0 for entry in PROBES.values()}


def probed(folder: Path, cell: str, by: str) -> Recorder:
    cadences = OFF | {PROBES[name].cadence: 1 for name in MINE} | {"probe_budget": 1.0}
    training = {"steps": 6, "clip": 0.2 if by == "norm" else 0.01, "clip_by": by}
    code, heard = run(folder, config(model={"cell": cell}, probes=cadences, training=training))
    assert code == 0
    return heard


@pytest.mark.parametrize("by", ["norm", "value"])
@pytest.mark.parametrize("cell", ["tanh", "lstm", "gru"])
def test_they_change_nothing_and_tell_of_their_update(cell: str, by: str, tmp_path: Path) -> None:
    heard = probed(tmp_path / "a", cell, by)
    training = {"steps": 6, "clip": 0.2 if by == "norm" else 0.01, "clip_by": by}
    _, bare = run(tmp_path / "b", config(model={"cell": cell}, probes=OFF, training=training))
    assert heard.losses == bare.losses

    rows = {row.step: row for row in heard.rows}
    found = {kind: [(s, e) for s, e in heard.events if isinstance(e, kind)] for kind in (lab.Clipping, lab.Parameters)}
    assert found[lab.Clipping]
    assert found[lab.Parameters]
    for step, event in found[lab.Clipping]:  # before the update: of the steps before it, with its threshold
        np.testing.assert_array_equal(event.before, [rows[i].grad_norm for i in range(1, step)])
        np.testing.assert_array_equal(event.after, [rows[i].grad_norm_clipped for i in range(1, step)])
        assert (event.threshold, event.by) == (training["clip"], by)
    for step, event in found[lab.Parameters]:  # the gradient of that very step, before clipping
        assert np.sqrt((event.gradient_norm**2).sum()) == pytest.approx(rows[step].grad_norm, rel=1e-5)
        assert (event.update_ratio[event.weight_norm > 0] > 0).all()

"""Other runs in the charts of this one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from rnnscope.charts.palette import DARK
from rnnscope.charts.series import Line
from rnnscope.tui.beside import Companions
from rnnscope.tui.others import gradient_lines, loss_lines
from rnnscope.tui.snapshot import Other
from tests.fakes import add_fake_steps, make_fake_run


def test_what_is_known_of_other_runs(tmp_path: Path) -> None:
    make_fake_run(tmp_path / "lstm", steps=120)
    writer = make_fake_run(tmp_path / "tanh", steps=10, cell="tanh", layers=1, live=True)
    companions = Companions([tmp_path / "lstm", tmp_path / "tanh", tmp_path / "nothing there"])
    first = companions.poll()
    assert [other.name for other in first] == ["lstm", "tanh"]
    assert companions.poll() is first  # not looked at again at once
    companions._looked = -10.0
    assert companions.poll() is first  # nothing new
    add_fake_steps(writer, 10, 5)
    companions._looked = -10.0
    second = companions.poll()
    assert second is not first
    assert second[0].loss is first[0].loss
    assert second[1].loss is not None
    assert second[1].loss.step[-1] == 15
    companions.add(tmp_path / "lstm")
    companions._looked = -10.0
    assert len(companions.poll()) == 2
    companions.close()
    writer.close()


def test_lines_of_other_runs(tmp_path: Path) -> None:
    make_fake_run(tmp_path / "a\x1b[31mb", steps=120, layers=2)
    (other,) = Companions([tmp_path / "a\x1b[31mb"]).poll()
    assert other.gradients is not None
    assert other.loss is not None
    reach = gradient_lines((other,), "reach", DARK)
    assert len(reach) == 2
    assert isinstance(reach[0], Line)
    np.testing.assert_allclose(reach[0].y, other.gradients.reach[0, ::-1])
    assert reach[0].colour not in DARK.lines[:2]
    assert "\x1b" not in reach[0].label
    total = gradient_lines((other,), "total", DARK)
    assert isinstance(total[1], Line)
    assert total[1].x[0] == 1
    (loss,) = loss_lines((other,), lambda data: data.loss, DARK)
    assert isinstance(loss, Line)
    assert len(loss.y) == 120
    without = replace(other, gradients=None, loss=None)
    assert gradient_lines((without,), "reach", DARK) == loss_lines((without,), lambda data: data.loss, DARK) == []
    assert isinstance(without, Other)
    assert gradient_lines((), "reach", DARK) == []

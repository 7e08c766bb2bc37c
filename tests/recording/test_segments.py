"""Runs that were resumed and rewound: readers show the newest lineage."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

from rnnscope.config import Config
from rnnscope.recording.events import LARGE, Status, Validation
from rnnscope.recording.reader import Reader
from rnnscope.recording.records import Reset
from rnnscope.recording.writer import Writer
from tests import fakes
from tests.recording.written import kinds, write_steps


def test_resume_goes_on_and_rewind_goes_back(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with Writer.create(folder, Config()) as writer:
        write_steps(writer, range(1, 101), loss=1.0)
        writer.event(100, Status("stopped"))
    with Writer.open(folder) as writer:
        assert writer.begin_segment(100) == 2
        write_steps(writer, range(101, 151), loss=2.0)
        writer.event(120, Validation(0.5, 1, 1, True))
        writer.event(150, Status("stopped"))
    with Writer.open(folder) as writer:
        assert writer.begin_segment(110) == 3  # rewound: steps 111 to 150 of segment 2 are off the lineage
        write_steps(writer, range(111, 116), loss=3.0)
    with Writer.open(folder) as writer:
        assert writer.begin_segment(50) == 4  # behind the start of its parents
        write_steps(writer, range(51, 54), loss=4.0)
    with Reader(folder) as reader:
        scalars = reader.scalars()
        assert scalars.step.tolist() == list(range(1, 54))
        assert scalars.loss.tolist() == [1.0] * 50 + [4.0] * 3
        assert reader.poll() == []
        assert [(row.step, row.loss) for row in reader.last_steps(1000, 5)] == [
            (49, 1.0), (50, 1.0), (51, 4.0), (52, 4.0), (53, 4.0),
        ]  # fmt: skip
        assert [row.step for row in reader.last_steps(51, 3)] == [49, 50, 51]
        assert [row.step for row in reader.last_steps(2, 200)] == [1, 2]
        assert reader.last_steps(0, 200) == []
    with contextlib.closing(sqlite3.connect(folder / "run.db")) as connection:
        assert connection.execute("SELECT count(*) FROM steps").fetchone() == (100 + 50 + 5 + 3,)  # nothing is deleted
        assert connection.execute("SELECT count(*) FROM events").fetchone() == (3,)


def test_the_lineage_in_the_middle(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with Writer.create(folder, Config()) as writer:
        write_steps(writer, range(1, 101), loss=1.0)
        writer.event(100, Status("stopped", "first"))
        writer.begin_segment(100)
        write_steps(writer, range(101, 151), loss=2.0)
        writer.event(150, Status("stopped", "second"))
        writer.begin_segment(110)
        write_steps(writer, range(111, 116), loss=3.0)
    with Reader(folder) as reader:
        scalars = reader.scalars()
        assert scalars.step.tolist() == list(range(1, 116))
        assert scalars.loss.tolist() == [1.0] * 100 + [2.0] * 10 + [3.0] * 5
        assert [one.event for one in reader.poll()] == [Status("stopped", "first")]


def test_a_reader_is_told_to_start_over(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    writer = fakes.make_fake_run(folder, steps=200, live=True)
    with writer, Reader(folder) as reader:
        reader.poll()
        assert len(reader.scalars()) == 200
        writer.set_meta(note="rewound")
        writer.begin_segment(120)
        fakes.add_fake_steps(writer, 120, 30)
        found = reader.poll()
        reset = found[0].event
        assert isinstance(reset, Reset)
        assert (reset.segment, reset.start_step, reset.meta["note"]) == (2, 120, "rewound")
        assert "Started" in kinds(found)
        assert {one.event.kind: one.step for one in found if one.event.kind in LARGE}["sample"] == 150
        assert max(one.step for one in found if one.segment == 1) <= 120
        scalars = reader.scalars()
        assert scalars.reset
        assert scalars.step.tolist() == list(range(1, 151))
        assert reader.poll() == []
        assert not reader.scalars().reset


def test_the_newest_of_a_kind_is_of_the_lineage(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with fakes.make_fake_run(folder, steps=200, live=True) as writer:
        writer.begin_segment(60)
        writer.event(60, Status("paused"))
    with Reader(folder) as reader:
        sample, status = reader.newest("sample"), reader.newest("status")
        assert sample is not None
        assert status is not None
        assert (sample.step, status.event) == (50, Status("paused"))
        assert reader.newest("diverged") is None

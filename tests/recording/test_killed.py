"""kill -9 at any moment, and a disk that is full: everything flushed before stays, and the run opens again."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rnnscope.config import Config
from rnnscope.recording.events import StepRow
from rnnscope.recording.lock import live
from rnnscope.recording.reader import Reader
from rnnscope.recording.records import Reset
from rnnscope.recording.writer import Writer

ROOT = Path(__file__).resolve().parents[2]

WORKER = """
import sys, time
from pathlib import Path
import numpy as np
from rnnscope.config import Config
from rnnscope.recording.events import Status
from rnnscope.recording.writer import Writer
from tests import fakes
folder = Path(sys.argv[1])
config, rng = fakes.fake_config(hidden=64), np.random.default_rng(0)
if folder.exists():
    writer = Writer.open(folder)
    after = int(sys.argv[2])
    writer.begin_segment(after)
else:
    writer = Writer.create(folder, config)
    after = 0
for step in range(after + 1, 10**9):
    row = fakes.fake_step(step, rng)
    writer.scalar(row)
    if step % 20 == 0:
        writer.event(step, fakes.fake_sample(config, rng))
        writer.event(step, Status("training", str(step)))
    print(step, time.time(), flush=True)
    time.sleep(0.001)
"""

FULL = """
import resource, signal, sys
from pathlib import Path
import numpy as np
from rnnscope.errors import RunFailed
from rnnscope.recording.events import Status
from rnnscope.recording.writer import Writer
from tests import fakes
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
writer = Writer.create(Path(sys.argv[1]), fakes.fake_config(hidden=64))
limit = 1_000_000
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
rng, flushed = np.random.default_rng(0), 0
try:
    for step in range(1, 10**6):
        writer.scalar(fakes.fake_step(step, rng))
        if step % 20 == 0:
            writer.event(step, fakes.fake_sample(writer.config, rng))
            writer.flush(force=True)
            flushed = step
except RunFailed as error:
    print(error)
writer.event(flushed, Status("failed", "disk full"))
writer.close()
print(flushed)
"""


def start(code: str, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def kill_after(process: subprocess.Popen[bytes], seconds: float) -> list[tuple[int, float]]:
    """Read (step, time) lines for so long after the first one, kill -9, and return them all."""
    assert process.stdout is not None
    assert process.stderr is not None
    descriptor, text, deadline = process.stdout.fileno(), b"", time.monotonic() + 30
    while time.monotonic() < deadline:
        ready, _, _ = select.select([descriptor], [], [], 0.005)
        if ready:
            more = os.read(descriptor, 65536)
            if not more:
                pytest.fail(process.stderr.read().decode())
            if not text:
                deadline = time.monotonic() + seconds
            text += more
    process.send_signal(signal.SIGKILL)
    process.wait()
    text += process.stdout.read()
    process.stdout.close()
    process.stderr.close()
    complete = text[: text.rfind(b"\n")].decode().splitlines()
    return [(int(step), float(when)) for step, when in (line.split() for line in complete)]


def test_kill_nine_loses_at_most_the_last_second(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    step = 0
    attached: Reader | None = None  # a viewer that stays through all of it
    for life, seconds in enumerate((0.33, 0.71, 1.27, 1.05), start=1):
        process = start(WORKER, str(folder), str(step))
        said = kill_after(process, seconds)
        end = said[-1][1]
        safe = [step for step, when in said if when < end - 1.0] or [said[0][0]]  # the first row is written at once
        assert not live(folder)
        with Reader(folder) as reader:
            scalars = reader.scalars()
            assert scalars.step.tolist() == list(range(1, len(scalars) + 1))
            assert len(scalars) >= safe[-1]
            assert len(scalars) >= said[-1][0] * 0.3
            events = [one.step for one in reader.poll() if one.event.kind == "status"]
        missing = set(range(20, len(scalars) + 1, 20)) - set(events)
        assert len(missing) <= life  # the buffer of each life may end between a step and its event
        assert scalars.newest is not None
        step = scalars.newest.step
        assert life < 4 or step > 300
        if attached is None:
            attached = Reader(folder)
        else:
            assert attached.poll()[0].event.kind == "reset"
            assert attached.scalars().step.tolist() == list(range(1, step + 1))
    assert attached is not None
    attached.close()
    Writer.open(folder).close()
    assert not (folder / "run.db-wal").exists()
    with Reader(folder) as reader:
        assert len(reader.scalars()) == step


def test_a_full_disk_is_one_line_and_loses_nothing_written(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    process = start(FULL, str(folder))
    out, err = process.communicate(timeout=30)
    assert process.returncode == 0, err.decode()
    message, flushed = out.decode().splitlines()
    assert "cannot record to" in message
    assert "Free some space, then --resume" in message
    assert int(flushed) > 20
    assert not live(folder)
    with Reader(folder) as reader:
        scalars = reader.scalars()
        assert len(scalars) >= int(flushed)
        assert scalars.step.tolist() == list(range(1, len(scalars) + 1))
        sample = reader.newest("sample")
        assert sample is not None
        assert sample.step >= int(flushed)
    with Writer.open(folder) as writer:  # with room again, it goes on
        writer.begin_segment(int(flushed))
    with Reader(folder) as reader:
        assert len(reader.scalars()) == int(flushed)


def test_a_run_that_was_killed_with_an_empty_journal_is_followed_when_it_goes_on(tmp_path: Path) -> None:
    writer = Writer.create(tmp_path / "run", Config())
    writer.scalar(StepRow(1, 4.1, 2e-3, 7.0, 5.0, 0.1, 0.5, 2500))
    writer._connection.close()  # folds the journal in, and leaves no word that the writer ended
    writer._lock.release()
    with Reader(tmp_path / "run") as reader:
        reader.poll()
        assert reader.scalars().step.tolist() == [1]
        with Writer.open(tmp_path / "run") as again:
            again.begin_segment(1)
            again.scalar(StepRow(2, 4.0, 2e-3, 7.0, 5.0, 0.2, 1.0, 5000))
            again.flush(force=True)
            assert any(isinstance(seen.event, Reset) for seen in reader.poll())
            assert reader.scalars().step.tolist() == [1, 2]

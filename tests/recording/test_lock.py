"""The lock of a run: one holder, seen by all, gone with its process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from rnnscope.errors import UserError
from rnnscope.recording.lock import Lock, holder, live

HOLD = """
import sys, time
from pathlib import Path
from rnnscope.recording.lock import Lock
lock = Lock.acquire(Path(sys.argv[1]))
print("held", flush=True)
time.sleep(60)
"""


def test_held_and_released(tmp_path: Path) -> None:
    assert not live(tmp_path)
    lock = Lock.acquire(tmp_path)
    assert live(tmp_path)
    assert holder(tmp_path).startswith(f"pid {os.getpid()} on ")
    lock.release()
    lock.release()
    assert not live(tmp_path)
    Lock.acquire(tmp_path).release()


def test_another_process_holds_it_until_it_is_killed(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    assert live(tmp_path)
    with pytest.raises(UserError, match=f"another worker .pid {process.pid} on "):
        Lock.acquire(tmp_path)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert not live(tmp_path)
    Lock.acquire(tmp_path).release()


def test_looking_does_not_disturb(tmp_path: Path) -> None:
    """While two threads look as fast as they can, every attempt to take the lock succeeds, and no look is wrong."""
    Lock.acquire(tmp_path).release()
    stop = threading.Event()

    def look() -> None:
        while not stop.is_set():
            live(tmp_path)

    threads = [threading.Thread(target=look) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(50):
            lock = Lock.acquire(tmp_path)
            assert live(tmp_path)
            lock.release()
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert not live(tmp_path)


def test_the_lock_is_not_inherited(tmp_path: Path) -> None:
    lock = Lock.acquire(tmp_path)
    child = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
    lock.release()
    try:
        assert not live(tmp_path)
    finally:
        child.communicate(b"")


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    assert not live(tmp_path / "none")
    assert holder(tmp_path / "none") == ""
    with pytest.raises(UserError, match=r"cannot write to .*No such file"):
        Lock.acquire(tmp_path / "none")

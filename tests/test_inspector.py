"""A process that looks at a run nobody trains: what it records, obeys, and leaves alone."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rnnscope import inspector
from rnnscope.errors import EXIT_FAILED, EXIT_OK, EXIT_USAGE, UserError
from rnnscope.inspector import Inspector
from rnnscope.recording import commands as c
from rnnscope.recording import events as e
from rnnscope.recording.lock import live
from rnnscope.recording.mailbox import Answer, Sender
from rnnscope.recording.neuron_events import Saturation
from rnnscope.recording.reader import Reader
from rnnscope.recording.reading_events import Asked
from rnnscope.recording.sessions import session_folder
from rnnscope.registry import ASKED
from tests.e2e.refusals import as_nobody
from tests.probed import STEPS, make_run, state_of
from tests.sessions import wait_for


@pytest.fixture(autouse=True)
def surroundings(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("RNNSCOPE_CACHE", str(cache))
    monkeypatch.setitem(ASKED, "activations", ("tests.fake_probe", "a probe for tests"))
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RNNSCOPE_CACHE", str(cache))
        return make_run(tmp_path_factory.mktemp("inspected") / "run", layers=2)


def ask(prompt: str = "", **more: Any) -> c.Measure:
    return c.Measure("activations", json.dumps({"prompt": prompt, **more}))


def ready(session: Path) -> bool:
    """Whether an inspector has said, since it took the lock, that it takes commands."""
    try:
        with Reader(session) as reader:
            status = reader.newest("status")
    except UserError:
        return False
    return (
        live(session) and status is not None and isinstance(status.event, e.Status) and status.event.state == e.PAUSED
    )


def events(session: Path) -> list[tuple[int, e.Event]]:
    with Reader(session) as reader:
        return [(one.step, one.event) for one in reader.poll() if not isinstance(one.event, e.Intervention)]


def asked(session: Path, command: c.Command) -> Answer:
    """Send a command and wait for its answer."""
    sender = Sender(session)
    id = sender.send(command)
    wait_for(lambda: sender.answer(id) is not None)
    answer = sender.answer(id)
    assert answer is not None
    return answer


def inspected(run: Path, session: Path, drive: Callable[[], None], **options: Any) -> int:
    """Inspect in this process while `drive` does what a viewer does, from another thread; return the exit code."""
    failed: list[BaseException] = []
    looking = Inspector(run, session, **options)

    def guarded() -> None:
        try:
            wait_for(lambda: ready(session))
            drive()
        except BaseException as error:
            failed.append(error)
        finally:
            if live(session):
                Sender(session).send(c.Stop())

    thread = threading.Thread(target=guarded)
    thread.start()
    code = looking.run()
    thread.join()
    if failed:
        raise failed[0]
    return code


def measuring(session: Path, seed: int) -> Callable[[], None]:
    """Return what asks for a measurement and waits for it."""

    def drive() -> None:
        assert asked(session, ask(seed=seed)).done
        wait_for(lambda: seed in [found.chars for found in done(session)])

    return drive


def done(session: Path) -> list[Saturation]:
    return [event for _, event in events(session) if isinstance(event, Saturation)]


def test_it_measures_what_is_asked_and_leaves_the_run_alone(trained: Path, tmp_path: Path) -> None:
    session, before = tmp_path / "session", state_of(trained)

    def drive() -> None:
        assert asked(session, ask(seed=7)).done
        wait_for(lambda: done(session))
        assert asked(session, c.SetTemperature(0.25)).done
        wait_for(lambda: any(isinstance(event, e.Comparison) for _, event in events(session)))

    assert inspected(trained, session, drive) == EXIT_OK
    found = events(session)
    assert {step for step, _ in found} == {STEPS}
    (measured,) = done(session)
    assert (measured.chars, float(measured.left[0, 0, 0])) == (7, STEPS)
    assert [event.temperature for _, event in found if isinstance(event, e.Sample | e.Comparison)] == [0.25, 0.25]
    states = [event.state for _, event in found if isinstance(event, e.Status)]
    assert states == [e.STARTING, e.PAUSED, e.STOPPED]
    assert state_of(trained) == before
    assert not live(session)


def test_what_was_found_is_there_the_next_time(trained: Path, tmp_path: Path) -> None:
    session = tmp_path / "session"
    for seed in (1, 2):
        assert inspected(trained, session, measuring(session, seed)) == 0
    assert [found.chars for found in done(session)] == [1, 2]
    (session / "run.db").write_bytes(b"damaged")
    assert inspected(trained, session, measuring(session, 3)) == 0
    assert [found.chars for found in done(session)] == [3]


def test_one_that_grew_large_is_begun_anew(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    session = tmp_path / "session"
    monkeypatch.setattr(inspector, "LARGE", 0)
    for seed in (1, 2):
        assert inspected(trained, session, measuring(session, seed)) == 0
    assert [found.chars for found in done(session)] == [2]


def test_one_checkpoint(trained: Path, tmp_path: Path) -> None:
    session = tmp_path / "session"

    def drive() -> None:
        assert asked(session, ask()).done
        wait_for(lambda: done(session))

    assert inspected(trained, session, drive, checkpoint=0) == EXIT_OK
    assert float(done(session)[0].left[0, 0, 0]) == 0
    assert {step for step, _ in events(session)} == {0}
    with pytest.raises(UserError, match="there are: 0, 4"):
        Inspector(trained, tmp_path / "other", checkpoint=3)
    assert not (tmp_path / "other").exists()


def test_newer_weights_are_taken(trained: Path, tmp_path: Path) -> None:
    run, session = tmp_path / "run", tmp_path / "session"
    shutil.copytree(trained, run)

    def drive() -> None:
        assert asked(session, ask()).done
        wait_for(lambda: len(done(session)) == 1)
        shutil.copy(run / f"step-{STEPS}.safetensors", run / "step-9.safetensors")
        assert asked(session, ask()).done
        wait_for(lambda: len(done(session)) == 2)

    assert inspected(run, session, drive) == EXIT_OK
    assert [float(found.left[0, 0, 0]) for found in done(session)] == [STEPS, 9]


def test_cancelling_and_what_nobody_can_do_here(trained: Path, tmp_path: Path) -> None:
    session = tmp_path / "session"

    def drive() -> None:
        assert asked(session, ask("patient")).done
        wait_for(lambda: any(isinstance(event, Asked) and 0 < event.share < 1 for _, event in events(session)))
        refused = asked(session, c.Pause())
        assert (refused.done, refused.reason) == (False, "nobody trains here: this only looks at the run")
        assert asked(session, c.Cancel()).done
        wait_for(lambda: any(isinstance(event, Asked) and event.what == "cancelled" for _, event in events(session)))
        assert not asked(session, c.SetTemperature(-1.0)).done
        assert not asked(session, c.Measure("nothing")).done

    assert inspected(trained, session, drive) == EXIT_OK
    assert not done(session)


def test_it_ends_when_nobody_asks(trained: Path, tmp_path: Path) -> None:
    began = time.monotonic()
    assert Inspector(trained, tmp_path / "session", idle=0.2).run() == EXIT_OK
    assert time.monotonic() - began < 20


def test_a_second_one_does_not_take_the_session(trained: Path, tmp_path: Path) -> None:
    session = tmp_path / "session"

    def drive() -> None:
        with pytest.raises(UserError, match="another worker"):
            Inspector(trained, session)

    assert inspected(trained, session, drive) == EXIT_OK


def test_a_damaged_checkpoint_is_told(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, session = tmp_path / "run", tmp_path / "session"
    shutil.copytree(trained, run)
    os.truncate(run / f"step-{STEPS}.safetensors", 100)
    assert Inspector(run, session).run() == EXIT_FAILED
    assert "corrupt or truncated" in capsys.readouterr().err
    assert [event.state for _, event in events(session) if isinstance(event, e.Status)] == [e.STARTING, e.FAILED]
    (tmp_path / "empty").mkdir()
    assert inspector.main([str(tmp_path / "empty"), str(session)]) == EXIT_USAGE
    assert "is not a run" in capsys.readouterr().err


def test_a_run_that_cannot_be_written(
    trained: Path, open_folder: Path, monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    """As in another's folder, or among installed packages."""
    run, place = open_folder / "run", open_folder / "mine"
    shutil.copytree(trained, run)
    place.mkdir()
    place.chmod(0o777)
    for path in (*run.iterdir(), run):
        path.chmod(0o555 if path.is_dir() else 0o444)
    monkeypatch.setenv("RNNSCOPE_CACHE", str(place / "cache"))
    before, session = state_of(run), place / "session"

    def drive() -> None:
        assert asked(session, ask()).done
        wait_for(lambda: done(session))

    with as_nobody():
        assert not os.access(run, os.W_OK, effective_ids=True)
        assert inspected(run, session, drive) == EXIT_OK
    run.chmod(0o755)
    assert state_of(run) == before


def test_as_a_process_ended_by_a_signal(trained: Path, tmp_path: Path) -> None:
    session = tmp_path / "session"
    process = subprocess.Popen([sys.executable, "-m", "rnnscope.inspector", str(trained), str(session)])
    try:
        wait_for(lambda: process.poll() is not None or ready(session), 90)
        assert asked(session, c.Measure("activations", '{"length": 20}')).done
        wait_for(lambda: any(event.kind == "activations" for _, event in events(session)))
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == EXIT_OK
    finally:
        process.kill()
        process.wait()
    assert not live(session)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="rnnscope-test-"))
    folder.chmod(0o777)
    yield folder
    shutil.rmtree(folder)


def test_where_it_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RNNSCOPE_CACHE", str(tmp_path / "cache"))
    first = session_folder(tmp_path / "run", 1.0, None)
    assert first.parent == tmp_path / "cache" / "sessions"
    others = {session_folder(tmp_path / "run", 2.0, None), session_folder(tmp_path / "run", 1.0, 5)}
    assert len({first, *others, session_folder(tmp_path / "more" / "run", 1.0, None)}) == 4
    assert session_folder(tmp_path / "x" / ".." / "run", 1.0, None) == first
    monkeypatch.setattr(
        "rnnscope.recording.sessions.check_local", lambda folder: (_ for _ in ()).throw(UserError("far away"))
    )
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert session_folder(tmp_path / "run", 1.0, None).parent == tmp_path / f"rnnscope-{os.getuid()}" / "sessions"
    (tmp_path / f"rnnscope-{os.getuid()}").symlink_to(tmp_path / "theirs")
    with pytest.raises(UserError, match=r"rnnscope-\d+ is somebody else's; set XDG_CACHE_HOME"):
        session_folder(tmp_path / "run", 1.0, None)

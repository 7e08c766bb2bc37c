"""What goes wrong while a run is under way: exit code 1, one line that says what to do, everything recorded kept."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rnnscope.cli import main
from rnnscope.recording.lock import live
from rnnscope.recording.reader import Reader
from rnnscope.recording.runs import run_info
from rnnscope.saved import saved_steps
from tests.e2e.conftest import SMALL
from tests.e2e.refusals import check_line

PATIENCE = 60.0
MANY = ["--steps", "1000000"]

# Several programs for one import of all they need: each is a process of its own, with its own stdout and stderr.
# The limit is set by the program itself, so that it holds from its first byte on.
SEVERAL = """
import json, os, resource, sys
import rnnscope.worker, torch._dynamo
from rnnscope.cli import main
limit, programs = json.loads(sys.argv[1])
children = {}
for name, words in programs.items():
    children[name] = os.fork()
    if not children[name]:
        for number, kind in ((1, "out"), (2, "err")):
            os.dup2(os.open(f"{name}.{kind}", os.O_WRONLY | os.O_CREAT), number)
        if limit:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        raise SystemExit(main(words))
print(json.dumps(children), flush=True)
print(json.dumps({name: os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for name, pid in children.items()}))
"""

# Memory that is there when the options are looked at and gone when it is needed.
NO_MEMORY = """
import resource, sys
import torch
from rnnscope.cli import main
with open("/proc/self/statm") as file:
    now = int(file.read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (now + (600 << 20),) * 2)
raise SystemExit(main(sys.argv[1:]))
"""


def until(condition: Callable[[], object], process: subprocess.Popen[str] | None = None) -> None:
    """Wait until `condition` holds."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        assert process is None or process.poll() is None, f"ended with {process and process.communicate()}"
        time.sleep(0.02)


def steps(run: Path) -> list[int]:
    """Return the steps recorded, in order, none while there is no recording."""
    if not (run / "run.db").exists():
        return []
    with Reader(run) as reader:
        return list(map(int, reader.scalars().step))


Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(here: Path) -> Iterator[Start]:
    """Return a function that starts the command in a process of its own, without a terminal."""
    started: list[subprocess.Popen[str]] = []

    def begin(*arguments: str, program: tuple[str, ...] = ("-m", "rnnscope")) -> subprocess.Popen[str]:
        command = [sys.executable, *program, *arguments]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        return started[-1]

    yield begin
    for process in started:
        process.kill()
        process.wait(PATIENCE)
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()


def start_several(start: Start, programs: dict[str, list[str]], limit: int = 0) -> subprocess.Popen[str]:
    """Start command lines by their names, none of which may write files larger than `limit` bytes, if there is one."""
    return start(program=("-c", SEVERAL, json.dumps([limit, programs])))


def told(name: str) -> tuple[str, str]:
    """Return what one of `start_several` wrote to stdout and stderr."""
    return Path(f"{name}.out").read_text(), Path(f"{name}.err").read_text()


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Wait for its end; return exit status, stdout and stderr."""
    out, err = process.communicate(timeout=PATIENCE)
    return process.returncode, out, err


def check_whole(run: Path, at_least: int) -> int:
    """Check that the recording opens and holds every step up to the last; return that."""
    assert not live(run)
    recorded = steps(run)
    assert recorded == list(range(1, len(recorded) + 1))
    assert len(recorded) >= at_least
    assert run_info(run).state != "unreadable"
    return len(recorded)


def check_goes_on(run: Path, last: int) -> None:
    """Check that the run resumes from its newest checkpoint and reaches a step beyond all that was recorded."""
    first = saved_steps(run)[-1]
    assert main(["train", "--resume", str(run), "--steps", str(first + 3), "--headless"]) == 0
    with Reader(run) as reader:
        assert list(map(int, reader.scalars().step)) == list(range(1, first + 4))
    assert run_info(run).state == "finished"
    assert last >= first


def test_files_that_outgrow_the_disk(here: Path, start: Start) -> None:
    """No file may grow beyond 250 kB: one run's recording does after some steps, the other's first weights at once."""
    recording = ["train", "play", *SMALL, *MANY, "--run", "recording"]
    weights = ["train", "play", *SMALL, "--hidden", "128", "--steps", "5", "--run", "weights"]
    code, out, err = finish(start_several(start, {"recording": recording, "weights": weights}, limit=250_000))
    assert (code, err) == (0, "")
    assert json.loads(out.splitlines()[-1]) == {"recording": 1, "weights": 1}

    message = check_line(told("weights")[1])
    assert "step-0" in message
    assert "space" in message
    assert run_info(here / "weights").state == "failed"
    assert "step-0" in run_info(here / "weights").detail
    assert not [path for path in (here / "weights").iterdir() if ".tmp" in path.name]  # nothing half-written is left
    assert main(["train", "--resume", "weights", "--steps", "2"]) == 0

    message = check_line(told("recording")[1])
    assert "run.db" in message
    assert "Free some space, then --resume" in message
    check_goes_on(here / "recording", check_whole(here / "recording", at_least=20))


@pytest.fixture
def small_disk(here: Path) -> Iterator[Path]:
    """Return a folder that is a disk of two megabytes, where we may mount one."""
    folder = here / "disk"
    folder.mkdir()
    mount = shutil.which("mount")
    options = ["-t", "tmpfs", "-o", "size=2m", "rnnscope-test", str(folder)]
    if mount is None or subprocess.run([mount, *options], check=False, capture_output=True).returncode:
        pytest.skip("cannot mount a small disk here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(disk: Path) -> Path:
    """Fill the disk with one file to the last byte; return the file."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):  # full: that was wanted
        while True:
            file.write(bytes(4096))
    return ballast


def test_a_disk_that_fills_up_while_training(small_disk: Path, start: Start) -> None:
    run = small_disk / "run"
    process = start("train", "play", *SMALL, *MANY, "--run", str(run), "--json", "--checkpoint-every", "20")
    until(lambda: len(steps(run)) > 50, process)
    ballast = fill(small_disk)
    code, out, err = finish(process)
    assert code == 1
    check_line(err)
    assert all(json.loads(line) for line in out.splitlines())
    last = check_whole(run, at_least=50)
    ballast.unlink()
    check_goes_on(run, last)


def test_a_disk_that_is_full_from_the_start(small_disk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fill(small_disk)
    assert main(["train", "play", *SMALL, "--run", str(small_disk / "run")]) == 2
    assert "cannot create" in check_line(capsys.readouterr().err)
    assert sorted(path.name for path in small_disk.iterdir()) == ["ballast"]


def test_resuming_on_a_full_disk(small_disk: Path, trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(trained, small_disk / "run")
    before = steps(small_disk / "run")
    fill(small_disk)
    assert main(["train", "--resume", str(small_disk / "run"), "--steps", "9"]) in (1, 2)
    check_line(capsys.readouterr().err)
    assert steps(small_disk / "run") == before
    (small_disk / "ballast").unlink()
    check_goes_on(small_disk / "run", 6)


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux to limit the memory of a process")
def test_out_of_memory(here: Path) -> None:
    arguments = ["train", "play", *SMALL, "--hidden", "6000", "--layers", "2", "--steps", "5", "--run", "run"]
    done = subprocess.run(
        [sys.executable, "-c", NO_MEMORY, *arguments], capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 1, done
    message = check_line(done.stderr)
    assert "out of memory" in message
    for flag in ("--batch", "--bptt", "--hidden", "--layers"):
        assert flag in message
    assert run_info(here / "run").state == "failed"
    assert "--hidden" in run_info(here / "run").detail


def test_signals_write_a_checkpoint_first(here: Path, start: Start) -> None:
    ways = {"interrupted": (signal.SIGINT, 130), "terminated": (signal.SIGTERM, 143)}
    process = start_several(start, {name: ["train", "play", *SMALL, *MANY, "--run", name] for name in ways})
    assert process.stdout is not None
    pids = json.loads(process.stdout.readline())
    for name, (number, _) in ways.items():
        until(lambda name=name: len(steps(here / name)) > 5, process)  # type: ignore[misc]
        os.kill(pids[name], number)
    code, codes, err = finish(process)
    assert (code, err) == (0, "")
    assert json.loads(codes) == {name: code for name, (_, code) in ways.items()}
    for name in ways:
        run = here / name
        out, err = told(name)
        assert f"--resume {name}" in out
        assert err == ""
        last = check_whole(run, at_least=5)
        assert saved_steps(run)[-1] == last
        assert run_info(run).state == "stopped"
        check_goes_on(run, last)


def test_json_lines(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Six keys, null where there is none; stdout holds nothing else."""
    assert main(["train", "play", *SMALL, "--steps", "12", "--validate-every", "5", "--json"]) == 0
    out, err = capsys.readouterr()
    lines = [json.loads(line, parse_constant=lambda word: pytest.fail(word)) for line in out.splitlines()]
    keys = ["step", "epoch", "train_loss", "val_loss", "grad_norm", "chars_per_s"]
    assert all(list(line) == keys for line in lines)
    assert [line["step"] for line in lines if line["val_loss"] is not None] == [1, 5, 10, 12]
    assert len({line["step"] for line in lines}) == len(lines)
    assert lines[-1]["step"] == 12
    assert lines[-1]["train_loss"] > 0
    assert lines[-1]["chars_per_s"] > 0
    assert "finished" in check_line(err)


def test_json_lines_of_a_run_that_diverges(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wild = ["--cell", "relu", "--init", "gaussian", "--gain", "1e30", "--clip", "none", "--steps", "5"]
    assert main(["train", "play", *SMALL, *wild, "--json", "--run", "run"]) == 1
    out, err = capsys.readouterr()
    lines = [json.loads(line, parse_constant=lambda word: pytest.fail(word)) for line in out.splitlines()]
    assert lines[-1]["step"] == 1
    assert None in (lines[-1]["train_loss"], lines[-1]["grad_norm"])
    assert "--lr" in check_line(err)
    assert run_info(here / "run").state == "diverged"


def test_a_reader_that_goes_away(here: Path, start: Start) -> None:
    """`rnnscope train | head -1`: the run ends without a traceback and can go on."""
    process = start("train", "play", *SMALL, *MANY, "--run", "run")
    assert process.stdout is not None
    while not process.stdout.readline().startswith("step"):
        assert process.poll() is None
    process.stdout.close()
    code = process.wait(PATIENCE)
    assert process.stderr is not None
    assert process.stderr.read() == ""
    assert code == 143
    run = here / "run"
    last = check_whole(run, at_least=1)
    assert saved_steps(run)[-1] == last
    check_goes_on(run, last)


def test_what_is_printed_of_a_run_is_harmless(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Names and texts that a terminal would obey: as pictures on a terminal, text as it is elsewhere."""
    name = "\x1b[31mred\x07\n\udcff한글"
    (here / f"{name}.txt").write_text(
        "Ein \x1b]0;Titel\x07 \x9b31m, [b]kein[/b] Text: 한글\u0301.\n" * 400, encoding="utf-8"
    )
    settings = [*SMALL[2:], "--steps", "2", "--run", name, "--headless"]
    assert main(["train", f"{name}.txt", *settings]) == 0
    assert main(["train", f"{name}.txt", *settings]) == 2
    assert main(["runs", "--root", "."]) == 0
    assert main(["stop", name]) == 2
    out, err = capsys.readouterr()
    for line in (out + err).splitlines():
        assert line.isprintable(), repr(line)
    assert "␛[31mred" in out
    assert err.count("\n") == 2


def test_a_sample_on_a_terminal_is_harmless(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "t.txt").write_text("\x1b\x9b\n" * 3000, encoding="utf-8")
    assert main(["train", "t.txt", *SMALL[2:], "--steps", "2", "--run", "run"]) == 0
    capsys.readouterr()
    assert main(["sample", "run", "--length", "60"]) == 0
    raw = capsys.readouterr().out
    assert "\x1b" in raw
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert main(["sample", "run", "--length", "60"]) == 0
    shown = capsys.readouterr().out
    assert "␛" in shown
    assert all(line.isprintable() for line in shown.split("\n"))


def test_a_model_of_bytes_takes_any_prompt_and_writes_bytes(
    here: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    (here / "t.bin").write_bytes("한글 ".encode() * 1000 + bytes(range(256)) * 8)
    assert main(["train", "t.bin", "--bytes", *SMALL[2:], "--steps", "2", "--run", "run", "--headless"]) == 0
    capfdbinary.readouterr()
    assert main(["sample", "run", "--prompt", "한", "--length", "64"]) == 0
    out, _ = capfdbinary.readouterr()
    assert out.startswith("한".encode())
    assert len(out) == len("한".encode()) + 64 + 1


def test_no_worker_is_left(here: Path) -> None:
    """`train` without a terminal trains in the foreground: when it has ended nothing of it runs."""
    assert main(["train", "play", *SMALL, "--steps", "1", "--run", "run"]) == 0
    assert not live(here / "run")
    assert not (here / "run" / "worker.log").exists()
    assert os.environ["RNNSCOPE_CACHE"]

"""The whole program as a person meets it: typed into a real terminal, on real text, looked at and left."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rnnscope.cli import main
from rnnscope.recording import lock
from rnnscope.recording.lock import live
from rnnscope.recording.reader import Reader
from rnnscope.recording.runs import run_info
from tests.e2e.conftest import ROOT
from tests.e2e.terminal import PATIENCE, REFERENCE, Terminal
from tests.e2e.test_bad_days import check_goes_on, check_whole

SHAKESPEARE = ROOT.parent / "shared" / "data" / "shakespeare.txt"
SMALL = [
    "--hidden",
    "16",
    "--embedding",
    "8",
    "--batch",
    "8",
    "--bptt",
    "20",
    "--first",
    "30000",
    "--validate-every",
    "25",
]
ENDLESS = ["--steps", "1000000"]

Open = Callable[..., Terminal]


@pytest.fixture
def terminal(here: Path) -> Iterator[Open]:
    """Return a function that opens a terminal; all are closed in the end."""
    opened: list[Terminal] = []

    def begin(*arguments: str, **options: object) -> Terminal:
        opened.append(Terminal(list(arguments), cwd=here, **options))  # type: ignore[arg-type]
        return opened[-1]

    yield begin
    for one in opened:
        one.close()


def text_arguments() -> list[str]:
    """Return what to train on: Shakespeare where it is at hand, else a built-in text."""
    return [str(SHAKESPEARE)] if SHAKESPEARE.exists() else ["play", "--length", "30000"]


def number(text: str, pattern: str) -> float:
    """Return the number that `pattern` finds on the screen, NaN where there is none."""
    found = re.search(pattern, text)
    return float(found[1].replace(",", "")) if found else float("nan")


def step(text: str) -> float:
    """Return the step in the header."""
    return number(text, r"step ([\d,]+)")


def validation(text: str) -> float:
    """Return the validation loss in the header."""
    return number(text, r" val (\d+\.\d+)")


def unit(text: str) -> float:
    """Return the unit shown."""
    return number(text, r"unit (\d+)")


def waited(run: Path, condition: Callable[[], object]) -> None:
    """Wait until `condition` holds."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {run}"
        time.sleep(0.02)


def worker(run: Path) -> int:
    """Return the worker's process id."""
    found = re.match(r"pid (\d+) ", lock.holder(run))
    assert found
    return int(found[1])


def check_restored(screen: Terminal) -> None:
    """Check that the program left the terminal as it found it."""
    assert b"\x1b[?1049h" in screen.raw  # it did take it
    assert screen.modes() == set()
    assert screen.settings() == screen.settings_before


def test_a_first_visit(here: Path, terminal: Open, capsys: pytest.CaptureFixture[str]) -> None:
    run = here / "run"
    screen = terminal("train", *text_arguments(), *SMALL, *ENDLESS, "--run", "run")
    screen.until("rnnscope")
    screen.until(lambda text: "training" in text and step(text) >= 1 and "2×16" in text)
    for heading in ("loss", "gradient through time", "activations", "teacher forcing", "free running"):
        assert heading in screen.text

    # The loss appears and falls.
    first = screen.until(lambda text: validation(text) > 0 and validation(text))
    screen.until(lambda text: validation(text) < first - 0.3)
    assert "log₁₀" in screen.text

    # Pause: the number of the step stands still, while the screen lives: another unit.
    screen.key(" ")
    screen.until("‖ paused")
    paused = step(screen.text)
    with Reader(run) as reader:
        newest = reader.newest_step()
    assert newest is not None
    screen.until(lambda text: step(text) == newest.step)
    assert newest.step - paused < 1000
    paused = newest.step
    shown = screen.until(lambda text: unit(text) >= 0 and (unit(text),))[0]
    screen.key("u")
    screen.until(lambda text: unit(text) == (shown + 1) % 16)

    # One step; and on, with yet another unit.
    screen.key(".")
    screen.until(lambda text: step(text) == paused + 1)
    screen.key(" ")
    screen.until(lambda text: "● training" in text and step(text) > paused + 5)
    screen.key("u")
    screen.until(lambda text: unit(text) == (shown + 2) % 16)

    # Other sizes of the window.
    screen.resize(80, 24)
    screen.until(lambda text: "q quit" in screen.lines[23] and screen.cell(79, 2) in "┓┐")
    screen.until(lambda text: all(heading in text for heading in ("loss", "grad", "activations", "forcing")))
    screen.resize(40, 10)
    screen.until("too small")
    screen.resize(*REFERENCE)
    screen.until(lambda text: "q quit" in screen.lines[39] and screen.cell(119, 2) in "┓┐")

    # Help.
    screen.key("?")
    screen.until("esc closes")
    screen.key("\x1b")
    screen.until(lambda text: "esc closes" not in text)

    # Leave it running, and look who is there.
    screen.key("q")
    screen.until("still training")
    screen.key("b")
    assert screen.ended() == 0
    check_restored(screen)
    assert "rnnscope watch run" in screen.text
    assert live(run)
    assert main(["runs", "--root", "."]) == 0
    assert re.search("^● run +training", capsys.readouterr().out, re.MULTILINE)

    # Come back in a smaller terminal: it went on. Then stop it from there.
    reached = run_info(run).step
    again = terminal("watch", "run", size=(80, 24))
    again.until(lambda text: step(text) > max(reached, paused))
    assert "training" in again.text
    again.key("q")
    again.until("still training")
    again.key("s")
    assert again.ended() == 0
    check_restored(again)
    assert not live(run)
    assert run_info(run).state == "stopped"
    check_goes_on(run, check_whole(run, at_least=50))


def test_ways_to_leave_restore_the_terminal_and_harm_no_run(here: Path, terminal: Open) -> None:
    run = here / "run"
    first = terminal("train", *text_arguments(), *SMALL, *ENDLESS, "--run", "run")
    first.until(lambda text: "training" in text and step(text) >= 1)
    trainer = worker(run)

    def leave(screen: Terminal, how: signal.Signals | str) -> int:
        if isinstance(how, str):
            screen.key(how)
            screen.until("still training")
            screen.key(how)
        else:
            os.kill(screen.process.pid, how)
        code = screen.ended()
        check_restored(screen)
        assert live(run)
        assert worker(run) == trainer
        return code

    assert leave(first, signal.SIGTERM) == 143
    ways: list[tuple[signal.Signals | str, int]] = [
        (signal.SIGHUP, 129),
        (signal.SIGINT, 130),
        ("\x03", 0),
        ("\x11", 0),
    ]  # the last: Ctrl+C, Ctrl+Q
    *others, closed = [terminal("watch", "run") for _ in range(len(ways) + 1)]  # any number may look on
    for screen, (how, code) in zip(others, ways, strict=True):
        screen.until(lambda text: "training" in text and step(text) >= 1)
        assert leave(screen, how) == code
    closed.until(lambda text: "training" in text and step(text) >= 1)
    closed.hang_up()
    assert closed.process.wait(PATIENCE) != 0
    reached = run_info(run).step
    waited(run, lambda: run_info(run).step > reached)
    assert main(["stop", "run"]) == 0
    check_goes_on(run, check_whole(run, at_least=5))


CRASH = """
import sys
from pathlib import Path
from rnnscope.tui.app import run
from rnnscope.tui.screens.live import LiveScreen
LiveScreen.action_freeze = lambda self: 1 // 0
sys.exit(run(Path(sys.argv[1])))
"""


def test_a_crash_of_the_screen_restores_the_terminal(run: Path, terminal: Open) -> None:
    screen = terminal(str(run), program=("-c", CRASH))
    screen.until("finished")
    screen.key("z")
    assert screen.ended() == 1
    check_restored(screen)
    assert "ZeroDivisionError" in screen.text
    check_whole(run, at_least=6)


def test_a_resumed_run_does_not_show_its_old_end(run: Path, terminal: Open) -> None:
    words: set[str] = set()

    def at_the_end(text: str) -> bool:
        words.update(re.findall(r"[◌●✓■✗] (\w+)", screen.lines[0]) if step(text) == 6 else ())
        return "✓ finished" in text and step(text) == 12

    screen = terminal("train", "--resume", "run", "--steps", "12")
    screen.until(at_the_end)
    assert words <= {"starting", "training"}
    assert "starting" in words
    screen.key("q")
    assert screen.ended() == 0
    assert check_whole(run, at_least=12) == 12


def test_a_killed_worker_is_told_with_the_last_lines_of_its_log(here: Path, terminal: Open) -> None:
    run = here / "run"
    arguments = [*text_arguments(), *SMALL, *ENDLESS, "--run", "run", "--checkpoint-every", "25"]
    screen = terminal("train", *arguments)
    screen.until(lambda text: step(text) > 60)
    with (run / "worker.log").open("a") as log:
        log.write("first line\nsome \x1b[31mlast words\n")
    os.kill(worker(run), signal.SIGKILL)
    screen.until("interrupted")
    screen.until("last words")
    assert "--resume" in screen.text
    assert "loss" in screen.text  # everything recorded stays on the screen
    seen = step(screen.text)
    assert b"\x1b[31mlast" not in screen.raw
    screen.key(" ")
    screen.until("nobody is there")
    screen.key("q")  # nothing to ask about
    assert screen.ended() == 1
    check_restored(screen)
    last = check_whole(run, at_least=int(seen))
    assert run_info(run).state == "interrupted"
    check_goes_on(run, last)


NASTY = "\x1b[31m\x1b]0;PWNED\x07 \x9b2J [b]fett[/b] [/] f(a[i]) 한글 e\u0301 \u202eflip\u200b 👩\u200d💻 \x08\x0f\n"


def test_foreign_text_stays_text(here: Path, terminal: Open) -> None:
    """Markup and control codes in the corpus, its file's name and the run's name; columns stay where they are."""
    name = "\x1b]0;PWNED\x07[b]한글[b]\n"
    (here / f"{name}.txt").write_text(NASTY * 400, encoding="utf-8", newline="")
    arguments = [f"./{name}.txt", *SMALL, "--steps", "120", "--run", name]
    screen = terminal("train", *arguments)
    screen.until("✓ finished")
    screen.until(lambda text: "activations" in text and "waiting for" not in text)
    assert "␛]0;PWNED␇[b]한글[b]" in screen.text.replace(" ", "").replace("↵", "")
    assert "한" in screen.text
    assert b"\x1b]0;" not in screen.raw
    assert b"\x1b[31m" not in screen.raw
    assert "\x9b" not in screen.raw.decode("utf-8")
    for row in range(2, 39):
        for column in (0, 59, 60, 119):
            assert screen.cell(column, row) in "│┃┌┐└┘┏┓┗┛", (column, row, screen.lines[row])
    screen.key("q")  # the run has ended and the screen stayed; nothing to ask about
    assert screen.ended() == 0
    check_restored(screen)


def test_what_cannot_work_is_told_before_the_terminal_is_taken(here: Path, terminal: Open) -> None:
    screen = terminal("train", "nosuchfile.txt")
    assert screen.ended() == 2
    assert "rnnscope: no such file" in screen.text
    assert b"\x1b[?1049h" not in screen.raw
    assert list(here.iterdir()) == []

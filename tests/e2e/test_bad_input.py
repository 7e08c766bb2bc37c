"""Whatever is wrong before the start is told in one line that says what to do; exit code 2, and nothing is written."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import safetensors.numpy

from rnnscope.cli import main
from rnnscope.config import TrainingConfig, to_dict
from rnnscope.recording.lock import Lock
from rnnscope.recording.place import Mount
from rnnscope.recording.reader import Reader
from rnnscope.recording.writer import Writer
from tests.e2e.conftest import SMALL

VERSE = "To be, or not to be: that is the question.\n" * 200
NOBODY = 65534

Refuse = Callable[..., str]


def contents(folder: Path) -> dict[str, tuple[int, int]]:
    """Return everything under `folder`, with what would change if it were written."""
    found = {}
    for path in folder.rglob("*"):
        status = path.lstat()
        found[str(path)] = (status.st_mtime_ns if not path.is_dir() else 0, status.st_size)
    return found


def check_line(err: str) -> str:
    """Check that `err` is one clear line; return it."""
    assert err.startswith("rnnscope: "), err
    assert err.endswith("\n"), err
    assert err.count("\n") == 1, err
    assert "Traceback" not in err
    assert err.strip().isprintable()
    return err.strip()


@pytest.fixture(params=["headless", "screen"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    """Both ways to start: stdout a file, or a terminal (where no worker and no screen may start)."""
    if request.param == "screen":
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
        monkeypatch.setattr("rnnscope.launch.spawn_worker", lambda folder: pytest.fail("a worker was started"))
    return str(request.param)


@contextlib.contextmanager
def as_nobody() -> Iterator[None]:
    """Give up root's power to read and write everything, if we have it."""
    if os.geteuid() != 0:
        yield
        return
    try:
        os.seteuid(NOBODY)
    except OSError as error:
        pytest.skip(f"root here cannot become nobody ({error})")
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def refuse(here: Path, capsys: pytest.CaptureFixture[str]) -> Refuse:
    """Return a function that runs a command line and checks that it is refused; it returns the message."""

    def refused(*arguments: object, nobody: bool = False) -> str:
        before = contents(here)
        capsys.readouterr()
        with as_nobody() if nobody else contextlib.nullcontext():
            code = main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        assert code == 2, err
        assert out == ""
        assert contents(here) == before
        return check_line(err)

    return refused


def test_the_whole_command_says_one_line_too(here: Path) -> None:
    """As a person starts it: a process of its own, with its own stderr and exit status."""
    (here / "latin.txt").write_bytes(b"caf\xe9 " * 500)
    (here / "taken").mkdir()
    before = contents(here)
    for words, said in [
        (["train", "nosuchfile.txt"], "no such file"),
        (["train", "latin.txt"], "--bytes"),
        (["train", "--run", "taken"], "exists already"),
        (["train", "--cell", "gruu"], "did you mean gru"),
        (["train", "--hidden", "ten"], "--hidden"),
        (["frobnicate"], "there is no command"),
    ]:
        done = subprocess.run(
            [sys.executable, "-m", "rnnscope", *words], check=False, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 2
        assert done.stdout == ""
        assert said in check_line(done.stderr)
    assert contents(here) == before


# -- texts -------------------------------------------------------------------------------------------------------------


def test_no_such_file(here: Path, refuse: Refuse, way: str) -> None:
    (here / "hamlet.txt").write_text(VERSE)
    message = refuse("train", "hamlett.txt")
    assert "hamlett.txt" in message
    assert "did you mean" in message
    assert "play" in message  # the built-in texts are named


def test_a_folder_with_no_text(here: Path, refuse: Refuse, way: str) -> None:
    (here / "notes").mkdir()
    assert "*.txt" in refuse("train", "notes")
    (here / "notes" / "a.md").write_text(VERSE)
    assert "--glob '*.md'" in refuse("train", "notes")


def test_an_empty_file(here: Path, refuse: Refuse, way: str) -> None:
    (here / "empty.txt").touch()
    assert "empty" in refuse("train", "empty.txt")


def test_an_empty_name(refuse: Refuse, way: str) -> None:
    assert "name" in refuse("train", "")


def test_shorter_than_one_window(here: Path, refuse: Refuse, way: str) -> None:
    (here / "short.txt").write_text(VERSE[:400])
    message = refuse("train", "short.txt")
    assert "too short" in message
    assert "--batch" in message
    assert "too short" in refuse("train", "play", "--first", "900")
    assert "too short" in refuse("train", "play", "--length", "20000", "--bptt", "100000")


def test_one_distinct_character(here: Path, refuse: Refuse, way: str) -> None:
    (here / "a.txt").write_text("a" * 50_000)
    assert "one distinct character" in refuse("train", "a.txt")


def test_not_utf8_without_bytes(here: Path, refuse: Refuse, way: str) -> None:
    (here / "latin.txt").write_bytes("café et thé, ".encode("latin-1") * 500)
    message = refuse("train", "latin.txt")
    assert "not UTF-8" in message
    assert "--bytes" in message


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Return a folder that everybody may look into (pytest's own belong to one user)."""
    folder = Path(tempfile.mkdtemp(prefix="rnnscope-test-"))
    folder.chmod(0o755)
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


def test_unreadable(open_folder: Path, refuse: Refuse, way: str) -> None:
    text = open_folder / "secret.txt"
    text.write_text(VERSE)
    text.chmod(0)
    message = refuse("train", text, nobody=True)
    assert "cannot read" in message
    assert "Permission denied" in message


# -- options -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--hidden 0", "--hidden 0: must be"),
        ("--layers -1", "--layers -1: must be"),
        ("--batch 0", "--batch 0: must be"),
        ("--bptt -5", "--bptt -5: must be"),
        ("--hidden 10000000", "GB of memory"),
        ("--layers 99999999999999999999", "GB of memory"),
        ("--embedding 100000000000", "GB of memory"),
        ("--bptt 3000 --batch 5 --layers 1000000", "--bptt"),
        ("--length 100000000000000", "--length"),
        ("--sample-length 100000000000", "--sample-length"),
        ("--threads 1000000", "--threads"),
        ("--seed -1", "--seed"),
        ("--cell transformer", "tanh, relu, lstm, gru, lnrnn"),
        ("--cell ltsm", "did you mean lstm"),
        ("--optimizer adma", "--optimizer"),
        ("--lr nan", "--lr nan"),
        ("--clip -1", "--clip"),
        ("--split 90/20", "--split 90/20"),
        ("--hiden 5", "did you mean --hidden"),
        ("--hidden 1e9", "--hidden"),
        ("--config nosuch.toml", "nosuch.toml"),
        ("--resume nosuchrun", "nosuchrun"),
    ],
)
def test_options_that_cannot_work(refuse: Refuse, way: str, words: str, said: str) -> None:
    assert said in refuse("train", "play", "--length", "20000", *words.split())


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ("hidden = ", "not a TOML file"),
        ("hiden = 5", "hiden"),
        ("hidden = 'a'", "hidden"),
        ("hidden = -5", "--hidden -5"),
        ("texts = 3", "texts"),
        ("[modle]\nhidden = 5", "[modle]"),
    ],
)
def test_a_configuration_file_that_cannot_work(here: Path, refuse: Refuse, toml: str, said: str) -> None:
    (here / "my.toml").write_text(toml)
    assert said in refuse("train", "--config", "my.toml")


def test_a_device_that_is_not_there(refuse: Refuse) -> None:
    """torch is asked in a process of its own."""
    assert "--device cuda:99" in refuse("train", "play", "--length", "20000", "--batch", "4", "--device", "cuda:99")


def test_an_unknown_device(refuse: Refuse, way: str) -> None:
    assert "--device tpu" in refuse("train", "play", "--device", "tpu")


# -- where the run goes ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["folder", "file", "dangling link", "run"])
def test_a_run_folder_that_exists(here: Path, refuse: Refuse, way: str, kind: str, trained: Path) -> None:
    taken = here / "taken"
    if kind == "folder":
        taken.mkdir()
    elif kind == "file":
        taken.write_text("mine")
    elif kind == "run":
        shutil.copytree(trained, taken)
    else:
        taken.symlink_to(here / "nowhere")
    message = refuse("train", "play", *SMALL, "--run", "taken")
    assert "exists already" in message
    assert "--run" in message


def test_training_twice_to_the_same_folder(here: Path, refuse: Refuse) -> None:
    arguments = ["train", "play", *SMALL, "--steps", "2", "--run", "once"]
    assert main(arguments) == 0
    assert "never overwritten" in refuse(*arguments)


def test_a_run_folder_below_a_file(here: Path, refuse: Refuse, way: str) -> None:
    (here / "file").touch()
    assert "not a folder" in refuse("train", "play", *SMALL, "--run", "file/run")


def test_a_read_only_folder(
    open_folder: Path, refuse: Refuse, way: str, monkeypatch: pytest.MonkeyPatch, trained: Path
) -> None:
    (open_folder / "hamlet.txt").write_text(VERSE)
    open_folder.chmod(0o555)
    monkeypatch.chdir(open_folder)
    message = refuse("train", "hamlet.txt", "--batch", "4", "--run", open_folder / "run", nobody=True)
    assert "cannot be written" in message
    assert "--run" in message
    assert "cannot be written" in refuse("train", "hamlet.txt", "--batch", "4", nobody=True)  # to checkpoints/ here
    assert sorted(path.name for path in open_folder.iterdir()) == ["hamlet.txt"]


def test_a_run_in_a_read_only_folder_is_read_but_not_resumed(
    open_folder: Path,
    refuse: Refuse,
    trained: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RNNSCOPE_CACHE", str(open_folder / "cache"))  # the one of all tests is closed to nobody
    run = open_folder / "run"
    shutil.copytree(trained, run)
    for path in run.iterdir():
        path.chmod(0o444)
    run.chmod(0o555)
    with as_nobody():
        assert main(["sample", str(run), "--length", "5"]) == 0
        assert main(["runs", "--root", str(open_folder)]) == 0
    assert "finished" in capsys.readouterr().out
    assert "cannot write" in refuse("train", "--resume", run, "--steps", "9", nobody=True)
    run.chmod(0o755)


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "fuse.sshfs"])
def test_a_network_file_system(
    here: Path, refuse: Refuse, way: str, monkeypatch: pytest.MonkeyPatch, trained: Path, kind: str
) -> None:
    monkeypatch.setattr("rnnscope.recording.place.mounts", lambda: [Mount("/", "ext4"), Mount(str(here), kind)])
    message = refuse("train", "play", *SMALL, "--run", here / "run")
    assert kind in message
    assert "use --run on a local disk" in message
    shutil.copytree(trained, here / "copied")
    assert "local disk" in refuse("train", "--resume", here / "copied", "--steps", "9")


# -- runs that cannot be used ------------------------------------------------------------------------------------------

USES = [["watch", "run"], ["train", "--resume", "run"], ["sample", "run"]]


@pytest.mark.parametrize("use", USES, ids=lambda use: use[0])
def test_no_such_run(here: Path, refuse: Refuse, use: list[str]) -> None:
    assert "'run'" in refuse(*use)
    (here / "run").mkdir()
    assert "not a run" in refuse(*use)


@pytest.mark.parametrize("use", USES, ids=lambda use: use[0])
def test_a_run_that_one_may_not_look_at(
    open_folder: Path, refuse: Refuse, use: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(open_folder)
    (open_folder / "run").mkdir(mode=0o700)
    (open_folder / "run" / "run.db").touch()
    (open_folder / "run").chmod(0)
    assert "cannot look into" in refuse(*use, nobody=True)
    assert "cannot look into" in refuse("runs", "--root", "run", nobody=True)
    (open_folder / "run").chmod(0o700)
    assert "cannot look into" in refuse(*use[:-1], "a" * 5000)


@pytest.mark.parametrize("use", [*USES, ["stop", "run"]], ids=lambda use: use[0])
def test_a_run_of_a_newer_schema(run: Path, refuse: Refuse, use: list[str]) -> None:
    with contextlib.closing(sqlite3.connect(run / "run.db")) as connection:
        connection.execute("PRAGMA user_version=99")
    message = refuse(*use)
    if use[0] != "stop":  # nobody trains it: nothing to stop, whatever it is
        assert "newer rnnscope" in message
        assert "update rnnscope" in message


def damage(path: Path, how: str) -> None:
    """Spoil a file."""
    content = path.read_bytes()
    spoilt = {
        "empty": b"",
        "cut": content[: len(content) // 2],
        "no header": b"\0" * 100 + content[100:],
        "noise": content[:4096] + os.urandom(len(content) - 4096),
        "another file": b"To be, or not to be\n" * 1000,
    }
    path.write_bytes(spoilt[how])


@pytest.mark.parametrize("how", ["empty", "cut", "no header", "noise", "another file"])
@pytest.mark.parametrize("use", USES, ids=lambda use: use[0])
def test_a_damaged_recording(run: Path, refuse: Refuse, use: list[str], how: str) -> None:
    damage(run / "run.db", how)
    message = refuse(*use)
    assert "run.db" in message
    assert re.search("damaged|truncated|no recording|cannot be read", message)


def test_a_damaged_recording_does_not_hide_the_others(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(run, run.with_name("spoilt"))
    damage(run.with_name("spoilt") / "run.db", "cut")
    assert main(["runs", "--root", str(run.parent)]) == 0
    out = capsys.readouterr().out
    assert "unreadable" in out
    assert "finished" in out


@pytest.mark.parametrize("how", ["empty", "cut", "no header", "another file"])
@pytest.mark.parametrize(
    "use", [["train", "--resume", "run", "--steps", "9"], ["sample", "run"]], ids=lambda use: use[0]
)
def test_damaged_weights(run: Path, refuse: Refuse, use: list[str], how: str) -> None:
    damage(run / "step-6.safetensors", how)
    message = refuse(*use)
    assert "step-6.safetensors" in message
    assert "corrupt or truncated" in message
    (run / "step-6.safetensors").unlink()  # as the message says: the one before it is used
    assert main([*use, "--length", "5"] if use[0] == "sample" else use) == 0


def test_damaged_best_weights(run: Path, refuse: Refuse) -> None:
    damage(run / "best.safetensors", "cut")
    assert "best.safetensors" in refuse("sample", "run", "--best")


@pytest.mark.parametrize("how", ["cut", "another file"])
def test_a_damaged_training_state(run: Path, refuse: Refuse, way: str, how: str) -> None:
    damage(run / "step-6.state.safetensors", how)
    assert "step-6.state.safetensors" in refuse("train", "--resume", "run", "--steps", "9")


@pytest.mark.parametrize(
    "use", [["train", "--resume", "run", "--steps", "9"], ["sample", "run"]], ids=lambda use: use[0]
)
def test_weights_that_do_not_fit(run: Path, refuse: Refuse, use: list[str]) -> None:
    weights = run / "step-6.safetensors"
    tensors = safetensors.numpy.load_file(weights)
    tensors["decoder.weight"] = tensors["decoder.weight"][:, :-1].copy()
    weights.write_bytes(safetensors.numpy.save(tensors))
    message = refuse(*use)
    assert "does not fit the configuration" in message
    assert "decoder.weight" in message


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ("--hidden 32", "--hidden"),
        ("--cell gru --layers 3", "--cell, --layers"),
        ("--batch 8", "--batch"),
        ("--bptt 20", "--bptt"),
        ("--optimizer sgd", "--optimizer"),
        ("--seed 2", "--seed"),
        ("--first 10000", "--first"),
        ("--kernel fused", "--kernel"),
    ],
)
def test_resume_with_another_model_or_text(run: Path, refuse: Refuse, options: str, named: str) -> None:
    message = refuse("train", "--resume", "run", "--steps", "9", *options.split())
    assert f"{named} cannot change" in message
    assert "new run" in message


def test_resume_with_another_text(here: Path, refuse: Refuse, way: str) -> None:
    (here / "hamlet.txt").write_text(VERSE)
    settings = [*SMALL[2:], "--run", "run"]
    if way == "headless":
        assert main(["train", "hamlet.txt", *settings, "--steps", "2"]) == 0
    else:
        assert main(["train", "hamlet.txt", *settings, "--steps", "0"]) == 0
    assert "the texts cannot change" in refuse("train", "play", "--resume", "run", "--steps", "4")
    (here / "hamlet.txt").write_text(VERSE.replace("question", "answer"))
    assert "not the text this run was trained on" in refuse("train", "--resume", "run", "--steps", "4")
    (here / "hamlet.txt").unlink()
    assert "no such file" in refuse("train", "--resume", "run", "--steps", "4")


def test_a_run_that_another_worker_holds(run: Path, refuse: Refuse, way: str) -> None:
    held = Lock.acquire(run)
    try:
        assert "being trained" in refuse("train", "--resume", "run", "--steps", "9")
    finally:
        held.release()


def test_stopping_what_does_not_run(run: Path, refuse: Refuse) -> None:
    assert "nothing to stop" in refuse("stop", "run")


def test_watching_without_a_terminal(run: Path, refuse: Refuse) -> None:
    assert "terminal" in refuse("watch", "run")


# -- prompts -----------------------------------------------------------------------------------------------------------


def test_a_prompt_with_unknown_characters(run: Path, refuse: Refuse) -> None:
    message = refuse("sample", "run", "--prompt", "To 한글 be é")
    for character in "한글é":
        assert repr(character) in message
    assert repr("\x1b")[1:-1] in refuse("sample", "run", "--prompt", "\x1b[31m")  # named, not sent


def test_sampling_options_that_cannot_work(run: Path, refuse: Refuse) -> None:
    assert "--temperature" in refuse("sample", "run", "--temperature", "-1")
    assert "--temperature" in refuse("sample", "run", "--temperature", "nan")
    assert "--length" in refuse("sample", "run", "--length", "0")
    assert "--seed" in refuse("sample", "run", "--seed", "-1")


def test_a_run_without_weights(here: Path, refuse: Refuse, run: Path) -> None:
    with Reader(run) as reader:
        config = reader.config
    Writer.create(here / "new", config).close()
    assert "train it first" in refuse("sample", "new")


def test_the_flags_of_a_run_are_all_saved(run: Path) -> None:
    """What a refusal compares with: the configuration in the recording is the one that was asked for."""
    with Reader(run) as reader:
        saved = to_dict(reader.config)
    assert (saved["model"]["hidden"], saved["training"]["batch"], saved["training"]["bptt"]) == (16, 4, 12)
    assert saved["training"]["lr"] == TrainingConfig.lr

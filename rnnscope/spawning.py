"""Starting a worker, and other Pythons of our own, as processes."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import rnnscope
from rnnscope.errors import RunFailed
from rnnscope.recording.codec import to_json
from rnnscope.recording.commands import Command

MAIN = "import gc; gc.disable(); from rnnscope.{} import main; gc.freeze(); gc.enable(); sys.exit(main(sys.argv[1:]))"
"""Code that runs a module of ours; nothing that is imported is garbage, and looking for some takes a tenth of it."""


def own_python(code: str, *arguments: str) -> list[str]:
    """Return the command that runs `code` in a Python of its own, with this very package and `arguments` in sys.argv.

    -P keeps the current folder, a person's, out of the search: a random.py or torch.py there would be taken for the
    true one. This package is found by its path, wherever it lies, and nothing that lies beside it.
    """
    package = Path(rnnscope.__file__).resolve().parents[1]
    first = "import sys; sys.path.insert(0, sys.argv.pop(1)); import rnnscope; del sys.path[0]"
    return [sys.executable, "-P", "-c", f"{first}\n{code}", str(package), *arguments]


def spawn_inspector(
    folder: Path, session: Path, checkpoint: int | None = None, device: str = "cpu"
) -> subprocess.Popen[bytes]:
    """Start an inspector of run `folder` (inspector.py) that records into `session`; its words go to a log beside that.

    Raises:
        RunFailed: it could not be started.
    """
    words = [str(folder), str(session), "--device", device]
    words += [] if checkpoint is None else ["--checkpoint", str(checkpoint)]
    command = own_python(MAIN.format("inspector"), *words)
    try:
        session.parent.mkdir(parents=True, exist_ok=True)
        with inspector_log(session).open("wb") as log:
            return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    except OSError as error:
        raise RunFailed(f"cannot start the inspector of {folder} ({error.filename}: {error.strerror})") from error


def inspector_log(session: Path) -> Path:
    """Return where the inspector that records into `session` puts its words."""
    return session.with_name(f"{session.name}.log")


def spawn_worker(folder: Path, first: Command | None = None) -> subprocess.Popen[bytes]:
    """Start the worker in a session of its own, so that it survives a closed terminal; its words go to worker.log.

    first: a command that it obeys before it trains, as a rewind of a run that has ended.

    Raises:
        RunFailed: it could not be started: its log cannot be written, or there is no room for another process.
    """
    asked = [] if first is None else [first.kind, to_json(dataclasses.asdict(first))]
    command = own_python(MAIN.format("worker"), str(folder), *asked)
    try:
        with (folder / "worker.log").open("ab") as log:
            return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    except OSError as error:
        raise RunFailed(f"cannot start the worker of {folder} ({error.filename}: {error.strerror})") from error

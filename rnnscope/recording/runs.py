"""The runs of a folder: list them, find one by name, name a new one, stop a live one."""

from __future__ import annotations

import contextlib
import difflib
import math
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rnnscope.config import Config
from rnnscope.errors import RunFailed, UserError
from rnnscope.folders import DEMO, shipped_demo
from rnnscope.recording import lock, schema
from rnnscope.recording.commands import Stop
from rnnscope.recording.events import STARTING, Status, Validation
from rnnscope.recording.mailbox import Sender
from rnnscope.recording.reader import Reader
from rnnscope.recording.state import shown_state

ROOT = Path("checkpoints")
UNREADABLE = "unreadable"


@dataclass(frozen=True)
class RunInfo:
    """One line of `rnnscope runs`. loss, validation: nats per character, NaN where there is none.

    state: a constant of events.py, "interrupted" (its worker was killed), or "unreadable" (`detail` says why).
    started: seconds since 1970; size: bytes of the whole folder, weights included.
    """

    name: str
    path: Path
    state: str
    detail: str
    live: bool
    step: int
    epoch: float
    loss: float
    validation: float
    cell: str
    layers: int
    hidden: int
    text: str
    started: float
    size: int

    @property
    def model(self) -> str:
        """The model in a few letters, such as "lstm 2x128"; "" where it is unreadable."""
        return f"{self.cell} {self.layers}x{self.hidden}" if self.cell else ""


def list_runs(root: Path = ROOT) -> list[RunInfo]:
    """Return the runs in `root`, newest first; a damaged one is listed as unreadable. No folder, no runs.

    Raises:
        UserError: the folder cannot be looked into.
    """
    return sorted((run_info(path) for path in _folders(root)), key=lambda run: (-run.started, run.name))


def run_info(folder: Path) -> RunInfo:
    """Return what a listing says of one run; never raises for a damaged one."""
    size = _size(folder)
    try:
        with Reader(folder) as reader:
            live = reader.live()
            status, validation, step = reader.newest("status"), reader.newest("validation"), reader.newest_step()
            config, created = reader.config, reader.meta.get("created", 0.0)
    except UserError as error:
        return RunInfo(
            folder.name, folder, UNREADABLE, str(error), lock.live(folder), 0, 0.0, math.nan, math.nan, "", 0, 0, "",
            folder.stat().st_mtime, size,
        )  # fmt: skip
    said = status.event if status is not None and isinstance(status.event, Status) else Status(STARTING)
    measured = validation.event if validation is not None else None
    return RunInfo(
        name=folder.name,
        path=folder,
        state=shown_state(said.state, live),
        detail=said.detail,
        live=live,
        step=step.step if step else 0,
        epoch=step.epoch if step else 0.0,
        loss=step.loss if step else math.nan,
        validation=measured.loss if isinstance(measured, Validation) else math.nan,
        cell=config.model.cell,
        layers=config.model.layers,
        hidden=config.model.hidden,
        text=", ".join(Path(text).name or text for text in config.texts),
        started=float(created),
        size=size,
    )


def find_run(name: str | Path, root: Path = ROOT) -> Path:
    """Return the folder of the run called `name` in `root`, or at the path `name`; "demo" is one that comes along.

    Raises:
        UserError: there is none (runs with similar names are suggested), or one cannot look.
    """
    given = Path(name)
    if given.name == schema.NAME and _is_run(given.parent):
        return given.parent
    for candidate in (root / given, given):
        if _is_run(candidate):
            return candidate
    demo = shipped_demo() if str(name) == DEMO else None
    if demo is not None:
        return demo
    if given.is_dir():
        raise UserError(f"{given} is not a run: it has no {schema.NAME}")
    names = [path.name for path in _folders(root)]
    if not names:
        raise UserError(f"no run called {str(name)!r}: there are no runs in {root}/")
    close = difflib.get_close_matches(given.name, names, n=3, cutoff=0.5)
    close += [run for run in names if given.name and run.startswith(given.name) and run not in close]
    hint = f"did you mean {_either(close[:3])}?" if close else "`rnnscope runs` lists them"
    raise UserError(f"no run called {str(name)!r} in {root}/: {hint}")


def next_name(root: Path, config: Config) -> Path:
    """Return a folder in `root` with a readable name that is free, such as lstm-2x128-shakespeare-3."""
    first = config.texts[0] if config.texts else "text"
    text = re.sub(r"[^\w]+", "-", Path(first).stem or "text").strip("-_").lower()[:24] or "text"
    model = config.model
    prefix = f"{model.cell}-{model.layers}x{model.hidden}-{text}-"
    numbered = re.compile(re.escape(prefix) + "([0-9]{1,9})")
    matches = (numbered.fullmatch(path.name) for path in (root.iterdir() if root.is_dir() else ()))
    last = max((int(match[1]) for match in matches if match), default=0)
    return root / f"{prefix}{last + 1}"


def fork_name(parent: Path) -> str:
    """Return a free name for a fork of run `parent`, beside it."""
    number = 1
    while parent.with_name(f"{parent.name}-fork-{number}").exists():
        number += 1
    return f"{parent.name}-fork-{number}"


def request_stop(folder: Path, wait: float = 15.0) -> None:
    """Ask the worker of a live run to save and stop, and wait until it has let go of the run.

    Raises:
        UserError: no worker is there. RunFailed: it refused, or has not stopped after `wait` seconds.
    """
    sender = Sender(folder)
    id = sender.send(Stop())
    deadline = time.monotonic() + wait
    while lock.live(folder):
        answer = sender.answer(id)
        if answer is not None and not answer.done:
            if answer.step is not None:
                raise RunFailed(f"{folder.name} refused to stop: {answer.reason}")
            with contextlib.suppress(UserError):  # nobody there by now: it has let go
                id = sender.send(Stop())  # the first came before the worker had opened its mailbox
        if time.monotonic() > deadline:
            raise RunFailed(f"{folder.name} has not stopped after {wait:g} s ({lock.holder(folder)}): see worker.log")
        time.sleep(0.02)


def _folders(root: Path) -> list[Path]:
    try:
        if not root.is_dir():
            return []
        return sorted(path for path in root.iterdir() if (path / schema.NAME).is_file())
    except OSError as error:
        raise UserError(f"cannot look into {root}: {error.strerror}") from error


def _is_run(folder: Path) -> bool:
    try:
        return (folder / schema.NAME).is_file()
    except OSError as error:
        raise UserError(f"cannot look into {folder}: {error.strerror}") from error


def _either(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"


def _size(folder: Path) -> int:
    """Return the bytes in a run's folder; files may vanish meanwhile (a journal folded in)."""
    total = 0
    for path in folder.iterdir():
        try:
            total += path.stat().st_size
        except FileNotFoundError:
            continue
    return total

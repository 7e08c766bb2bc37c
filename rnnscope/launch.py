"""What `rnnscope train` does before a worker runs: look at everything that can be wrong, then make the run's folder."""

from __future__ import annotations

import dataclasses
import json
import math
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rnnscope.charts.text import printable
from rnnscope.check import check
from rnnscope.config import Config, to_dict
from rnnscope.corpus import Corpus, Vocabulary, absolute_texts, check_windows, load
from rnnscope.corpus.builtin import BUILTIN
from rnnscope.errors import EXIT_USAGE, RunFailed, UserError, one_line
from rnnscope.options import RUNS, Interface, Train, merged, read_toml
from rnnscope.recording.events import STARTING, Status
from rnnscope.recording.lock import live
from rnnscope.recording.place import check_new
from rnnscope.recording.reader import Reader
from rnnscope.recording.runs import find_run, next_name, request_stop
from rnnscope.recording.writer import Writer
from rnnscope.saved import WEIGHTS, check_checkpoint, resumable_steps, weights_name
from rnnscope.spawning import own_python, spawn_worker

__all__ = ["defaults", "prepare_new", "prepare_resume", "spawn_worker", "stop"]

FIXED: dict[str, tuple[str, ...]] = {
    "training": ("batch", "bptt", "optimizer"),
    "run": ("run", "seed", "precision", "kernel"),
}
"""Options that a resumed run must keep, besides those of the text and the model: what was saved depends on them."""

FOREIGN = (".pt", ".pth", ".bin", ".ckpt")
"""How files of PyTorch's own weights are called."""

BUILTIN_SYMBOLS = 128  # at most, of a built-in text: enough to estimate memory by
PATIENCE = 0.5  # seconds that a preparation may take before it is shown
REDRAWN = 0.1  # seconds between two drawings of its progress


def defaults(interface: Interface) -> tuple[Train, Path | None]:
    """Return what flags start from (the resumed run's configuration, the --config file), and the resumed run.

    Raises:
        UserError: no such run, a recording that cannot be read, or a bad file.
    """
    folder, config = None, Config()
    if interface.resume is not None:
        folder = find_run(interface.resume, Path(RUNS))
        with Reader(folder) as reader:
            config = reader.config
    if interface.config is not None:
        config = merged(config, read_toml(interface.config))
    return Train.of(config, Interface()), folder


def prepare_new(config: Config, *, headless: bool) -> Path:
    """Check everything, then create the run's folder with its configuration; return it.

    A built-in text needs no look before the start, so the screen need not wait for it.

    Raises:
        UserError: bad options or input; nothing was written.
    """
    check(config)
    check_new(_new_folder(config))  # a long text need not be read to tell of a name that is taken
    notes: list[str] = []
    config = dataclasses.replace(config, texts=absolute_texts(config.texts, lambda what, _: notes.append(what)))
    stateful = config.text.batches == "stateful"
    if headless or not all(text in BUILTIN for text in config.texts):
        corpus = _load(config)
        check_windows(corpus, config.training.batch, config.training.bptt, stateful)
        symbols = len(corpus.vocabulary)
    else:
        _check_builtin(config, stateful)
        symbols = BUILTIN_SYMBOLS
    check(config, symbols)
    _check_device(config, symbols, headless)
    for note in notes:  # told once all is well: what is refused is told in one line
        print(f"rnnscope: {printable(note)}", file=sys.stderr)
    folder = _new_folder(config)
    Writer.create(folder, config, {}).close()
    return folder


def _new_folder(config: Config) -> Path:
    return Path(config.run.run) if config.run.run else next_name(Path(RUNS), config)


def prepare_resume(folder: Path, config: Config, *, headless: bool = False) -> None:
    """Check that the run can go on with `config`, and record it.

    Raises:
        UserError: another worker holds the run, an option that cannot change was changed, the text is another now,
            or the newest checkpoint cannot be used; nothing was written.
    """
    check(config)
    config = dataclasses.replace(config, texts=absolute_texts(config.texts))
    with Reader(folder) as reader:
        before, meta, newest = reader.config, reader.meta, reader.newest_step()
    changed = _changed(before, config)
    if changed:
        raise UserError(f"--resume: {', '.join(changed)} cannot change; start a new run for that")
    if live(folder):
        raise UserError(f"{folder} is being trained already; rnnscope watch {folder} shows it")
    config = _with_budget(config, before)
    symbols = len(Vocabulary.from_json(meta["vocabulary"])) if "vocabulary" in meta else BUILTIN_SYMBOLS
    check(config, symbols)
    _check_device(config, symbols, headless)
    _check_saved(folder, config, meta)
    writer = Writer.open(folder)
    try:
        writer.set_meta(config=to_dict(config))
        writer.event(newest.step if newest else 0, Status(STARTING))  # until the worker speaks: not how it ended before
    finally:
        writer.close()


def find_weights(name: str, root: Path) -> tuple[Path, int | None]:
    """Return the run that `name` means (see `find_run`), and the step where it is the weights' file of a checkpoint.

    Raises:
        UserError: there is no such run, or the file is no checkpoint in a run's folder.
    """
    path = Path(name)
    if path.suffix in FOREIGN:
        raise UserError(f"{path} is no run; make one of it with: rnnscope import {path} --vocab CHARACTERS.json")
    if path.suffix != ".safetensors":
        return find_run(name, root), None
    named = WEIGHTS.fullmatch(path.name)
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    if named is None or not (path.parent / "run.db").is_file():
        raise UserError(f"{path} is not a checkpoint step-N.safetensors in a run's folder; see rnnscope import")
    return path.parent, int(named[1])


def _with_budget(config: Config, before: Config) -> Config:
    """Return `config` without the old run's budgets where a new one was given: that one alone then counts."""
    new, old = config.training, before.training
    budgets = ("steps", "epochs", "minutes")
    if all(getattr(new, name) == getattr(old, name) for name in budgets):
        return config
    given: dict[str, Any] = {name: None for name in budgets if getattr(new, name) == getattr(old, name)}
    return dataclasses.replace(config, training=dataclasses.replace(new, **given))


def _check_budget(config: Config, step: int, seconds: float) -> None:
    """Raise UserError where the newest checkpoint has used the budget up already."""
    steps, minutes = config.training.steps, config.training.minutes
    if steps is not None and step >= steps:
        raise UserError(f"the run has done its {steps:,} steps; give a larger --steps, or --epochs or --minutes")
    if minutes is not None and seconds >= minutes * 60:
        raise UserError(f"the run has had its {minutes:g} minutes; give larger --minutes (in all), --steps or --epochs")


def _changed(before: Config, after: Config) -> list[str]:
    """Return what differs of the things that must not."""
    found = ["the texts"] if before.texts != after.texts else []
    for section in ("text", "model", *FIXED):
        old, new = getattr(before, section), getattr(after, section)
        names = FIXED.get(section) or [field.name for field in dataclasses.fields(old)]
        found += ["--" + name.replace("_", "-") for name in names if getattr(old, name) != getattr(new, name)]
    return found


def _check_saved(folder: Path, config: Config, meta: Mapping[str, Any]) -> None:
    """Check text and newest checkpoint, if the run has come so far as to have one."""
    steps = resumable_steps(folder)
    if not steps:
        return
    with Reader(folder) as reader:
        newest = reader.newest_step()
    _check_budget(config, steps[-1], newest.seconds if newest else 0.0)
    corpus = _load(config)
    if meta.get("sha256", corpus.sha256) != corpus.sha256:
        raise UserError(f"{corpus.name} is not the text this run was trained on; put that back, or start a new run")
    check_checkpoint(folder / weights_name(steps[-1]), config.model, len(corpus.vocabulary))


def _check_builtin(config: Config, stateful: bool) -> None:
    """Estimate what a built-in text will be, without generating it."""
    from rnnscope.corpus import needed_characters
    from rnnscope.corpus.split import parse_split

    training_share = parse_split(config.text.split)[0]
    length = min(config.text.length, config.text.first or config.text.length)
    needed = needed_characters(config.training.batch, config.training.bptt, stateful)
    if length * len(config.texts) * training_share < needed:  # close to the edge: look at the text itself
        check_windows(_load(config), config.training.batch, config.training.bptt, stateful)


def _check_device(config: Config, symbols: int, headless: bool) -> None:
    """Look whether the device is there and has room.

    The screen's process stays without torch: one of its own is asked, and not about auto, which the worker looks at
    when the screen is up. Headless, torch is needed here anyway.
    """
    if config.run.device == "cpu" or (config.run.device == "auto" and not headless):
        return
    if headless:
        try:
            from rnnscope.training.device import check_device
        except (ImportError, OSError) as error:
            raise RunFailed(f"torch does not start here: {one_line(str(error))}") from error
        check_device(config, symbols)
        return
    code = (
        "import json, sys; from rnnscope.config import from_dict; from rnnscope.errors import UserError\n"
        "from rnnscope.training.device import check_device\n"
        "try: check_device(from_dict(json.loads(sys.argv[1])), int(sys.argv[2]))\n"
        f"except UserError as error: print(error); sys.exit({EXIT_USAGE})"
    )
    command = own_python(code, json.dumps(to_dict(config)), str(symbols))
    asked = subprocess.run(command, capture_output=True, text=True, check=False)
    if asked.returncode == EXIT_USAGE:
        raise UserError(asked.stdout.strip())
    if asked.returncode:
        raise RunFailed(f"torch does not start here: {' '.join(asked.stderr.strip().splitlines()[-1:])}")


def _load(config: Config) -> Corpus:
    """Read the text; on a terminal, show what takes long."""
    if not sys.stderr.isatty():
        return load(config.texts, config.text)
    line = ProgressLine()
    try:
        return load(config.texts, config.text, progress=line)
    finally:
        line.erase()


class ProgressLine:
    """A line of stderr that shows a preparation, once it has taken long enough to wonder."""

    def __init__(self) -> None:
        self._begin, self._drawn = time.monotonic(), -math.inf
        self._shown = False

    def __call__(self, what: str, share: float | None) -> None:
        """Show what is being done and the fraction done; what has no fraction (a server is asked) at once."""
        now = time.monotonic()
        if share is not None and now - self._drawn < REDRAWN:
            return
        if share is None or self._shown or now - self._begin > PATIENCE:
            self._shown, self._drawn = True, now
            percent = "" if share is None else f" {share:4.0%}"
            print(f"\r\x1b[K{printable(what)}{percent}", end="", file=sys.stderr, flush=True)

    def erase(self) -> None:
        """Leave the line as it was found, for whatever is told next."""
        if self._shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def stop(folder: Path) -> str:
    """Ask the run's worker to stop and wait until it has; return what to tell.

    Raises:
        UserError: no worker is training it.
        RunFailed: it did not stop in time.
    """
    if not live(folder):
        raise UserError(f"{folder} is not being trained; nothing to stop")
    request_stop(folder)
    return f"stopped {folder}; go on with: rnnscope train --resume {folder}"

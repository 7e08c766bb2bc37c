"""The cache folder: downloads, generated texts and encoded long texts. Everything in it can be deleted."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from rnnscope.errors import UserError
from rnnscope.folders import cache_folder

__all__ = ["cache_folder", "new_entry", "writable", "write_text"]

ABANDONED = 24 * 3600  # seconds after which an entry that was never finished is taken to be a killed process's


@contextlib.contextmanager
def new_entry(target: Path) -> Iterator[Path]:
    """Give an empty folder to fill; at the end it becomes `target`, whole or not at all.

    Where another process was quicker, its entry stays and ours goes.

    Raises:
        UserError: the cache folder cannot be written (read-only, full, ...).
    """
    with writable(target.parent):
        target.parent.mkdir(parents=True, exist_ok=True)
        _sweep(target.parent)
        temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
        try:
            yield temporary
            try:
                temporary.rename(target)
            except OSError:
                if not target.is_dir():
                    raise
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def write_text(target: Path, text: str) -> None:
    """Write a file of the cache under a temporary name, then rename it.

    Raises:
        UserError: as `new_entry`.
    """
    with writable(target.parent):
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=f".{target.name}-", dir=target.parent)
        try:
            with open(handle, "w", encoding="utf-8", newline="") as file:
                file.write(text)
            os.replace(temporary, target)
        except BaseException:
            os.unlink(temporary)
            raise


@contextlib.contextmanager
def writable(folder: Path) -> Iterator[None]:
    """Turn what goes wrong in writing to `folder`, which is in the cache, into a UserError that says what to do."""
    try:
        yield
    except OSError as problem:
        raise UserError(
            f"cannot write to the cache folder {folder} ({problem.strerror or problem}): "
            "set RNNSCOPE_CACHE to a folder that can be written and has room"
        ) from problem


def _sweep(folder: Path) -> None:
    """Remove unfinished entries that a killed process left behind."""
    for entry in folder.glob(".*"):
        if entry.is_dir() and time.time() - entry.stat().st_mtime > ABANDONED:
            shutil.rmtree(entry, ignore_errors=True)

"""What tests of bad input share: nothing is written, one line is told, and root's power can be laid down."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

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

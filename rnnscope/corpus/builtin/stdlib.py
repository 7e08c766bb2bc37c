"""The built-in text `python`: the sources of the standard library that runs it, real text on every machine."""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from rnnscope.corpus.text import normalised
from rnnscope.errors import UserError

LEFT_OUT = {"site-packages", "dist-packages", "test", "tests", "idlelib", "lib2to3", "pydoc_data", "encodings"}


def pieces() -> Iterator[str]:
    """Yield the sources, file by file: the top-level modules by name, then the packages.

    Left out: tests, tables of data, and what others installed.

    Raises:
        UserError: this Python came without sources.
    """
    root = Path(os.__file__).parent
    modules = sorted(root.glob("*.py"))
    if not modules:
        raise UserError(f"this Python has no sources in {root}: use the built-in text play or code")
    folders = sorted(path for path in root.iterdir() if path.is_dir() and path.name not in LEFT_OUT)
    packages = (path for folder in folders for path in sorted(folder.rglob("*.py")) if not LEFT_OUT & {*path.parts})
    for path in itertools.chain(modules, packages):
        try:
            source = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            continue  # a few hold other encodings on purpose
        yield "".join(normalised([source]))


def version() -> str:
    """Return what the text depends on."""
    return f"{sys.version} {os.__file__} {sorted(LEFT_OUT)}"

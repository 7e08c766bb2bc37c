"""Folders that are nobody's runs: the cache, and the demo that comes along."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder(room: str = "") -> Path:
    """Return $RNNSCOPE_CACHE, else $XDG_CACHE_HOME/rnnscope, else ~/.cache/rnnscope; `room` names a folder in it."""
    if own := os.environ.get("RNNSCOPE_CACHE"):
        return Path(own).expanduser() / room
    shared = os.environ.get("XDG_CACHE_HOME", "")
    base = Path(shared) if os.path.isabs(shared) else Path("~/.cache").expanduser()  # a relative one is to be ignored
    return base / "rnnscope" / room


DEMO = "demo"
"""What the run that comes along is called, wherever a run is asked for."""


def shipped_demo() -> Path | None:
    """Return the run that comes along, in the installed package or in the checkout; None where it was left out."""
    package = Path(__file__).resolve().parent
    for place in (package, package.parent):
        folder = place / "checkpoints" / DEMO
        if (folder / "run.db").is_file():
            return folder
    return None

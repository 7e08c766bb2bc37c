"""The cache folder: downloads, generated texts, encoded long texts, the sessions of inspectors."""

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

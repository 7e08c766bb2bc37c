"""Screens as literal text in files. After a wanted change: UPDATE_SNAPSHOTS=1 pytest on the file of the test."""

from __future__ import annotations

import os
from pathlib import Path


def check(test_file: str, name: str, text: str) -> None:
    """Check that `text` is what the file of that name beside the test holds, spaces at the ends of lines aside."""
    text = "\n".join(line.rstrip() for line in text.split("\n")) + "\n"
    saved = Path(test_file).parent / "snapshots" / f"{name}.txt"
    if os.environ.get("UPDATE_SNAPSHOTS"):
        saved.parent.mkdir(exist_ok=True)
        saved.write_text(text, encoding="utf-8")
    assert text == saved.read_text(encoding="utf-8")

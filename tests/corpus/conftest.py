from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of the test's own."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("RNNSCOPE_CACHE", str(folder))
    monkeypatch.delenv("RNNSCOPE_TEXTS_URL", raising=False)
    return folder


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., str]:
    """Write a file (text as UTF-8, or bytes) and return its path."""

    def write(content: str | bytes, name: str = "notes.txt") -> str:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return str(path)

    return write

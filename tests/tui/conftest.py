"""The runs that tests of the screen look at."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from textual.css.stylesheet import Stylesheet

from rnnscope.recording.writer import Writer
from tests.fakes import make_fake_run


@pytest.fixture(autouse=True, scope="session")
def sheets_parsed_once() -> Iterator[None]:
    """Share what Textual has parsed of its style sheets: it parses all of them some six times for each app."""
    parsed: dict[Any, Any] = {}
    parse = Stylesheet._parse_rules

    def remember(sheet: Stylesheet, css: str, *where: Any, **how: Any) -> Any:
        key = css, where, tuple(sorted(how.items())), tuple(sorted(sheet._variables.items()))
        if key not in parsed:
            parsed[key] = parse(sheet, css, *where, **how)
        return parsed[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Stylesheet, "_parse_rules", remember)
        yield


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    """A finished run of 300 steps."""
    make_fake_run(tmp_path / "run", steps=300)
    return tmp_path / "run"


@pytest.fixture
def training(tmp_path: Path) -> Writer:
    """A run of 300 steps that a worker holds."""
    return make_fake_run(tmp_path / "run", steps=300, live=True)

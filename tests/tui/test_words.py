"""Numbers as a person reads them."""

from __future__ import annotations

import pytest

from rnnscope.tui.words import clock, percent, short


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (12, "12"), (999, "999"), (61_234, "61.2k"), (999_900, "1000k"), (1_383_492, "1.38M")],
)
def test_short(number: float, text: str) -> None:
    assert short(number) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(9.4, "0:09"), (192, "3:12"), (3723, "1:02:03"), (float("nan"), "-:--"), (float("inf"), "-:--"), (-1, "-:--")],
)
def test_clock(seconds: float, text: str) -> None:
    assert clock(seconds) == text


@pytest.mark.parametrize(("share", "text"), [(0.0, "0%"), (0.021, "2.1%"), (0.14, "14%"), (1.0, "100%"), (0.03, "3%")])
def test_percent(share: float, text: str) -> None:
    assert percent(share) == text

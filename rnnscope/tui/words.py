"""Numbers as a person reads them in a header."""

from __future__ import annotations

import math

from rnnscope.charts.text import printable

NAMED = {" ": "space", "\n": "newline", "\t": "tab"}


def named(character: str) -> str:
    """Return a character as it is spoken of."""
    return NAMED.get(character) or f"‘{printable(character)}’"


def short(number: float) -> str:
    """Return `number` in three figures with k, M or G: 61_234 -> "61.2k", 980_000 -> "980k", 12 -> "12"."""
    for limit, suffix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(number) >= limit:
            value = number / limit
            return f"{value:.3g}{suffix}" if abs(value) < 999.5 else f"{value:.0f}{suffix}"
    return f"{number:.3g}"


def clock(seconds: float) -> str:
    """Return a duration as "0:09", "3:12" or "1:02:03"; "-:--" where it is not known."""
    if not math.isfinite(seconds) or seconds < 0:
        return "-:--"
    total = round(seconds)
    hours, minutes, rest = total // 3600, total // 60 % 60, total % 60
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def percent(share: float) -> str:
    """Return a share of 1 as "14%" or "2.1%" (one decimal below ten)."""
    value = 100 * share
    return f"{value:.1f}%" if value < 9.95 and value != round(value) else f"{value:.0f}%"

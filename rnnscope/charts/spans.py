"""Rows of styled text: what every chart returns, and the little arithmetic on them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from rnnscope.charts.text import cells, crop

RGB: TypeAlias = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Style:
    """How a span looks. None stands for the terminal's own foreground or background."""

    fg: RGB | None = None
    bg: RGB | None = None
    bold: bool = False
    dim: bool = False
    reverse: bool = False
    underline: bool = False


PLAIN = Style()


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of one row in one style. The text holds nothing that a terminal would obey (see `text.printable`)."""

    text: str
    style: Style = PLAIN


Row: TypeAlias = tuple[Span, ...]


def width(row: Row) -> int:
    """Return the width of `row` in terminal cells."""
    return sum(cells(span.text) for span in row)


def fit(row: Row, wanted: int, style: Style = PLAIN) -> Row:
    """Crop or pad `row` to exactly `wanted` cells; a wide character cut in half becomes a space."""
    out: list[Span] = []
    left = max(wanted, 0)
    for span in row:
        have = cells(span.text)
        if have > left:
            if left:
                out.append(Span(crop(span.text, left), span.style))
            return tuple(out)
        out.append(span)
        left -= have
    if left:
        out.append(Span(" " * left, style))
    return tuple(out)


def fit_rows(rows: Sequence[Row], wanted: int, height: int, style: Style = PLAIN) -> list[Row]:
    """Crop or pad `rows` to exactly `height` rows of `wanted` cells, empty rows below."""
    fitted = [fit(row, wanted, style) for row in rows[: max(height, 0)]]
    return fitted + [fit((), wanted, style)] * (height - len(fitted))


def join(pieces: Iterable[tuple[str, Style]]) -> Row:
    """Make a row of (text, style) pieces, adjacent pieces of the same style in one span."""
    out: list[Span] = []
    texts: list[str] = []
    last: Style | None = None
    for text, style in pieces:
        if style is not last and style != last:
            if texts and last is not None:
                out.append(Span("".join(texts), last))
            texts, last = [], style
        texts.append(text)
    if texts and last is not None:
        out.append(Span("".join(texts), last))
    return tuple(out)


def plain(rows: Iterable[Row]) -> str:
    """Return the characters of `rows` without style, one line each: what tests assert."""
    return "\n".join("".join(span.text for span in row) for row in rows)


def overwrite(row: Row, column: int, text: str, style: Style) -> Row:
    """Return `row` with `text` in its place from cell `column` on; what it covers half of becomes a space."""
    end = column + cells(text)
    whole = width(row)
    left = fit(row, column)
    right: list[Span] = []
    at = 0
    for span in row:
        size = cells(span.text)
        if at + size > end:
            kept = span.text
            while kept and at < end:
                at += cells(kept[0])
                kept = kept[1:]
            right.append(Span(" " * (at - end if not right and at > end else 0) + kept, span.style))
            at += cells(kept)
        else:
            at += size
    return fit((*left, Span(text, style), *right), max(whole, end))

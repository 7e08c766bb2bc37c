"""The lines under the header when something is wrong, or when a key could do nothing."""

from __future__ import annotations

from textual.strip import Strip
from textual.widget import Widget

from rnnscope.charts.spans import Row, Span, Style
from rnnscope.charts.text import wrap
from rnnscope.tui.look import Look
from rnnscope.tui.strips import to_strip

ROWS = 9  # at most, of which the reason takes what it needs and the log the rest


def notice_rows(lines: tuple[str, ...], remark: str, columns: int, look: Look, rows: int = ROWS) -> list[Row]:
    """Return at most `rows` rows: all of the reason (the first line) and of the remark, and between them as much of
    the log's end as there is room.

    Text is made printable and wrapped to `columns` cells.
    """
    if not (lines or remark) or columns < 4:
        return []
    room, palette = columns - 2, look.palette
    reason, log, said = (
        [row for line in part for row in _wrapped(line, room)] for part in (lines[:1], lines[1:], remark.splitlines())
    )
    log = log[max(len(log) - max(rows - len(reason) - len(said), 0), 0) :]
    loud, quiet, aside = Style(fg=palette.bad, bold=True), Style(fg=palette.faint), Style(fg=palette.warn, bold=True)
    styled = [(text, style) for texts, style in ((reason, loud), (log, quiet), (said, aside)) for text in texts]
    made: list[Row] = [(Span(" "), Span(text, style)) for text, style in styled]
    return made


def _wrapped(text: str, columns: int) -> list[str]:
    return ["".join(placed.shown for placed in line) for line in wrap(text, columns)]


class Notice(Widget):
    """What went wrong: the reason, and the last lines of the worker's log; and why a key did nothing.

    Takes no room while all is well.
    """

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._look = Look()
        self._rows: list[Row] = []

    def show(self, lines: tuple[str, ...], remark: str, look: Look, columns: int, rows: int) -> None:
        """Show `lines`, the first as the reason, in `columns` cells and about a quarter of the screen's `rows`."""
        made = notice_rows(lines, remark, columns, look, max(min(rows // 4, ROWS), 3))
        if (made, look) == (self._rows, self._look):
            return
        taller = len(made) != len(self._rows)
        self._rows, self._look = made, look
        self.set_class(bool(made), "-shown")
        self.styles.height = max(len(made), 1)
        self.refresh(layout=taller)

    def render_line(self, y: int) -> Strip:
        """Return one line (textual's line API)."""
        return to_strip(self._rows[y] if y < len(self._rows) else (), self.size.width, self._look.palette)

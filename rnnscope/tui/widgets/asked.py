"""A panel whose measurement is taken when somebody asks for it."""

from __future__ import annotations

from typing import ClassVar

from rnnscope.charts.bars import meter
from rnnscope.charts.spans import Row, Span, Style, fit
from rnnscope.charts.text import cells
from rnnscope.tui.asking import Standing
from rnnscope.tui.captions import longest, paragraph
from rnnscope.tui.widgets.panel import Panel

BAR = 24  # cells


class AskedPanel(Panel):
    """`aside` is a `Standing`, written on the lower edge of the frame.

    While there is no data the last of `inputs` is one, and is written in the middle instead (see `asking`).

    key: what gets it, as printed on the keyboard.
    """

    key: ClassVar[str] = ""
    _asks = False  # it says what to press, which depends on the focus

    def on_focus(self) -> None:
        """Say again what to press (textual calls the panel's own `on_focus` as well)."""
        self._ask_again()

    def on_blur(self) -> None:
        """Say again what to press."""
        self._ask_again()

    def _ask_again(self) -> None:
        if self._asks:
            self._asks, self._painted = False, None

    def note(self, width: int) -> Row:
        """Return how it stands, for the lower edge, unless it is said in the middle."""
        in_the_middle = bool(self.inputs) and isinstance(self.inputs[-1], Standing)
        if in_the_middle or not isinstance(self.aside, Standing) or not self.aside.ways:
            return ()
        palette = self.look.palette
        again = f" · {self.key} measures again" if self.key and self.aside.old else ""
        ways = tuple(way + end for way in self.aside.ways for end in dict.fromkeys((again, "")))
        colour = palette.bad if self.aside.bad else palette.accent if self.aside.share is not None else palette.faint
        return (Span(longest(width - 6, *ways), Style(fg=colour, bold=not self.aside.old)),)

    def asking(self, standing: object, what: str, width: int, height: int) -> list[Row]:
        """Return rows for a panel without data: how far it is, why it failed, or which key gets `what`."""
        palette = self.look.palette
        now = standing if isinstance(standing, Standing) else Standing()
        if now.share is not None:
            text = longest(width, *now.ways)
            bar = meter(now.share, min(BAR, width), palette, palette.good, self.look.mono)
            rows = [_middle((Span(text, Style(fg=palette.foreground)),), width), _middle(bar, width)]
            return [()] * ((height - 2) // 2) + rows
        lines = [(line, Style(fg=palette.bad, bold=True)) for line in paragraph(now.ways[0], width)] if now.bad else []
        self._asks = True
        here = (f"press {self.key}: {what}", f"{self.key}: {what}")
        there = (f"click here and press {self.key}: {what}", f"click, {self.key}: {what}", here[1])
        ask = longest(width, *(here if self.has_focus else there))
        lines.append((ask, Style(fg=palette.faint)))
        made = [_middle((Span(text, style),), width) for text, style in lines]
        return [()] * max((height - len(made)) // 2, 0) + made


def _middle(row: Row, width: int) -> Row:
    size = sum(cells(span.text) for span in row)
    return fit((Span(" " * max((width - size) // 2, 0)), *row), width)

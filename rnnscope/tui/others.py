"""Other runs in the charts of this one: one thin line each, in colours that this run's layers do not use."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rnnscope.charts.palette import Palette
from rnnscope.charts.series import Line, Series
from rnnscope.charts.spans import RGB
from rnnscope.charts.text import printable
from rnnscope.recording.events import Floats
from rnnscope.tui.snapshot import LossData, Other


def _coloured(beside: object, palette: Palette) -> list[tuple[Other, RGB]]:
    others = beside if isinstance(beside, tuple) else ()
    count = len(palette.lines)
    return [(other, palette.lines[(count - 1 - index) % count]) for index, other in enumerate(others)]


def loss_lines(beside: object, smoothed: Callable[[LossData], Floats], palette: Palette) -> list[Series]:
    """Return the smoothed losses of the other runs."""
    return [
        Line(other.loss.step, smoothed(other.loss), colour, label=printable(other.name), mark_bad=False)
        for other, colour in _coloured(beside, palette)
        if other.loss is not None
    ]


def gradient_lines(beside: object, kind: str, palette: Palette) -> list[Series]:
    """Return the mean log10 norm of every layer of the other runs, over the lag ("reach") or over t ("total")."""
    series: list[Series] = []
    for other, colour in _coloured(beside, palette):
        if other.gradients is None:
            continue
        mean = np.asarray(getattr(other.gradients, kind), np.float64)
        x = np.arange(mean.shape[1], dtype=np.float64) + (kind == "total")
        for layer, values in enumerate(mean):
            over = values[::-1] if kind == "reach" else values
            label = printable(other.name) if layer == 0 else ""
            series.append(Line(x, over, colour, label=label, mark_bad=False))
    return series

"""Every screen there is. A new one is a file beside this one and a line here; its key, footer and help follow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rnnscope.tui.screens.base import RunScreen
from rnnscope.tui.screens.gradients import GradientsScreen
from rnnscope.tui.screens.live import LiveScreen
from rnnscope.tui.screens.neurons import NeuronsScreen
from rnnscope.tui.screens.sampling import SamplingScreen
from rnnscope.tui.session import Session


@dataclass(frozen=True)
class Entry:
    """A screen: the key that leads to it, its name in the footer, and its class."""

    key: str
    name: str
    make: Callable[[Session, str], RunScreen]


SCREENS: tuple[Entry, ...] = (
    Entry("1", "live", LiveScreen),
    Entry("2", "gradients", GradientsScreen),
    Entry("3", "neurons", NeuronsScreen),
    Entry("4", "sampling", SamplingScreen),
)

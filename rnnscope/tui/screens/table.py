"""Every screen there is. A new one is a file beside this one and a line here; its key, footer and help follow."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from rnnscope.tui.screens.base import RunScreen
from rnnscope.tui.session import Session


@dataclass(frozen=True)
class Entry:
    """A screen: the key that leads to it, its name in the footer, and what makes it."""

    key: str
    name: str
    make: Callable[[Session, str], RunScreen]


def _make(kind: str, session: Session, name: str) -> RunScreen:
    """Return the screen of class `kind` in the file called `name` beside this one, which is imported only now."""
    screen: RunScreen = getattr(importlib.import_module(f"rnnscope.tui.screens.{name}"), kind)(session, name)
    return screen


SCREENS: tuple[Entry, ...] = (
    Entry("1", "live", partial(_make, "LiveScreen")),
    Entry("2", "gradients", partial(_make, "GradientsScreen")),
    Entry("3", "neurons", partial(_make, "NeuronsScreen")),
    Entry("4", "sampling", partial(_make, "SamplingScreen")),
)


class Screens(Mapping[str, RunScreen]):
    """The screens of a program by name, each made when first asked for, so that the first frame waits for one alone."""

    def __init__(self, entries: Iterable[Entry], session: Session) -> None:
        self._entries = {entry.name: entry for entry in entries}
        self._session = session
        self._made: dict[str, RunScreen] = {}

    def __getitem__(self, name: str) -> RunScreen:
        if name not in self._made:
            self._made[name] = self._entries[name].make(self._session, name)
        return self._made[name]

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)


def import_all() -> None:
    """Import the modules of all screens, so that no key waits for that."""
    for entry in SCREENS:
        importlib.import_module(f"rnnscope.tui.screens.{entry.name}")

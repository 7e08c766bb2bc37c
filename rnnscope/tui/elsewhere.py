"""Keys of other screens: what to say where one is pressed that does nothing here."""

from __future__ import annotations

from collections.abc import Mapping

from rnnscope.tui.actions import Group, in_groups

Screens = Mapping[tuple[str, str], tuple[Group, ...]]
"""The key and name of each screen, and the groups of its actions."""


def belongs(key: str, screens: Screens) -> str:
    """Return what `key` (as textual names it) does on other screens, and how one gets there; "" for a key of none."""
    found: dict[str, list[str]] = {}
    shown = ""
    for (screen, name), groups in screens.items():
        for action in in_groups(groups):
            if key in action.keys:
                shown = action.shown
                found.setdefault(action.label, []).append(f"{screen} {name}")
                break
    places = "; ".join(f"{label}, on {' and '.join(there)}" for label, there in found.items())
    return f"{shown} does nothing here: {places}" if places else ""

"""Measurements that somebody asks for, as the screens see them: the command, and how it stands with the answer.

Shared by the neuron lab and the sampling lab. A key makes a `Measure` (`measure`) that the screen sends as any other
command (`session.command`, then the message `Asked`); the panel that waits shows `standing` on its frame (`AskedPanel`
in widgets/asked.py). Prompts, numbers and expressions are typed into `AskScreen` (screens/ask.py).
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Any

from rnnscope.charts.text import printable
from rnnscope.recording.commands import Measure
from rnnscope.recording.reading_events import Asked
from rnnscope.recording.requests import Request
from rnnscope.recording.state import LabEvents, asked_key
from rnnscope.tui.snapshot import Snapshot, When
from rnnscope.tui.words import percent

USUAL = Request()


@dataclass(frozen=True)
class Standing:
    """How it stands with a measurement: the ways to say it, longest first (none: nothing to say).

    share: done so far, None where none is being taken. bad: it could not be taken. old: taken, but some steps ago.
    """

    ways: tuple[str, ...] = ()
    share: float | None = None
    bad: bool = False
    old: bool = False


def measure(probe: str, request: Request = USUAL, **changes: Any) -> Measure:
    """Return the command that asks for `probe`, with `request` changed; only what is not as usual is written down."""
    wanted = dataclasses.replace(request, **changes)
    given = {
        field.name: getattr(wanted, field.name)
        for field in dataclasses.fields(wanted)
        if getattr(wanted, field.name) != getattr(USUAL, field.name)
    }
    return Measure(probe, json.dumps(given, allow_nan=False))


def newest(shown: Snapshot, probe: str) -> tuple[LabEvents | None, When]:
    """Return the newest measurement of that name and when it was taken; (None, ...) while there is none.

    It is old when the run has since gone on for longer than it had been going until then.
    """
    recorded = shown.state.lab.get(probe)
    if recorded is None:
        return None, When(0)
    return recorded.event, When(recorded.step, old=shown.progress.step > 2 * recorded.step)


def standing(shown: Snapshot, probe: str) -> Standing:
    """Return how it stands with `probe`: how far it is, why it failed, or how many steps ago it was taken."""
    asked, taken = shown.state.lab.get(asked_key(probe)), shown.state.lab.get(probe)
    event = asked.event if asked else None
    overtaken = bool(asked and taken and taken.id > asked.id and _whole(taken.event))
    if isinstance(event, Asked) and not overtaken:
        if event.error:
            return Standing((f"error: {printable(event.error)}",), bad=True)
        if event.share < 1 and (shown.live or shown.inspected):
            what, done = printable(event.what), percent(event.share)
            said = what if what and not event.share else f"{done} {what}".rstrip()  # "waits its turn" has no share
            return Standing((f"{probe}: {said}", said, done), share=event.share)
        if event.share >= 1 and event.what:  # that it was cancelled
            return Standing((printable(event.what),))
    behind = shown.progress.step - taken.step if taken else 0
    if behind <= 0:
        return Standing()
    ago = f"{behind:,} step{'s' * (behind != 1)}"
    return Standing((f"measured {ago} ago", f"{ago} old"), old=True)


def _whole(event: LabEvents) -> bool:
    """Whether a measurement is complete: drafts (of Decoding) are not."""
    return getattr(event, "done", True) is not False


def unescaped(text: str) -> str:
    r"""Return what was typed with \n and \t as newline and tab, and \\ as a backslash."""
    out, marks = [], {"n": "\n", "t": "\t", "\\": "\\"}
    rest = iter(text)
    for character in rest:
        if character != "\\":
            out.append(character)
            continue
        following = next(rest, "")
        out.append(marks.get(following, "\\" + following))
    return "".join(out)


def escaped(text: str) -> str:
    r"""Return `text` as it is typed into one line: `unescaped` gives it back."""
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t")


def numbers(text: str) -> tuple[float, ...] | None:
    """Return the numbers in "0.2 0.5, 1", None where something in it is none (nor NaN, nor infinite)."""
    try:
        found = tuple(float(word) for word in text.replace(",", " ").split())
    except ValueError:
        return None
    return found if all(abs(number) < float("inf") for number in found) else None

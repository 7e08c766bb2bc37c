"""What somebody asks of a probe, read and checked before any work is done. No torch."""

from __future__ import annotations

import dataclasses
import math

from rnnscope.check import LARGEST, LARGEST_SEED, LONGEST_SAMPLE
from rnnscope.config import ModelConfig, fits, option_types
from rnnscope.errors import UserError
from rnnscope.recording.codec import build, from_json
from rnnscope.recording.requests import TAKES, Request
from rnnscope.registry import ASKED, CELLS

COLUMNS = 4
"""Ways of decoding beside each other, at most."""

MOST_SHIFTS, MOST_PREFIXES, HIGHEST_ORDER = 10_000, 4096, 20

BOUNDS: dict[str, tuple[float, float]] = {
    "start": (0, LARGEST),
    "length": (1, LONGEST_SAMPLE),
    "seed": (0, LARGEST_SEED),
    "temperature": (0, 1e6),
    "layer": (0, LARGEST),
    "units": (0, LARGEST),
    "chars": (1, LARGEST),
    "shifts": (1, MOST_SHIFTS),
    "span": (0, LARGEST),
    "threshold": (-1, 1),
    "value": (-1e30, 1e30),
    "position": (-1, LARGEST),
    "prefixes": (1, MOST_PREFIXES),
    "temperatures": (0, 1e6),
    "top_k": (0, LARGEST),
    "top_p": (1e-9, 1),
    "orders": (1, HIGHEST_ORDER),
}
"""The least and the greatest value of each number (of each one, where there are several)."""


def read(probe: str, arguments: str) -> Request:
    """Return the request for `probe` that `arguments`, JSON text, describe.

    Raises:
        UserError: no such probe, no JSON object, an unknown field, or a value that does not fit.
    """
    if probe not in ASKED:
        raise UserError(f"there is no probe {probe!r} to ask for; there are: {', '.join(ASKED) or 'none'}")
    try:
        values = from_json(arguments)
    except ValueError as error:
        raise UserError(f"the arguments of {probe} are not JSON") from error
    types = option_types(Request)
    if not isinstance(values, dict) or not values.keys() <= types.keys():
        raise UserError(f"the arguments of {probe} must be a JSON object of: {', '.join(types)}")
    for name, value in values.items():
        if not fits(value, types[name]):
            raise UserError(f"{name} = {value!r} does not fit")
    request = build(Request, values)
    check(probe, request)
    return request


def check(probe: str, request: Request) -> None:
    """Look at the numbers that `probe` reads.

    Raises:
        UserError: one is out of its bounds, or one too many or too few.
    """
    for name in TAKES.get(probe, ()):
        given = getattr(request, name)
        low, high = BOUNDS.get(name, (-math.inf, math.inf))
        for value in given if isinstance(given, tuple) else (given,):
            if isinstance(value, int | float) and not low <= value <= high:  # NaN is neither
                raise UserError(f"{flag(name)} {_number(value)}: must be between {_number(low)} and {_number(high)}")
        if name in ("units", "temperatures", "orders") and not given:
            raise UserError(f"{flag(name)}: give one at least")
    if "temperatures" in TAKES.get(probe, ()) and len(request.temperatures) > COLUMNS:
        raise UserError(f"--temperatures: at most {COLUMNS}, {len(request.temperatures)} are too many")
    if "target" in TAKES.get(probe, ()) and len(request.target) > 1:
        raise UserError(f"--target {request.target!r}: give one character")
    if request.span[0] > request.span[1]:
        raise UserError(f"--span {request.span[0]} {request.span[1]}: the end comes before the beginning")


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"


def check_fit(probe: str, request: Request, model: ModelConfig) -> None:
    """Look whether the model has what `probe` is asked to look at.

    Raises:
        UserError: it has no such layer, unit, or quantity.
    """
    takes = TAKES.get(probe, ())
    if "layer" in takes and request.layer >= model.layers:
        raise UserError(f"--layer {request.layer}: the model has {_upto(model.layers, 'layer')}")
    if "units" in takes and max(request.units) >= model.hidden:
        raise UserError(f"--units {max(request.units)}: a layer has {_upto(model.hidden, 'unit')}")
    shown = CELLS[model.cell].shown
    if "field" in takes and request.field not in shown:
        raise UserError(f"--field {request.field}: a unit of {model.cell} has {', '.join(shown)}")


def _upto(count: int, what: str) -> str:
    return f"only {what} 0" if count == 1 else f"{what}s 0 to {count - 1}"


def foreign(probe: str, request: Request) -> str:
    """Return which flag of the request `probe` does not take, and which probes do; "" if it takes all that are given.

    Given is what differs from the default.
    """
    for name in changed(request):
        if name not in TAKES.get(probe, ()):
            return f"{flag(name)} is for {', '.join(other for other, names in TAKES.items() if name in names)}"
    return ""


def changed(request: Request) -> list[str]:
    """Return the names of the fields that differ from the defaults."""
    usual = Request()
    names = (field.name for field in dataclasses.fields(Request))
    return [name for name in names if getattr(request, name) != getattr(usual, name)]


def flag(name: str) -> str:
    """Return a field's flag."""
    return "--" + name.replace("_", "-")

"""What `rnnscope probe` offers and prints: the list, JSON, a numpy archive, or a short table. No torch."""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnscope.charts.text import cells, crop, printable
from rnnscope.errors import UserError
from rnnscope.options import Probe
from rnnscope.registry import ASKED, offered
from rnnscope.requesting import changed, flag, foreign
from rnnscope.requesting import check as check_request

SHOWN = 10  # numbers of a row in the table
WIDE = 88  # cells of a text in the table
TALL = 24  # lines of a longer one
NAME = 19
NEAREST = 20  # characters before the one explained


@dataclass(frozen=True)
class Probed:
    """A measurement: which, of the weights after how many updates, and the fields of its event by name."""

    probe: str
    step: int
    values: Mapping[str, Any]


def names() -> Iterator[str]:
    """Yield a line for each probe."""
    for name, help in offered().items():
        yield f"{name:<13} {help}"


def check(asked: Probe) -> None:
    """Look at everything that can be wrong before a run is opened.

    Raises:
        UserError: no run or probe named, no such probe, or an option that the probe does not take.
    """
    known = offered()
    if not asked.run or not asked.name:
        raise UserError("name a run and a probe, as in: rnnscope probe RUN gradients (rnnscope probe --list)")
    if asked.name not in known:
        close = difflib.get_close_matches(asked.name, known, n=1)
        hint = f" (did you mean {close[0]}?)" if close else ""
        raise UserError(f"there is no probe {asked.name!r}{hint}; use one of: {', '.join(known)}")
    for option, value in (("--zero-input", asked.zero_input or None), ("--steps", asked.steps),
                          ("--burn-in", asked.burn_in), ("--exponents", asked.exponents)):  # fmt: skip
        if value is not None and asked.name != "lyapunov":
            raise UserError(f"{option} is for the probe lyapunov; {asked.name} does not take it")
        least = 0 if option == "--burn-in" else 1
        if value is not None and value < least:
            raise UserError(f"{option} {value}: must be at least {least}")
    not_taken = foreign(asked.name if asked.name in ASKED else "", asked.request)
    if not_taken:
        raise UserError(f"{not_taken}; {asked.name} does not take it")
    unit = [name for name in changed(asked.request) if name in ("field", "layer", "units")]
    if asked.name == "attribution" and unit and not asked.request.of_unit:
        raise UserError(f"{flag(unit[0])} names a unit: add --of-unit to explain its value instead of a logit's")
    check_request(asked.name, asked.request)


def lines(found: Probed, asked: Probe) -> Iterator[str]:
    """Yield what to print; write the archive that was asked for.

    Raises:
        UserError: the file cannot be written.
    """
    if asked.npz is not None:
        save_npz(found, Path(asked.npz))
    if asked.json:
        yield as_json(found)
    elif asked.npz is not None:
        yield printable(f"wrote {asked.npz}")
    else:
        yield from table(found)


def as_json(found: Probed) -> str:
    """Return one JSON object: "probe", "step", and the fields. NaN is null; infinities are "Infinity", "-Infinity".

    What an n-gram probe has for each order is an object by order: {"kneser_ney": {"1": nats, ...}, ...}.
    """
    values = dict(found.values)
    if "orders" in values:
        orders = [str(order) for order in np.asarray(values["orders"]).tolist()]
        for name in ("kneser_ney", "unsmoothed", "unseen"):
            values[name] = dict(zip(orders, np.asarray(values[name]).tolist(), strict=True))
    return json.dumps({"probe": found.probe, "step": found.step, **_plain(values)}, allow_nan=False)


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value


def save_npz(found: Probed, path: Path) -> None:
    """Write the fields as arrays, numbers and texts as arrays without axes, None as NaN, several texts as a row.

    Raises:
        UserError: the file cannot be written.
    """
    values = {"probe": found.probe, "step": found.step, **found.values}
    arrays = {name: _array(value) for name, value in values.items()}
    try:
        with path.open("wb") as file:  # np.savez would add .npz to a name without it
            np.savez(file, **arrays)  # type: ignore[arg-type]
    except OSError as error:
        raise UserError(f"--npz {path}: {error.strerror or error}") from error


def _array(value: Any) -> NDArray[Any]:
    if isinstance(value, tuple) and not value:
        return np.zeros(0, np.str_)  # a row of texts, of which there is none
    return np.asarray(math.nan if value is None else value)


def table(found: Probed) -> Iterator[str]:
    """Yield a short table for people: numbers, texts cut short, arrays by a few of their values."""
    yield f"{found.probe} after {found.step:,} updates: {offered()[found.probe]}"
    values = dict(found.values)
    if found.probe in TABLES:
        yield from TABLES[found.probe](values)
    for name, value in values.items():
        if isinstance(value, str):
            yield from _text(name, value)
        elif isinstance(value, tuple):
            yield from _several(name, value)
        elif not isinstance(value, np.ndarray):
            yield f"  {name:<{NAME}} {_short(value)}"
        elif value.ndim == 1:
            yield f"  {name:<{NAME}} {_numbers(value)}"
        else:
            yield from _rows(name, value)


def _tensors(values: dict[str, Any]) -> Iterator[str]:
    """Yield a line for each parameter tensor; take what was shown out of `values`."""
    tensors = values.pop("names")
    columns = [values.pop(name) for name in ("gradient_norm", "weight_norm", "update_ratio", "idle")]
    for name in ("edges", "weight_histogram", "gradient_histogram"):
        del values[name]
    wide = max(map(len, tensors))
    yield f"  {'tensor':<{wide}}  {'gradient':>9}  {'weight':>9}  {'update/w':>9}  {'idle':>9}"
    for tensor, *row in zip(tensors, *columns, strict=True):
        yield f"  {tensor:<{wide}}  " + "  ".join(f"{_short(number):>9}" for number in row)


def _concepts(values: dict[str, Any]) -> Iterator[str]:
    """Yield a line for each concept: its best unit, beside the null and the linear probe; take what was shown out."""
    names, measures = values.pop("concepts"), values.pop("measures")
    layers, units, scores, signs = (values.pop(name) for name in ("layers", "units", "scores", "signs"))
    nulls, probes, shares = (values.pop(name) for name in ("nulls", "probes", "shares"))
    wide = max((len(printable(name)) for name in names), default=0)
    head = "".join(f" {name:>9}" for name in ("best", "null", "linear", "share"))
    yield f"  {'concept':<{wide}}     {head}  units that know it best, layer.unit from 0"
    best = [scores[c, 0] - nulls[c] if scores.shape[1] else -math.inf for c in range(len(names))]
    for c in sorted(range(len(names)), key=lambda c: (math.isnan(best[c]), -best[c])):
        found = [one for one in zip(layers[c], units[c], signs[c], scores[c], strict=True) if not math.isnan(one[3])]
        known = "  ".join(f"{layer}.{unit}{'-' if sign < 0 else ''}" for layer, unit, sign, _ in found)
        numbers = "".join(f" {_short(value):>9}" for value in (_first(scores[c]), nulls[c], probes[c], shares[c]))
        yield f"  {printable(names[c]):<{wide}}  {measures[c]:<3}{numbers}  {known}"


def _attributed(values: dict[str, Any]) -> Iterator[str]:
    """Yield a line for each of the characters before the one explained, the nearest first; take what was shown out."""
    text, scores, connectivity = values["text"], values.pop("scores"), values.pop("connectivity")
    yield f"  {'lag':>5}  {'character':<9} {'score':>10} {'connectivity':>13}"
    for lag in range(min(NEAREST, len(text))):
        at = len(text) - 1 - lag
        shown = printable(repr(text[at]))
        yield f"  {lag:>5}  {shown:<9} {_short(float(scores[at])):>10} {_short(float(connectivity[at])):>13}"
    if len(text) > NEAREST:
        yield f"  ... {len(text):,} characters in all: --json or --npz has them"


def _statespace(values: dict[str, Any]) -> Iterator[str]:
    """Leave of the texts the one that was looked at: the others are single characters of a long one."""
    values["text"] = values["text"][-values["trajectory"] :]
    yield from ()


def _first(row: NDArray[Any]) -> float:
    return float(row[0]) if len(row) else math.nan


def _orders(values: dict[str, Any]) -> Iterator[str]:
    """Yield a line for each order of n-gram; take what was shown out of `values`."""
    columns = {name: values.pop(name) for name in ("orders", "kneser_ney", "unsmoothed", "unseen")}
    yield "  " + "  ".join(f"{name:>10}" for name in columns)
    for row in zip(*columns.values(), strict=True):
        yield "  " + "  ".join(f"{_short(number):>10}" for number in row)


def _text(name: str, value: str) -> Iterator[str]:
    """Yield a text: on its name's line if it fits there, else line by line, a bar before each."""
    lines = value.split("\n")
    if len(lines) == 1 and cells(printable(value)) <= WIDE:
        yield f"  {name:<{NAME}} {printable(value)}".rstrip()
        return
    yield f"  {name}"
    for line in lines[:TALL]:
        yield f"    | {_short(line)}".rstrip()
    if len(lines) > TALL:
        yield f"    | ... {len(lines)} lines in all"


def _several(name: str, values: tuple[Any, ...]) -> Iterator[str]:
    if not any(isinstance(value, str) for value in values):
        yield f"  {name:<{NAME}} {'  '.join(_short(value) for value in values[:SHOWN])}"
        return
    for index, value in enumerate(values[:SHOWN]):
        yield from _text(f"{name} {index + 1}", value)
    if len(values) > SHOWN:
        yield f"  {name:<{NAME}} ... {len(values)} in all"


def _rows(name: str, array: NDArray[Any]) -> Iterator[str]:
    """Yield the extent of an array with axes: of each of its first rows, the least, middle and greatest number."""
    shape = " x ".join(map(str, array.shape))
    yield f"  {name:<{NAME}} {shape}{', all 0' if array.size and not array.any() else ''}"
    if not array.any():
        return
    for index, part in enumerate(array[:SHOWN]):
        finite = part[np.isfinite(part)]
        if finite.size:
            spread = f"{_short(finite.min())} to {_short(finite.max())}, median {_short(float(np.median(finite)))}"
        else:
            spread = "nothing finite"
        other = f", {part.size - finite.size} of {part.size} NaN or infinite" if finite.size < part.size else ""
        yield f"    {index + 1:<{NAME - 2}} {spread}{other}"


def _numbers(array: NDArray[Any]) -> str:
    more = f"  ... {len(array)} in all" if len(array) > SHOWN else ""
    return "  ".join(_short(number) for number in array[:SHOWN].tolist()) + more


def _short(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, str):
        return crop(printable(value), WIDE).rstrip()
    if isinstance(value, bool | int | np.integer):
        return str(value)
    return "-" if math.isnan(value) else f"{float(value):.4g}"


TABLES: dict[str, Callable[[dict[str, Any]], Iterator[str]]] = {
    "parameters": _tensors,
    "units": _concepts,
    "attribution": _attributed,
    "statespace": _statespace,
    "ngram": _orders,
}
"""What is shown of a probe in lines of its own; each takes what it shows out of the values."""

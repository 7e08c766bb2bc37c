"""What `rnnscope probe` offers and prints: the list, JSON, a numpy archive, or a short table. No torch."""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnscope.charts.text import crop, printable
from rnnscope.errors import UserError
from rnnscope.options import Probe
from rnnscope.registry import lab_probes

SHOWN = 10  # numbers of a row in the table
WIDE = 88  # cells of a text in the table
NAME = 19


@dataclass(frozen=True)
class Probed:
    """A measurement: which, of the weights after how many updates, and its fields by name (see lab_events.py)."""

    probe: str
    step: int
    values: Mapping[str, Any]


def names() -> Iterator[str]:
    """Yield a line for each probe."""
    for name, help in lab_probes().items():
        yield f"{name:<11} {help}"


def check(asked: Probe) -> None:
    """Look at everything that can be wrong before a run is opened.

    Raises:
        UserError: no run or probe named, no such probe, or an option that the probe does not take.
    """
    known = lab_probes()
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
    """Return one JSON object: "probe", "step", and the fields. NaN is null; infinities are "Infinity", "-Infinity"."""
    return json.dumps({"probe": found.probe, "step": found.step, **_plain(dict(found.values))}, allow_nan=False)


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
    """Write the fields as arrays, numbers and texts as arrays without axes, None as NaN.

    Raises:
        UserError: the file cannot be written.
    """
    values = {"probe": found.probe, "step": found.step, **found.values}
    arrays = {name: np.asarray(math.nan if value is None else value) for name, value in values.items()}
    try:
        with path.open("wb") as file:  # np.savez would add .npz to a name without it
            np.savez(file, **arrays)  # type: ignore[arg-type]
    except OSError as error:
        raise UserError(f"--npz {path}: {error.strerror or error}") from error


def table(found: Probed) -> Iterator[str]:
    """Yield a short table for people: numbers, texts cut short, arrays by a few of their values."""
    yield f"{found.probe} after {found.step:,} updates: {lab_probes()[found.probe]}"
    values = dict(found.values)
    if "names" in values:
        yield from _tensors(values)
    for name, value in values.items():
        if not isinstance(value, np.ndarray):
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

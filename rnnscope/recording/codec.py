"""Events and commands to and from what the store keeps: JSON text, and safetensors bytes for arrays. No pickle.

JSON has no NaN and no infinity (Python's json writes bare `NaN`, which other readers refuse), so such a float is
written as `{"float": "nan"}`, `{"float": "inf"}` or `{"float": "-inf"}`.
"""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any, TypeVar, cast

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray

from rnnscope.recording.events import EVENTS, Event

T = TypeVar("T")


def to_json(value: Any) -> str:
    """Return JSON text of plain data (dicts with string keys, lists, tuples, strings, numbers, None).

    Raises:
        TypeError: something in it is not plain data.
    """
    return json.dumps(_plain(value), allow_nan=False, separators=(",", ":"))


def from_json(text: str) -> Any:
    """Return what `to_json` was given, tuples as lists.

    Raises:
        ValueError: `text` is not JSON.
    """
    return json.loads(text, object_hook=_revive)


def encode_event(event: Event) -> tuple[str, bytes | None]:
    """Return an event as (JSON text of its scalars and strings, safetensors bytes of its arrays or None)."""
    fields: dict[str, Any] = {}
    arrays: dict[str, NDArray[Any]] = {}
    for field in dataclasses.fields(event):
        value = getattr(event, field.name)
        if isinstance(value, np.ndarray):
            arrays[field.name] = np.ascontiguousarray(value)
        else:
            fields[field.name] = value
    return to_json(fields), safetensors.numpy.save(arrays) if arrays else None


def decode_event(kind: str, fields: str, payload: bytes | None) -> Event | None:
    """Return the event that `encode_event` was given; None for a kind that this version does not know.

    Fields that a newer version added are ignored; fields that an older one lacked take their defaults.

    Raises:
        ValueError: the row is damaged.
    """
    cls = EVENTS.get(kind)
    if cls is None:
        return None
    values = from_json(fields)
    if not isinstance(values, dict):
        raise ValueError(f"the fields of a {kind} event are no JSON object")
    if payload is not None:
        try:
            values.update(safetensors.numpy.load(payload))
        except safetensors.SafetensorError as error:
            raise ValueError(f"the arrays of a {kind} event are damaged ({error})") from error
    try:
        return build(cls, values)
    except TypeError as error:
        raise ValueError(f"a {kind} event is incomplete ({error})") from error


def build(cls: type[T], values: dict[str, Any]) -> T:
    """Return dataclass `cls` from `values`, lists as tuples, unknown keys ignored.

    Raises:
        TypeError: a field without a default is missing.
    """
    known = {field.name for field in dataclasses.fields(cast(Any, cls))}
    return cls(**{key: _tuples(value) for key, value in values.items() if key in known})


def _plain(value: Any) -> Any:
    if isinstance(value, float):  # np.float64 too
        return float(value) if math.isfinite(value) else {"float": str(float(value))}
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value


def _revive(values: dict[str, Any]) -> Any:
    if values.keys() == {"float"} and values["float"] in ("nan", "inf", "-inf"):
        return float(values["float"])
    return values


def _tuples(value: Any) -> Any:
    return tuple(_tuples(inner) for inner in value) if isinstance(value, list) else value

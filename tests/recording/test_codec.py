"""Events as JSON and safetensors: nothing is lost, and the JSON is JSON."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnscope.recording.codec import decode_event, encode_event, from_json, to_json
from rnnscope.recording.events import EVENTS, Comparison, Cost, Diverged, Event, Sample, Settings, Started, Status
from tests import fakes
from tests.neuron_fakes import QUOTED, neuron_events
from tests.reading_fakes import reading_events

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
).filter(lambda value: not (isinstance(value, dict) and value.keys() == {"float"}))


def same(a: Any, b: Any) -> bool:
    """Equal, with NaN equal to NaN and -0.0 told from 0.0; arrays of the same dtype and shape."""
    if isinstance(a, np.ndarray):
        return isinstance(b, np.ndarray) and a.dtype == b.dtype and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
    if isinstance(a, float) and isinstance(b, float):
        return (math.isnan(a) and math.isnan(b)) or (a == b and math.copysign(1, a) == math.copysign(1, b))
    if isinstance(a, list | tuple):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    return type(a) is type(b) and a == b


def same_event(a: Event, b: Event | None) -> bool:
    return type(a) is type(b) and all(same(getattr(a, f.name), getattr(b, f.name)) for f in dataclasses.fields(a))


@given(plain)
def test_plain_data_survives_and_is_strict_json(value: Any) -> None:
    text = to_json(value)
    json.loads(text, parse_constant=lambda name: pytest.fail(f"bare {name} is no JSON"))
    assert same(value, from_json(text))


def every_kind() -> list[Event]:
    config, rng = fakes.fake_config(), np.random.default_rng(0)
    bad = dataclasses.replace(fakes.fake_comparison(config, rng), reference=math.nan, prefix="\x00\x1b[2J\ud800한글")
    return [
        fakes.fake_started(),
        dataclasses.replace(fakes.fake_started(), total_steps=None, steps_per_epoch=math.inf),
        Status("diverged", "loss is NaN; [/b] lower --lr"),
        fakes.fake_gradients(config, rng),
        fakes.fake_gradients(fakes.fake_config(cell="gru"), rng),  # cell arrays of shape (0, 0)
        fakes.fake_sample(config, rng),
        bad,
        Cost(0.05, math.nan, 3),
        Diverged("gradient", "-inf"),
        Settings(0.5, None, 0.8, "set_clip"),
        *reading_events(fakes.TEXT, rng),
        *neuron_events(fakes.fake_config(), QUOTED, rng),
    ]


@pytest.mark.parametrize("event", every_kind(), ids=lambda event: event.kind)
def test_event_survives(event: Event) -> None:
    fields, payload = encode_event(event)
    json.loads(fields, parse_constant=lambda name: pytest.fail(f"bare {name} is no JSON"))
    assert same_event(event, decode_event(event.kind, fields, payload))


def test_arrays_that_are_views_survive() -> None:
    config, rng = fakes.fake_config(), np.random.default_rng(0)
    sample = fakes.fake_sample(config, rng)
    turned = dataclasses.replace(sample, units=np.moveaxis(sample.units, 2, 0)[::2])
    assert not turned.units.flags.c_contiguous
    assert same_event(turned, decode_event("sample", *encode_event(turned)))


def test_an_event_is_a_copy() -> None:
    event = fakes.fake_sample(fakes.fake_config(), np.random.default_rng(0))
    fields, payload = encode_event(event)
    before = event.units.copy()
    event.units[...] = 0
    decoded = decode_event("sample", fields, payload)
    assert isinstance(decoded, Sample)
    assert np.array_equal(decoded.units, before)


def test_states_stay_half_precision() -> None:
    event = fakes.fake_sample(fakes.fake_config(layers=1, hidden=7), np.random.default_rng(0))
    payload = encode_event(event)[1]
    assert payload is not None
    assert len(payload) < 2 * event.units.size + 4 * event.probability.size + 400


def test_a_newer_version_may_know_more() -> None:
    assert decode_event("attention", "{}", None) is None
    assert decode_event("status", '{"state":"training","mood":"good"}', None) == Status("training")


def test_an_older_version_may_know_less() -> None:
    assert decode_event("settings", '{"lr_scale":1.0,"clip":null,"temperature":1.0}', None) == Settings(1.0, None, 1.0)


@pytest.mark.parametrize(
    ("kind", "fields", "payload"),
    [
        ("status", '{"state":', None),
        ("status", "[]", None),
        ("status", "{}", None),
        ("sample", '{"text":"a"}', b"\xff" * 20),
    ],
)
def test_damaged_rows_are_refused(kind: str, fields: str, payload: bytes | None) -> None:
    with pytest.raises(ValueError, match=r"."):
        decode_event(kind, fields, payload)


def test_every_kind_is_named_once() -> None:
    assert all(kind == cls.kind for kind, cls in EVENTS.items())
    assert {Started.kind, Sample.kind, Comparison.kind} <= EVENTS.keys()

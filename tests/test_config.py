"""A configuration goes into the recording and comes back the same; what does not fit is refused."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from rnnscope.config import Config, ModelConfig, RunConfig, TrainingConfig, fits, from_dict, option_types, to_dict
from rnnscope.errors import UserError


@pytest.mark.parametrize(
    "config",
    [
        Config(),
        Config(texts=("a", "b"), model=ModelConfig(forget_bias=1, init="identity"), run=RunConfig(run="한글")),
        Config(training=TrainingConfig(clip="none", steps=3, epochs=0.5, lr=1)),
    ],
)
def test_through_json_and_back(config: Config) -> None:
    assert from_dict(json.loads(json.dumps(to_dict(config)))) == config


def test_what_a_newer_version_added_is_ignored_and_what_it_lacks_is_the_default() -> None:
    assert from_dict({"model": {"hidden": 5, "attention": True}, "weather": {}}) == Config(model=ModelConfig(hidden=5))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"model": {"hidden": "eight"}}, "hidden = 'eight' does not fit"),
        ({"model": {"hidden": 8.0}}, "hidden = 8.0 does not fit"),
        ({"model": {"one_hot": 1}}, "one_hot = 1 does not fit"),
        ({"training": {"lr": None}}, "lr = None does not fit"),
        ({"training": {"clip": "never"}}, "clip = 'never' does not fit"),
        ({"training": {"steps": [3]}}, "steps = [3] does not fit"),
        ({"model": 3}, "[model] must be a table"),
        ([], "must be a table"),
    ],
)
def test_what_does_not_fit_is_one_line(values: Any, said: str) -> None:
    with pytest.raises(UserError, match=re.escape(said)) as found:
        from_dict(values)
    assert "\n" not in str(found.value)


def test_types_of_options() -> None:
    assert fits(None, option_types(TrainingConfig)["steps"])
    assert not fits(None, option_types(TrainingConfig)["lr"])
    assert not fits(True, option_types(TrainingConfig)["batch"])

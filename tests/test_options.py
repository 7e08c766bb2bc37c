"""Command lines: every field is a flag, a TOML file is beaten by flags, complaints are one line."""

from __future__ import annotations

import dataclasses
import typing
from pathlib import Path

import pytest

from rnnscope import launch, options
from rnnscope.config import Config, from_dict, to_dict
from rnnscope.errors import UserError


def parse(*words: str) -> Config:
    return options.parse(options.Train, "train", list(words)).to_config()


def test_no_words_give_the_defaults() -> None:
    assert parse() == Config()


def test_every_field_is_a_flag(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        options.parse(options.Train, "train", ["--help"])
    assert stop.value.code == 0
    shown = capsys.readouterr().out
    for section in dataclasses.fields(Config):
        if section.name == "texts":
            continue
        for field in dataclasses.fields(type(section.default)):
            assert f"--{field.name.replace('_', '-')}" in shown, field.name


def test_field_names_are_unique_so_that_flags_and_flat_files_are() -> None:
    names = [
        field.name
        for section in dataclasses.fields(Config)
        if section.name != "texts"
        for field in dataclasses.fields(type(section.default))
    ]
    assert len(names) == len(set(names))


def test_the_words_of_the_issue() -> None:
    config = parse(
        *"a.txt b.txt --cell tanh --layers 3 --hidden 64 --embedding 8 --one-hot --init gaussian --gain 1.6".split(),
        *"--dropout 0.1 --batch 7 --bptt 30 --optimizer sgd --lr 0.05 --clip none --steps 5 --epochs 2".split(),
        *"--minutes 1.5 --split 80/10/10 --first 10000 --seed 4 --device cpu --threads 2 --precision bf16".split(),
        *"--kernel scan --run x --headless".split(),
    )
    assert config.texts == ("a.txt", "b.txt")
    assert (config.model.cell, config.model.layers, config.model.one_hot, config.model.gain) == ("tanh", 3, True, 1.6)
    assert (config.training.clip, config.training.lr, config.training.minutes) == ("none", 0.05, 1.5)
    assert (config.text.first, config.run.run, config.run.precision) == (10_000, "x", "bf16")
    assert parse("--forget-bias", "1").model.forget_bias == 1.0


def test_a_configuration_survives_being_saved() -> None:
    config = parse("a.txt", "--clip", "none", "--one-hot", "--first", "5")
    assert from_dict(to_dict(config)) == config
    assert from_dict({**to_dict(config), "of_tomorrow": 1, "model": {**to_dict(config)["model"], "new": 1}}) == config


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--hidden", "abc"], "--hidden"),
        (["--hiden", "3"], "did you mean --hidden"),
        (["--init", "zeros"], "--init"),
        (["--lr"], "--lr"),
    ],
)
def test_bad_words_are_one_line(words: list[str], message: str) -> None:
    with pytest.raises(UserError) as found:
        parse(*words)
    assert message in str(found.value)
    assert "\n" not in str(found.value)
    assert str(found.value).endswith("see rnnscope train --help")


def from_file(tmp_path: Path, text: str, *words: str) -> Config:
    path = tmp_path / "c.toml"
    path.write_text(text)
    interface = options.Interface(config=str(path))
    defaults, _ = launch.defaults(interface)
    return options.parse(options.Train, "train", list(words), defaults).to_config()


def test_a_flag_beats_the_file_and_the_file_the_defaults(tmp_path: Path) -> None:
    text = 'texts = ["play"]\nhidden = 32\nlr = 1\n[training]\nbatch = 9\nclip = "none"\n[run]\nrun = "there"\n'
    config = from_file(tmp_path, text, "--hidden", "16", "--no-one-hot")
    assert (config.model.hidden, config.training.batch, config.training.lr) == (16, 9, 1)
    assert (config.training.clip, config.run.run, config.texts) == ("none", "there", ("play",))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hiden = 3", "there is no option hiden"),
        ("hidden = [", "not a TOML file"),
        ('hidden = "many"', "hidden = 'many' does not fit"),
        ("one_hot = 3", "one_hot = 3 does not fit"),
        ('init = "zeros"', "init = 'zeros' does not fit"),
        ("hidden = 1.5", "hidden = 1.5 does not fit"),
    ],
)
def test_bad_files_are_one_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UserError, match="--config") as found:
        from_file(tmp_path, text)
    assert message in str(found.value)
    assert "\n" not in str(found.value)


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="No such file"):
        launch.defaults(options.Interface(config=str(tmp_path / "none.toml")))


@pytest.mark.parametrize("section", [field.default for field in dataclasses.fields(Config) if field.name != "texts"])
def test_all_types_of_options_are_known_to_the_file_reader(section: typing.Any) -> None:
    for name, value in dataclasses.asdict(section).items():
        if value is not None:
            options.check_type(name, value, section)
        with pytest.raises(UserError, match=rf"{name} = \[\] does not fit; it takes (a |text|true|')"):
            options.check_type(name, [], section)


def test_types_are_said_in_words() -> None:
    for name, said in [("clip", "a number or 'none'"), ("steps", "a whole number"), ("clip_by", "'norm' or 'value'")]:
        with pytest.raises(UserError, match=f"it takes {said}$"):
            options.check_type(name, [], Config().training)

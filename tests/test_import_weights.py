"""Plain PyTorch models become runs: the parts are found, the numbers are the same, and what does not fit is told."""

from __future__ import annotations

import json
import math
import pickle
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from rnnscope.adopting import read_vocabulary
from rnnscope.cli import main
from rnnscope.errors import UserError
from rnnscope.importing import find_parts, read_weights
from rnnscope.loading import load_run
from rnnscope.model import CharRNN
from rnnscope.options import Probe
from rnnscope.probing import take
from rnnscope.recording.reader import Reader
from rnnscope.recording.runs import run_info
from rnnscope.tui.source import Source
from tests.probed import state_of

CHARACTERS = '\n !"(),.:?ABCDEHIKLMNOPRSTUW abcdefghijklmnopqrstuvwxyz'.replace(" a", "a")
V, E, H = len(CHARACTERS), 5, 7
KINDS = {"tanh": nn.RNN, "relu": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}


class Plain(nn.Module):
    """What people write: attributes of any name, batch first or not."""

    def __init__(self, cell: str, layers: int, one_hot: bool = False, bias: bool = True, **more: Any) -> None:
        super().__init__()
        options = {"nonlinearity": cell} if cell in ("tanh", "relu") else {}
        self.one_hot = one_hot
        if not one_hot:
            self.char_embed = nn.Embedding(V, E)
        self.core = KINDS[cell](V if one_hot else E, H, layers, bias=bias, **options, **more)
        self.to_logits = nn.Linear(H, V, bias=bias)

    def forward(self, ids: Tensor) -> Tensor:
        """ids (T, B) -> logits (T, B, V)."""
        x = nn.functional.one_hot(ids, V).to(self.to_logits.weight.dtype) if self.one_hot else self.char_embed(ids)
        return self.to_logits(self.core(x)[0])


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RNNSCOPE_CACHE", str(cache))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "chars.json").write_text(json.dumps(list(CHARACTERS)))
    return tmp_path


def outputs(parts: Any, ids: Tensor) -> Tensor:
    """Return what our model makes of the weights, in float64."""
    model = CharRNN(parts.model, parts.symbols)
    model.load_state_dict(parts.weights)
    model.double().eval()
    return model(ids, model.initial_state(ids.shape[1]))[0]


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("one_hot", [False, True])
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("cell", KINDS)
def test_the_outputs_are_those_of_torchs_own_module(cell: str, layers: int, one_hot: bool, bias: bool) -> None:
    plain = Plain(cell, layers, one_hot, bias)
    parts = find_parts(plain.state_dict(), cell if cell == "relu" else None)
    assert (parts.model.cell, parts.model.layers, parts.model.hidden, parts.symbols) == (cell, layers, H, V)
    assert parts.model.one_hot == one_hot
    ids = torch.randint(0, V, (20, 3))
    with torch.no_grad():
        expected = plain.double()(ids)
        assert float((outputs(parts, ids) - expected).abs().max()) < 1e-12
    assert not parts.rounded


@pytest.mark.parametrize("form", ["pt", "nested", "parallel", "safetensors", "whole"])
def test_files(form: str, here: Path) -> None:
    """As they are saved: alone, with the optimiser, from DataParallel, as safetensors; never a pickled module."""
    state = Plain("lstm", 2).state_dict()
    path = here / ("model.safetensors" if form == "safetensors" else "model.pt")
    match form:
        case "safetensors":
            safetensors.torch.save_file(state, path)
        case "nested":
            torch.save({"epoch": 3, "model": state, "optimizer": {"state": {}}, "loss": 1.2}, path)
        case "parallel":
            torch.save({f"module.{name}": value for name, value in state.items()}, path)
        case "whole":
            torch.save(Plain("lstm", 1), path)
            with pytest.raises(UserError, match="no plain state dict"):
                read_weights(path)
            return
        case _:
            torch.save(state, path)
    parts = find_parts(read_weights(path))
    for name, value in parts.weights.items():
        theirs = {"embedding.weight": "char_embed.weight", "decoder.weight": "to_logits.weight"}.get(name)
        if theirs:
            assert torch.equal(value, state[theirs])


def test_nothing_in_a_file_is_executed(here: Path) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return (Path.touch, (here / "executed",))

    for name, content in (("evil.pt", None), ("raw.pt", pickle.dumps(Evil()))):
        if content is None:
            torch.save({"rnn.weight_hh_l0": Evil()}, here / name)
        else:
            (here / name).write_bytes(content)
        with pytest.raises(UserError, match="nothing of it was executed"):
            read_weights(here / name)
    assert not (here / "executed").exists()


def renamed(state: dict[str, Tensor], **names: str) -> dict[str, Tensor]:
    """Return the weights with `old` at the beginning of a name replaced."""
    for old, new in names.items():
        state = {new + name.removeprefix(old) if name.startswith(old) else name: t for name, t in state.items()}
    return state


def square(cell: str = "gru") -> dict[str, Tensor]:
    """Return weights whose embedding is as wide as the hidden state, so that shapes do not tell them apart."""
    core = KINDS[cell](H, H)
    return {
        **{f"rnn.{name}": value for name, value in core.state_dict().items()},
        "x.weight": torch.randn(V, H),
        "y.weight": torch.randn(V, H),
    }


def test_which_matrix_reads_and_which_writes() -> None:
    state = square()
    for first, second in (("encoder", "decoder"), ("embed", "fc"), ("emb", "head"), ("lookup", "linear")):
        for reads, writes in (("x", "y"), ("y", "x")):
            found = find_parts(renamed(state, **{reads: first, writes: second}))
            assert torch.equal(found.weights["embedding.weight"], state[f"{reads}.weight"])
            assert torch.equal(found.weights["decoder.weight"], state[f"{writes}.weight"])
    found = find_parts({**state, "x.bias": torch.ones(V)})  # only a linear layer has one
    assert torch.equal(found.weights["decoder.weight"], state["x.weight"])
    assert torch.equal(found.weights["decoder.bias"], torch.ones(V))
    with pytest.raises(UserError, match="cannot be told"):
        find_parts(state)


def test_one_matrix_for_both() -> None:
    state = square()
    del state["y.weight"]
    found = find_parts(state)
    assert torch.equal(found.weights["embedding.weight"], found.weights["decoder.weight"])


@pytest.mark.parametrize(
    ("state", "cell", "said"),
    [
        (lambda: Plain("lstm", 1, bidirectional=True).state_dict(), None, "core. is bidirectional"),
        (lambda: Plain("lstm", 1, proj_size=3).state_dict(), None, "core. has projections"),
        (lambda: Plain("gru", 1).state_dict(), "relu", "--cell relu: these are the weights of gru"),
        (lambda: Plain("tanh", 1).state_dict(), "lstm", "--cell lstm: these are the weights of an nn.RNN"),
        (lambda: {**Plain("gru", 1).state_dict(), "norm.weight": torch.ones(H)}, None, "that rnnscope's lacks: norm"),
        (lambda: {**Plain("gru", 1).state_dict(), "b.weight_hh_l0": torch.ones(H, H)}, None, "2 recurrent parts"),
        (lambda: nn.GRU(E, H).state_dict(), None, "no embedding (V x 5) and linear layer (V x 7)"),
        (lambda: {**nn.GRU(E, H).state_dict(), "w": torch.ones(9, H), "e": torch.ones(8, E)}, None, "for one V among"),
        (lambda: {"weight_hh_l0": torch.ones(H, H)}, None, "weight_ih_l0 is missing"),
        (lambda: {"weight_hh_l0": torch.ones(5, 3), "weight_ih_l0": torch.ones(5, 3)}, None, "weight_hh_l0 is 5 x 3"),
    ],
)  # fmt: skip
def test_what_is_no_such_model_is_refused_in_one_line(state: Any, cell: str | None, said: str) -> None:
    with pytest.raises(UserError) as error:
        find_parts(state(), cell)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "given",
    [
        list("abc"), "abc", {"a": 0, "b": 1, "c": 2}, {"c": 2, "a": 0, "b": 1}, {"0": "a", "1": "b", "2": "c"},
    ],
)  # fmt: skip
def test_forms_of_a_vocabulary(given: Any, here: Path) -> None:
    (here / "v.json").write_text(json.dumps(given))
    vocabulary, stand_ins = read_vocabulary(here / "v.json", 3)
    assert (vocabulary.symbols, stand_ins) == (("a", "b", "c"), 0)
    vocabulary, stand_ins = read_vocabulary(here / "v.json", 5)
    assert (vocabulary.symbols, stand_ins) == (("a", "b", "c", "\ue000", "\ue001"), 2)


def test_symbols_that_are_no_character(here: Path) -> None:
    (here / "v.json").write_text(json.dumps({"<pad>": 0, "é": 2, "<unk>": 1, "\ue000": 3}))
    vocabulary, stand_ins = read_vocabulary(here / "v.json", 4)
    assert (vocabulary.symbols, stand_ins) == (("\ue001", "\ue002", "é", "\ue000"), 2)
    (here / "v.json").write_text(json.dumps(["a", "\ud83d", "b"]))  # half a character: nothing could write it down
    vocabulary, stand_ins = read_vocabulary(here / "v.json", 3)
    assert (vocabulary.symbols, stand_ins) == (("a", "\ue000", "b"), 1)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('"abcd"', "has 4 characters (id 3), and the model 3"), ('{"a": 0, "b": 7}', "(id 7), and the model 3"),
        ('{"a": 0, "b": 0}', "must be a list"), ('["a", "a"]', "a character twice"), ("{}", "must be a list"),
        ('["a"]', "names 1 characters, and the model has 3"),
        ("[1, 2]", "must be a list"), ("3", "must be a list"), ("{", "is not JSON"), ('["<a>"]', "no single character"),
        ('{"a": true}', "must be a list"), ('{"' + 5000 * "9" + '": "a"}', "must be a list"),
    ],
)  # fmt: skip
def test_a_vocabulary_that_cannot_be(content: str, said: str, here: Path) -> None:
    (here / "v.json").write_text(content)
    with pytest.raises(UserError) as error:
        read_vocabulary(here / "v.json", 3)
    assert said in str(error.value)


def test_everything_that_looks_at_a_run_works_on_it(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.manual_seed(1)
    torch.save(Plain("lstm", 2).state_dict(), here / "my model.pt")
    assert main(["import", "my model.pt", "--vocab", "chars.json"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0] == f"imported lstm 2x{H}, embedding {E}, {V} symbols, into checkpoints/my model"
    assert "characters of play are not in the vocabulary" in out[1]
    assert out[2].startswith("validation loss on play: ")
    assert out[-1] == "look inside with: rnnscope inspect checkpoints/my model"
    folder = here / "checkpoints" / "my model"
    info = run_info(folder)
    assert (info.state, info.detail) == ("finished", "imported from my model.pt, not trained here")
    assert info.validation == pytest.approx(math.log(V), abs=0.3)  # untrained
    assert (info.model, info.text) == (f"lstm 2x{H}", "play")
    before = state_of(folder)
    assert main(["runs"]) == 0
    assert main(["sample", "my model", "--length", "20", "--temperature", "1"]) == 0
    assert set(capsys.readouterr().out.splitlines()[-1]) <= set(CHARACTERS)
    found = take(folder, Probe("my model", "gradients"))
    assert found.values["reach"].shape == (2, 50)
    assert take(folder, Probe("my model", "activations")).values["units"].shape[1:] == (2, 401, H)
    assert main(["probe", "my model", "parameters"]) == 2
    snapshot = Source(folder).poll()
    assert snapshot.word == "finished"
    assert snapshot.notice == ()
    assert main(["train", "--resume", "my model", "--steps", "5", "--headless"]) == 2
    assert state_of(folder) == before
    with Reader(folder) as reader:
        assert str(here) not in json.dumps(reader.meta)
    loaded = load_run(folder)
    assert "".join(loaded.vocabulary.symbols) == CHARACTERS
    assert main(["import", "my model.pt", "--vocab", "chars.json"]) == 0
    assert (here / "checkpoints" / "my model-2").is_dir()


def test_a_text_of_ones_own_shorter_than_a_window(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "own.txt").write_text("Es war einmal ein Hase.\n" * 20)
    state = Plain("relu", 1, one_hot=True).double().state_dict()
    torch.save({name: value + 1e-12 for name, value in state.items()}, here / "w.pth")
    words = ["import", "w.pth", "--vocab", "chars.json", "--text", "own.txt", "--run", "r", "--cell", "relu"]
    assert main(words) == 0
    out = capsys.readouterr().out
    assert "imported relu 1x7, one-hot" in out
    assert "rounded to float32" in out
    assert take(here / "r", Probe("r", "horizon")).values["chars"] > 0
    (here / "own.txt").write_text("Es war zweimal ein Hase.\n" * 20)
    assert main(["probe", "r", "activations"]) == 2
    assert "is not the text" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nothing.pt", "--vocab", "chars.json"], "nothing.pt: no such file"),
        (["m.pt", "--vocab", "nothing.json"], "--vocab nothing.json: No such file"),
        (["m.pt", "--vocab", "short.json"], "has 55 characters"),
        (["m.pt", "--vocab", "chars.json", "--text", "nothing.txt"], "nothing.txt"),
        (["m.pt", "--vocab", "chars.json", "--run", "there"], "exists already"),
        (["text.pt", "--vocab", "chars.json"], "no plain state dict"),
        (["text.safetensors", "--vocab", "chars.json"], "cannot be read"),
        (["m.pt"], "--vocab"),
    ],
)
def test_refusals(words: list[str], said: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save(Plain("gru", 1).state_dict(), here / "m.pt")
    (here / "short.json").write_text(json.dumps("".join(map(chr, range(100, 155)))))
    (here / "there").mkdir()
    for name in ("text.pt", "text.safetensors"):
        (here / name).write_text("a text\n" * 100)
    before = sorted(here.rglob("*"))
    assert main(["import", *words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert said in err
    assert sorted(here.rglob("*")) == before

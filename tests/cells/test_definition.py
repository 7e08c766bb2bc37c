"""A cell's plain step and its scan against torch.nn in float64, with the same weights."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from rnnscope import cells, registry
from rnnscope.config import ModelConfig
from rnnscope.errors import UserError
from rnnscope.model import CharRNN, from_torch, to_torch

B, T, V, E, H, L = 4, 7, 9, 5, 6, 3
FUSED = ("tanh", "relu", "lstm", "gru")


def torch_layers(cell: str) -> nn.RNNBase:
    if cell in ("tanh", "relu"):
        return nn.RNN(E, H, L, nonlinearity=cell).double()
    return {"lstm": nn.LSTM, "gru": nn.GRU}[cell](E, H, L).double()


def torch_cell(cell: str) -> nn.RNNCellBase:
    if cell in ("tanh", "relu"):
        return nn.RNNCell(E, H, nonlinearity=cell).double()
    return {"lstm": nn.LSTMCell, "gru": nn.GRUCell}[cell](E, H).double()


@pytest.mark.parametrize("name", FUSED)
def test_step_is_torchs_cell(name: str) -> None:
    torch.manual_seed(0)
    theirs = torch_cell(name)
    cell = cells.get(name)
    layer = cell.layer(E, H).double()
    layer.load_state_dict({f"{key}_l0": value for key, value in theirs.state_dict().items()})
    x = torch.randn(B, E).double()
    state = tuple(torch.randn(B, H).double() for _ in cell.states)
    expected = theirs(x, state if len(state) > 1 else state[0])
    ours = cell.step(x, state, layer)
    torch.testing.assert_close(ours, expected if isinstance(expected, tuple) else (expected,), rtol=0, atol=1e-14)


def test_layer_norm_step_is_the_formula_of_ba_et_al() -> None:
    torch.manual_seed(0)
    cell = cells.get("lnrnn")
    layer = cell.layer(E, H).double()
    nn.init.normal_(layer.get_parameter("norm_weight_l0"))
    nn.init.normal_(layer.get_parameter("norm_bias_l0"))
    x, h = torch.randn(B, E).double(), torch.randn(B, H).double()
    weights = dict(layer.named_parameters())
    a = x @ weights["weight_ih_l0"].T + h @ weights["weight_hh_l0"].T
    mean = a.mean(1, keepdim=True)
    deviation = ((a - mean) ** 2).mean(1, keepdim=True).add(1e-5).sqrt()
    expected = torch.tanh(weights["norm_weight_l0"] * (a - mean) / deviation + weights["norm_bias_l0"])
    torch.testing.assert_close(cell.step(x, (h,), layer)[0], expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize("kernel", ["scan", "fused"])
@pytest.mark.parametrize("name", FUSED)
def test_model_is_torchs_stack(name: str, kernel: str) -> None:
    """Outputs, final state and the gradient of every weight, with torch's weights copied in, carried state."""
    torch.manual_seed(0)
    theirs = torch_layers(name)
    model = CharRNN(ModelConfig(cell=name, layers=L, hidden=H, embedding=E), V, kernel=kernel).double()
    from_torch(model, theirs.state_dict())
    ids, targets = torch.randint(V, (2, T, B))
    state = tuple(tuple(torch.randn(B, H).double() for _ in model.cell.states) for _ in range(L))
    stacked = tuple(torch.stack([layer[k] for layer in state]) for k in range(len(model.cell.states)))

    out, after = theirs(model.embedding(ids).detach(), stacked if len(stacked) > 1 else stacked[0])
    expected = model.decoder(out)
    logits, ours_after = model(ids, state)
    torch.testing.assert_close(logits, expected, rtol=0, atol=1e-13)
    after = after if isinstance(after, tuple) else (after,)
    for k, theirs_after in enumerate(after):
        torch.testing.assert_close(torch.stack([layer[k] for layer in ours_after]), theirs_after, rtol=0, atol=1e-13)

    nn.functional.cross_entropy(expected.flatten(0, 1), targets.flatten()).backward()
    model.zero_grad()
    nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten()).backward()
    gradients = {
        key.replace("_l0", f"_l{index}"): parameter.grad
        for index, layer in enumerate(model.layers)
        for key, parameter in layer.named_parameters()
    }
    for key, parameter in theirs.named_parameters():
        torch.testing.assert_close(gradients[key], parameter.grad, rtol=0, atol=1e-13)


@pytest.mark.parametrize("name", FUSED)
def test_state_dicts_travel_both_ways(name: str) -> None:
    model = CharRNN(ModelConfig(cell=name, layers=L, hidden=H, embedding=E), V).double()
    theirs = torch_layers(name)
    theirs.load_state_dict(to_torch(model))
    other = CharRNN(ModelConfig(cell=name, layers=L, hidden=H, embedding=E), V).double()
    from_torch(other, theirs.state_dict())
    assert all(torch.equal(a, b) for a, b in zip(to_torch(model).values(), to_torch(other).values(), strict=True))


def test_weights_that_do_not_fit_are_refused() -> None:
    model = CharRNN(ModelConfig(cell="lstm", layers=2, hidden=H, embedding=E), V)
    with pytest.raises(UserError, match="do not fit"):
        from_torch(model, torch_layers("lstm").state_dict())  # one layer more
    with pytest.raises(UserError, match="weight_ih_l0 is"):
        from_torch(model, nn.LSTM(E + 1, H, 2).state_dict())


def test_unknown_cell_is_named() -> None:
    with pytest.raises(UserError, match="unknown cell 'elman': choose one of tanh, relu, lstm, gru, lnrnn"):
        cells.get("elman")


@pytest.mark.parametrize("name", list(registry.CELLS))
def test_registry_tells_the_truth(name: str) -> None:
    """States and gates of the registry are those of the cell, and weight_hh has one block of H rows a gate."""
    entry, cell = registry.CELLS[name], cells.get(name)
    assert (entry.states, entry.gates) == (cell.states, cell.gates)
    layer = cell.layer(E, H)
    assert layer.get_parameter("weight_hh_l0").shape == (len(cell.gates) * H, H)
    assert layer.get_parameter("weight_ih_l0").shape == (len(cell.gates) * H, E)

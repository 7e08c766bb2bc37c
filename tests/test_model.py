"""The whole network: shapes, names, sizes, both kernels, sampling step and trace."""

from __future__ import annotations

import copy

import pytest
import torch
from torch.nn import functional

from rnnscope import registry
from rnnscope.config import ModelConfig, TrainingConfig
from rnnscope.errors import UserError
from rnnscope.model import CharRNN, State, resolve_kernel
from rnnscope.training.optimisers import Optimizer
from rnnscope.training.step import train_step

CELLS = list(registry.CELLS)
FUSED = ["tanh", "relu", "lstm", "gru"]
B, T, V, H = 4, 7, 11, 6


def make(cell: str = "lstm", kernel: str = "scan", **options: object) -> CharRNN:
    torch.manual_seed(0)
    values = {"layers": 2, "hidden": H, "embedding": 5} | options
    return CharRNN(ModelConfig(cell=cell, **values), V, kernel=kernel).double()


def window(seed: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(seed)
    ids, targets = torch.randint(V, (2, T, B))
    return ids, targets


def random_state(model: CharRNN) -> State:
    return tuple(tuple(torch.randn_like(s) for s in layer) for layer in model.initial_state(B))


def assert_states_close(a: State, b: State, tolerance: float) -> None:
    for x, y in zip(a, b, strict=True):
        torch.testing.assert_close(x, y, rtol=0, atol=tolerance)


def test_parameter_names_and_layout() -> None:
    assert {name: list(p.shape) for name, p in make("lstm").named_parameters()} == {
        "embedding.weight": [V, 5],
        "layers.0.weight_ih_l0": [4 * H, 5], "layers.0.weight_hh_l0": [4 * H, H],
        "layers.0.bias_ih_l0": [4 * H], "layers.0.bias_hh_l0": [4 * H],
        "layers.1.weight_ih_l0": [4 * H, H], "layers.1.weight_hh_l0": [4 * H, H],
        "layers.1.bias_ih_l0": [4 * H], "layers.1.bias_hh_l0": [4 * H],
        "decoder.weight": [V, H], "decoder.bias": [V],
    }  # fmt: skip


def test_number_of_parameters() -> None:
    """A 3-layer 512 RNN on one-hot 68 characters, with decoder: 1,383,492."""
    model = CharRNN(ModelConfig(cell="tanh", layers=3, hidden=512, one_hot=True), 68)
    assert sum(p.numel() for p in model.parameters()) == 1_383_492


@pytest.mark.parametrize("one_hot", [False, True])
@pytest.mark.parametrize("batch", [1, B])
@pytest.mark.parametrize("cell", CELLS)
def test_step_and_trace_are_forward(cell: str, batch: int, one_hot: bool) -> None:
    """Sampling's step and the traced run give the logits and states of the update path; B=1, T=1 and T>1."""
    model = make(cell, one_hot=one_hot)
    ids = window()[0][:, :batch]
    start = tuple(tuple(s[:batch] for s in layer) for layer in random_state(model))
    logits, after = model(ids, start)
    state = start
    for t in range(T):
        at_t, state = model.step(ids[t], state)
        torch.testing.assert_close(at_t, logits[t], rtol=0, atol=1e-13)
    assert_states_close(state, after, 1e-13)
    for steps in (1, T):
        traced, end, shown = model.trace(ids[:steps], start)
        torch.testing.assert_close(traced, logits[:steps], rtol=0, atol=1e-13)
        for layer, final in zip(shown, end, strict=True):
            assert set(layer) == set(registry.CELLS[cell].shown)
            assert all(values.shape == (steps, batch, H) for values in layer.values())
            torch.testing.assert_close(layer["h"][-1], final[0])
    assert_states_close(end, after, 1e-13)


@pytest.mark.parametrize("kernel", ["scan", "fused"])
def test_traced_gates_make_the_states(kernel: str) -> None:
    """c_t = f c + i g and h = o tanh(c) of what is shown; for the GRU h = (1-z) n + z h."""
    model = make("lstm", kernel)
    start = random_state(model)
    for (_, c), layer in zip(start, model.trace(window()[0], start)[2], strict=True):
        before = torch.cat((c.unsqueeze(0), layer["c"][:-1]))
        torch.testing.assert_close(layer["c"], layer["f"] * before + layer["i"] * layer["g"])
        torch.testing.assert_close(layer["h"], layer["o"] * layer["c"].tanh())
    model = make("gru", kernel)
    start = random_state(model)
    for (h,), layer in zip(start, model.trace(window()[0], start)[2], strict=True):
        before = torch.cat((h.unsqueeze(0), layer["h"][:-1]))
        torch.testing.assert_close(layer["h"], (1 - layer["z"]) * layer["n"] + layer["z"] * before)


@pytest.mark.parametrize("one_hot", [False, True])
@pytest.mark.parametrize("cell", FUSED)
def test_kernels_agree(cell: str, one_hot: bool) -> None:
    """Logits, states, gradients of every weight, and recorded norms of dL/dh_t."""
    models = [make(cell, kernel, one_hot=one_hot) for kernel in ("scan", "fused")]
    ids, targets = window()
    start, ends = random_state(models[0]), []
    for model in models:
        model.record_gradients = True
        logits, after = model(ids, start)
        functional.cross_entropy(logits.flatten(0, 1), targets.flatten()).backward()
        ends.append(after)
    assert_states_close(*ends, 1e-13)
    for a, b in zip(models[0].parameters(), models[1].parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad, rtol=0, atol=1e-13)
    for a, b in zip(models[0].recorded, models[1].recorded, strict=True):
        assert a["h"].shape == (T, B)
        torch.testing.assert_close(a, b, rtol=1e-10, atol=0)


def test_more_symbols_than_characters_in_the_window() -> None:
    """The input product by lookup and the direct one are the same."""
    model = make("gru")
    ids = window()[0]
    few = model(ids[:2, :1], model.initial_state(1))[0]
    many = model(ids[:, :1].repeat(1, 3), model.initial_state(3))[0]
    torch.testing.assert_close(few, many[:2, :1], rtol=0, atol=1e-13)


@pytest.mark.parametrize("cell", CELLS)
def test_recurrent_dropout_is_one_mask_a_window(cell: str) -> None:
    """Training differs from evaluation, repeats with the seed, and every gradient agrees with finite differences."""
    model = make(cell, recurrent_dropout=0.5)
    ids, targets = window()
    start = random_state(model)

    def loss() -> torch.Tensor:
        torch.manual_seed(3)
        return functional.cross_entropy(model(ids, start)[0].flatten(0, 1), targets.flatten())

    assert loss() == loss()
    assert loss() != model.eval()(ids, start)[0].mean()
    model.train()
    loss().backward()
    weight = model.layers[0].get_parameter("weight_hh_l0")
    direction = torch.randn_like(weight)
    with torch.no_grad():
        weight += 1e-5 * direction
        up = loss()
        weight -= 2e-5 * direction
        down = loss()
    assert ((up - down) / 2e-5).item() == pytest.approx((weight.grad * direction).sum().item(), rel=1e-6)


def test_dropout_between_layers_only_in_training() -> None:
    model = make("lstm", dropout=0.5)
    ids, _ = window()
    start = model.initial_state(B)
    assert not torch.equal(model(ids, start)[0], model(ids, start)[0])
    model.eval()
    assert torch.equal(model(ids, start)[0], model(ids, start)[0])


@pytest.mark.parametrize("cell", CELLS)
def test_measuring_alters_no_update(cell: str) -> None:
    """With and without recording, tracing and sampling between steps, the weights stay bit for bit the same."""
    results = []
    for measure in (False, True):
        model = make(cell, recurrent_dropout=0.3, dropout=0.2)
        model.record_gradients = measure
        optimizer = Optimizer(model.parameters(), TrainingConfig())
        state = model.initial_state(B)
        torch.manual_seed(5)
        for seed in range(4):
            generator = torch.Generator().manual_seed(seed)
            ids, targets = torch.randint(V, (2, T, B), generator=generator)
            state = train_step(model, optimizer, ids, targets, state, 5.0).state
            if measure:
                assert model.recorded[1]["h"].shape == (T, B)
                model.trace(ids, state)
                model.step(ids[0], state)
        results.append([p.detach() for p in model.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


@pytest.mark.parametrize("clip_by", ["norm", "value"])
def test_clipping(clip_by: str) -> None:
    """By norm: after = min(before, threshold), direction unchanged; by value: no component beyond the threshold."""
    ids, targets = window()
    found = {}
    for clip in (None, 1e-3, 1e3):
        model = make("gru")
        sgd = torch.optim.SGD(model.parameters(), lr=0.0)
        found[clip] = (
            train_step(model, sgd, ids, targets, model.initial_state(B), clip, clip_by),
            [p.grad.clone() for p in model.parameters()],
        )
    free, gradient = found[None]
    assert free.grad_norm == free.grad_norm_clipped == pytest.approx(torch.cat([g.flatten() for g in gradient]).norm())
    assert found[1e3][0].grad_norm_clipped == pytest.approx(free.grad_norm)
    tight, clipped = found[1e-3]
    assert tight.grad_norm == free.grad_norm
    assert tight.grad_norm_clipped == pytest.approx(torch.cat([g.flatten() for g in clipped]).norm())
    if clip_by == "norm":
        assert tight.grad_norm_clipped == pytest.approx(1e-3, rel=1e-4)
        factor = tight.grad_norm_clipped / free.grad_norm
        for a, b in zip(clipped, gradient, strict=True):
            torch.testing.assert_close(a, b * factor)
    else:
        assert max(g.abs().max() for g in clipped) <= 1e-3


@pytest.mark.parametrize("cell", CELLS)
def test_a_step_that_is_not_finite_is_not_applied(cell: str) -> None:
    model = make(cell)
    with torch.no_grad():
        model.decoder.bias[0] = float("nan")
    before = copy.deepcopy(model.state_dict())
    optimizer = Optimizer(model.parameters(), TrainingConfig())
    result = train_step(model, optimizer, *window(), model.initial_state(B), 5.0)
    assert result.loss != result.loss
    assert not result.applied
    for name, value in model.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("cell", CELLS)
def test_bf16_gradients_are_near_and_float32(cell: str) -> None:
    """Loss within 0.01 nats and each weight's gradient within 3% of those with float32 products (ReLU's kinks: 15%)."""
    tolerance = 0.15 if cell == "relu" else 0.03
    found = {}
    for precision in ("float32", "bf16"):
        torch.manual_seed(0)
        model = CharRNN(ModelConfig(cell=cell, layers=2, hidden=32, embedding=8), V, precision=precision)
        ids, targets = window()
        loss = functional.cross_entropy(model(ids, model.initial_state(B))[0].flatten(0, 1), targets.flatten())
        loss.backward()
        found[precision] = loss.item(), {name: p.grad for name, p in model.named_parameters()}
    (loss, exact), (rounded_loss, rounded) = found["float32"], found["bf16"]
    assert rounded_loss == pytest.approx(loss, abs=0.01)
    assert rounded_loss != loss
    for name, gradient in rounded.items():
        assert gradient.dtype == torch.float32
        assert (gradient - exact[name]).norm() < tolerance * exact[name].norm()


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "rmsprop", "sgd"])
def test_every_optimiser_learns(optimizer: str) -> None:
    model = make("lstm")
    training = TrainingConfig(optimizer=optimizer, lr=2.0 if optimizer == "sgd" else 0.02, momentum=0.5)
    made = Optimizer(model.parameters(), training)
    ids, targets = window()
    losses = [train_step(model, made, ids, targets, model.initial_state(B), 5.0).loss for _ in range(30)]
    assert losses[-1] < 0.8 * losses[0]


def test_kernel_table() -> None:
    assert resolve_kernel("auto", "lstm", "cpu") == "fused"
    assert resolve_kernel("auto", "lstm", "cpu", recurrent_dropout=0.1) == "scan"
    assert resolve_kernel("auto", "lstm", "cuda:0", precision="bf16") == "scan"
    with pytest.raises(UserError, match="--recurrent-dropout needs"):
        resolve_kernel("fused", "lstm", "cpu", recurrent_dropout=0.1)
    assert resolve_kernel("scan", "lstm", "cuda") == "scan"
    assert resolve_kernel("fused", "gru", "cpu") == "fused"
    assert resolve_kernel("auto", "lnrnn", "cuda:1") == "scan"
    for cell in FUSED:
        assert resolve_kernel("auto", cell, "cuda:1") == "fused"
        assert resolve_kernel("auto", cell, "cpu") in ("scan", "fused")
    with pytest.raises(UserError, match="no fused layer for lnrnn"):
        resolve_kernel("fused", "lnrnn", "cpu")


def test_options_that_do_not_go_together() -> None:
    with pytest.raises(UserError, match="--recurrent-dropout needs --kernel scan"):
        make("lstm", "fused", recurrent_dropout=0.1)
    with pytest.raises(UserError, match="no fused layer"):
        make("lnrnn", "fused")
    with pytest.raises(UserError, match="bf16 needs --kernel scan"):
        CharRNN(ModelConfig(), V, kernel="fused", precision="bf16")

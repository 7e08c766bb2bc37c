"""verify: passes on this machine, notices an instrument that is wrong, and says so in JSON and exit status."""

from __future__ import annotations

import json

import pytest
import torch

from rnnscope import verify
from rnnscope.cells.lstm import LSTM
from rnnscope.model import CharRNN

SMALL = {"BATCH": 2, "STEPS": 5, "HIDDEN": 6}


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SMALL.items():
        monkeypatch.setattr(verify, name, value)


@pytest.mark.usefixtures("small")
def test_report(capsys: pytest.CaptureFixture[str]) -> None:
    assert verify.main(["--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["device"] == "cpu"
    cases = report["cases"]
    keys = {"cell", "kernel", "layers", "dtype", "max_rel_error", "naive_rel_error", "passed"}
    assert all(set(case) == keys for case in cases)
    found = {(case["cell"], case["kernel"], case["layers"], case["dtype"]) for case in cases}
    expected = {
        (cell, kernel, layers, dtype)
        for cell, kernels in (
            ("tanh", ("scan", "fused")), ("relu", ("scan", "fused")), ("lstm", ("scan", "fused")),
            ("gru", ("scan", "fused")), ("lnrnn", ("scan",)),
        )
        for kernel in kernels
        for layers in (1, 3)
        for dtype in ("float32", "float64")
    }  # fmt: skip
    assert found == expected
    assert len(cases) == len(expected)
    for case in cases:
        assert case["passed"]
        assert case["max_rel_error"] < {"float64": 1e-9, "float32": 1e-4}[case["dtype"]]
        assert case["naive_rel_error"] > 0.05  # what output.retain_grad() would have shown


@pytest.mark.usefixtures("small")
def test_a_wrong_gradient_fails(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """An error of one in a thousand in the LSTM's dL/dc_t fails its cases and no other."""
    right = LSTM.backward

    def wrong(*args: object) -> object:
        back = right(*args)
        return back._replace(states=(back.states[0], back.states[1] * 1.001))

    monkeypatch.setattr(LSTM, "backward", wrong)
    assert verify.main([]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert {line.split()[0] for line in lines if line.endswith("FAILED")} == {"lstm"}
    assert lines[-1].startswith("28 of 36 passed")


@pytest.mark.usefixtures("small")
def test_nan_fails_and_is_null_in_json(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    right = LSTM.backward

    def broken(*args: object) -> object:
        back = right(*args)
        return back._replace(states=(back.states[0] * float("nan"), back.states[1]))

    monkeypatch.setattr(LSTM, "backward", broken)
    assert verify.main(["--json"]) == 1
    cases = json.loads(capsys.readouterr().out)["cases"]
    assert {case["cell"] for case in cases if case["max_rel_error"] is None} == {"lstm"}


def test_underflowed_steps_are_left_out() -> None:
    exact = [torch.tensor([[[1.0, 0.0]], [[1e-50, 0.0]]]).double()]
    found = [torch.tensor([[[1.0, 1e-3]], [[0.0, 0.0]]])]
    error, underflowed = verify._largest_error(found, exact, torch.finfo(torch.float32).tiny)
    assert error == pytest.approx(1e-3)
    assert underflowed == 1


def test_a_device_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert verify.main(["--device", "cuda:99"]) == 2
    assert capsys.readouterr().err.startswith("rnnscope: --device cuda:99: this machine has")
    assert verify.main(["--device", "abacus"]) == 2


def test_exact_gradients_are_finite_differences() -> None:
    """The oracle itself: dL/dh_t by changing h_t a little and running on from there."""
    torch.manual_seed(0)
    model = CharRNN(verify.ModelConfig(cell="gru", layers=1, hidden=4, embedding=3), 5).double()
    ids, targets = torch.randint(5, (2, 6, 1))
    state = model.initial_state(1)
    exact = verify.exact_gradients(model, ids, targets, state, "total")
    t = 2
    _, after, _ = model.trace(ids[: t + 1], state)
    logits_before = model.trace(ids[: t + 1], state)[0][-1]

    def loss(h: torch.Tensor) -> torch.Tensor:
        logits = [model.decoder(h)]
        current = ((h,),)
        for x in ids[t + 1 :]:
            at_t, current = model.step(x, current)
            logits.append(at_t)
        return torch.nn.functional.cross_entropy(torch.cat(logits), targets[t:].flatten(), reduction="sum")

    h = after[0][0]
    torch.testing.assert_close(model.decoder(h), logits_before)
    for unit in range(4):
        change = torch.zeros_like(h)
        change[0, unit] = 1e-6
        slope = (loss(h + change) - loss(h - change)) / 2e-6
        assert exact[t][0][0][0, unit].item() == pytest.approx(slope.item(), rel=1e-6)

"""Matrix products by kind: who serves what, and that the result is the product."""

from __future__ import annotations

import pytest
import torch

from rnnscope.cells import products

onednn = pytest.mark.skipif(not products.ONEDNN, reason="torch has no oneDNN product here")


def test_kind_depends_on_size_dtype_and_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "AVX512", True)
    large, small = torch.zeros(1024, 512), torch.zeros(128, 64)
    expected = "onednn" if products.ONEDNN else "plain"
    assert products.kind_for(large, 32, "float32") == expected
    assert products.kind_for(large, 1, "float32") == "plain"
    assert products.kind_for(small, 32, "float32") == "plain"
    assert products.kind_for(large.double(), 32, "float32") == "plain"
    assert products.kind_for(small, 1, "bf16") == "bf16"


def test_without_avx512_only_large_weights_of_a_scan_go_to_onednn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "AVX512", False)
    larger, large = torch.zeros(2048, 512), torch.zeros(1024, 512)
    assert products.kind_for(larger, 32, "float32") == ("onednn" if products.ONEDNN else "plain")
    assert products.kind_for(larger, 3200, "float32") == "plain"
    assert products.kind_for(large, 32, "float32") == "plain"
    assert products.kind_for(large, 32, "bf16") == "bf16"


@pytest.mark.parametrize("bfloat16_is_fast", [False, True])
def test_rounding_is_to_bfloat16_whoever_multiplies(bfloat16_is_fast: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "BF16", bfloat16_is_fast)
    monkeypatch.setattr(products, "ONEDNN", False)
    weight, h = torch.tensor([[1.0 + 2**-12]]), torch.tensor([[1.0 - 2**-13]])  # both round to 1
    product = products.make(weight, 1, "bf16")
    assert product.forward(torch.zeros(1, 1), h).item() == 1.0
    assert products.linear(h, weight, None, "bf16").item() == 1.0


@pytest.mark.parametrize("precision", ["float32", "bf16"])
@pytest.mark.parametrize("bias", [False, True])
def test_linear_and_its_gradients(precision: str, bias: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "SMALLEST", 0)
    monkeypatch.setattr(products, "AVX512", True)
    torch.manual_seed(0)
    x, weight = torch.randn(4, 3, 10, requires_grad=True), torch.randn(7, 10, requires_grad=True)
    offset = torch.randn(7, requires_grad=True) if bias else None
    inputs = [v for v in (x, weight, offset) if v is not None]
    direction = torch.randn(4, 3, 7)
    y = products.linear(x, weight, offset, precision)
    found = torch.autograd.grad((y * direction).sum(), inputs)
    exact_inputs = [v.detach().double().requires_grad_() for v in inputs]
    exact = torch.nn.functional.linear(*exact_inputs)
    expected = torch.autograd.grad((exact * direction).sum(), exact_inputs)
    tolerance = 2e-2 if precision == "bf16" else 1e-6
    for ours, truth in zip((y, *found), (exact, *expected), strict=True):
        assert ours.dtype == torch.float32
        assert (ours.double() - truth).norm() <= tolerance * truth.norm()


def test_lookup_is_the_one_hot_product() -> None:
    torch.manual_seed(0)
    table = torch.randn(6, 4, dtype=torch.float64, requires_grad=True)
    ids = torch.tensor([[0, 5, 5], [2, 0, 5]])
    direction = torch.randn(2, 3, 4, dtype=torch.float64)
    (found,) = torch.autograd.grad((products.lookup(table, ids) * direction).sum(), table)
    one_hot = torch.nn.functional.one_hot(ids, 6).double()
    torch.testing.assert_close(products.lookup(table, ids), one_hot @ table)
    torch.testing.assert_close(found, (one_hot.flatten(0, 1).t() @ direction.flatten(0, 1)))


@pytest.mark.parametrize("kind", ["plain", pytest.param("onednn", marks=onednn), "bf16"])
def test_products_inside_a_scan(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "SMALLEST", 0 if kind == "onednn" else 10**9)
    monkeypatch.setattr(products, "AVX512", True)
    torch.manual_seed(0)
    weight, h, d, p, bias = (torch.randn(shape) for shape in ((12, 5), (3, 5), (3, 12), (3, 12), (12,)))
    product = products.make(weight, 3, "bf16" if kind == "bf16" else "float32")
    assert product.kind == kind
    tolerance = {"rtol": 3e-2, "atol": 0.1} if kind == "bf16" else {"rtol": 1e-5, "atol": 1e-5}
    torch.testing.assert_close(product.forward(p.clone(), h), p + h @ weight.t(), **tolerance)
    torch.testing.assert_close(product.affine(h, bias), bias + h @ weight.t(), **tolerance)
    dh = h.clone()
    product.backward(dh, d)
    torch.testing.assert_close(dh, h + d @ weight, **tolerance)
    for slow in (False, True):  # both ways of a CPU
        monkeypatch.setattr(products, "MKL_IS_SLOW", slow)
        gradient = products.weight_gradient(product.kind, d, h)
        torch.testing.assert_close(gradient, d.t() @ h, **tolerance)
        assert gradient.is_contiguous()

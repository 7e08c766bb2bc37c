"""Teacher forcing beside free running, against the plain definition read one character at a time."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch
from torch import Tensor

from rnnscope.corpus.builtin import generate
from rnnscope.corpus.builtin.oracle import oracle_of
from rnnscope.errors import UserError
from rnnscope.model import CharRNN
from rnnscope.probes import exposure
from rnnscope.probes.judge import judge
from rnnscope.probes.stretches import evenly, spread
from rnnscope.probes.subject import Cancelled, Subject
from rnnscope.probes.telling import held_out_auc
from rnnscope.recording.reading_events import Exposure
from rnnscope.recording.requests import Request
from rnnscope.registry import CELLS
from tests.probes.neuron import corpus, subject

CPU = torch.device("cpu")
P, N, PREFIX = 5, 12, 6


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exposure, "PREFIX", PREFIX)


def measure(found: Subject, texts: tuple[str, ...] = ("book.txt",), **options: object) -> Exposure:
    found = dataclasses.replace(found, config=dataclasses.replace(found.config, texts=texts))
    return exposure.measure(found, Request(**({"prefixes": P, "length": N, "seed": 7} | options)))


@torch.no_grad()
def plain(model: CharRNN, ids: Tensor) -> tuple[Tensor, Tensor]:
    """Return log p(next) (T, P, V) and all layers' h side by side (T, P, L*H) after each of ids (T, P)."""
    state, predictions, states = model.initial_state(ids.shape[1]), [], []
    for row in ids:
        logits, state = model.step(row, state)
        predictions.append(torch.log_softmax(logits, -1))
        states.append(torch.cat([layer[0] for layer in state], -1))
    return torch.stack(predictions), torch.stack(states)


def shannon(log_p: Tensor, log_q: Tensor) -> np.ndarray:
    p, q = log_p.exp().numpy(), log_q.exp().numpy()
    m = (p + q) / 2
    return 0.5 * (p * np.log(p / m)).sum(-1) + 0.5 * (q * np.log(q / m)).sum(-1)


def curve(values: np.ndarray) -> np.ndarray:
    return np.stack([values.mean(1), np.quantile(values, 0.1, axis=1), np.quantile(values, 0.9, axis=1)])


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("cell", CELLS)
def test_every_number_is_that_of_the_plain_steps(cell: str, layers: int) -> None:
    found = subject(cell, layers)
    model = found.model.double()
    event = measure(found)
    ids = spread(found.corpus.validation, P, PREFIX + N, CPU)
    given, truth = ids[:PREFIX], ids[PREFIX:]
    free = exposure.written(found, given, N, Request(seed=7))
    decode, shown = found.corpus.vocabulary.decode, 7 % P
    assert (event.prefix, event.truth, event.free) == tuple(decode(x[:, shown].numpy()) for x in (given, truth, free))
    (log_p, h), (log_q, own) = plain(model, ids), plain(model, torch.cat([given, free]))
    before, own_before = log_p[PREFIX - 1 : -1], log_q[PREFIX - 1 : -1]
    log_p, h, log_q, own = (x[PREFIX:] for x in (log_p, h, log_q, own))

    nats = -before.gather(2, truth[..., None])[..., 0].numpy()
    np.testing.assert_allclose(event.nll, curve(nats), rtol=1e-5)
    np.testing.assert_allclose(event.forced_probability, np.exp(-nats[:, shown]), rtol=1e-5)
    own_p = own_before.gather(2, free[..., None])[:, shown, 0].exp()
    np.testing.assert_allclose(event.free_probability, own_p, rtol=1e-5)
    for entropy, at in ((event.forced_entropy, before), (event.free_entropy, own_before)):
        np.testing.assert_allclose(entropy, -(at.exp() * at).sum(-1)[:, shown], rtol=1e-5)

    gap = ((h - own).norm(dim=-1) / h.norm(dim=-1)).numpy()
    np.testing.assert_allclose(event.distance, curve(gap), rtol=1e-5, atol=1e-12)
    np.testing.assert_allclose(event.jensen_shannon, curve(shannon(log_p, log_q)), rtol=1e-4, atol=1e-12)
    pairs = [(i, (i - P // 2) % P) for i in range(P)]
    apart = [float(((h[:, i] - h[:, j]).norm(dim=-1) / h[:, i].norm(dim=-1)).mean()) for i, j in pairs]
    assert event.distance_reference == pytest.approx(np.mean(apart), rel=1e-5)
    apart = [shannon(log_p[:, i], log_p[:, j]).mean() for i, j in pairs]
    assert event.shannon_reference == pytest.approx(np.mean(apart), rel=1e-5)
    np.testing.assert_allclose(event.auc, held_out_auc(h, own), atol=1e-6)

    name, model_of_counts = judge(found)
    assert event.judge == name
    for judged, rest in ((event.judge_free, free), (event.judge_true, truth)):
        nats = model_of_counts.nats(torch.cat([given, rest]).t().numpy())
        np.testing.assert_allclose(judged, nats[:, PREFIX:].mean(0), rtol=1e-6)
    differ = [n for n in range(N) if event.truth[n] != event.free[n]]
    assert event.divergence == (differ[0] if differ else -1)


@pytest.mark.parametrize(("cell", "kernel"), [*((cell, "scan") for cell in CELLS), ("lstm", "fused"), ("gru", "fused")])
def test_forced_and_free_agree_exactly_when_the_free_run_is_fed_the_truth(cell: str, kernel: str) -> None:
    found = subject(cell, 3)
    model = CharRNN(found.model.config, found.model.vocabulary_size, kernel=kernel)
    model.load_state_dict(found.model.state_dict())
    found = Subject(model, found.corpus, found.config, 1, found.folder)
    ids = spread(found.corpus.validation, 8, PREFIX + N, CPU)
    event = exposure.compare(found, ids[:PREFIX], ids[PREFIX:], ids[PREFIX:].clone(), 2)
    assert (event.distance == 0).all()
    assert (event.jensen_shannon == 0).all()
    assert (event.auc == 0.5).all()
    np.testing.assert_array_equal(event.forced_probability, event.free_probability)
    np.testing.assert_array_equal(event.forced_entropy, event.free_entropy)
    assert event.distance_reference > 0.1
    assert event.shannon_reference > 1e-6


def test_states_part_where_the_texts_do_and_not_before() -> None:
    event = measure(subject("gru"), prefixes=1)
    assert 0 <= event.divergence < N
    assert (event.distance[0, : event.divergence] == 0).all()
    assert (event.distance[0, event.divergence :] > 0).all()
    assert (event.jensen_shannon[0, : event.divergence] == 0).all()
    assert math.isnan(event.distance_reference)
    assert np.isnan(event.auc).all()


def test_windows_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    found = subject("lstm")
    found.model.double()
    first = measure(found)
    monkeypatch.setattr(exposure, "BLOCK", 1)
    second = measure(found)
    for name in exposure.Measured._fields:
        np.testing.assert_allclose(getattr(second, name), getattr(first, name), rtol=1e-6, atol=1e-9)


def test_divergence_of_distributions() -> None:
    generator = torch.Generator().manual_seed(0)
    one, other = torch.randn(2, 50, 30, generator=generator, dtype=torch.float64) * 6
    js = exposure.jensen_shannon(one, other)
    np.testing.assert_allclose(js, shannon(torch.log_softmax(one, -1), torch.log_softmax(other, -1)), rtol=1e-9)
    torch.testing.assert_close(js, exposure.jensen_shannon(other, one))
    assert (exposure.jensen_shannon(one.float(), one.float() + 0) == 0).all()
    apart = torch.full((2, 4), -200.0)
    apart[0, :2] = apart[1, 2:] = 0.0
    assert float(exposure.jensen_shannon(*apart)) == pytest.approx(math.log(2))
    assert exposure.entropy(torch.zeros(3, 8)).tolist() == pytest.approx([math.log(8)] * 3)


@pytest.mark.parametrize("size", [2, 3, 9, 40])
def test_a_short_text_shortens_it(size: int) -> None:
    found = subject(text=corpus(validation="Ann: Bob: (so) late? she said. No, go on"[:size]))
    event = measure(found)
    assert len(event.free) == len(event.truth) == event.nll.shape[1] == len(event.auc) >= 1
    assert 1 <= event.prefixes <= P


def test_no_text_is_refused() -> None:
    with pytest.raises(UserError, match="--split"):
        measure(subject(text=corpus(validation="A")))


@pytest.mark.parametrize("cell", CELLS)
def test_a_model_of_nan_is_measured_all_the_same(cell: str) -> None:
    found = subject(cell)
    with torch.no_grad():
        for weight in found.model.parameters():
            weight.fill_(math.nan)
    event = measure(found)
    assert len(event.free) == N
    for values in (event.nll, event.distance, event.jensen_shannon, event.auc, event.forced_entropy):
        assert np.isnan(values).all()


def test_measuring_leaves_model_and_random_state_alone() -> None:
    told: list[float] = []
    found = subject("lstm", report=lambda share, what: told.append(share))
    found.model.train()
    before = torch.get_rng_state()
    first = measure(found)
    assert torch.equal(torch.get_rng_state(), before)
    assert found.model.training
    assert told == sorted(told)
    assert told[0] == 0
    torch.rand(3)
    assert measure(found).free == first.free
    assert measure(found, seed=8).free != first.free


def test_it_can_be_broken_off() -> None:
    def enough(share: float, what: str) -> None:
        if share > 0.5:
            raise Cancelled

    with pytest.raises(Cancelled):
        measure(subject(report=enough))


def test_the_generator_itself_judges_its_own_text() -> None:
    """Against its own probabilities and divergences, prefix by prefix and character by character."""
    text = "".join(generate("play", 44_000))
    found = subject("gru", text=corpus(text[:40_000], text[40_000:]))
    model, symbols = found.model.double(), found.corpus.vocabulary.symbols
    event = measure(found, ("play",), temperature=0.3)
    assert event.oracle == "play"
    starts = evenly(4000, P, PREFIX + N)
    ids = spread(found.corpus.validation, P, PREFIX + N, CPU)
    given, truth = ids[:PREFIX], ids[PREFIX:]
    free = exposure.written(found, given, N, Request(seed=7, temperature=0.3))
    oracle = oracle_of(("play",), symbols)
    assert oracle is not None
    errors = []
    for name, rest in (("oracle_free", free), ("oracle_true", truth)):
        log_p, _ = plain(model, torch.cat([given, rest]))
        nats, divergences = np.zeros((N, P)), np.zeros((N, P))
        for n, start in enumerate(starts):
            before = text[: 40_000 + start + PREFIX]
            after = found.corpus.vocabulary.decode(rest[:, n].numpy())
            if name == "oracle_true":
                assert text.startswith(before + after)
            (judged,) = oracle.judge(before, [after])
            nats[:, n], own = judged.nats, log_p[PREFIX - 1 : -1, n].numpy()
            divergences[:, n] = (judged.expected * (np.log(judged.expected) - own)).sum(1)
            divergences[~judged.known, n] = np.nan
        np.testing.assert_allclose(getattr(event, name), nats.mean(1), rtol=1e-6)
        errors.append(np.nanmean(divergences, 1))
    accumulated, usual = (np.cumsum(error) for error in errors)
    np.testing.assert_allclose(event.excess, 100 * (accumulated / usual - 1), rtol=1e-3, atol=1e-3)
    assert event.excess[0] == pytest.approx(0, abs=1e-6)  # the first character is drawn in the true context
    assert event.oracle_true.mean() < 1 < event.oracle_free.mean()


def test_texts_without_a_generator_have_no_oracle() -> None:
    event = measure(subject("gru"))
    assert event.oracle == ""
    assert len(event.oracle_free) == len(event.oracle_true) == len(event.excess) == 0

"""The text that somebody wants to look at."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from rnnscope.corpus import Corpus
from rnnscope.corpus.vocabulary import BYTES
from rnnscope.errors import UserError
from rnnscope.probes.reading import LONGEST, text_of
from rnnscope.probes.subject import Cancelled
from rnnscope.recording.requests import Request
from tests.probes.neuron import TEXT, corpus, subject


def test_generated_text_begins_with_the_prompt_and_comes_from_the_model() -> None:
    looked_at = subject()
    ids, source, given = text_of(looked_at, Request(prompt="Ann", length=20, temperature=0.0))
    decode = looked_at.corpus.vocabulary.decode
    assert given == 3
    assert len(ids) == 23
    assert decode(ids[:3]) == "Ann"
    assert source == "generated at step 7, temperature 0, seed 1"
    state = looked_at.model.initial_state(1)
    for n, character in enumerate(ids[:-1]):
        logits, state = looked_at.model.step(torch.tensor([character]), state)
        if n >= 2:
            assert int(logits.argmax()) == ids[n + 1]


def test_generated_text_depends_on_the_seed_alone() -> None:
    looked_at = subject()
    random = torch.get_rng_state()
    first, again, other = (text_of(looked_at, Request(seed=seed)).ids for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), random)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_prompt_is_read_whole() -> None:
    looked_at = subject()
    text = text_of(looked_at, Request(source="prompt", prompt="she said", length=1))
    assert looked_at.corpus.vocabulary.decode(text.ids) == "she said"
    assert text[1:] == ("prompt", 8)


@pytest.mark.parametrize("part", ["validation", "train"])
def test_an_excerpt_is_cut_from_its_part(part: str) -> None:
    looked_at = subject(text=corpus("abc" * 5, "cba" * 3))
    text = text_of(looked_at, Request(source=part, start=4, length=100))  # type: ignore[arg-type]
    assert looked_at.corpus.vocabulary.decode(text.ids) == ("bcabcabcabc" if part == "train" else "bacba")
    assert text.source == f"{part}, from 4"
    assert text.given == len(text.ids)


def test_a_file_is_read_without_the_characters_that_the_model_does_not_know(tmp_path: Path) -> None:
    path = tmp_path / "own.txt"
    path.write_text("xx€ab€c€€bb€€", encoding="utf-8")
    looked_at = subject(text=corpus("abc", "abc"))
    for length, expected, unknown in ((3, "abc", 2), (4, "abcb", 4), (100, "abcbb", 6)):
        text = text_of(looked_at, Request(source="file", file=str(path), start=2, length=length))
        assert looked_at.corpus.vocabulary.decode(text.ids) == expected
        assert text.source == f"own.txt, from 2, {unknown} unknown characters left out"
        assert text.given == len(expected)


def test_bytes_are_read_as_bytes(tmp_path: Path) -> None:
    path = tmp_path / "own.bin"
    path.write_bytes(b"\xff\x00\xe2")
    none = np.zeros(2, np.uint8)
    looked_at = subject(text=Corpus("bytes", BYTES, none, none, none, 0, ""))
    assert text_of(looked_at, Request(source="file", file=str(path))).ids.tolist() == [255, 0, 226]
    assert text_of(looked_at, Request(source="prompt", prompt="€")).ids.tolist() == [226, 130, 172]


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (Request(source="prompt"), "--prompt has 0 characters"),
        (Request(source="prompt", prompt="Zoë"), "has no 'Z' 'ë'"),
        (Request(prompt="Zoë"), "has no 'Z' 'ë'"),
        (Request(length=0), "--length 0: give 1 to 10,000"),
        (Request(length=LONGEST + 1), "--length 10001"),
        (Request(source="train", start=-1), "--start -1"),
        (Request(source="validation", start=10**6), f"the validation part has {20 * len(TEXT):,} characters"),
        (Request(source="file"), "name it with --file"),
        (Request(source="file", file="no-such-file.txt"), "cannot read no-such-file.txt: No such file"),
    ],
)
def test_what_cannot_be_read_is_said(request_: Request, said: str) -> None:
    with pytest.raises(UserError) as problem:
        text_of(subject(), request_)
    assert said in str(problem.value)


def test_writing_can_be_cancelled() -> None:
    def report(share: float, what: str) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        text_of(subject(report=report), Request())

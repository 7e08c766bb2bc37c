"""The true distribution of play and code, against the probabilities of the draws that a text was made with."""

from __future__ import annotations

import bisect
import math
import random
from collections.abc import Iterator

import numpy as np
import pytest

from rnnscope.corpus.builtin import code, generate, grammar, play
from rnnscope.corpus.builtin.code_language import Code
from rnnscope.corpus.builtin.grammar import Draws
from rnnscope.corpus.builtin.oracle import SLIP, oracle_of
from rnnscope.corpus.builtin.play_language import Play
from rnnscope.corpus.builtin.reading import Reading

NAMES = ("play", "code")
LANGUAGES = {"play": Play(), "code": Code()}
SYMBOLS = sorted(set("".join(generate("play", 40_000)) + "".join(generate("code", 40_000))))
FLOOR = math.log(len(SYMBOLS) / SLIP)


def text(name: str, length: int = 3000) -> str:
    return "".join(generate(name, length))


class Drawn(Draws):
    """Draws that add up how improbable what was drawn is."""

    nats = 0.0

    def below(self, count: int) -> int:
        Drawn.nats += math.log(count)
        return super().below(count)


def drawn_pieces(name: str, seed: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, float]]:
    """Yield pieces of a freshly generated text, each with -ln of the probability of the choices that made it."""

    def chosen(cumulative: list[float], number: float) -> int:
        found = bisect.bisect_right(cumulative, number)
        edges = [0.0, *cumulative, 1.0]
        Drawn.nats -= math.log(edges[found + 1] - edges[found])
        return found

    module = {"play": play, "code": code}[name]
    monkeypatch.setattr(grammar, "bisect_right", chosen)
    monkeypatch.setattr(module, "Draws", Drawn)
    monkeypatch.setattr(module, "SEED", seed)
    pieces = module.pieces()
    while True:
        Drawn.nats = 0.0
        piece = next(pieces)
        yield piece, Drawn.nats


def nats(reading: Reading, piece: str) -> float:
    total = 0.0
    for character in piece:
        expected = reading.expected()
        assert sum(expected.values()) == pytest.approx(1, abs=1e-9)
        total -= math.log(expected[character])
        reading.read(character)
    return total


@pytest.mark.parametrize(("name", "pieces"), [("play", 4), ("code", 40)])
def test_a_text_is_as_probable_as_the_choices_that_made_it(
    name: str, pieces: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of freshly generated text, so the mean is the entropy rate but for chance.

    That a scene ends is told by the next one's first letter. One piece of text can be made in two ways, "(softly)", a
    manner of its own and an adverb: it is more probable than the choices that made it.
    """
    reading, found, made, surplus, length, exact = Reading(LANGUAGES[name], ""), 0.0, 0.0, 0.0, 0, 0
    for _, (piece, choices) in zip(range(pieces), drawn_pieces(name, 76, monkeypatch), strict=False):
        made, found, length = made + choices, found + nats(reading, piece), length + len(piece)
        ending = -math.log(reading.expected()["S"]) if name == "play" else 0.0
        before, surplus = surplus, made - found - ending
        if "(softly)" not in piece:
            assert surplus == pytest.approx(before, abs=1e-8)
            exact += 1
        assert surplus >= before - 1e-8
    assert exact >= 2
    assert found / length == pytest.approx({"play": 0.457, "code": 0.472}[name], abs=0.04)


@pytest.mark.parametrize("name", NAMES)
def test_what_it_judges_adds_up_to_one_and_costs_hardly_more(name: str) -> None:
    oracle = oracle_of((name,), SYMBOLS)
    assert oracle is not None
    made = text(name, 1500)
    ((found, expected, _),) = oracle.judge("", [made])
    np.testing.assert_allclose(expected.sum(1), 1, atol=1e-12)
    assert (expected > 0).all()
    plain = nats(Reading(LANGUAGES[name], ""), made)
    assert found.sum() == pytest.approx(plain, abs=len(made) * SLIP * 1.01)
    best = [SYMBOLS[i] for i in expected.argmax(1)]
    assert np.mean([a == b for a, b in zip(best, made, strict=True)]) > 0.75


@pytest.mark.parametrize("name", NAMES)
def test_it_finds_its_way_into_the_middle_of_a_text(name: str) -> None:
    """From what stands before a place, at hundreds of places, as when it had read everything."""
    made = text(name, 9000)
    oracle = oracle_of((name,), SYMBOLS)
    assert oracle is not None
    ((whole, _, known),) = oracle.judge("", [made])
    assert known.all()
    for place in (*range(0, 120, 7), *random.Random(1).sample(range(9000 - 40), 60)):
        ((found, *_),) = oracle.judge(made[:place], [made[place : place + 40]])
        np.testing.assert_allclose(found, whole[place : place + 40], rtol=1e-9, atol=1e-12)


def judged(name: str, before: str, after: str) -> np.ndarray:
    oracle = oracle_of((name,), SYMBOLS)
    assert oracle is not None
    ((found, expected, _),) = oracle.judge(before, [after])
    np.testing.assert_allclose(expected.sum(1), 1, atol=1e-12)
    return found


HEADER = "SCENE 1. The market.\n\n(ALDA, BRAM and IVO enter.)\n\nALDA:\n"
SPEECH = "Who found the old crown? "
IS = "function is_full(x) {\n    x = 1;\n"


@pytest.mark.parametrize(
    ("name", "before", "marked"),
    [
        ("play", "", HEADER.replace("BRAM", "§ALDA")),  # nobody is in a cast twice
        ("play", HEADER, f"{SPEECH}§\n§\n§ALDA:\nWho"),  # no space before the end; nobody speaks twice
        ("play", HEADER, f"{SPEECH}He found an §long crown. He slept"),
        ("play", HEADER, f"{SPEECH}My mother saw a §old arrow. He slept"),
        ("play", HEADER, f"{SPEECH}He slept in the c§rown of the king."),  # no place
        ("play", HEADER, f"{SPEECH}He slept§,§, alone.\n"),
        ("play", HEADER, f"{SPEECH}He slept§\nbefore the tower."),  # there was room left
        ("play", HEADER, f"{SPEECH}{SPEECH}He slept b§efore the§ tower."),  # and here there is none
        ("code", "", f"{IS}  §return x < 1;\n}}\n\nfunction "),
        ("code", "", f"{IS}    § § § § return x < 1;\n}}\n\nfunction "),
        ("code", "", f"{IS}    return §y < 1;\n}}\n\nfunction "),
        ("code", "", f"{IS}    return (x < 1) && (is_new(x)§;\n}}\n\nfunction "),
        ("code", "", f"{IS}    return x < 1§);\n}}\n\nfunction "),
        ("code", "", f"{IS}    return x < 1§\n}}\n\nfunction "),
        ("code", "", f"{IS}    §}}§\n§ § § § return x < 1;\n}}\n\nfunction "),
    ],
)
def test_what_cannot_be_costs_the_floor_and_what_follows_is_judged_again(name: str, before: str, marked: str) -> None:
    """Characters behind a mark are slips."""
    found = judged(name, before, marked.replace("§", ""))
    told = iter(found)
    shown = "".join(
        f"§{character}" if next(told) >= FLOOR - 1e-9 else character for character in marked.replace("§", "")
    )
    assert shown == marked
    assert found[-1] < 6


def test_in_a_word_that_cannot_be_every_letter_is_as_likely() -> None:
    oracle = oracle_of(("play",), SYMBOLS)
    assert oracle is not None
    (judged,) = oracle.judge(HEADER, ["Who foundle the crown?"])
    nothing = math.log(len(SYMBOLS))
    np.testing.assert_allclose(judged.nats[9:12], [FLOOR, nothing, nothing])  # l, e and the space
    assert judged.nats[12] < 2
    assert [n for n, known in enumerate(judged.known) if not known] == [10, 11]


def test_nonsense_is_read_to_its_end_and_left_at_a_blank_line() -> None:
    noise = "".join(random.Random(3).choices(SYMBOLS, k=400))
    for name, begin, end in (("code", "", "function is_new(x) {\n"), ("play", HEADER, "BRAM:\nWho")):
        found = judged(name, begin, f"{noise}\n\n{end}")
        assert found[:400].mean() > math.log(len(SYMBOLS))
        assert found[402:].max() < 5


def test_what_the_vocabulary_lacks_is_left_to_the_others() -> None:
    symbols = [symbol for symbol in SYMBOLS if symbol != "f"]
    oracle = oracle_of(("code",), symbols)
    assert oracle is not None
    ((found, expected, _),) = oracle.judge("", ["const "])
    np.testing.assert_allclose(expected.sum(1), 1, atol=1e-12)
    assert found[0] < 5
    assert (found[1:] < 0.01).all()


def test_only_two_texts_have_an_oracle() -> None:
    assert oracle_of(("python",), SYMBOLS) is None
    assert oracle_of(("play", "code"), SYMBOLS) is None
    assert oracle_of(("/somewhere/play",), SYMBOLS) is None

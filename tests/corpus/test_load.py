from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnscope.config import TextConfig
from rnnscope.corpus import Corpus, check_windows, load
from rnnscope.corpus.encode import encoded, limited, survey
from rnnscope.corpus.text import code_points
from rnnscope.errors import UserError

SHAKESPEARE = Path(__file__).parents[2] / "../shared/data/shakespeare.txt"
HALF = TextConfig(split="50/50")
SENTENCE = "the quick brown fox jumps over the lazy dog\n" * 20


def text_of(corpus: Corpus, part: np.ndarray) -> str:
    return corpus.vocabulary.decode(part)


def test_the_parts_are_the_text_cut_where_the_split_says(write: Callable[..., str]) -> None:
    corpus = load((write(SENTENCE),), TextConfig(split="80/15/5"))
    n = len(SENTENCE)
    assert text_of(corpus, corpus.train) == SENTENCE[: round(0.8 * n)]
    assert text_of(corpus, corpus.validation) == SENTENCE[round(0.8 * n) : round(0.95 * n)]
    assert text_of(corpus, corpus.test) == SENTENCE[round(0.95 * n) :]
    assert corpus.vocabulary.symbols == tuple(sorted(set(SENTENCE)))
    assert (corpus.train.dtype, corpus.unseen, corpus.name) == (np.uint8, 0, "notes.txt")


def test_without_a_test_part_it_is_empty(write: Callable[..., str]) -> None:
    corpus = load((write(SENTENCE),), TextConfig(split="90/10"))
    assert len(corpus.test) == 0
    assert len(corpus.train) + len(corpus.validation) == len(SENTENCE)


def test_unseen_characters_are_counted_and_left_out(write: Callable[..., str]) -> None:
    corpus = load((write("abababab" + "axbyzzab"),), HALF)
    assert corpus.vocabulary.symbols == ("a", "b")
    assert text_of(corpus, corpus.validation) == "abab"
    assert corpus.unseen == 4


def test_files_are_joined_in_the_order_given(write: Callable[..., str]) -> None:
    names = (write("bb\n", "b.txt"), write("\ufeffaa\r\n", "a.txt"), write("bb\n", "b.txt"))
    corpus = load(names, HALF)
    assert text_of(corpus, corpus.train) + text_of(corpus, corpus.validation) == "bb\naa\nbb\n"
    assert corpus.name == "3 files"


def test_a_folder_is_read_in_the_order_of_its_names(write: Callable[..., str], tmp_path: Path) -> None:
    for name, content in {"b.txt": "baba", "a.txt": "abab", "c.md": "xx", "deep/d.txt": "abba"}.items():
        write(content, f"texts/{name}")
    plain = load((str(tmp_path / "texts"),), HALF)
    assert text_of(plain, plain.train) + text_of(plain, plain.validation) == "ababbaba"
    assert plain.name == "texts (2 files)"
    deep = load((str(tmp_path / "texts"),), dataclasses.replace(HALF, glob="**/*.txt"))
    assert text_of(deep, deep.train) + text_of(deep, deep.validation) == "ababbabaabba"


def test_first_counts_characters_over_all_files(write: Callable[..., str]) -> None:
    names = (write("학교가학", "1.txt"), write("학교가교", "2.txt"))
    corpus = load(names, TextConfig(split="50/50", first=6))
    assert (text_of(corpus, corpus.train), text_of(corpus, corpus.validation)) == ("학교가", "학학교")
    corpus = load(names, TextConfig(split="50/50", first=99))
    assert (text_of(corpus, corpus.train), text_of(corpus, corpus.validation)) == ("학교가학", "학교가교")


def test_bytes_take_anything(write: Callable[..., str]) -> None:
    content = bytes(range(256)) * 4
    corpus = load((write(content),), TextConfig(bytes=True, split="50/50"))
    assert corpus.vocabulary.bytes_mode
    assert len(corpus.vocabulary) == 256
    assert corpus.train.tobytes() + corpus.validation.tobytes() == content
    assert corpus.train.dtype == np.uint8


def test_a_large_vocabulary_takes_a_wider_type(write: Callable[..., str]) -> None:
    text = "".join(map(chr, range(0xAC00, 0xAC00 + 300))) * 2
    corpus = load((write(text),), HALF)
    assert corpus.train.dtype == np.uint16
    assert text_of(corpus, corpus.train) == text[:300]


def test_the_same_text_always_gives_the_same_corpus(write: Callable[..., str]) -> None:
    path = write(SENTENCE)
    one, two = load((path,), TextConfig()), load((path,), TextConfig())
    assert one.sha256 == two.sha256
    np.testing.assert_array_equal(one.train, two.train)
    write(SENTENCE.replace("fox", "cat", 1))
    assert load((path,), TextConfig()).sha256 != one.sha256


@given(st.text(alphabet="abc학\n", min_size=8), st.integers(1, 7), st.integers(1, 99))
def test_blocks_of_any_size_encode_alike(text: str, size: int, training: int) -> None:
    shares = (training / 100, 1 - training / 100, 0.0)
    blocks = [code_points(text[start : start + size]) for start in range(0, len(text), size)]
    try:
        plan = survey(blocks, "text", shares, False)
    except UserError:
        assert (
            round(len(text) * training / 100) < 2
            or len(set(text[: round(len(text) * training / 100)])) == 1
            or (len(text) - round(len(text) * training / 100) < 2)
        )
        return
    cut = round(len(text) * shares[0])
    assert plan.vocabulary.symbols == tuple(sorted(set(text[:cut])))
    parts, unseen = ["", "", ""], 0
    for part, ids, left_out in encoded(blocks, plan):
        parts[part] += plan.vocabulary.decode(ids)
        unseen += left_out
    held_out = [character for character in text[cut:] if character in text[:cut]]
    assert parts == [text[:cut], "".join(held_out), ""]
    assert unseen == len(text) - cut - len(held_out)


@given(st.lists(st.text()), st.integers(1, 30))
def test_limited_takes_the_first_characters(texts: list[str], first: int) -> None:
    taken = [code for block in limited(map(code_points, texts), first) for code in block.tolist()]
    assert taken == [ord(character) for character in "".join(texts)[:first]]


@pytest.mark.skipif(not SHAKESPEARE.is_file(), reason="shakespeare.txt is not here")
def test_shakespeare() -> None:
    corpus = load((str(SHAKESPEARE),), TextConfig(split="90/10"))
    whole = SHAKESPEARE.read_text()
    assert len(corpus.vocabulary) == 65
    assert corpus.vocabulary.decode(corpus.train) == whole[:1_003_855]
    assert corpus.vocabulary.decode(corpus.validation) == whole[1_003_855:]
    assert corpus.name == "shakespeare.txt"


# Bad input: one clear line each.


def refused(names: tuple[str, ...], text: TextConfig = HALF) -> str:
    with pytest.raises(UserError) as caught:
        load(names, text)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_no_text_at_all() -> None:
    assert "no text given" in refused(())
    assert "no text given" in refused(("",))


def test_no_such_file(write: Callable[..., str], tmp_path: Path) -> None:
    close = write("abc", "hamlet.txt")
    message = refused((str(tmp_path / "hamlett.txt"),))
    assert "no such file" in message
    assert f"did you mean {close}?" in message
    assert "play, code, python, shakespeare" in message
    assert "did you mean" not in refused((str(tmp_path / "zzz"),))


def test_a_name_nearly_right() -> None:
    assert "did you mean sherlock?" in refused(("sherlok",))


def test_a_path_no_system_takes() -> None:
    assert "cannot read" in refused(("x" * 5000,))


def test_a_folder_without_text(write: Callable[..., str], tmp_path: Path) -> None:
    write("x", "folder/notes.md")
    assert "no file that matches *.txt, but has .md files: use --glob '*.md'" in refused((str(tmp_path / "folder"),))
    (tmp_path / "empty").mkdir()
    assert "no file that matches *.txt: name a folder" in refused((str(tmp_path / "empty"),))


@pytest.mark.parametrize("glob", ["", "/etc/*"])
def test_a_pattern_that_is_none(tmp_path: Path, glob: str) -> None:
    assert "is no pattern" in refused((str(tmp_path),), TextConfig(glob=glob))


@pytest.mark.parametrize("content", [b"", b"\xef\xbb\xbf"])
def test_an_empty_file(write: Callable[..., str], content: bytes) -> None:
    assert refused((write(content),)).startswith("notes.txt is empty")


def test_one_distinct_character(write: Callable[..., str]) -> None:
    assert "one distinct character ('a')" in refused((write("a" * 100),))
    assert "training part" in refused((write("a" * 50 + "b" * 50),))
    assert "one distinct character" in refused((write(b"\xff" * 100),), TextConfig(bytes=True))


def test_not_utf8(write: Callable[..., str]) -> None:
    assert "offset 3" in refused((write(b"caf\xe9"),))


def test_unreadable(write: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    path = write("abc")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)  # the tests may run as root, whom no file refuses
    assert refused((path,)) == f"cannot read {path}: Permission denied"


def test_a_pipe_is_refused_without_waiting_for_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "not an ordinary file" in refused((str(tmp_path / "pipe"),))


@pytest.mark.parametrize("options", [{"first": 0}, {"first": -5}, {"length": 0}])
def test_sizes_below_one(options: dict[str, int]) -> None:
    flag = next(iter(options))
    assert f"--{flag} {options[flag]}: it must be at least 1" in refused(("play",), TextConfig(**options))


def test_a_bad_split(write: Callable[..., str]) -> None:
    assert "like 90/5/5" in refused((write(SENTENCE),), TextConfig(split="90/20"))


@pytest.mark.parametrize(("text", "part"), [("abababab", "validation"), ("ab", "training")])
def test_a_part_too_short(write: Callable[..., str], text: str, part: str) -> None:
    split = "90/10" if part == "validation" else "20/80"
    assert f"its {part} part would have" in refused((write(text),), TextConfig(split=split))


def test_a_validation_part_of_unseen_characters_only(write: Callable[..., str]) -> None:
    assert "validation part" in refused((write("ab" * 50 + "xyz" * 33),))


def corpus_of(train: int) -> Corpus:
    ids = np.zeros(train, np.uint8)
    part = np.zeros(train // 18, np.uint8)
    from rnnscope.corpus.vocabulary import Vocabulary

    return Corpus("notes.txt", Vocabulary(("a", "b")), ids, part, part, 0, "")


@pytest.mark.parametrize(("stateful", "needed"), [(True, 2501), (False, 51)])
def test_check_windows_knows_the_shortest_text(stateful: bool, needed: int) -> None:
    check_windows(corpus_of(needed), 50, 50, stateful)
    with pytest.raises(UserError, match=f"need {needed:,}"):
        check_windows(corpus_of(needed - 1), 50, 50, stateful)


def test_check_windows_says_what_to_do() -> None:
    with pytest.raises(UserError) as caught:
        check_windows(corpus_of(1800), 50, 50, True)
    assert str(caught.value) == (
        "notes.txt is too short: its training part has 1,800 characters and 50 streams of 50 time steps need 2,501; "
        "take a text of at least 2,779 characters, or lower --batch or --bptt, or use --batches stateless"
    )
    with pytest.raises(UserError, match=r"lower --bptt$"):
        check_windows(corpus_of(36), 50, 50, False)
    with pytest.raises(UserError, match=r"lower --bptt and --batch$"):
        check_windows(corpus_of(36), 50, 50, True)


@pytest.mark.parametrize(("batch", "bptt"), [(0, 50), (50, 0), (-1, 5)])
def test_check_windows_refuses_sizes_below_one(batch: int, bptt: int) -> None:
    with pytest.raises(UserError, match="at least 1"):
        check_windows(corpus_of(100), batch, bptt, True)

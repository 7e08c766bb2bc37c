from __future__ import annotations

import contextlib
import gc
import json
import os
import resource
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnscope.config import TextConfig
from rnnscope.corpus import Corpus, load, loading, make_batches
from rnnscope.corpus import text as reading
from rnnscope.errors import UserError

TEXT = ("wide 학교, combining e\u0301,\r\n" * 40 + "plain\n" * 200) * 3 + "unseen: zZ§ end\n" * 20


@pytest.fixture
def everything_is_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """Treat any text as too long for memory, and read it in pieces that split characters."""
    monkeypatch.setattr(loading, "IN_MEMORY", 0)
    monkeypatch.setattr(reading, "READ_SIZE", 37)


def same(one: Corpus, two: Corpus) -> bool:
    parts = all(np.array_equal(getattr(one, part), getattr(two, part)) for part in ("train", "validation", "test"))
    return parts and (one.vocabulary, one.unseen, one.sha256) == (two.vocabulary, two.unseen, two.sha256)


@pytest.mark.parametrize(
    "options", [TextConfig(), TextConfig(bytes=True), TextConfig(first=3000), TextConfig(split="60/40")], ids=str
)
def test_a_long_text_gives_the_same_corpus_as_a_short_one(
    write: Callable[..., str], request: pytest.FixtureRequest, options: TextConfig
) -> None:
    paths = (write(TEXT, "1.txt"), write("\ufeff" + TEXT, "2.txt"))
    short = load(paths, options)
    request.getfixturevalue("everything_is_long")
    long = load(paths, options)
    assert isinstance(long.train, np.memmap)
    assert same(short, long)
    assert same(load(paths, options), long)  # from the cache


@pytest.mark.usefixtures("everything_is_long")
def test_a_long_text_is_encoded_once(write: Callable[..., str], cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(TEXT)
    first = load((path,), TextConfig())
    assert [entry.name for entry in (cache / "encoded").iterdir() if entry.name.startswith(".")] == []
    with monkeypatch.context() as patched:
        patched.setattr(loading, "survey", None)  # to read the text again would fail
        assert same(load((path,), TextConfig()), first)
        with pytest.raises(TypeError):
            load((path,), TextConfig(split="80/20"))
    os.utime(path, ns=(0, 0))
    monkeypatch.setattr(loading, "survey", None)
    with pytest.raises(TypeError):
        load((path,), TextConfig())


@pytest.mark.usefixtures("everything_is_long")
@pytest.mark.parametrize("damage", ["cut", "about", "vocabulary"])
def test_a_damaged_entry_is_made_anew(write: Callable[..., str], cache: Path, damage: str) -> None:
    path = write(TEXT)
    first = load((path,), TextConfig())
    expected = np.array(first.train), first.sha256
    (entry,) = (cache / "encoded").iterdir()
    if damage == "cut":
        os.truncate(entry / "ids", 100)
    elif damage == "about":
        (entry / "about.json").write_text("{")
    else:
        about = json.loads((entry / "about.json").read_text())
        (entry / "about.json").write_text(json.dumps(about | {"vocabulary": "?"}))
    again = load((path,), TextConfig())
    np.testing.assert_array_equal(again.train, expected[0])
    assert again.sha256 == expected[1]


@pytest.mark.usefixtures("everything_is_long")
def test_two_processes_at_once(write: Callable[..., str], cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(TEXT)
    encode = loading._encode_long

    def slower(folder: Path, *rest: object) -> None:
        """Encode as asked, but let another process finish the same entry first."""
        monkeypatch.setattr(loading, "_encode_long", encode)
        load((path,), TextConfig())
        encode(folder, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(loading, "_encode_long", slower)
    corpus = load((path,), TextConfig())
    assert len(list((cache / "encoded").iterdir())) == 1
    assert same(corpus, load((path,), TextConfig()))


@pytest.mark.usefixtures("everything_is_long")
def test_bad_input_leaves_nothing_in_the_cache(write: Callable[..., str], cache: Path) -> None:
    with pytest.raises(UserError, match="one distinct character"):
        load((write("a" * 1000),), TextConfig())
    with pytest.raises(UserError, match="offset 1,000"):
        load((write(b"ab" * 500 + b"\xff"),), TextConfig())
    assert list((cache / "encoded").iterdir()) == []


@pytest.mark.usefixtures("everything_is_long")
def test_a_text_that_changes_while_it_is_read(write: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(TEXT)
    survey = loading.survey

    def then_replaced(*arguments: object) -> object:
        plan = survey(*arguments)  # type: ignore[arg-type]
        write(TEXT[:-100])
        return plan

    monkeypatch.setattr(loading, "survey", then_replaced)
    with pytest.raises(UserError, match="changed while it was read"):
        load((path,), TextConfig())


@pytest.mark.usefixtures("everything_is_long")
def test_a_cache_folder_that_cannot_be_made(write: Callable[..., str], cache: Path) -> None:
    cache.write_text("a file stands here")
    with pytest.raises(UserError, match=r"cannot write to the cache folder .* set RNNSCOPE_CACHE"):
        load((write(TEXT),), TextConfig())


@contextlib.contextmanager
def nearly_full_disk() -> Iterator[None]:
    """Let no file grow past a kilobyte. Only around what is tested: pytest's own output may go to a file."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.usefixtures("everything_is_long")
def test_a_full_disk(write: Callable[..., str], cache: Path) -> None:
    path = write(TEXT)
    with pytest.raises(UserError, match="cannot write to the cache folder"), nearly_full_disk():
        load((path,), TextConfig())
    assert list((cache / "encoded").iterdir()) == []


@pytest.mark.usefixtures("everything_is_long")
def test_what_a_killed_process_left_is_removed_a_day_later(write: Callable[..., str], cache: Path) -> None:
    old, new = cache / "encoded" / ".old-x", cache / "encoded" / ".new-x"
    for folder in (old, new):
        folder.mkdir(parents=True)
    os.utime(old, (time.time() - 2 * 86400,) * 2)
    load((write(TEXT),), TextConfig())
    assert not old.exists()
    assert new.exists()


@pytest.mark.usefixtures("everything_is_long")
def test_progress_rises_to_one(write: Callable[..., str]) -> None:
    told: list[tuple[str, float | None]] = []
    load((write(TEXT),), TextConfig(), progress=lambda what, done: told.append((what, done)))
    for what in ("reading notes.txt", "encoding notes.txt"):
        shares = [done for said, done in told if said == what and done is not None]
        assert shares == sorted(shares)
        assert shares[-1] == 1
        assert shares.count(1) == 1


def test_built_in_texts_of_any_length(monkeypatch: pytest.MonkeyPatch) -> None:
    short = load(("code",), TextConfig(length=30_000))
    monkeypatch.setattr(loading, "IN_MEMORY", 1000)
    monkeypatch.setattr("rnnscope.corpus.builtin.KEPT", 1000)
    assert same(short, load(("code",), TextConfig(length=30_000)))


PEAK = """
import re, sys
import numpy as np
from rnnscope.config import TextConfig
from rnnscope.corpus import load, make_batches

def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) >> 10

np.random.default_rng(0).integers(0, 9, 9)[np.zeros((3, 3), int)]
before = peak()
"""


def growth(script: str, path: Path) -> int:
    """Return by how many MB a script let its process grow, at its largest."""
    script = PEAK + textwrap.dedent(script) + "\nprint(peak() - before)"
    return int(subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, check=True).stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_encoding_takes_little_memory(tmp_path: Path) -> None:
    """48 MB of text: a table and a few blocks of memory, whatever its length."""
    piece = "".join(f"line {n} of some text, é\n" for n in range(30_000)).encode()
    with (tmp_path / "big.txt").open("wb") as file:
        for _ in range(48_000_000 // len(piece)):
            file.write(piece)
    assert growth("assert len(load((sys.argv[1],), TextConfig()).train) > 4e7", tmp_path / "big.txt") < 40


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize("mode", ["stateful", "stateless"])
def test_windows_from_all_over_a_text_leave_little_of_it_in_memory(tmp_path: Path, mode: str) -> None:
    """Windows that touch every part of 128 MB of ids."""
    with (tmp_path / "ids").open("wb") as file:
        for _ in range(128):
            file.write(bytes(1 << 20))
    script = f"""
        supply = make_batches(np.memmap(sys.argv[1], np.uint8, mode="r"), "{mode}", 16, 4000, 1)
        for _ in range(int(supply.steps_per_epoch)):
            supply.next()
    """
    assert growth(script, tmp_path / "ids") < 20


@pytest.mark.parametrize("mode", ["stateful", "stateless"])
@pytest.mark.parametrize("part", [slice(None), slice(1234, 250_001)], ids=["whole", "part"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_windows_of_a_mapped_text_are_those_of_one_in_memory(
    tmp_path: Path, mode: Any, part: slice, dtype: type[np.unsignedinteger]
) -> None:
    ids = np.random.default_rng(0).integers(0, 99, 300_000).astype(dtype)
    ids.tofile(tmp_path / "ids")
    mapped = make_batches(np.memmap(tmp_path / "ids", dtype, mode="r")[part], mode, 8, 50, 1)
    memory = make_batches(ids[part], mode, 8, 50, 1)
    for _ in range(50):
        one, two = mapped.next(), memory.next()
        np.testing.assert_array_equal(one.x, two.x)
        np.testing.assert_array_equal(one.y, two.y)
        assert one.x.flags.c_contiguous


def test_the_file_of_a_mapped_text_is_closed_with_its_batches(tmp_path: Path) -> None:
    np.zeros(1000, np.uint8).tofile(tmp_path / "ids")
    mapped = np.memmap(tmp_path / "ids", np.uint8, mode="r")
    before = len(os.listdir("/dev/fd"))
    batches = make_batches(mapped, "stateful", 2, 5, 1)
    assert len(os.listdir("/dev/fd")) == before + 1
    del batches
    gc.collect()
    assert len(os.listdir("/dev/fd")) == before

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from rnnscope.config import TextConfig
from rnnscope.corpus import absolute_texts, catalogue, list_texts, load
from rnnscope.corpus.catalogue import CATALOGUE, Download, fetch, is_cached, without_licence
from rnnscope.errors import UserError

BODY = "A scandal, they say.\r\nWe were seated; it was étrange.\r\n" * 30
ISSUED = (
    "\ufeffThe Project Gutenberg eBook of Something\r\n\r\nUse it freely.\r\n\r\n"
    "*** START OF THE PROJECT GUTENBERG EBOOK SOMETHING ***\r\n\r\n\r\n"
    f"{BODY}\r\n\r\n*** END OF THE PROJECT GUTENBERG EBOOK SOMETHING ***\r\nSmall print.\r\n"
).encode()
PLAIN = ("First Citizen:\nBefore we proceed any further, hear me speak.\n\n" * 40).encode()


class Server:
    """A web server on this machine that counts what it is asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked: list[str] = []
        asked = self.asked

        class Handler(SimpleHTTPRequestHandler):
            def __init__(self, *arguments: object) -> None:
                super().__init__(*arguments, directory=str(folder))  # type: ignore[arg-type]

            def do_GET(self) -> None:
                asked.append(self.path)
                super().do_GET()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def stop(self) -> None:
        self.http.shutdown()
        self.thread.join()
        self.http.server_close()


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server with a fixed text (shakespeare) and one that is re-issued (sherlock), in place of the real ones."""
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / "shakespeare.txt").write_bytes(PLAIN)
    (tmp_path / "served" / "sherlock.txt").write_bytes(ISSUED)
    server = Server(tmp_path / "served")
    monkeypatch.setenv("RNNSCOPE_TEXTS_URL", server.url + "/")
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    fixed = Download("", "", (len(PLAIN), len(PLAIN)), hashlib.sha256(PLAIN).hexdigest())
    monkeypatch.setitem(CATALOGUE, "shakespeare", fixed)
    monkeypatch.setitem(CATALOGUE, "sherlock", Download("", "", (len(ISSUED) - 100, len(ISSUED) + 100)))
    yield server
    server.stop()


def refused(name: str) -> str:
    with pytest.raises(UserError) as caught:
        fetch(name)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_a_text_is_fetched_once_and_progress_is_shown(server: Server) -> None:
    told: list[tuple[str, float | None]] = []
    corpus = load(("shakespeare",), TextConfig(split="90/10"), progress=lambda what, done: told.append((what, done)))
    assert corpus.vocabulary.decode(corpus.train).encode() == PLAIN[: len(corpus.train)]
    assert corpus.name == "shakespeare"
    assert told[0][0] == f"fetching shakespeare from {server.url.removeprefix('http://')}"
    assert [share for what, share in told if what == "fetching shakespeare"][-1] == 1
    assert told[-1] == ("reading shakespeare", 1.0)
    assert load(("shakespeare",), TextConfig(split="90/10")).sha256 == corpus.sha256
    assert server.asked == ["/shakespeare.txt"]


def test_a_missing_file_of_a_catalogue_name_is_fetched_and_said_so(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    told: list[str] = []
    load(("shakespeare.txt",), TextConfig(split="90/10"), progress=lambda what, _: told.append(what))
    assert told[0] == "no file shakespeare.txt here; took shakespeare from the catalogue"
    told.clear()
    assert absolute_texts(("shakespeare.txt", "play", "x.txt"), lambda what, _: told.append(what)) == (
        "shakespeare",
        "play",
        str(tmp_path / "x.txt"),
    )
    assert len(told) == 1
    Path("shakespeare.txt").write_text("my own words, " * 50)
    assert "First" not in (corpus := load(("shakespeare.txt",), TextConfig())).vocabulary.decode(corpus.train)
    assert absolute_texts(("shakespeare.txt",)) == (str(tmp_path / "shakespeare.txt"),)


def test_the_licence_is_left_out_and_line_endings_are_normal(server: Server) -> None:
    corpus = load(("sherlock",), TextConfig(split="50/50"))
    text = corpus.vocabulary.decode(corpus.train) + corpus.vocabulary.decode(corpus.validation)
    assert text == BODY.replace("\r\n", "\n")
    as_bytes = load(("sherlock",), TextConfig(split="50/50", bytes=True))
    assert as_bytes.train.tobytes() + as_bytes.validation.tobytes() == BODY.replace("\r\n", "\n").encode()


def test_a_text_without_the_markers_stays_whole() -> None:
    assert without_licence("one\n*** two\n") == "one\n*** two\n"
    old = "x\n***START OF THIS PROJECT GUTENBERG EBOOK A***\ntext\n\n***END OF THIS PROJECT GUTENBERG EBOOK A***\ny"
    assert without_licence(old) == "text\n"


def test_the_first_download_is_trusted_and_remembered(server: Server) -> None:
    path = fetch("sherlock")
    assert is_cached("sherlock")
    assert fetch("sherlock") == path
    assert len(server.asked) == 1
    path.write_bytes(ISSUED[:-1])  # damaged on the disk
    assert not is_cached("sherlock")
    reissued = ISSUED.replace(b"Small print", b"Large print")
    (server.folder / "sherlock.txt").write_bytes(reissued)
    assert fetch("sherlock").read_bytes() == reissued
    assert is_cached("sherlock")


def test_a_damaged_file_is_fetched_anew(server: Server) -> None:
    path = fetch("shakespeare")
    path.write_bytes(b"rubbish")
    assert fetch("shakespeare").read_bytes() == PLAIN
    assert len(server.asked) == 2


def test_a_wrong_text_is_refused(server: Server, cache: Path) -> None:
    (server.folder / "shakespeare.txt").write_bytes(PLAIN[::-1])
    (server.folder / "sherlock.txt").write_bytes(b"<html>log in first</html>")
    message = refused("shakespeare")
    assert "checksum differs" in message
    assert "built-in texts play, code and python" in message
    assert "gave 25 bytes where" in refused("sherlock")
    assert not any(path.suffix == ".txt" for path in (cache / "texts").iterdir())


def test_a_text_that_the_server_has_not(server: Server) -> None:
    assert "the server answered 404" in refused("war-and-peace")


def test_offline_is_one_line_that_names_the_built_in_texts(server: Server, cache: Path) -> None:
    server.http.socket.close()  # nobody listens any more
    with pytest.raises(UserError) as caught:
        load(("shakespeare.txt",), TextConfig())
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith("cannot fetch shakespeare from http://127.0.0.1")
    assert "(no connection)" in message
    assert "the built-in texts play, code and python need no network" in message
    assert list((cache / "texts").iterdir()) == []


def test_an_address_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RNNSCOPE_TEXTS_URL", "somewhere")
    assert "cannot fetch shakespeare from somewhere/shakespeare.txt (MissingSchema)" in refused("shakespeare")


def test_a_server_that_does_not_answer(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "TIMEOUT", 0.1)
    silent = ThreadingHTTPServer(("127.0.0.1", 0), SimpleHTTPRequestHandler)  # takes the connection, and that is all
    monkeypatch.setenv("RNNSCOPE_TEXTS_URL", f"http://127.0.0.1:{silent.server_port}")
    assert "(no answer)" in refused("shakespeare")
    silent.server_close()


def test_a_cache_folder_that_cannot_be_written(server: Server, cache: Path) -> None:
    cache.write_text("a file stands here")
    assert "set RNNSCOPE_CACHE" in refused("shakespeare")
    assert server.asked == []


def test_the_list_of_texts(server: Server) -> None:
    entries = {entry.name: entry for entry in list_texts()}
    assert list(entries) == ["play", "code", "python", "shakespeare", "sherlock", "war-and-peace"]
    assert [entry.cached for entry in entries.values()] == [True, True, True, False, False, False]
    assert entries["play"].size is None
    assert entries["shakespeare"].size == len(PLAIN)
    fetch("shakespeare")
    assert {entry.name: entry.cached for entry in list_texts()}["shakespeare"]
    assert all(entry.help for entry in entries.values() if entry.name not in ("shakespeare", "sherlock"))


def test_the_real_entries() -> None:
    """The one text whose checksum is known has it; the addresses are those of the issue's sources."""
    real = CATALOGUE["shakespeare"]
    assert real.sha256 == "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"
    assert real.url.startswith("https://raw.githubusercontent.com/karpathy/char-rnn/")
    for name in ("sherlock", "war-and-peace"):
        assert CATALOGUE[name].sha256 is None
        assert CATALOGUE[name].url.startswith("https://www.gutenberg.org/")
        assert CATALOGUE[name].sizes[0] < CATALOGUE[name].sizes[1]
    local = Path(__file__).parents[2] / "../shared/data/shakespeare.txt"
    if local.is_file():
        assert hashlib.sha256(local.read_bytes()).hexdigest() == real.sha256
        assert real.sizes == (local.stat().st_size,) * 2


def test_nothing_heavy_is_imported() -> None:
    code = (
        "import sys, rnnscope.corpus; print([m for m in ('torch', 'pooch', 'requests', 'textual') if m in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ)
    assert ran.stdout.strip() == "[]"

"""Texts that are fetched once by name and kept in the cache folder."""

from __future__ import annotations

import hashlib
import logging
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from rnnscope.corpus.cache import cache_folder, writable, write_text
from rnnscope.errors import UserError

Progress: TypeAlias = Callable[[str, float | None], None]
"""Called with what is being done, and the fraction done so far (None: not known)."""

TIMEOUT = 20  # seconds of silence before a server is given up
OFFLINE = "the built-in texts play, code and python need no network"


@dataclass(frozen=True)
class Download:
    """A text on the network.

    sha256: its checksum, or None for one that is re-issued now and then: then the first download within
    `sizes` (bytes, smallest and largest) is trusted, and its checksum kept beside it.
    """

    url: str
    help: str
    sizes: tuple[int, int]
    sha256: str | None = None


CATALOGUE: dict[str, Download] = {
    "shakespeare": Download(
        "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",
        "tiny Shakespeare: 40,000 lines of the plays (Karpathy 2015)",
        (1_115_394, 1_115_394),
        "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
    ),
    "sherlock": Download(
        "https://www.gutenberg.org/cache/epub/1661/pg1661.txt",
        "The Adventures of Sherlock Holmes, A. Conan Doyle (Project Gutenberg)",
        (500_000, 700_000),
    ),
    "war-and-peace": Download(
        "https://www.gutenberg.org/cache/epub/2600/pg2600.txt",
        "War and Peace, L. Tolstoy, translated by L. and A. Maude (Project Gutenberg)",
        (3_000_000, 3_700_000),
    ),
}


def cached_text(name: str) -> Path:
    """Return where the download of that name is kept (it need not be there)."""
    return cache_folder("texts") / f"{name}.txt"


def is_cached(name: str) -> bool:
    """Return whether the text is there and is what was downloaded."""
    path = cached_text(name)
    return os.path.isfile(path) and _sha256(path) == _expected(name)


def fetch(name: str, progress: Progress | None = None) -> Path:
    """Return the file of a catalogue text, downloading it unless it is there and whole.

    $RNNSCOPE_TEXTS_URL, a folder on a server that holds <name>.txt, replaces the address (a classroom's mirror).

    Raises:
        UserError: no network, another content than expected, or a cache folder that cannot be written.
    """
    path = cached_text(name)
    if is_cached(name):
        return path
    entry = CATALOGUE[name]
    mirror = os.environ.get("RNNSCOPE_TEXTS_URL")
    url = f"{mirror.rstrip('/')}/{name}.txt" if mirror else entry.url
    if progress:
        progress(f"fetching {name} from {urlsplit(url).netloc}", None)
    _download(name, url, path, progress)
    size = path.stat().st_size
    smallest, largest = entry.sizes
    if not smallest <= size <= largest:
        path.unlink()
        raise UserError(
            f"{url} gave {size:,} bytes where {smallest:,} to {largest:,} were expected, so it is not {name}; {OFFLINE}"
        )
    if entry.sha256 is None:
        write_text(_remembered(name), _sha256(path))
    return path


def read_text(path: Path) -> str:
    """Return a catalogue text without Project Gutenberg's licence around it."""
    return without_licence(path.read_text(encoding="utf-8-sig"))  # which also makes CRLF LF


def without_licence(text: str) -> str:
    """Return what stands between Project Gutenberg's START and END lines (all of a text that has none)."""
    start = re.search(r"^\*\*\* ?START OF TH(?:E|IS) PROJECT GUTENBERG.*$", text, re.MULTILINE)
    end = re.search(r"^\*\*\* ?END OF TH(?:E|IS) PROJECT GUTENBERG", text, re.MULTILINE)
    if not start or not end:
        return text
    return text[start.end() : end.start()].strip("\n") + "\n"


def _download(name: str, url: str, path: Path, progress: Progress | None) -> None:
    import pooch  # slow to import, and seldom needed

    pooch.get_logger().setLevel(logging.ERROR)  # stderr belongs to the screen
    bar = _Bar(f"fetching {name}", progress) if progress else False
    responses: list[Any] = []  # pooch leaves a refused one open
    hooks = {"response": lambda response, *_, **__: responses.append(response)}
    with writable(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)  # a damaged one, which would be reported as a wrong download
        try:
            pooch.retrieve(
                url,
                known_hash=CATALOGUE[name].sha256,
                fname=path.name,
                path=path.parent,
                downloader=pooch.HTTPDownloader(progressbar=bar, timeout=TIMEOUT, hooks=hooks),
            )
        except OSError as problem:
            if problem.errno is not None or isinstance(problem, PermissionError):
                raise  # the disk: errors of requests are OSErrors too, but carry no number
            raise UserError(f"cannot fetch {name} from {url} ({_reason(problem)}); {OFFLINE}") from problem
        except ValueError as problem:  # pooch's word for a checksum that differs
            raise UserError(f"{url} is not {name} as it was expected (checksum differs); {OFFLINE}") from problem
        finally:
            for response in responses:
                response.close()


def _reason(problem: OSError) -> str:
    """Return the cause of a failed download in a few words: requests' own text runs over several lines."""
    status = getattr(getattr(problem, "response", None), "status_code", None)
    if status is not None:
        return f"the server answered {status}"
    kind = type(problem).__name__
    return "no answer" if "Timeout" in kind else "no connection" if kind == "ConnectionError" else kind


def _remembered(name: str) -> Path:
    return cached_text(name).with_suffix(".sha256")


def _expected(name: str) -> str | None:
    if CATALOGUE[name].sha256 or not os.path.isfile(_remembered(name)):
        return CATALOGUE[name].sha256
    return _remembered(name).read_text().strip()


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


class _Bar:
    """What pooch takes for a progress bar: passes on the fraction of bytes that have come."""

    def __init__(self, what: str, progress: Progress) -> None:
        self.total = 0  # bytes; set by pooch
        self._what, self._progress = what, progress
        self._done = 0

    def update(self, count: int) -> None:
        self._done += count
        self._progress(self._what, min(1.0, self._done / self.total) if self.total else None)

    def reset(self) -> None:
        self._done = 0

    def close(self) -> None:
        """Nothing is held open."""

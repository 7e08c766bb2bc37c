"""What a person named on the command line, found: files, folders, built-in texts, the catalogue."""

from __future__ import annotations

import difflib
import errno
import os
from collections import Counter
from pathlib import Path

from rnnscope.config import TextConfig
from rnnscope.corpus import builtin
from rnnscope.corpus.catalogue import CATALOGUE, Progress, cached_text, fetch, read_text
from rnnscope.corpus.text import Source, file_source, read_string, unreadable
from rnnscope.errors import UserError


def find_sources(texts: tuple[str, ...], text: TextConfig, progress: Progress | None = None) -> list[Source]:
    """Return the texts in the order given, a folder as its files in the order of their names.

    A bare name of a built-in or catalogue text means that text; a file or folder of the same name is ./name.

    Raises:
        UserError: no such file, a folder without text, unreadable, a download that fails.
    """
    if not all(texts) or not texts:
        raise UserError(f"no text given: name a file or folder, or one of {', '.join(names())}")
    return [source for name in texts for source in _find(name, text, progress)]


def absolute_texts(texts: tuple[str, ...], progress: Progress | None = None) -> tuple[str, ...]:
    """Return `texts` as they should be saved with a run: files by absolute path, the others by name.

    progress: told where a name stands for a text of the catalogue because there is no such file.
    """
    return tuple(_known_name(name, progress) or os.path.abspath(os.path.expanduser(name)) for name in texts)


def title(texts: tuple[str, ...], sources: list[Source]) -> str:
    """Return a short name of the whole text, for headers."""
    if len(texts) == 1:
        name = Path(texts[0]).name or texts[0]
        return name if len(sources) == 1 else f"{name} ({len(sources)} files)"
    return f"{len(sources)} files"


def names() -> list[str]:
    """Return the names that stand for a text: the built-in ones, then the catalogue."""
    return [*builtin.BUILTIN, *CATALOGUE]


def _known_name(name: str, progress: Progress | None = None) -> str | None:
    """Return which built-in or catalogue text `name` means, if any; `shakespeare.txt` where there is no such file."""
    if name in names():
        return name
    stem = name.removesuffix(".txt")
    if stem not in CATALOGUE or os.path.lexists(name):
        return None
    if progress:
        progress(f"no file {name} here; took {stem} from the catalogue", None)
    return stem


def _find(name: str, text: TextConfig, progress: Progress | None) -> list[Source]:
    known = _known_name(name, progress)
    if known in builtin.BUILTIN:
        return [builtin.source(known, text.length, text.bytes)]
    if known:
        return [_catalogue_source(known, text.bytes, progress)]
    path = Path(os.path.expanduser(name))
    try:
        if path.is_dir():
            return _folder(path, text)
        if not path.exists():
            raise _missing_link(path) if path.is_symlink() else _missing(name, path)
        return [file_source(path, text.bytes)]
    except OSError as problem:
        raise unreadable(path, problem) from problem


def _catalogue_source(name: str, bytes_mode: bool, progress: Progress | None) -> Source:
    path = fetch(name, progress)
    size = path.stat().st_size
    identity = f"catalogue {name} {size} {path.stat().st_mtime_ns}"
    return Source(name, size, identity, lambda: read_string(read_text(cached_text(name)), bytes_mode))


def _folder(path: Path, text: TextConfig) -> list[Source]:
    try:
        found = sorted(entry for entry in path.glob(text.glob) if entry.is_file())
    except (ValueError, NotImplementedError) as problem:
        raise UserError(f"--glob {text.glob!r} is no pattern ({problem}): use one like '*.md'") from problem
    if found:
        return [file_source(entry, text.bytes) for entry in found]
    kinds = Counter(entry.suffix for entry in path.iterdir() if entry.is_file() and entry.suffix)
    if not kinds:
        raise UserError(f"folder {path} has no file that matches {text.glob}: name a folder with text, or use --glob")
    most = kinds.most_common(1)[0][0]
    raise UserError(f"folder {path} has no file that matches {text.glob}, but has {most} files: use --glob '*{most}'")


def _missing_link(path: Path) -> UserError:
    """Return the error for a link that leads to no file."""
    try:
        path.stat()
    except OSError as problem:
        if problem.errno == errno.ELOOP:
            return UserError(f"{path} is a link that leads back to itself: name the file that it should lead to")
    return UserError(f"{path} is a link to {os.readlink(path)}, which is not there: name the file itself")


def _missing(name: str, path: Path) -> UserError:
    beside = sorted(path.parent.iterdir()) if path.parent.is_dir() else []
    stems = difflib.get_close_matches(path.stem, {entry.stem for entry in beside}, n=2)  # ".txt" makes nothing alike
    close = [entry.name for stem in stems for entry in beside if entry.stem == stem][:2]
    close_names = difflib.get_close_matches(path.name.removesuffix(".txt"), names(), n=1)
    near = [str(path.parent / entry) if path.parent != Path() else entry for entry in close] + close_names
    meant = f"did you mean {' or '.join(near)}? Otherwise give" if near else "give"
    return UserError(f"no such file: {name}; {meant} a file, a folder, or one of {', '.join(names())}")

"""The list behind `rnnscope texts`: every text that has a name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rnnscope.corpus.builtin import BUILTIN
from rnnscope.corpus.catalogue import CATALOGUE, is_cached


@dataclass(frozen=True)
class TextEntry:
    """A text with a name.

    size: characters, roughly; None for a generated text, which has any length (--length).
    cached: it can be used without a network.
    """

    name: str
    kind: Literal["built-in", "download"]
    size: int | None
    help: str
    cached: bool


def list_texts() -> list[TextEntry]:
    """Return the built-in texts, then the catalogue."""
    built_in = [TextEntry(name, "built-in", None, text.help, True) for name, text in BUILTIN.items()]
    downloads = [
        TextEntry(name, "download", sum(entry.sizes) // 2, entry.help, is_cached(name))
        for name, entry in CATALOGUE.items()
    ]
    return built_in + downloads

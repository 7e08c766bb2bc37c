"""The symbols a model reads and writes, and their ids."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnscope.errors import UserError

SHOWN_UNKNOWN = 8  # unknown characters named in an error before it says how many more there are


@dataclass(frozen=True)
class Vocabulary:
    """Symbols by id, in code-point order. A symbol is one Unicode code point, or one byte.

    A combining accent is therefore a symbol of its own, as is each half of a composed emoji; how wide they are
    drawn is the screen's business. In bytes mode there are always 256 symbols, shown as latin-1 characters.
    """

    symbols: tuple[str, ...]
    bytes_mode: bool = False

    def __len__(self) -> int:
        return len(self.symbols)

    @functools.cached_property
    def _ids(self) -> dict[str, int]:
        return {symbol: index for index, symbol in enumerate(self.symbols)}

    def encode(self, text: str) -> NDArray[np.int64]:
        """Return the ids of `text`, shape (len(text),); the inverse of `decode`.

        Raises:
            UserError: characters that are not in the vocabulary; the message names them.
        """
        unknown = sorted(set(text) - self._ids.keys())
        if unknown:
            names = " ".join(repr(symbol) for symbol in unknown[:SHOWN_UNKNOWN])
            more = f" and {len(unknown) - SHOWN_UNKNOWN} more" if len(unknown) > SHOWN_UNKNOWN else ""
            raise UserError(f"the text this model learned from has no {names}{more}: leave them out or replace them")
        return np.fromiter((self._ids[symbol] for symbol in text), np.int64, len(text))

    def encode_prompt(self, text: str) -> NDArray[np.int64]:
        """Return the ids of text typed by a person: as `encode`, but in bytes mode the bytes of its UTF-8 form.

        Raises:
            UserError: as `encode`.
        """
        if self.bytes_mode:
            return np.frombuffer(text.encode("utf-8", "surrogateescape"), np.uint8).astype(np.int64)
        return self.encode(text)

    def decode(self, ids: Sequence[int] | NDArray[np.integer]) -> str:
        """Return the text of `ids` (one character per id, in bytes mode too)."""
        return "".join([self.symbols[index] for index in np.asarray(ids).tolist()])

    def to_json(self) -> str:
        """Return the vocabulary as JSON (pure ASCII), for the recording."""
        return json.dumps({"symbols": "".join(self.symbols), "bytes": self.bytes_mode})

    @staticmethod
    def from_json(text: str) -> Vocabulary:
        """Rebuild what `to_json` wrote.

        Raises:
            UserError: it is not a vocabulary.
        """
        try:
            values: Any = json.loads(text)
            symbols, bytes_mode = tuple(str(values["symbols"])), bool(values["bytes"])
        except (ValueError, KeyError, TypeError) as problem:
            raise UserError(f"the saved vocabulary cannot be read ({problem}): the run is damaged") from problem
        if not symbols or len(set(symbols)) != len(symbols):
            raise UserError("the saved vocabulary is empty or names a symbol twice: the run is damaged")
        return Vocabulary(symbols, bytes_mode)


BYTES = Vocabulary(tuple(map(chr, range(256))), bytes_mode=True)

"""A text read with the vocabulary of a model that learned elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from rnnscope.config import TextConfig
from rnnscope.corpus import Vocabulary, load, loading
from rnnscope.errors import UserError

TEXT = "abcabcXabcabcab?" * 50
GIVEN = Vocabulary(("z", "c", "b", "a"))


@pytest.mark.parametrize("long", [False, True])
def test_what_it_lacks_is_left_out_and_counted(long: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RNNSCOPE_CACHE", str(tmp_path / "cache"))
    if long:
        monkeypatch.setattr(loading, "IN_MEMORY", 10)
    path = tmp_path / "text.txt"
    path.write_text(TEXT)
    split = TextConfig(split="50/25/25")
    plain, corpus = load((str(path),), split), load((str(path),), split, vocabulary=GIVEN)
    assert corpus.vocabulary == GIVEN
    assert corpus.unseen == TEXT.count("X") + TEXT.count("?")
    parts = [GIVEN.decode(part) for part in (corpus.train, corpus.validation, corpus.test)]
    cut = [TEXT[:400], TEXT[400:600], TEXT[600:]]
    assert parts == [part.replace("X", "").replace("?", "") for part in cut]
    assert corpus.sha256 != plain.sha256
    again = load((str(path),), split, vocabulary=GIVEN)
    assert again.sha256 == corpus.sha256
    assert load((str(path),), split).vocabulary == plain.vocabulary


def test_a_text_of_other_letters_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_text("ABC" * 100)
    with pytest.raises(UserError, match="hardly a character that this model knows"):
        load((str(path),), TextConfig(), vocabulary=GIVEN)

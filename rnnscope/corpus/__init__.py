"""Text in: files and folders, built-in generators, downloads, vocabulary, batches. Numpy only."""

from rnnscope.corpus.batches import Batches, Window, make_batches, needed_characters
from rnnscope.corpus.loading import Corpus, check_windows, load
from rnnscope.corpus.sources import absolute_texts
from rnnscope.corpus.texts import TextEntry, list_texts
from rnnscope.corpus.vocabulary import Vocabulary

__all__ = [
    "Batches",
    "Corpus",
    "TextEntry",
    "Vocabulary",
    "Window",
    "absolute_texts",
    "check_windows",
    "list_texts",
    "load",
    "make_batches",
    "needed_characters",
]

"""N-gram models over ids, the rivals and judges of the networks. Numpy only."""

from rnnscope.ngrams.models import KneserNey, Model, Unsmoothed, build, kneser_ney_nats, unsmoothed_nats
from rnnscope.ngrams.table import Table, count
from rnnscope.ngrams.writing import write

__all__ = [
    "KneserNey",
    "Model",
    "Table",
    "Unsmoothed",
    "build",
    "count",
    "kneser_ney_nats",
    "unsmoothed_nats",
    "write",
]

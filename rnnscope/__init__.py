"""rnnscope: see inside a recurrent network while it learns."""

__version__ = "0.1.0"

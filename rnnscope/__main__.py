"""`python -m rnnscope` is `rnnscope`."""

from rnnscope.cli import entry

if __name__ == "__main__":
    entry()

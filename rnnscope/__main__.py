"""`python -m rnnscope` is `rnnscope`."""

import sys

if __name__ == "__main__":
    # `python -m` puts the current folder first, where a person's own random.py would be taken for Python's. It goes
    # last, since this package itself may lie in it.
    if not sys.flags.safe_path:
        sys.path.append(sys.path.pop(0))
    from rnnscope.cli import entry

    entry()

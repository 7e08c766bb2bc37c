"""Where somebody's own regular expression matches: found in a process of its own, which can be stopped.

Python's matcher may need time that doubles with every character ((a+)+$ on a row of a's), and nothing in the process
that called it can break it off.
"""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
from numpy.typing import NDArray

from rnnscope.errors import UserError

SECONDS = 10.0
"""An expression that needs longer is given up; ordinary ones take a tenth of a second for a million characters."""

FIND = (
    "import json, re, sys; regex, text = json.load(sys.stdin);"
    "json.dump([match.span() for match in re.finditer(regex, text, re.MULTILINE)], sys.stdout)"
)


def spans(text: str, regex: str, seconds: float = SECONDS) -> NDArray[np.bool_]:
    """Return (N,) bool: whether it is part of a match of `regex`, in which ^ and $ match at every line.

    Raises:
        UserError: the expression needs more than `seconds`, or its matcher failed.
    """
    command = [sys.executable, "-I", "-S", "-W", "ignore", "-c", FIND]
    asked = json.dumps([regex, text])
    try:
        child = subprocess.run(command, input=asked, capture_output=True, text=True, timeout=seconds, check=True)
    except subprocess.TimeoutExpired as problem:
        raise UserError(
            f"--concept: {regex!r} needs more than {seconds:g} s on {len(text):,} characters; repeats within repeats, "
            "like (a+)+, do that: write it with one repeat"
        ) from problem
    except subprocess.CalledProcessError as problem:
        reason = problem.stderr.strip().rpartition("\n")[2] or f"exit status {problem.returncode}"
        raise UserError(f"--concept: {regex!r} failed on this text ({reason})") from problem
    labels = np.zeros(len(text), bool)
    for start, stop in json.loads(child.stdout):
        labels[start:stop] = True
    return labels

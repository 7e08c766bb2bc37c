"""The command lines of verify and bench.

Apart from both, so that --help answers without importing torch; argparse, so that they run with torch, numpy and
safetensors alone, as `python -m rnnscope.verify` and `python -m rnnscope.bench` promise.
"""

from __future__ import annotations

import argparse
import math
from typing import NoReturn

from rnnscope.errors import EXIT_USAGE

MOST_THREADS = 1024


class Parser(argparse.ArgumentParser):
    """Complains in one line, like the rest of rnnscope."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and exit with 2."""
        self.exit(EXIT_USAGE, f"rnnscope: {message}; see {self.prog} --help\n")


def _seconds(word: str) -> float:
    if not 0 < float(word) < math.inf:
        raise argparse.ArgumentTypeError(f"{word} is not a positive number")
    return float(word)


def _threads(word: str) -> int:
    if not 1 <= int(word) <= MOST_THREADS:
        raise argparse.ArgumentTypeError(f"{word} is not between 1 and {MOST_THREADS:,}")
    return int(word)


def verify_parser() -> argparse.ArgumentParser:
    """Return the options of `rnnscope verify`."""
    parser = Parser(
        prog="rnnscope verify",
        description="Check dL/dh_t (and dL/dc_t) of every cell against step-by-step autograd in float64 on the CPU.",
    )
    parser.add_argument("--device", default="cpu", help="auto, cpu, cuda, cuda:N or mps (default: cpu)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    return parser


def bench_parser(*, screen: bool = False) -> argparse.ArgumentParser:
    """Return the options of `rnnscope bench`; `screen` where the whole program is installed, with --ui and --probes."""
    parser = Parser(prog="rnnscope bench", description="Time training beside bare torch.nn.")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--seconds", type=_seconds, default=15.0, help="measuring time for each case (default: 15)")
    parser.add_argument("--threads", type=_threads, help="CPU threads for torch (default: torch's own choice)")
    parser.add_argument("--device", default="cpu", help="auto, cpu, cuda, cuda:N or mps (default: cpu)")
    if screen:
        parser.add_argument("--ui", action="store_true", help="measure what the screen costs instead")
        parser.add_argument("--probes", action="store_true", help="measure what the probes cost instead")
    return parser

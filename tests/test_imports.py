"""What each part imports, seen in fresh processes: the screen answers at once because torch stays out of it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import pytest

from rnnscope.cli import COMMANDS

ROOT = Path(__file__).resolve().parents[1]
HEAVY = {"torch", "captum", "textual", "rich", "plotext"}

LOADED = """
import json, sys
sys.path.insert(0, {root!r})
try:
    exec({code!r})
except SystemExit as end:
    assert not end.code, end.code
print()
packages = {{name.split(".")[0] for name in sys.modules}}
print(json.dumps(sorted(packages | {{name for name in sys.modules if name.startswith("rnnscope.")}})))
"""

WITHOUT = """
import sys
from importlib.machinery import PathFinder
sys.path.insert(0, {root!r})

class Without(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.split(".")[0] in {absent!r} else super().find_spec(name, path, target)

sys.meta_path[sys.meta_path.index(PathFinder)] = Without
{code}
"""
ABSENT = {"textual", "rich", "plotext", "captum", "tyro", "pooch", "tqdm", "requests"}
"""What an installation with torch, numpy and safetensors alone does not have."""


def python(code: str) -> str:
    """Run `code` in a Python of its own; return what it wrote to stdout."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@cache
def loaded(code: str) -> frozenset[str]:
    """Return the packages, and the modules of ours, that `code` loads in a fresh process."""
    return frozenset(json.loads(python(LOADED.format(root=str(ROOT), code=code)).splitlines()[-1]))


def check_light(pieces: Mapping[str, str]) -> None:
    """Check that none of these pieces of code, here by their names, loads anything heavy: all at once, as it is so."""
    if loaded("\n".join(pieces.values())) & HEAVY:
        pytest.fail(f"heavy: {[name for name, code in pieces.items() if loaded(code) & HEAVY]}")


SAY = """
import rnnscope.cli
try:
    code = rnnscope.cli.main({words!r})
except SystemExit as end:
    code = end.code
assert not code, code
"""


def test_help_and_lists_load_nothing_heavy() -> None:
    lines = [["--help"], ["--version"], ["probe", "--list"], *([name, "--help"] for name in COMMANDS)]
    check_light({" ".join(words): SAY.format(words=words) for words in lines})


ROOMS = (
    "config", "registry", "errors", "corpus", "ngrams", "concepts.table", "concepts.search", "saved", "check",
    "recording.reader", "recording.writer", "recording.state", "recording.series", "recording.runs",
    "recording.mailbox",
)  # fmt: skip


def test_what_is_below_both_knows_neither_torch_nor_the_screen() -> None:
    check_light({room: f"import rnnscope.{room}" for room in ROOMS})


def test_what_is_heavy_is_named() -> None:
    with pytest.raises(pytest.fail.Exception, match=r"heavy: \['screen'\]"):
        check_light({"room": "import rnnscope.config", "screen": "import rich"})


def test_charts_know_plain_data_only() -> None:
    code = "import importlib, pkgutil, rnnscope.charts as c\n"
    code += "for m in pkgutil.iter_modules(c.__path__): importlib.import_module('rnnscope.charts.' + m.name)"
    found = loaded(code)
    assert not found & (HEAVY - {"plotext"})
    ours = {name for name in found if name.startswith("rnnscope.")}
    assert all(name.startswith("rnnscope.charts") for name in ours)


def test_the_screen_never_loads_torch() -> None:
    """Everything that `rnnscope train` and `rnnscope watch` load before and while the screen is up."""
    code = "import importlib, pkgutil, rnnscope.cli, rnnscope.launch, rnnscope.options, rnnscope.tui as t\n"
    code += "for m in pkgutil.walk_packages(t.__path__, 'rnnscope.tui.'): importlib.import_module(m.name)\n"
    code += "rnnscope.options.parse(rnnscope.options.Train, 'train', ['--hidden', '16'])"
    found = loaded(code)
    assert "textual" in found
    assert not found & {"torch", "captum", "rnnscope.model", "rnnscope.worker", "rnnscope.training", "rnnscope.probes"}


def test_preparing_a_run_needs_no_torch(tmp_path: Path) -> None:
    """Checks, text, recording: all that comes before the worker starts."""
    code = f"""
import os
os.environ["RNNSCOPE_CACHE"] = {str(tmp_path / "cache")!r}
from rnnscope import launch
from rnnscope.config import Config, RunConfig, TextConfig
config = Config(text=TextConfig(length=300_000), run=RunConfig(run={str(tmp_path / "run")!r}, device="cpu"))
launch.prepare_resume(launch.prepare_new(config, headless=True), config)
"""
    assert not loaded(code) & HEAVY
    assert (tmp_path / "run" / "run.db").exists()


def test_the_worker_knows_no_screen() -> None:
    found = loaded("import rnnscope.worker")
    assert "torch" in found
    assert not found & {
        "textual",
        "rich",
        "plotext",
        "captum",
        "tyro",
        "rnnscope.tui",
        "rnnscope.charts",
        "rnnscope.cli",
    }


def test_verify_and_bench_need_torch_numpy_and_safetensors_alone() -> None:
    code = """
import dataclasses, torch
from rnnscope import registry
for name in set(registry.CELLS) - {"tanh"}:  # one cell is enough to see what is imported late
    del registry.CELLS[name]
from rnnscope.verify import main
assert not main(["--json"])
from rnnscope.bench import SETTINGS, measure
small = dataclasses.replace(SETTINGS[0].model, cell="tanh", hidden=16)
measure(dataclasses.replace(SETTINGS[0], model=small), 0.01, torch.device("cpu"))
"""
    report = json.loads(python(WITHOUT.format(root=str(ROOT), code=code, absent=ABSENT)))
    assert {case["cell"] for case in report["cases"]} == {"tanh"}

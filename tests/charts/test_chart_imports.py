"""The room draws plain data: it loads neither torch nor the screen, nor anything else of ours."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import sys
import rnnscope.charts.bars, rnnscope.charts.coloured_text, rnnscope.charts.heatmap, rnnscope.charts.lines
loaded = {name.split(".")[0] for name in sys.modules}
ours = {name for name in sys.modules if name.startswith("rnnscope.") and not name.startswith("rnnscope.charts")}
print(sorted(loaded & {"torch", "textual", "rich"}), sorted(ours))
"""


def test_charts_load_nothing_but_numpy_and_plotext() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "[] []\n"
    assert done.stderr == ""

"""Plain tables for `rnnscope runs` and `rnnscope texts`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from rnnscope.charts.text import cells, crop, printable
from rnnscope.headless import finite


def runs(root: Path, *, as_json: bool) -> Iterator[str]:
    """Yield a line for each run under `root`, newest first; live ones carry a filled circle."""
    from rnnscope.recording.runs import list_runs

    found = list_runs(root)
    if as_json:
        for run in found:
            values = {
                "name": run.name, "path": str(run.path), "state": run.state, "live": run.live, "step": run.step,
                "epoch": finite(run.epoch), "loss": finite(run.loss), "validation": finite(run.validation),
                "model": run.model, "text": run.text, "bytes": run.size,
            }  # fmt: skip
            yield json.dumps(values, allow_nan=False)
        return
    if not found:
        yield f"no runs under {printable(str(root))}; start one with: rnnscope train"
        return
    names = [printable(run.name) for run in found]
    wide = max(map(cells, names))
    yield f"  {'name':<{wide}}  {'state':<11}  {'step':>9}  {'epoch':>6}  {'loss':>6}  {'valid.':>6}  {'MB':>6}  text"
    for run, name in zip(found, names, strict=True):
        mark = "●" if run.live else " "
        yield (
            f"{mark} {crop(name, wide)}  {run.state:<11}  {run.step:>9,}  {_number(run.epoch, 2)}  "
            f"{_number(run.loss, 3)}  {_number(run.validation, 3)}  {run.size / 1e6:>6.1f}  {printable(run.text)}"
        )


def _number(value: float, digits: int) -> str:
    return f"{'-' if finite(value) is None else format(value, f'.{digits}f'):>6}"


def texts() -> Iterator[str]:
    """Yield a line for each text that has a name."""
    from rnnscope.corpus import list_texts

    for text in list_texts():
        size = "any size" if text.size is None else f"{text.size / 1e6:.1f} MB"
        where = "built in" if text.kind == "built-in" else "cached" if text.cached else "fetched once"
        yield f"{text.name:<14}  {where:<12}  {size:>8}  {text.help}"

"""The `rnnscope` command. Each subcommand imports what it needs inside itself, so that --help answers at once."""

from __future__ import annotations

import contextlib
import difflib
import gc
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnscope import __version__
from rnnscope.charts.text import printable
from rnnscope.errors import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_OK, EXIT_TERMINATED, EXIT_USAGE, RunFailed, UserError

if TYPE_CHECKING:
    import subprocess


STARTED = time.monotonic()
INSPECTED = "neurons"  # the screen that `inspect` begins with
ENDED_WELL = (EXIT_OK, EXIT_INTERRUPTED, EXIT_TERMINATED)  # of a worker: also when somebody asked it to end


def train(arguments: list[str]) -> int:
    """Train a network on a text and watch it learn."""
    with _starting():
        folder, beside, run_headless = _prepared(arguments)
    if run_headless is not None:
        return run_headless(folder)
    from rnnscope.spawning import spawn_worker

    return _with_screen(folder, spawn_worker(folder), beside)


def _prepared(arguments: list[str]) -> tuple[Path, list[Path], Callable[[Path], int] | None]:
    """Return the folder of a run to train, runs to show beside it, and what trains it where no screen is wanted."""
    from rnnscope import options

    asked = options.parse(options.Train, "train", arguments)
    from rnnscope import launch  # after --help has been answered

    folder = None
    if asked.interface.resume is not None or asked.interface.config is not None:
        defaults, folder = launch.defaults(asked.interface)
        asked = options.parse(options.Train, "train", arguments, defaults)
    config = asked.to_config()
    beside: list[Path] = []
    if asked.interface.beside:
        from rnnscope.recording.runs import find_run

        beside = [find_run(other, Path(options.RUNS)) for other in asked.interface.beside]
    headless = asked.interface.headless or asked.interface.json or not sys.stdout.isatty()
    if folder is None:
        folder = launch.prepare_new(config, headless=headless)
    else:
        launch.prepare_resume(folder, config, headless=headless)
    if headless or config.training.steps == 0:
        from rnnscope.headless import run_headless

        return folder, beside, partial(run_headless, as_json=asked.interface.json)
    return folder, beside, None


@contextlib.contextmanager
def _starting() -> Iterator[None]:
    """Look for no garbage among what is imported, where there is none: that takes a tenth of a start."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def _with_screen(
    folder: Path, worker: subprocess.Popen[bytes] | None, beside: list[Path], start: str = "", **looking: Any
) -> int:
    """Show the screen until the person leaves. looking: see `inspection.Weights`."""
    with _starting():
        from rnnscope.tui.app import run
        from rnnscope.tui.inspection import Weights

    weights = Weights(**looking)
    code = run(folder, owns_worker=worker, beside=beside, start=start, weights=weights, started_at=STARTED)
    failed = worker is not None and worker.poll() is not None and worker.returncode not in ENDED_WELL
    return EXIT_FAILED if code == EXIT_OK and failed else code


def watch(arguments: list[str]) -> int:
    """Open the screen on a running or finished run."""
    from rnnscope import options

    asked = options.parse(options.Watch, "watch", arguments)
    from rnnscope.recording.reader import Reader
    from rnnscope.recording.runs import find_run

    folder = find_run(asked.run, Path(options.RUNS))
    with Reader(folder):
        pass  # a corrupt or newer recording is told before the screen opens
    if not sys.stdout.isatty():
        raise UserError("watch needs a terminal; use rnnscope runs --json where there is none")
    return _with_screen(folder, None, [find_run(other, Path(options.RUNS)) for other in asked.beside])


def inspect(arguments: list[str]) -> int:
    """Open the screen on what a run has learned, or on one checkpoint."""
    from rnnscope import options

    asked = options.parse(options.Inspect, "inspect", arguments)
    from rnnscope.launch import find_weights
    from rnnscope.recording.reader import Reader
    from rnnscope.recording.runs import find_run

    folder, checkpoint = find_weights(asked.run, Path(options.RUNS))
    with Reader(folder):
        pass
    if not sys.stdout.isatty():
        raise UserError("inspect needs a terminal; use rnnscope probe where there is none")
    beside = [find_run(other, Path(options.RUNS)) for other in asked.beside]
    return _with_screen(folder, None, beside, INSPECTED, checkpoint=checkpoint, device=asked.device)


def runs(arguments: list[str]) -> int:
    """List runs; live ones are marked."""
    from rnnscope import listing, options

    chosen = options.parse(options.Runs, "runs", arguments)
    for line in listing.runs(Path(chosen.root), as_json=chosen.json):
        print(line)
    return EXIT_OK


def stop(arguments: list[str]) -> int:
    """Ask a run to write a checkpoint and end."""
    from rnnscope import options

    asked = options.parse(options.Stop, "stop", arguments)
    from rnnscope import launch
    from rnnscope.recording.runs import find_run

    folder = find_run(asked.run, Path(options.RUNS))
    print(printable(launch.stop(folder)))
    return EXIT_OK


def sample(arguments: list[str]) -> int:
    """Print text that a trained model writes."""
    from rnnscope import options

    asked = options.parse(options.Sample, "sample", arguments)
    from rnnscope.check import check_sampling

    check_sampling(asked.temperature, asked.length, asked.seed)
    from rnnscope.loading import as_output, load_run, write_text
    from rnnscope.recording.runs import find_run

    loaded = load_run(find_run(asked.run, Path(options.RUNS)), best=asked.best)
    written = write_text(loaded, asked.prompt, asked.length, asked.temperature, asked.seed)
    for piece in as_output(written, loaded.vocabulary.bytes_mode, terminal=sys.stdout.isatty()):
        sys.stdout.buffer.write(piece)
        sys.stdout.flush()
    print()
    return EXIT_OK


def probe(arguments: list[str]) -> int:
    """Measure gradients, memory, units, texts and more on a checkpoint of a run."""
    from rnnscope import options

    asked = options.parse(options.Probe, "probe", arguments)
    from rnnscope import probe_report

    if asked.list:
        for line in probe_report.names():
            print(line)
        return EXIT_OK
    probe_report.check(asked)
    from rnnscope.recording.runs import find_run

    folder = find_run(asked.run, Path(options.RUNS))
    from rnnscope.launch import ProgressLine
    from rnnscope.probing import take  # imports torch

    progress = ProgressLine() if sys.stderr.isatty() else None
    try:
        found = take(folder, asked, progress)
    finally:
        if progress is not None:
            progress.erase()
    for line in probe_report.lines(found, asked):
        print(line)
    return EXIT_OK


def import_(arguments: list[str]) -> int:
    """Make a run of the weights of a plain PyTorch model."""
    from rnnscope import options

    asked = options.parse(options.Import, "import", arguments)
    from rnnscope.adopting import adopt, words  # imports torch

    for line in words(adopt(asked)):
        print(printable(line))
    return EXIT_OK


def texts(arguments: list[str]) -> int:
    """List built-in texts and those that are fetched once."""
    from rnnscope import listing, options

    options.parse(options.Texts, "texts", arguments)
    for line in listing.texts():
        print(line)
    return EXIT_OK


def verify(arguments: list[str]) -> int:
    """Check the gradients against step-by-step autograd on this device."""
    from rnnscope.arguments import verify_parser

    verify_parser().parse_args(arguments)  # --help and mistakes are answered before torch is imported
    from rnnscope.verify import main

    return main(arguments)


def bench(arguments: list[str]) -> int:
    """Measure training throughput against bare torch.nn on this device."""
    from rnnscope.arguments import bench_parser

    asked = bench_parser(screen=True).parse_args(arguments)
    if asked.ui:
        from rnnscope import bench_ui

        return bench_ui.main(as_json=asked.json, seconds=asked.seconds)
    if asked.probes:
        from rnnscope import bench_probes

        return bench_probes.main(as_json=asked.json, seconds=asked.seconds)
    from rnnscope.bench import main

    return main(arguments)


COMMANDS: dict[str, Callable[[list[str]], int]] = {
    function.__name__.rstrip("_"): function
    for function in (train, watch, inspect, runs, stop, sample, probe, import_, texts, verify, bench)
}


def usage() -> str:
    """Return what `rnnscope --help` prints."""
    lines = [f"  {name:<8} {(function.__doc__ or '').rstrip('.')}" for name, function in COMMANDS.items()]
    return "\n".join(
        [
            "usage: rnnscope COMMAND [OPTIONS]",
            "",
            "See inside a recurrent network while it learns.",
            "",
            *lines,
            "",
            "  rnnscope train                  train on a built-in text, no file needed",
            "  rnnscope train my-text.txt      train on a file of yours",
            "  rnnscope COMMAND --help         the options of a command",
            "",
            "exit status: 0 done; 1 the run failed; 2 bad usage or input; 130 interrupted; 143 terminated",
        ]
    )


def main(arguments: list[str]) -> int:
    """Run one command; return its exit status. User errors become one line on stderr."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print(usage())
        return EXIT_OK if arguments else EXIT_USAGE
    if arguments[0] in ("-V", "--version"):
        print(f"rnnscope {__version__}")
        return EXIT_OK
    name, *rest = arguments
    try:
        if name not in COMMANDS:
            close = difflib.get_close_matches(name, COMMANDS, n=1)
            hint = f" (did you mean {close[0]}?)" if close else ""
            raise UserError(f"there is no command {name!r}{hint}; use one of: {', '.join(COMMANDS)}")
        return COMMANDS[name](rest)
    except UserError as error:
        print(f"rnnscope: {printable(str(error))}", file=sys.stderr)
        return EXIT_USAGE
    except RunFailed as error:
        print(f"rnnscope: {printable(str(error))}", file=sys.stderr)
        return EXIT_FAILED
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:  # `rnnscope runs | head`
        sys.stderr.close()
        return EXIT_OK


def entry() -> None:
    """Run the command line and exit."""
    raise SystemExit(main(sys.argv[1:]))

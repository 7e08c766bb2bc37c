"""The program a person sees: one run, read from its recording; commands go back through the same folder."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from textual import events
from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.worker import Worker

from rnnscope.charts.text import printable
from rnnscope.errors import EXIT_FAILED, EXIT_OK, RunFailed, UserError
from rnnscope.folders import shipped_demo
from rnnscope.recording.commands import Command, Fork, Measure, Stop
from rnnscope.recording.events import DIVERGED, FAILED, FINISHED, STOPPED
from rnnscope.tui.actions import GROUPS, in_groups
from rnnscope.tui.controls import describe
from rnnscope.tui.elsewhere import belongs
from rnnscope.tui.forks import Forks, farewell
from rnnscope.tui.look import PALETTES, Look, look_of, theme
from rnnscope.tui.messages import Asked
from rnnscope.tui.screens.base import RunScreen
from rnnscope.tui.screens.table import SCREENS, Entry, Screens, import_all
from rnnscope.tui.session import Session
from rnnscope.tui.signals import EXIT_CODES, hung_up, leave_on_signals

if TYPE_CHECKING:
    from rnnscope.tui.beside import Companions
    from rnnscope.tui.inspection import Weights
    from rnnscope.tui.snapshot import Answered, Snapshot
    from rnnscope.tui.source import Source

POLL_SECONDS = 0.25
ENDED = (FINISHED, STOPPED, DIVERGED, FAILED)
STOP_SECONDS = 10.0  # at most so long is a stopping run waited for


class ScopeApp(App[int]):
    """One run on one terminal."""

    CSS_PATH = "theme.tcss"
    TITLE = "rnnscope"
    DEFAULT_MODE: ClassVar[str] = SCREENS[0].name
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+q,ctrl+c", "ask_quit", "quit", show=False, priority=True),
    ]
    NOTIFICATION_TIMEOUT = 3

    def __init__(
        self,
        folder: Path,
        worker: subprocess.Popen[bytes] | None = None,
        *,
        screens: tuple[Entry, ...] = SCREENS,
        mono: bool | None = None,
        poll_seconds: float = POLL_SECONDS,
        beside: Iterable[Path] = (),
        start: str = "",
        weights: Weights | None = None,
        started_at: float | None = None,
    ) -> None:
        """`mono`: draw without relying on colour; None finds out from NO_COLOR and the terminal.

        start: name of the screen that is shown first, the first of the table where there is no such screen.
        weights: what an inspector looks at, see `inspection.Weights`.
        started_at: time.monotonic() when the command was given; `first_frame` is counted from there.
        """
        # Textual would turn colours into greys; NO_COLOR asks for none at all, and native colours give just that.
        super().__init__(ansi_color=True if "NO_COLOR" in os.environ else None)
        self.folder = Path(folder)
        self.session = Session(self.folder, tuple((entry.key, entry.name) for entry in screens))
        self.screens = Screens(screens, self.session)
        for name in self.screens:
            self.add_mode(name, partial(self.screens.__getitem__, name))  # a mode keeps its screen when it is left
        self.current: RunScreen = self.screens[self.DEFAULT_MODE]  # the one shown, under any dialog
        few_colours = self.no_color or self.console.color_system in (None, "standard")
        self._mono = few_colours if mono is None else mono
        self._worker = worker
        self._started_at = time.monotonic() if started_at is None else started_at
        self.first_frame: float | None = None  # seconds until something was on the screen
        self._poll_seconds = poll_seconds
        # One thread for everything that touches the recording: a slow disk never holds up the screen.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="rnnscope-reader")
        self._source: Source | None = None
        self._beside = tuple(beside)
        self._start, self._weights = start, weights
        self._companions: Companions | None = None
        self._forks = Forks(self.folder)
        self._following: Worker[None] | None = None
        self._stopping = False
        self.left_running = False
        self.signalled: int | None = None  # exit code of the signal that ended it

    # -- life ------------------------------------------------------------------------------------------------------

    def on_load(self) -> None:
        """Get ready before textual takes the terminal."""
        for theme_name in PALETTES:
            self.register_theme(theme(theme_name))
        self.theme = next(iter(PALETTES))
        for key, name in self.session.screens:
            self.bind(key, f"show_screen('{name}')", description=name, show=False)
        leave_on_signals(self._leave_on_signal)

    def on_mount(self) -> None:
        """Begin to read."""
        self.theme_changed_signal.subscribe(self, lambda _: self._show_look())
        self._show_look()
        self.call_after_refresh(self._note_first_frame)
        if self._start in self.screens:
            self.action_show_screen(self._start)
        self._following = self.run_worker(self._follow(), exit_on_error=True)

    def _note_first_frame(self) -> None:
        self.first_frame = time.monotonic() - self._started_at

    def on_unmount(self) -> None:
        """Let go of the recording."""
        if self._following is not None:
            self._following.cancel()
        if self._source is not None:
            self._thread.submit(self._source.close)
        if self._companions is not None:
            self._thread.submit(self._companions.close)
        self._thread.shutdown(wait=False)

    def look(self) -> Look:
        """Return colours and glyphs for the theme chosen."""
        return look_of(self.theme, self._mono)

    def _show_look(self) -> None:
        self.session.look = self.look()
        self.current.distribute()

    async def _follow(self) -> None:
        """Read the recording again and again, off this thread, and hand what was found to the screen."""
        session, first = self.session, True
        while True:
            try:
                snapshot, answers = await self._in_thread(self._read)
            except UserError as error:
                session.trouble = str(error)  # what was read before stays
            else:
                self._tell(answers)
                session.take(snapshot, answers)
                if self._stopping and not snapshot.live:
                    self.exit(EXIT_OK)
            self.current.distribute()
            if first:  # the other screens, now that this one is there
                self._thread.submit(import_all)
            first = False
            await asyncio.sleep(self._poll_seconds)

    async def _in_thread(self, work: Callable[[], Any]) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _read(self) -> tuple[Snapshot, list[Answered]]:
        source = self._open()
        answers = source.answers()  # before polling, so that what a command changed is seen with its answer
        snapshot, companions = source.poll(), self._companions
        if companions is None:
            return snapshot, answers
        for answer in answers:
            if isinstance(answer.command, Fork) and answer.done:
                companions.add(self.folder.with_name(answer.command.name))
        forks = self._forks.poll(snapshot.state.interventions)
        return replace(snapshot, beside=companions.poll(), forks=forks), answers

    def _open(self) -> Source:
        if self._source is None:
            # After the first frame, and off the UI's thread: the store, and plotext for the first chart.
            from rnnscope.charts import lines  # noqa: F401
            from rnnscope.tui.beside import Companions
            from rnnscope.tui.source import Source

            self._source = Source(self.folder, self._worker, self._weights)
            self._companions = Companions(self._beside)
        return self._source

    # -- commands --------------------------------------------------------------------------------------------------

    async def on_asked(self, message: Asked) -> None:
        """Send a command; its answer comes with a later look."""
        self.run_worker(self._send(message.command))

    async def _send(self, command: Command) -> None:
        try:
            await self._in_thread(lambda: self._open().send(command))
        except (UserError, RunFailed) as error:
            self.session.forget(command)
            self.current.distribute()
            self.notify(printable(str(error)), severity="error", markup=False)

    def _tell(self, answers: list[Answered]) -> None:
        """Show what became of commands, only the newest: a row of toasts would hide the panels."""
        told = [answer for answer in answers if not (answer.done and isinstance(answer.command, Measure))]
        for answer in told[-1:]:  # how it stands with a measurement is shown on its panel
            self.clear_notifications()
            what = describe(answer.command)
            if answer.done:
                at = f", from step {answer.step:,}" if answer.step is not None else ""
                self.notify(f"{what}: done{at}", markup=False, timeout=2)
            else:
                self.notify(f"{what}: refused, {printable(answer.reason)}", severity="warning", markup=False, timeout=6)

    # -- actions of the whole program ------------------------------------------------------------------------------

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """Fill the command palette with every action of the screen, and the other screens."""
        for action in in_groups(self.current.groups):
            if action.call != "app.command_palette":
                title = f"{GROUPS[action.group]}: {action.label} ({action.shown})"
                yield SystemCommand(title, action.help, partial(self.current.run_action, action.call))
        for key, name in self.session.screens:
            if name != self.current.name:
                yield SystemCommand(f"Screen: {name} ({key})", "Go there.", partial(self.action_show_screen, name))

    def on_key(self, event: events.Key) -> None:
        """Say where a key belongs that does nothing on the screen shown."""
        if self.screen is self.current and event.key not in self.screen.active_bindings:
            where = belongs(event.key, {entry: self.screens[entry[1]].groups for entry in self.session.screens})
            if where:
                self.current.remark(where)

    def action_show_screen(self, name: str) -> None:
        """Go to another screen of the table."""
        if self.current.name != name:
            self.current = self.screens[name]
            self.switch_mode(name)

    def action_next_theme(self) -> None:
        """Change between the themes."""
        names = list(PALETTES)
        self.theme = names[(names.index(self.theme) + 1) % len(names)] if self.theme in names else names[0]

    def action_picture(self) -> None:
        """Save a picture of the screen in the run's folder, or here where that cannot be written or is installed."""
        name = time.strftime("screen-%Y%m%d-%H%M%S.svg")
        for folder in (Path.cwd(),) if self.folder == shipped_demo() else (self.folder, Path.cwd()):
            try:
                path = self.save_screenshot(name, str(folder))
            except OSError as error:
                reason = str(error)
                continue
            self.notify(f"picture saved: {printable(path)}", markup=False, timeout=5)
            return
        self.notify(f"no picture: {printable(reason)}", severity="error", markup=False)

    def action_help(self) -> None:
        """Explain the screen."""
        from rnnscope.tui.screens.help import HelpScreen, help_text

        self.push_screen(HelpScreen(help_text(self.current)))

    async def action_quit(self) -> None:
        """Textual's own way out asks as well."""
        self.action_ask_quit()

    def action_ask_quit(self) -> None:
        """Leave; while the run is training ask first what shall become of it."""
        from rnnscope.tui.screens.quit import QuitScreen

        if isinstance(self.screen, QuitScreen) or self._stopping:
            self._leave()  # asked twice: out, which loses nothing
            return
        if not self._training():
            self.exit(EXIT_OK)
            return
        self.push_screen(QuitScreen(printable(str(self.folder)), self.forks), self._answer_quit)

    @property
    def forks(self) -> tuple[Path, ...]:
        """The runs that were forked off this one and train, as last read."""
        return self.session.newest.forks if self.session.newest is not None else ()

    def _training(self) -> bool:
        newest = self.session.newest
        if newest is not None and newest.word in ENDED:
            return False  # its worker may still be tidying up
        if newest is not None and newest.live:
            return True
        return self._worker is not None and self._worker.poll() is None

    def _answer_quit(self, answer: str | None) -> None:
        if answer == "stop":
            self._stopping = True
            self.notify("stopping: the worker writes its last checkpoint", markup=False, timeout=STOP_SECONDS)
            self.set_timer(STOP_SECONDS, self._leave)
            self.run_worker(self._send(Stop()))
        elif answer == "leave":
            self._leave()

    def _leave(self) -> None:
        self.left_running = self._training()
        self.exit(EXIT_OK)

    def _leave_on_signal(self, code: int) -> None:
        self.signalled = code
        self.left_running = self._training()
        self.exit(code, return_code=code)


def run(
    folder: Path,
    *,
    owns_worker: subprocess.Popen[bytes] | None = None,
    beside: Iterable[Path] = (),
    start: str = "",
    weights: Weights | None = None,
    started_at: float | None = None,
) -> int:
    """Show run `folder` until the person leaves; return the exit code.

    beside: other runs, drawn in the same charts. start, weights: see `ScopeApp`.
    owns_worker: the process just started to train it, None to watch. started_at: time.monotonic() at the start of
    the command, for measuring the time to the first frame.
    """
    app = ScopeApp(folder, owns_worker, beside=beside, start=start, weights=weights, started_at=started_at)
    try:
        code = app.run()
        if app.left_running:
            name = printable(str(folder))
            sys.stderr.write(f"training goes on; rnnscope watch {name} to come back, rnnscope stop {name} to end it\n")
        sys.stderr.writelines(f"{line}\n" for line in farewell(app.forks))
    except OSError:
        if not hung_up():
            raise
        code = None
    if app.signalled is not None or hung_up():
        return app.signalled or EXIT_CODES[signal.SIGHUP]
    if code is None:
        return app.return_code or EXIT_FAILED
    return code

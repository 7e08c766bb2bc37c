"""The question asked when somebody leaves while a run is still training."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal, TypeAlias

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Static

from rnnscope.tui.forks import farewell

Answer: TypeAlias = Literal["stop", "leave", "stay"]


class QuitScreen(ModalScreen[Answer]):
    """Stop the run, leave it running in the background, or stay."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "answer('stop')", "stop", show=False),
        Binding("b,l", "answer('leave')", "leave running", show=False),
        Binding("escape,c,n", "answer('stay')", "stay", show=False),
        Binding("left,up", "app.focus_previous", show=False),
        Binding("right,down", "app.focus_next", show=False),
    ]

    AUTO_FOCUS = "#leave"  # the answer that loses nothing

    def __init__(self, run: str, forks: tuple[Path, ...] = ()) -> None:
        """`run`: printable; `forks`: the folders of those that train on whatever the answer is."""
        super().__init__()
        self.run, self.forks = run, forks

    def compose(self) -> ComposeResult:
        """Lay out the question and its three answers."""
        with Vertical(id="quit"):
            yield Static("This run is still training. What shall become of it?", markup=False, id="question")
            yield Static(
                "s    stop it: a checkpoint is written; go on later with\n"
                f"     rnnscope train --resume {self.run}\n"
                "b    leave it running in the background; come back with\n"
                f"     rnnscope watch {self.run}\n"
                "esc  stay here",
                markup=False,
                id="answers",
            )
            if self.forks:
                yield Static("\n".join(farewell(self.forks)), markup=False, id="forks")
            with Horizontal():
                yield Button("Stop", variant="error", id="stop")
                yield Button("Background", variant="primary", id="leave")
                yield Button("Stay", id="stay")

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Answer with the button's id."""
        self.action_answer(event.button.id or "stay")

    def action_answer(self, answer: str) -> None:
        """Close with `answer`."""
        self.dismiss("stop" if answer == "stop" else "leave" if answer == "leave" else "stay")

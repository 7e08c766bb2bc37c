"""The neuron lab: what units know, where they are on, and what the network does without them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from textual.binding import BindingType

from rnnscope.charts.text import printable
from rnnscope.recording.commands import Measure
from rnnscope.recording.neuron_events import Activations, Birth, Contexts, Interventions, StateSpace, Units
from rnnscope.recording.requests import Request
from rnnscope.tui.actions import Chip, Group
from rnnscope.tui.asking import Standing, escaped, measure, newest, standing, unescaped
from rnnscope.tui.messages import Asked
from rnnscope.tui.neuron_requests import Asker, concept_given, probe_of
from rnnscope.tui.neuron_rows import Found, loads, order_of, possible_orders, ranked
from rnnscope.tui.neuron_view import Extent, NeuronView, change, settle, why_unchanged
from rnnscope.tui.neuron_words import QUESTIONS, intervention_next, said_of, target_next
from rnnscope.tui.screens.base import bindings
from rnnscope.tui.screens.lab import LabScreen
from rnnscope.tui.screens.live import measured
from rnnscope.tui.session import Session
from rnnscope.tui.snapshot import Snapshot, When
from rnnscope.tui.view import Reading
from rnnscope.tui.widgets.neurons.attribution import AttributionPanel
from rnnscope.tui.widgets.neurons.birth import BirthPanel
from rnnscope.tui.widgets.neurons.concepts import ConceptsPanel
from rnnscope.tui.widgets.neurons.contexts import ContextsPanel
from rnnscope.tui.widgets.neurons.interventions import InterventionsPanel
from rnnscope.tui.widgets.neurons.page import beside
from rnnscope.tui.widgets.neurons.saturation import SaturationPanel
from rnnscope.tui.widgets.neurons.statespace import StateSpacePanel
from rnnscope.tui.widgets.neurons.text import TextPanel

TOGETHER: tuple[Group, ...] = ("text", "units", "statespace", "interventions")
WIDE: tuple[Group, ...] = ("text", "units", "contexts", "statespace", "interventions", "attribution")
PANELS: tuple[Group, ...] = (
    "text", "units", "contexts", "saturation", "statespace", "birth", "interventions", "attribution",
)  # fmt: skip
OWN: tuple[Group, ...] = (*PANELS, "asking", "pages")


class NeuronsScreen(LabScreen):
    """Everything about the units of one network."""

    about = (
        "A network that has learnt to predict text has had to find out by itself what in it matters: single units come "
        "to follow quotation marks, the length of a line, the depth of brackets. Here you look for them on a text of "
        "your own, ask which unit knows what and how much better than chance that is, see when in training it was "
        "born, and switch it off to see what goes wrong. M measures what the panel shows, between two training steps; "
        "until then the text is the newest sample of the training. Four panels are seen together, the others open by a "
        "key each: x contexts, S saturation, B birth, A attribution. In a small terminal PgDn and PgUp leaf through "
        "all eight."
    )
    groups = ("training", *OWN, "display")
    BINDINGS: ClassVar[list[BindingType]] = bindings(*OWN)
    together = TOGETHER
    wide = WIDE
    opened: ClassVar[Chip | None] = (("x", "S", "B", "A"), "more")

    def __init__(self, session: Session, name: str) -> None:
        self.text = TextPanel(id="text")
        panels = (
            self.text, ConceptsPanel(id="units"), ContextsPanel(id="contexts"), SaturationPanel(id="saturation"),
            StateSpacePanel(id="statespace"), BirthPanel(id="birth"), InterventionsPanel(id="interventions"),
            AttributionPanel(id="attribution"),
        )  # fmt: skip
        super().__init__(session, name, panels)
        self.view = NeuronView()
        self._extent: tuple[tuple[object, ...], Extent] | None = None
        self._settled: tuple[Any, Reading | None, NeuronView] | None = None
        self._order: tuple[tuple[object, ...], NDArray[np.int64]] | None = None

    # -- what is shown ---------------------------------------------------------------------------------------------

    def reading(self, shown: Snapshot) -> tuple[Reading | None, When]:
        """Return the text that was asked for, or the newest sample of the training where none was, or it is wanted."""
        event, when = newest(shown, Activations.kind)
        sample = shown.state.sample
        wanted = self.view.live or not isinstance(event, Activations)
        if sample is not None and sample.event.text and wanted:
            _, taken = measured(sample, shown, shown.config.probes.sample_every)
            return sample.event, taken
        return (event, when) if isinstance(event, Activations) else (None, when)

    def extent(self, shown: Snapshot) -> Extent:
        """Return how much there is to walk through; the very same object while nothing changes."""
        key = (shown, self.view, self.text.text_width())
        if self._extent is None or self._extent[0][0] is not shown or self._extent[0][1:] != key[1:]:
            self._extent = key, self._measured(shown)
        return self._extent[1]

    def _measured(self, shown: Snapshot) -> Extent:
        reading, _ = self.reading(shown)
        units, contexts, space, birth, held = (
            newest(shown, kind.kind)[0] for kind in (Units, Contexts, StateSpace, Birth, Interventions)
        )
        if reading is None:
            return Extent()
        last = len(reading.text) - 1
        cursor = last if self.view.cursor < 0 or self.view.text != reading.text else min(self.view.cursor, last)
        width = self.text.text_width()
        found = units if isinstance(units, Units) else None
        return Extent(
            reading=reading,
            above=beside(reading.text, width, cursor, -1),
            below=beside(reading.text, width, cursor, 1),
            orders=possible_orders(reading, found),
            rows=len(ranked(found, self.view.sort)) if found else 0,
            snippets=len(contexts.snippets) if isinstance(contexts, Contexts) else 0,
            colours=1 + len(space.concepts) if isinstance(space, StateSpace) else 1,
            checkpoints=len(birth.steps) if isinstance(birth, Birth) else 0,
            loads=int(np.isfinite(held.load).sum()) if isinstance(held, Interventions) else 0,
            tops=len(getattr(reading, "top", ())) or 1,
        )

    def settled(self, extent: Extent) -> NeuronView:
        """Return the view with everything in it existing; the very same object while nothing changes."""
        key = (self.view, replace(extent, reading=None))
        if self._settled is None or self._settled[0] != key or self._settled[1] is not extent.reading:
            self._settled = key, extent.reading, settle(self.view, extent)
        return self._settled[2]

    def _ordered(self, reading: Reading, view: NeuronView, units: object) -> NDArray[np.int64]:
        """Return the units in the map's order, made anew only when it changes."""
        found = units if isinstance(units, Units) else None
        key = (id(reading), view.unit.layer, view.unit.field, view.order, id(found), view.concept)
        if self._order is None or self._order[0] != key:
            made = order_of(reading, view.unit.layer, view.unit.field, view.order, found, view.concept)
            self._order = key, made
        return self._order[1]

    def inputs(self, name: str) -> tuple[object, ...]:
        """Return what panel `name` shows."""
        shown = self.session.shown
        if shown is None:
            return ()
        extent = self.extent(shown)
        view, reading = self.settled(extent), extent.reading
        event, when = newest(shown, probe_of(name))
        if name == "text":
            if reading is None:
                return (None, standing(shown, Activations.kind))
            start, end = view.span if view.span[1] else (view.mark, view.mark + 1) if view.mark >= 0 else (0, 0)
            order = self._ordered(reading, view, newest(shown, Units.kind)[0])
            how = f"{view.order} ({view.concept})" if view.order == "concept" else view.order
            return (reading, self.reading(shown)[1], view.unit, view.cursor, start, end, how, order)
        if event is None:
            return (None, standing(shown, probe_of(name)), self._following(name, view, reading))
        chosen: dict[str, tuple[object, ...]] = {
            "units": (view.sort, view.row),
            "contexts": (view.snippet,),
            "saturation": (view.unit, shown.history.saturations),
            "statespace": (view.pair, view.colour, view.text, view.cursor),
            "birth": (view.checkpoint,),
            "interventions": (view.load,),
            "attribution": (),
        }
        return (event, when, *chosen[name])

    def _following(self, name: str, view: NeuronView, reading: Reading | None) -> str:
        """Return what M would do in panel `name`, where that depends on what was chosen."""
        if name == "interventions":
            return intervention_next(view)
        return target_next(view, reading) if name == "attribution" else ""

    def aside(self, name: str) -> object:
        """Return how it stands with the measurement of panel `name`, or what M would do there."""
        shown = self.session.shown
        if shown is None:
            return None
        now, extent = standing(shown, probe_of(name)), self.extent(shown)
        following = self._following(name, self.settled(extent), extent.reading)
        if following and (now.old or not now.ways):
            words = printable(following)
            return Standing((*(f"{way} · M: {words}" for way in now.ways), *now.ways) if now.ways else (f"M: {words}",))
        live = name == "text" and not isinstance(extent.reading, Activations)
        return Standing() if live and now.old else now  # a sample says itself how old it is

    # -- what keys do ----------------------------------------------------------------------------------------------

    def _looked_at(self) -> tuple[Extent, NeuronView]:
        shown = self.session.shown
        extent = self.extent(shown) if shown else Extent()
        return extent, self.settled(extent)

    def _look(self, view: NeuronView) -> None:
        self.view = view
        self.distribute()

    def action_view(self, key: str) -> None:
        """Change what is looked at (see neuron_view.py); a span that is whole is looked for."""
        extent, before = self._looked_at()
        panel = self.large or self.focused_panel()
        view = change(self.view, key, panel, extent)
        owner, said = said_of(view, key)
        if view == before:
            self.remark(why_unchanged(key, panel, extent))
        elif said and (owner != self.large if self.large else owner not in self.seen):
            self.remark(said)  # else it is on the panel itself
        self._look(view)
        if key == "mark" and view.span[1] and self._ask_for("contexts") and "contexts" not in self.seen:
            self._enlarge("contexts")

    def action_point(self, character: int, unit: int) -> None:
        """Put the cursor on a character, and choose a unit; -1 leaves either as it is."""
        _, view = self._looked_at()
        at = view.cursor if character < 0 else character
        self._look(replace(view, cursor=at, unit=replace(view.unit, unit=view.unit.unit if unit < 0 else unit)))

    def action_choose(self, layer: int, unit: int) -> None:
        """Choose a unit of a layer."""
        _, view = self._looked_at()
        self._look(replace(view, unit=replace(view.unit, layer=layer, unit=unit)))

    def action_select(self, row: int) -> None:
        """Select a row of the list that has the focus."""
        panel = self.large or self.focused_panel()
        if panel == "contexts":
            self._look(replace(self.view, snippet=row))
        elif panel == "interventions":
            self._look(replace(self.view, load=row))
        else:
            self._look(replace(self.view, row=row))

    def action_checkpoint(self, index: int) -> None:
        """Go to a checkpoint of the birth."""
        self._look(replace(self.view, checkpoint=index))

    def action_open(self) -> None:
        """Show the row selected on the text: the unit of a row, or the place of a snippet; elsewhere enlarge."""
        panel, shown = self.large or self.focused_panel(), self.session.shown
        _, view = self._looked_at()
        event = newest(shown, probe_of(panel))[0] if shown and panel else None
        if isinstance(event, Units) and panel == "units" and event.concepts:
            self._show_found(ranked(event, view.sort)[view.row], event.field)
        elif isinstance(event, Interventions) and panel == "interventions" and loads(event):
            one = loads(event)[view.load]
            self._to_text(replace(view, unit=replace(view.unit, layer=one.layer, unit=one.unit)))
        elif isinstance(event, Contexts) and panel == "contexts" and event.snippets:
            start = int(event.offsets[view.snippet])
            self._ask_for_text(replace(Request(), source="train", start=start))
            self._to_text(self.view)
        else:
            self.action_enlarge(panel)

    def _show_found(self, row: Found, field: str) -> None:
        _, view = self._looked_at()
        unit = replace(view.unit, layer=row.layer, unit=row.unit, field=field)
        self._to_text(replace(view, unit=unit, concept=row.concept))

    def _to_text(self, view: NeuronView) -> None:
        """Show a view on the text, also where something else fills the screen."""
        self.view = view
        if self.large and self.large != "text":
            self._enlarge("text")
        else:
            self.distribute()

    # -- what is asked of the worker -------------------------------------------------------------------------------

    def _send(self, command: Measure) -> bool:
        sent = self.session.command(command)
        if sent is None:
            self.remark(self.session.remark)
            return False
        self.distribute()
        self.post_message(Asked(sent))
        return True

    def _asker(self) -> Asker:
        """Return what makes the requests, with all that they depend on."""
        extent, view = self._looked_at()
        shown = self.session.newest
        if shown is None:
            return Asker(view, extent.reading)
        return Asker(view, extent.reading, shown.controls.temperature, shown.config.text.bytes)

    def _ask_for(self, panel: str) -> bool:
        """Ask the worker to measure for a panel; whether that could be asked."""
        asker = self._asker()
        return self._ask_for_text(asker.again()) if panel == "text" else self._send(asker.command(panel))

    def _ask_for_text(self, request: Request) -> bool:
        """Ask for a text; from now on it is the one shown."""
        if not self._send(measure(Activations.kind, request)):
            return False
        self._look(replace(self.view, asked=request, live=False))
        return True

    def action_measure(self, panel: str) -> None:
        """Ask for the measurement of a panel ("" the one that has the focus)."""
        self._ask_for(panel or self.large or self.focused_panel() or PANELS[0])

    def action_measure_all(self) -> None:
        """Ask for every measurement of this screen."""
        for panel in PANELS:
            if not self._ask_for(panel):
                return

    def action_measure_text(self, source: str) -> None:
        """Ask for a text: "generate", or the next piece of "validation" or "train"."""
        asker, shown = self._asker(), self.session.shown
        started = shown.state.started if shown else None
        if source == "validation":
            self._ask_for_text(asker.excerpt("validation", started.event.validation_chars if started else None))
        elif source == "train":
            self._ask_for_text(asker.excerpt("train", started.event.train_chars if started else None))
        else:
            self._ask_for_text(asker.written())

    def action_measure_loads(self) -> None:
        """Ask for the ranking of the layer's units by what the loss gains without each."""
        self._send(self._asker().ranking())

    def action_another_seed(self) -> None:
        """Try an intervention, or write a text, with other random numbers."""
        self.view = replace(self.view, seed=self.view.seed + 1)
        if (self.large or self.focused_panel()) == "interventions":
            self._ask_for("interventions")
        else:
            self._ask_for_text(self._asker().written())

    # -- what is typed ---------------------------------------------------------------------------------------------

    def action_jump(self) -> None:
        """Have the number of a unit typed, and go there."""
        reading = self._looked_at()[0].reading
        if reading is None:
            self.remark(why_unchanged("unit_next", "text", Extent()))
            return
        last = reading.units.shape[3] - 1

        def taken(line: str) -> None:
            digits = line.strip()
            if digits.isdecimal() and len(digits) < 10 and int(digits) <= last:  # `int` refuses thousands of digits
                self.action_point(-1, int(digits))
            else:
                self.remark(f"a unit is a number from 0 to {last}")

        self._have_typed(f"Which unit? 0 to {last}", "137", "", "", taken)

    def action_ask(self, name: str) -> None:
        """Have a text, the path of a file or a concept typed, and measure with it."""
        question, asked = QUESTIONS[name], self.view.asked or Request()
        before = {"prompt": escaped(asked.prompt) if asked.source == "prompt" else "", "file": asked.file}.get(name, "")

        def taken(line: str) -> None:
            if not line.strip():
                self.remark(question.nothing)
            elif name == "prompt":
                self._ask_for_text(replace(Request(), source="prompt", prompt=unescaped(line)))
            elif name == "file":
                self._ask_for_text(replace(Request(), source="file", file=line.strip()))
            else:
                self._add_concept(line, question.nothing)

        self._have_typed(question.title, question.placeholder, before, question.hint, taken)

    def _add_concept(self, line: str, why_not: str) -> None:
        given, problem = concept_given(line)
        if not given:
            self.remark(problem or why_not)
            return
        name = given.split("=", 1)[0]
        others = tuple(one for one in self.view.own if one.split("=", 1)[0] != name)
        self.view = replace(self.view, own=(*others, given))
        self._ask_for("units")

    def _have_typed(self, title: str, placeholder: str, before: str, hint: str, taken: Any) -> None:
        from rnnscope.tui.screens.ask import AskScreen

        def answered(line: str | None) -> None:
            if line is not None:
                taken(line)

        self.app.push_screen(AskScreen(title, placeholder, before, hint), answered)

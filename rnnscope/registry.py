"""Names of cells and probes, where they live, and one line of help for each. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class CellEntry:
    """A recurrent cell: its module (loaded only when used) and what a screen may show of it.

    states: names of the recurrent state tensors, the output first.
    gates: names of the pre-activation blocks in the row order of `weight_hh` (torch.nn's order).
    """

    module: str
    help: str
    states: tuple[str, ...]
    gates: tuple[str, ...]

    @property
    def shown(self) -> tuple[str, ...]:
        """Names of the per-unit quantities that can be displayed, states first."""
        return self.states + (self.gates if len(self.gates) > 1 else ())


@dataclass(frozen=True)
class ProbeEntry:
    """A measurement: its module, one line of help, and the ProbeConfig field with its cadence.

    early: taken at the first step at once; the others wait until the budget has room.
    lab: offered by `rnnscope probe`.
    """

    module: str
    help: str
    cadence: str
    early: bool = False
    lab: bool = True


CELLS: dict[str, CellEntry] = {
    "tanh": CellEntry("rnnscope.cells.elman", "Elman network with tanh (torch.nn.RNN)", ("h",), ("h",)),
    "relu": CellEntry("rnnscope.cells.elman", "Elman network with ReLU (torch.nn.RNN)", ("h",), ("h",)),
    "lstm": CellEntry(
        "rnnscope.cells.lstm", "long short-term memory (torch.nn.LSTM)", ("h", "c"), ("i", "f", "g", "o")
    ),
    "gru": CellEntry("rnnscope.cells.gru", "gated recurrent unit (torch.nn.GRU)", ("h",), ("r", "z", "n")),
    "lnrnn": CellEntry("rnnscope.cells.lnrnn", "layer-normalised tanh (Ba et al. 2016)", ("h",), ("h",)),
}

WATERFALL = "waterfall", "the reach over training: every recorded mean of log10 ||dL_T/dh_t||"
"""Offered by `rnnscope probe` too, but measured by no probe: it is the history of "gradients"."""

PROBES: dict[str, ProbeEntry] = {
    "gradients": ProbeEntry(
        "rnnscope.probes.gradients", "norms of dL/dh_t through time, per layer", "gradients_every", early=True
    ),
    "sample": ProbeEntry(
        "rnnscope.probes.sample", "a generated sample with its activations", "sample_every", early=True, lab=False
    ),
    "comparison": ProbeEntry(
        "rnnscope.probes.comparison", "teacher forcing beside free running", "compare_every", early=True, lab=False
    ),
    "triangle": ProbeEntry(
        "rnnscope.probes.triangle", "which loss reaches which earlier state: T x T norms", "triangle_every"
    ),
    "jacobian": ProbeEntry(
        "rnnscope.probes.jacobian", "spectrum of W_hh, singular values of state Jacobian products", "jacobian_every"
    ),
    "lyapunov": ProbeEntry(
        "rnnscope.probes.lyapunov", "leading Lyapunov exponents, driven by text or by nothing", "lyapunov_every"
    ),
    "horizon": ProbeEntry(
        "rnnscope.probes.horizon", "how far back the gradient reaches, and the context that is used", "horizon_every"
    ),
    "clipping": ProbeEntry(
        "rnnscope.probes.clipping", "what clipping did, and which layer and time step made it", "clipping_every"
    ),
    "parameters": ProbeEntry(
        "rnnscope.probes.parameters", "gradient, weight and update of every parameter tensor", "parameters_every"
    ),
    "saturation": ProbeEntry(
        "rnnscope.probes.saturation", "how long gates are shut and open, per unit", "saturation_every", lab=False
    ),
}


ASKED: dict[str, tuple[str, str]] = {
    "activations": ("rnnscope.probes.activations", "states and gates of every unit on a text, top-5 next characters"),
    "attribution": ("rnnscope.probes.attribution", "which earlier characters made the model predict this one"),
    "birth": ("rnnscope.probes.birth", "one unit on one text over all checkpoints: when it learned a concept"),
    "decoding": ("rnnscope.probes.decoding", "one prompt continued in up to four ways side by side, with figures"),
    "exposure": ("rnnscope.probes.exposure", "teacher forcing beside free running by position, over many prefixes"),
    "interventions": ("rnnscope.probes.interventions", "units held while the model writes; which units bear the loss"),
    "units": ("rnnscope.probes.units", "which units know a concept: inside quotes, indentation, your own, ..."),
    "contexts": ("rnnscope.probes.contexts", "where a unit is highest and lowest, or units are on together"),
    "saturation": ("rnnscope.probes.saturation", "how long gates are shut and open, per unit"),
    "statespace": ("rnnscope.probes.statespace", "principal components of states, and a text's way through them"),
    "ngram": ("rnnscope.probes.ngram", "the n-gram rival: nats of unsmoothed and Kneser-Ney models, and their texts"),
    "recovery": ("rnnscope.probes.recovery", "one wrong character, and how loss and state come back after it"),
}
"""Probes that are taken when somebody asks (a key, or `rnnscope probe`): module and one line of help. Each has
`measure(subject: Subject, request: Request) -> Event`, the event being that of its own name."""


def offered() -> dict[str, str]:
    """Return what `rnnscope probe` offers: names, with one line of help each."""
    return {**lab_probes(), **{name: help for name, (_, help) in ASKED.items()}}


def lab_probes() -> dict[str, str]:
    """Return the probes of the gradient lab that `rnnscope probe` offers, with one line of help each."""
    found = {name: entry.help for name, entry in PROBES.items() if entry.lab}
    first = next(iter(found))
    return {first: found.pop(first), WATERFALL[0]: WATERFALL[1], **found}

"""Spikes of the loss."""

from __future__ import annotations

import numpy as np

from rnnscope.training.spikes import MEMORY, WARM_UP, SpikeDetector


def test_only_a_rise_beyond_the_threshold_is_a_spike() -> None:
    losses = 2.0 + 0.3 * np.sin(np.arange(60))
    detector = SpikeDetector(3.0)
    assert not any(detector.spike(float(loss)) for loss in losses)
    weights = MEMORY ** np.arange(60)[::-1]
    mean = float((weights * losses).sum() / weights.sum())
    assert not detector.spike(mean + 2.99)
    again = SpikeDetector(3.0)
    assert not any(again.spike(float(loss)) for loss in losses)
    assert again.spike(mean + 3.01)


def test_it_needs_to_have_seen_something() -> None:
    detector = SpikeDetector(1.0)
    assert not any(detector.spike(loss) for loss in [1.0] * (WARM_UP - 1))
    assert not detector.spike(50.0)  # the mean is not yet one of WARM_UP values
    other = SpikeDetector(1.0)
    assert not any(other.spike(loss) for loss in [1.0] * WARM_UP)
    assert other.spike(50.0)
    assert not other.spike(50.0)  # it starts anew


def test_zero_is_never() -> None:
    detector = SpikeDetector(0.0)
    assert not any(detector.spike(loss) for loss in [*[1.0] * 50, 1e30])

"""The recurrence's Jacobian: spectrum of W_hh beside the bound of Pascanu et al. 2013, and products over many steps.

All in float64. The product of k Jacobians of the whole state along the text, J_T ... J_{T-k+1}, ends at the window's
last step. It is formed where the state is small enough. The leading singular values of a large matrix, formed or not,
are found in a growing subspace (block Krylov: Golub and Van Loan 2013, section 10.4, all earlier directions kept), to
a residual of 1e-3 of each: an error of 0.0004 in log10 at most, measured 4e-7.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from rnnscope.cells.elman import Elman
from rnnscope.model import CharRNN, State
from rnnscope.probes.linearised import Scaled, Trajectory
from rnnscope.recording.lab_events import Floats, Jacobian

COUNT = 8
"""Singular values of a product."""
LONGEST, LONGEST_OF_LARGE = 32, 8
"""Steps of a product, at most; and of one that is not formed, which takes seconds (LSTM 2x512: 2 with 8 steps)."""
FORMED, DECOMPOSED = 1024, 256
"""Largest D for which the products are formed, and for which they are decomposed in full."""
RESOLVED = 1e-13
"""Singular values below so much of the largest are lost in float64's rounding."""
TOLERANCE, BLOCKS = 1e-3, 30
"""Of the subspace: the residual that is good enough, and blocks of directions after which it must be."""

Product: TypeAlias = Callable[[Tensor], Scaled]  # rows (N, D) -> their product with a matrix


@torch.no_grad()
def spectrum(model: CharRNN) -> tuple[Floats, Floats]:
    """Return spectral radius and largest singular value of each layer's W_hh, (L,); NaN for all but Elman cells."""
    found = np.full((2, len(model.layers)), np.nan)
    if isinstance(model.cell, Elman):
        for index, layer in enumerate(model.layers):
            weight = model.cell.recurrent(layer)[0].to("cpu", torch.float64)
            if torch.isfinite(weight).all():
                found[:, index] = torch.linalg.eigvals(weight).abs().max(), torch.linalg.svdvals(weight)[0]
    return found[0], found[1]


def spans(path: Trajectory) -> list[int]:
    """Return k = 1, 2, 4, ... up to 32 (8 for large states), and to one less than the window's steps."""
    longest = LONGEST if path.size <= FORMED else LONGEST_OF_LARGE
    return [k for k in (2**i for i in range(longest.bit_length())) if k == 1 or k < path.steps]


def of_formed(path: Trajectory, count: int) -> list[Tensor]:
    """Return log10 of the `count` largest singular values of each span's product (count,), each formed in full."""
    matrix, scale, done = torch.eye(path.size, dtype=torch.float64), 0.0, 0
    left = _start(path.size, count)
    found = []
    for k in spans(path):
        matrix, factor = path.pull_scaled(matrix, path.steps - k, path.steps - done)
        scale, done = scale + factor, k
        values, extra = torch.zeros(count, dtype=torch.float64), 0.0
        if path.size > DECOMPOSED:
            values, extra, left = leading(partial(_times, matrix), partial(_times, matrix.t()), left)
        elif matrix.isfinite().all():
            values = torch.linalg.svdvals(matrix)[:count]
        found.append(_log10(values, scale + extra))
    return found


def _times(matrix: Tensor, rows: Tensor) -> Scaled:
    return rows @ matrix, 0.0


def of_products(path: Trajectory, count: int) -> list[Tensor]:
    """Return the same without forming the products."""
    left = _start(path.size, count)
    found = []
    for k in spans(path):
        begin, end = path.steps - k, path.steps
        pull = partial(path.pull_scaled, start=begin, stop=end)
        push = partial(path.push_scaled, start=begin, stop=end)
        values, scale, left = leading(pull, push, left)
        found.append(_log10(values, scale))
    return found


def _start(size: int, count: int) -> Tensor:
    return torch.randn(count, size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def leading(pull: Product, push: Product, left: Tensor) -> tuple[Tensor, float, Tensor]:
    """Return the leading singular values of a matrix M (D, D), log10 of a factor on them, and left singular vectors.

    Args:
        pull: rows -> rows @ M. push: rows -> rows @ M.T.
        left: (N, D) near the left singular vectors, if better than random is known; as many values are found.
    """
    count, size = left.shape
    basis = _orthonormal(pull(left)[0], left[:0])
    images, scale = push(basis)
    values = images[:, 0]  # zero or NaN, where that is all there is
    for _ in range(BLOCKS):
        if not images.isfinite().all() or not images.any():
            return values, scale, left
        mix, values, vectors = torch.linalg.svd(images, full_matrices=False)
        values, found = values[:count], vectors[:count]
        right = mix[:, :count].t() @ basis
        back, factor = pull(found)
        residual = back * 10 ** (factor - scale) - values[:, None] * right
        accepted = (TOLERANCE * values).clamp_min(RESOLVED * values[0])
        if (residual.norm(dim=1) <= accepted).all() or len(basis) + count > size:
            break
        more = _orthonormal(residual, basis)
        image, factor = push(more)
        basis, images = torch.cat((basis, more)), torch.cat((images, image * 10 ** (factor - scale)))
    return values, scale, found


def _orthonormal(rows: Tensor, basis: Tensor) -> Tensor:
    """Return rows made orthonormal, and orthogonal to `basis`; twice, for the rounding of the first time."""
    for _ in range(2):
        rows = rows - rows @ basis.t() @ basis
        rows = torch.linalg.qr(rows.t())[0].t()
    return rows


def _log10(values: Tensor, scale: float) -> Tensor:
    """Return log10 of descending values, times 10 to the scale; -inf where lost beside the largest."""
    return torch.where(values < RESOLVED * values[0], 0, values).log10() + scale


def measure(model: CharRNN, ids: Tensor, state: State) -> Jacobian:
    """Return the event for the first sample of a window: ids (T, B) and the state before it."""
    began = time.perf_counter()
    radius, largest = spectrum(model)
    path = Trajectory(model, ids[:, 0], tuple(tuple(s[:1] for s in layer) for layer in state))
    count = min(COUNT, path.size)
    singular = of_formed(path, count) if path.size <= FORMED else of_products(path, count)
    return Jacobian(
        spectral_radius=radius,
        largest_singular=largest,
        bound=1.0 if isinstance(model.cell, Elman) else None,  # the largest slope of tanh and of ReLU is 1
        spans=np.array(spans(path)),
        singular=torch.stack(singular).numpy().astype(np.float32),
        seconds=time.perf_counter() - began,
    )

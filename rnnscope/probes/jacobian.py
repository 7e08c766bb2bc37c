"""The recurrence's Jacobian: spectrum of W_hh beside the bound of Pascanu et al. 2013, and products over many steps.

The product of k Jacobians of the whole state along the text, J_T ... J_{T-k+1}, ends at the window's last step. Where
the state is small it is formed, and decomposed in full, in float64. Else it is never formed: its leading singular
values are found in a growing subspace (block Krylov: Golub and Van Loan 2013, section 10.4, all earlier directions
kept), to a residual of 3% of each: an error of 0.013 in log10 at most, measured 0.003. That is done in the precision in
which the network learns where that holds all of them, else in float64.
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
"""Steps of a product, at most; and of one of states larger than LARGE, which take long."""
FORMED, LARGE = 256, 1024
"""Largest D for which the products are formed; largest for which they are long."""
RESOLVED = {torch.float64: 1e-13, torch.float32: 1e-4}
"""Singular values below so much of the largest are lost in rounding (those of float32, in a residual of 3% of each)."""
TOLERANCE, BLOCKS, MORE = 3e-2, 30, 8
"""Of the subspace: the residual that is good enough, blocks of directions after which it must be, and directions in a
block besides those wanted, which then are found sooner."""

Product: TypeAlias = Callable[[Tensor], Scaled]  # rows (N, D) -> their product with a matrix


@torch.no_grad()
def spectrum(model: CharRNN) -> tuple[Floats, Floats]:
    """Return spectral radius and largest singular value of each layer's W_hh, (L,); NaN for all but Elman cells."""
    found = np.full((2, len(model.layers)), np.nan)
    if isinstance(model.cell, Elman):
        for index, layer in enumerate(model.layers):
            weight = model.cell.recurrent(layer)[0].cpu()
            if torch.isfinite(weight).all():
                found[:, index] = torch.linalg.eigvals(weight).abs().max(), torch.linalg.svdvals(weight)[0]
    return found[0], found[1]


def spans(path: Trajectory) -> list[int]:
    """Return k = 1, 2, 4, ... up to 32 (8 for large states), and to one less than the window's steps."""
    longest = LONGEST if path.size <= LARGE else LONGEST_OF_LARGE
    return [k for k in (2**i for i in range(longest.bit_length())) if k == 1 or k < path.steps]


def of_formed(path: Trajectory, count: int) -> list[Tensor]:
    """Return log10 of the `count` largest singular values of each span's product (count,), each formed in full."""
    matrix, scale, done = torch.eye(path.size, dtype=torch.float64), 0.0, 0
    found = []
    for k in spans(path):
        matrix, factor = path.pull_scaled(matrix, path.steps - k, path.steps - done)
        scale, done = scale + factor, k
        values = torch.zeros(count, dtype=torch.float64)
        if matrix.isfinite().all():
            values = torch.linalg.svdvals(matrix)[:count]
        found.append(_log10(values, scale))
    return found


def of_products(path: Trajectory, count: int) -> list[Tensor]:
    """Return the same without forming the products."""
    generator = torch.Generator().manual_seed(0)
    block = min(count + MORE, path.size)
    left = torch.randn(block, path.size, generator=generator, dtype=torch.float64).to(path.dtype)
    found = []
    for k in spans(path):
        begin, end = path.steps - k, path.steps
        pull = partial(path.pull_scaled, start=begin, stop=end)
        push = partial(path.push_scaled, start=begin, stop=end)
        values, scale, left = leading(pull, push, left, count)
        found.append(_log10(values, scale))
    return found


def leading(pull: Product, push: Product, left: Tensor, count: int) -> tuple[Tensor, float, Tensor]:
    """Return the `count` leading singular values of a matrix M (D, D), log10 of a factor on them, and left vectors.

    Args:
        pull: rows -> rows @ M. push: rows -> rows @ M.T.
        left: (N, D), N >= count, near the left singular vectors, if better than random is known; so many are returned.
    """
    block, size = left.shape
    basis = _orthonormal(pull(left)[0], left[:0])
    images, scale = push(basis)
    values = images[:, 0]  # zero or NaN, where that is all there is
    for _ in range(BLOCKS):
        if not images.isfinite().all() or not images.any():
            return values[:count], scale, left
        mix, values, vectors = torch.linalg.svd(images, full_matrices=False)
        values, found = values[:block], vectors[:block]
        right = mix[:, :block].t() @ basis
        back, factor = pull(found)
        residual = back * 10 ** (factor - scale) - values[:, None] * right
        accepted = (TOLERANCE * values).clamp_min(RESOLVED[values.dtype] * values[0])
        if (residual.norm(dim=1) <= accepted)[:count].all() or len(basis) + block > size:
            break
        more = _orthonormal(residual, basis)
        image, factor = push(more)
        basis, images = torch.cat((basis, more)), torch.cat((images, image * 10 ** (factor - scale)))
    return values[:count], scale, found


def _orthonormal(rows: Tensor, basis: Tensor) -> Tensor:
    """Return rows made orthonormal, and orthogonal to `basis`; twice, for the rounding of the first time."""
    for _ in range(2):
        rows = rows - rows @ basis.t() @ basis
        rows = torch.linalg.qr(rows.t())[0].t()
    return rows


def _log10(values: Tensor, scale: float) -> Tensor:
    """Return log10 of descending values, times 10 to the scale; -inf where lost beside the largest."""
    return torch.where(values < RESOLVED[values.dtype] * values[0], 0, values).log10() + scale


def measure(model: CharRNN, ids: Tensor, state: State) -> Jacobian:
    """Return the event for the first sample of a window: ids (T, B) and the state before it."""
    began = time.perf_counter()
    radius, largest = spectrum(model)
    first = tuple(tuple(s[:1] for s in layer) for layer in state)
    size = sum(s.shape[-1] for layer in state for s in layer)
    count, own, singular = min(COUNT, size), model.decoder.weight.dtype, list[Tensor]()
    if size > FORMED and own != torch.float64:
        path = Trajectory(model, ids[:, 0], first, dtype=own)
        singular = of_products(path, count)
    if not singular or not torch.stack(singular).isfinite().all():  # or more than that precision holds
        path = Trajectory(model, ids[:, 0], first)
        singular = of_formed(path, count) if size <= FORMED else of_products(path, count)
    return Jacobian(
        spectral_radius=radius,
        largest_singular=largest,
        bound=1.0 if isinstance(model.cell, Elman) else None,  # the largest slope of tanh and of ReLU is 1
        spans=np.array(spans(path)),
        singular=torch.stack(singular).numpy().astype(np.float32),
        seconds=time.perf_counter() - began,
    )

"""t-SNE's kernels on a grid, between its nodes by cubic splines, ready to convolve with by FFT.

A point gives each node in reach a share and takes from each by the same share. Both smooth what
lies between, which the kernels' spectra undo, so that it is what splines through the nodes are
(as Essmann et al., 1995, https://doi.org/10.1063/1.470117, do for charges).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Complex64, Float32, Float64
from scipy.fft import next_fast_len
from torch import Tensor

SPACING = 0.5  # of nodes, in the map's units: the kernels fall off within 1
FEWEST = 48  # intervals that points span: they begin within a thousandth of a unit
MARGIN = 6  # nodes around the points, where what undoes the smoothing fades
REACH = 4  # nodes of a spline along an axis


@dataclass(frozen=True)
class NodeGrid:
    """Nodes around points. spacing: in the map's units, the same along both axes."""

    rows: int
    columns: int
    spacing: float


@dataclass(frozen=True)
class GridKernels:
    """Spectra of a grid twice as wide, so that nothing comes round.

    similar: of 1 / (1 + d^2), so weighted that times the squares of a spectrum's real and imaginary
    parts it sums to what all pairs have. forces: of the way down, and right, times its square.
    within: the first, between the nodes that one point gives shares to.
    """

    similar: Float32[Tensor, "frequencies rows 2"]
    forces: Complex64[Tensor, "2 frequencies rows"]
    within: Float32[Tensor, "nodes nodes"]


def grid_around(span: Float64[np.ndarray, "2"]) -> NodeGrid:
    """A grid for points that span so much; those of nearly the same span share it."""
    wanted = max(float(span.max()), 1e-9) / FEWEST / SPACING
    spacing = SPACING * float(2.0 ** min(0.0, np.floor(2 * np.log2(wanted)) / 2))
    least = np.ceil(span / spacing).astype(int) + 2 * MARGIN
    rows, columns = (int(next_fast_len(int(count), real=True)) for count in least)
    return NodeGrid(rows, columns, spacing)


def grid_kernels(grid: NodeGrid) -> GridKernels:
    """The kernels on a grid, computed in float64."""
    sides = 2 * grid.rows, 2 * grid.columns
    down, right = (grid.spacing * side * _frequencies(side) for side in sides)
    down = down[:, None]
    similar = 1 / (1 + down**2 + right**2)
    smoothed = _smoothing(sides[0])[:, None] * _smoothing(sides[1])[: grid.columns + 1]
    alike, *forces = (
        torch.fft.rfft2(kernel) / smoothed**2
        for kernel in (similar, down * similar**2, right * similar**2)
    )
    row, column = corner_steps().T
    within = torch.fft.irfft2(alike, sides)[row[:, None] - row, column[:, None] - column]
    weighted = alike.real.T / (sides[0] * sides[1])
    weighted[1:-1] *= 2  # the half that a real spectrum leaves out
    both = torch.stack(forces).to(torch.complex64).mT.contiguous()
    return GridKernels(weighted.float()[..., None].repeat(1, 1, 2), both, within.float())


def corner_steps() -> Tensor:
    """Rows and columns (node, 2) from the first node in reach of a point to each."""
    step = torch.arange(REACH)
    return torch.cartesian_prod(step, step)


def spline_shares(t: Float32[Tensor, "*places"]) -> Float32[Tensor, "*places 4"]:
    """What a point gives to the two nodes before it along an axis, and to the two behind.

    t: how far it is from the second, in spacings, 0..1.
    """
    s = 1 - t
    shares = (s**3, 3 * t**3 - 6 * t**2 + 4, 3 * s**3 - 6 * s**2 + 4, t**3)
    return torch.stack(shares, dim=-1) / 6


def _smoothing(side: int) -> Float64[Tensor, "frequencies"]:
    # the shares of a point that lies on a node: 1/6, 2/3, 1/6
    return (2 + torch.cos(2 * torch.pi * _frequencies(side))) / 3


def _frequencies(side: int) -> Float64[Tensor, "frequencies"]:
    return torch.fft.fftfreq(side, dtype=torch.float64)

"""t-SNE's repulsion of all points by all, interpolated over a grid (Linderman et al., 2019,
https://doi.org/10.1038/s41592-018-0308-4): what points give to its nodes is convolved by FFT.

Here it is interpolated by splines: nodes may be half a unit apart, the force between two points is
equal and opposite, and none pushes itself.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float32, Float64, Int64
from torch import Tensor
from torch.nn.functional import embedding_bag

from atari_zoo.analysis.embedding.grid_kernels import (
    MARGIN,
    GridKernels,
    NodeGrid,
    corner_steps,
    grid_around,
    grid_kernels,
    spline_shares,
)

MOST = 1 << 22  # nodes: a map 1,000 wide, and 0.5 GiB
BLOCK = 64  # rows that are transformed at once, as many as the processor's cache holds


class Repulsion:
    """Of points in the plane. It keeps the kernels from one call to the next."""

    def __init__(self) -> None:
        self._kept: tuple[NodeGrid, GridKernels] | None = None

    def __call__(
        self, places: Float64[np.ndarray, "points 2"]
    ) -> tuple[Float64[np.ndarray, "points 2"], float]:
        """Forces and normalizer.

        Returns, of each point i, sum_j (y_i - y_j) / (1 + d_ij^2)^2, and of all pairs of different
        points the sum of 1 / (1 + d^2).
        Raises ValueError where the points are too far apart: see `too_wide`.
        """
        if too_wide(places):
            raise ValueError(f"points span {np.ptp(places, axis=0)}: too wide for a grid")
        grid = grid_around(np.ptp(places, axis=0))
        nodes, shares = _given(places - places.min(axis=0), grid)
        charges = shares.new_zeros(grid.rows * grid.columns)
        charges.index_add_(0, nodes.view(-1), shares.view(-1))
        kernels = self._kernels(grid)
        fields, whole = _convolved(charges.view(grid.rows, grid.columns), kernels)
        forces = embedding_bag(nodes, fields, per_sample_weights=shares, mode="sum")
        own = ((shares @ kernels.within) * shares).sum(dtype=torch.float64)
        return forces.double().numpy(), whole - float(own)

    def _kernels(self, grid: NodeGrid) -> GridKernels:
        if self._kept is None or self._kept[0] != grid:
            self._kept = grid, grid_kernels(grid)
        return self._kept[1]


def too_wide(places: Float64[np.ndarray, "points 2"]) -> bool:
    """Whether the grid would be too large: points have shot off, or are millions."""
    grid = grid_around(np.ptp(places, axis=0))
    return grid.rows * grid.columns > MOST


def _given(
    offsets: Float64[np.ndarray, "points 2"], grid: NodeGrid
) -> tuple[Int64[Tensor, "points nodes"], Float32[Tensor, "points nodes"]]:
    """The nodes that each point gives something to, and what; it sums to 1."""
    scaled = torch.from_numpy(offsets / grid.spacing + MARGIN)
    second = scaled.floor()
    along = spline_shares((scaled - second).float())  # (point, axis, node)
    row, column = (second.long() - 1).T
    steps = corner_steps() @ torch.tensor([grid.columns, 1])
    shares = along[:, 0, :, None] * along[:, 1, None, :]
    return (row * grid.columns + column)[:, None] + steps, shares.flatten(1)


def _convolved(
    charges: Float32[Tensor, "rows columns"], kernels: GridKernels
) -> tuple[Float32[Tensor, "nodes 2"], float]:
    """The fields of the forces, and the sum of similarities of all with all and with themselves.

    Of the wider grid's rows, and then of the fields', half are empty or not asked for: left out.
    """
    rows, columns = charges.shape
    spectrum, whole = torch.fft.rfft(charges, 2 * columns, dim=1), 0.0
    mixed = spectrum.new_empty(2, rows, columns + 1)
    for begin in range(0, columns + 1, BLOCK):
        block = slice(begin, begin + BLOCK)
        given = torch.fft.fft(spectrum[:, block].T, 2 * rows, dim=1)
        power = torch.view_as_real(given).square()
        whole += float(torch.dot(power.view(-1), kernels.similar[block].view(-1)))
        for field, kernel in zip(mixed, kernels.forces, strict=True):
            field[:, block] = torch.fft.ifft(given * kernel[block], dim=1)[:, :rows].T
    fields = charges.new_empty(rows, columns, 2)
    for begin in range(0, rows, BLOCK):
        block = slice(begin, begin + BLOCK)
        found = torch.fft.irfft(mixed[:, block], 2 * columns, dim=2)[..., :columns]
        fields[block] = found.permute(1, 2, 0)
    return fields.view(-1, 2), whole

"""Gaussian blur as SciPy's `gaussian_filter` has it: reflected borders, cut off at 4 sigma.

Both axes are blurred by a product with one small matrix, the same on every device.
"""

from __future__ import annotations

from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor

CUT_OFF = 4.0  # of the kernel, in standard deviations


def blurred(
    pictures: Float[Tensor, "*batch height width"], sigma: float = 3.0
) -> Float[Tensor, "*batch height width"]:
    """The pictures, blurred with a Gaussian of `sigma` pixels; not at all with 0.

    Raises ValueError if sigma is negative.
    """
    if sigma < 0:
        raise ValueError(f"sigma is {sigma}; it must be at least 0")
    if sigma == 0:
        return pictures
    rows, columns = (blur_matrix(size, sigma).to(pictures) for size in pictures.shape[-2:])
    return rows @ pictures @ columns.T


@cache
def blur_matrix(size: int, sigma: float) -> Float[Tensor, "{size} {size}"]:
    """What multiplies a column of `size` pixels to blur it, float64 on the CPU."""
    reach = int(CUT_OFF * sigma + 0.5)
    offsets = torch.arange(-reach, reach + 1)
    kernel = torch.exp(-0.5 * (offsets.double() / sigma) ** 2)
    kernel /= kernel.sum()
    places = torch.arange(size)[:, None] + offsets  # (pixel, kernel)
    places = places % (2 * size)  # the borders are mirrors, their pixels doubled
    places = torch.where(places < size, places, 2 * size - 1 - places)
    matrix = torch.zeros(size, size, dtype=torch.float64)
    return matrix.scatter_add_(1, places, kernel.expand(size, -1))

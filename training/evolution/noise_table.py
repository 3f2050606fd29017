"""The table of normal numbers that perturbations are cut from (Salimans et al., 2017, section 2.2).

https://arxiv.org/abs/1703.03864. A perturbation of a whole network is a slice of the table, found
by a seed: cheaper than drawing two million numbers, and the same on every machine.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor


class NoiseTable:
    """`size` numbers from a normal distribution, on `device`; they depend on `seed` alone.

    count: of the numbers in one perturbation.

    Raises ValueError if the table is too short for one perturbation.
    """

    def __init__(self, size: int, count: int, seed: int, device: torch.device | str) -> None:
        if size <= count:
            raise ValueError(
                f"a noise table of {size} numbers is too short for perturbations of {count}; "
                "make `noise` larger"
            )
        # NumPy's, because torch's generators draw other numbers on another device
        numbers = np.random.default_rng(seed).standard_normal(size, np.float32)
        self.numbers = torch.from_numpy(numbers).to(device)
        self.count = count

    def __call__(self, seed: int) -> Float[Tensor, "count"]:
        """The perturbation that belongs to `seed`; a view, not to be written to."""
        start = seed % (len(self.numbers) - self.count + 1)
        return self.numbers[start : start + self.count]

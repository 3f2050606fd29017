"""Proportional prioritization (Schaul et al., 2016, https://arxiv.org/abs/1511.05952, section 3.3).

Where the paper walks a tree of sums, here are two levels, blocks and entries, so that a whole
batch is drawn by a few tensor operations, without a word from the host.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

BLOCK = 1024  # entries: near the square root of a replay's size
# of a sum that a draw may reach: rounding must not lead past the last entry with a mass
REACH = 1 - 2**-40


class Priorities:
    """A mass for each of `size` entries; entries are drawn in proportion to it, 0 for never."""

    def __init__(self, size: int, device: torch.device | str = "cpu") -> None:
        blocks, self.size = -(-size // BLOCK), size
        self.masses = torch.zeros(blocks, BLOCK, device=device)
        self.sums = torch.zeros(blocks, dtype=torch.float64, device=device)

    def write(self, entries: Int[Tensor, "batch"], masses: Float[Tensor, "batch"]) -> None:
        """Sets masses; an entry given twice must be given the same mass twice."""
        self.masses.view(-1)[entries] = masses
        blocks = entries // BLOCK  # summed anew, so that no rounding gathers
        self.sums[blocks] = self.masses[blocks].sum(1, dtype=torch.float64)

    def draw(
        self, fractions: Float[Tensor, "2 batch"]
    ) -> tuple[Int[Tensor, "batch"], Float[Tensor, "batch"]]:
        """Entries and their masses.

        fractions: float64, uniform in 0..1, 1 left out. As in the paper's appendix B.2.1, the
            whole mass is cut into a piece for each entry of the batch, and one drawn from each.
        """
        batch = fractions.shape[1]
        pieces = (torch.arange(batch, device=fractions.device) + fractions[0]) / batch
        blocks = _entries(self.sums[None], pieces[None])[0]
        within = _entries(self.masses[blocks].double(), fractions[1][:, None])[:, 0]
        # only with masses that are not finite is any beyond the last; whoever saves will see those
        return (blocks * BLOCK + within).clamp(max=self.size - 1), self.masses[blocks, within]

    def restore(self, masses: Float[Tensor, "blocks block"]) -> None:
        """Takes back what `masses` was."""
        self.masses.copy_(masses)
        self.sums.copy_(self.masses.sum(1, dtype=torch.float64))


def _entries(
    masses: Float[Tensor, "rows entries"], fractions: Float[Tensor, "rows draws"]
) -> Int[Tensor, "rows draws"]:
    """In each row, the entries at which the running sum passes those fractions of the row's sum."""
    reached = masses.cumsum(1)
    sought = fractions * reached[:, -1:] * REACH
    # right: an entry without a mass ends where the one before it does, and is passed over
    found = torch.searchsorted(reached, sought, right=True)
    return found.clamp(max=masses.shape[1] - 1)  # only where every mass is 0

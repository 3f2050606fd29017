"""The target where parts of an observation are shown and the others are its baseline's."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from atari_zoo.viz.attribution.registry import BATCH, Case


def masked_scores(
    case: Case, row: int, shown: Float[Tensor, "masks covered height width"]
) -> Float[Tensor, "masks"]:
    """The target of one observation under each mask.

    row: which observation. shown: 1 where it shows, 0 where its baseline does; one frame for
        all, or each frame.
    """
    seen, hidden = case.observations[row], case.baselines[row]
    score = case.score.at(slice(row, row + 1))
    with torch.inference_mode():
        return torch.cat(
            [
                score(torch.addcmul(hidden, some, seen - hidden), *score.repeated(len(some)))
                for some in shown.split(BATCH)
            ]
        )


def grid_cells(
    cells: int, shape: torch.Size, together: bool = True
) -> Float[Tensor, "features covered height width"]:
    """Superpixels: 1 in one cell of a regular grid each, row by row.

    cells: on each axis. shape: (frames, height, width) of an observation.
    together: a cell covers all frames, and that axis is 1; else each frame has cells of its own,
        the oldest frame's first.
    Raises ValueError if there are fewer pixels than cells.
    """
    frames, height, width = shape
    if not 1 <= cells <= min(height, width):
        raise ValueError(f"cells is {cells}; expected 1 to {min(height, width)}")
    down = torch.arange(height) * cells // height
    across = torch.arange(width) * cells // width
    numbers = down[:, None] * cells + across
    flat = (numbers == torch.arange(cells**2)[:, None, None]).float()[:, None]
    if together:
        return flat
    return (torch.eye(frames)[:, None, :, None, None] * flat).flatten(0, 1)


def as_pixels(
    worths: Float[Tensor, "features"], features: Float[Tensor, "features covered height width"]
) -> Float[Tensor, "covered height width"]:
    """Each feature's worth, shared out evenly over its pixels, so that the sums agree."""
    shares = worths / features.flatten(1).sum(1)
    return torch.einsum("f,f...->...", shares, features)


def covered(case: Case, frames: str) -> int:
    """How many frames a cell or window covers: frames is "together" or "each"."""
    if frames not in ("together", "each"):
        raise ValueError(f"frames is '{frames}'; expected 'together' or 'each'")
    return case.observations.shape[1] if frames == "together" else 1

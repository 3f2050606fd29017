"""Attributions in a notebook: the first few, signed, on one scale."""

from __future__ import annotations

import numpy as np

from atari_zoo.converters.displays import display
from atari_zoo.viz.attribution.cases import Attribution
from atari_zoo.viz.displays.markup import figure_html, image_html
from atari_zoo.viz.images import diverging, enlarge, grid, png
from atari_zoo.viz.saliency.overlays import brightest

SHOWN = 4  # observations
FACTOR = 2


@display("Attribution")
def attribution_display(found: Attribution) -> str | None:
    """A row for each observation, a column for each frame; None where there is none."""
    values = found.values[:SHOWN].detach().cpu().float().numpy()
    if not values.size:
        return None
    scale = brightest(np.abs(values))
    frames = values.shape[1]
    tiles = enlarge(diverging(values.reshape(-1, *values.shape[2:]), scale), FACTOR)
    words = (
        f"Attributions of observations 0 to {len(values) - 1} of {len(found.values)}, a row for "
        f"each; {'frames from oldest to newest' if frames > 1 else 'one map for all frames'}. Red "
        f"raises the target, blue lowers it; full colour from {scale:.2g}."
    )
    if found.delta is not None and len(found.delta):
        gap = float(found.delta.detach().abs().max())
        words += f" Their sums miss what they promise by {gap:.2g} at most."
    return figure_html(image_html(png(grid(tiles, columns=frames, gap=2)), words), words)

"""Histograms of a unit's values, as small pictures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw

from atari_zoo.viz.images import BAR, CHOSEN, FAINT, PAPER, text

CHART = (300, 52)  # width and height, in pixels
_FOOT, _HEAD = 14, 4  # of these, for the numbers below and free above
_BINS = 60


def histogram_picture(
    values: Float[np.ndarray, "*observations"], marked: Sequence[float] = ()
) -> UInt8[np.ndarray, "height width 3"]:
    """How often a unit had which value; the height is the count's square root, so that what is
    rare can be seen. Marked values have a line; a zero within the range has a faint one."""
    values = np.nan_to_num(values)
    image = Image.new("RGB", CHART, PAPER)
    draw = ImageDraw.Draw(image)
    low, high = float(values.min()), float(values.max())
    spread = (high - low) or 1.0
    counts, _ = np.histogram(values, _BINS, (low, low + spread))
    heights = np.sqrt(counts / counts.max()) * (CHART[1] - _FOOT - _HEAD)
    base, wide = CHART[1] - _FOOT, CHART[0] / _BINS
    for index, height in enumerate(heights):
        if height:
            box = (index * wide, base - max(1, height), (index + 1) * wide - 1, base)
            draw.rectangle(box, fill=BAR)
    for value, colour in [(0.0, FAINT)] * (low < 0 < high) + [(v, CHOSEN) for v in marked]:
        column = (value - low) / spread * (CHART[0] - 1)
        draw.line((column, _HEAD, column, base), fill=colour)
    text(draw, (0, base + 2), f"{low:z.3g}", FAINT, 11)
    text(draw, (CHART[0], base + 2), f"{high:z.3g}", FAINT, 11, anchor="ra")
    return np.asarray(image)

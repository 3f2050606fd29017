"""The first layer's filters as a picture (Such et al., 2019, https://arxiv.org/abs/1812.07069).

The paper's figure stretches a layer's smallest to largest weight over the colours, so that zero
has another colour in every network. Here zero is always nearly white, and one scale holds for the
layer.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw

from atari_zoo.analysis.first_convolutions import first_convolution, frame_names
from atari_zoo.converters.arguments import checked
from atari_zoo.converters.network.finite import check_finite
from atari_zoo.converters.network.foreign import Network
from atari_zoo.viz.images import INK_ON_WHITE, Colour, diverging, enlarge, save_png, text

# darker than any weight near zero, lighter than any large one
SEPARATOR: Colour = (170, 170, 170)
FILTER_WIDTH = 48  # pixels of the picture
_HEAD, _LABEL, _FOOT, _MARGIN = 22, 24, 40, 10  # pixels, around the blocks of filters


@checked
def filter_picture(
    network: Network, factor: int | None = None, blocks: int = 4
) -> UInt8[np.ndarray, "height width 3"]:
    """The first convolution's filters: a row for each, a column for each frame, oldest first.

    The rows stand in blocks side by side, read down a block and then the next one. Red weights
    are positive, blue ones negative, what is nearly white is zero; the legend gives the layer's
    scale, which is its largest absolute weight.

    factor: pixels of the picture for each weight, at least 1; as many as make a filter 48 pixels
        wide, if not given. blocks: side by side, at most.
    Raises ValueError if no convolution takes the frames, or the network diverged.

    >>> filter_picture(network).shape
    (468, 1000, 3)
    """
    for what, given in (("factor", factor), ("blocks", blocks)):
        if given is not None and given < 1:
            raise ValueError(f"{what} is {given}; it must be at least 1")
    check_finite(network)
    found = first_convolution(network)
    if found is None:
        raise ValueError(
            f"no convolution of this network takes the frames; it has {', '.join(network.layers)}"
        )
    weights = found[1].weight.detach().float().cpu().numpy()
    factor = factor or max(1, FILTER_WIDTH // weights.shape[3])
    scale = float(np.abs(weights).max())
    tiles = enlarge(diverging(weights, scale), factor)
    count, frames, height, width, _ = tiles.shape
    rows = max(8, -(-count // blocks))
    pitch = (height + 1, width + 1)
    block = _LABEL + frames * pitch[1] + 2 * _MARGIN
    size = (_HEAD + rows * pitch[0] + _FOOT, -(-count // rows) * block)
    image = Image.new("RGB", (size[1], size[0]), "white")
    draw = ImageDraw.Draw(image)
    for index in range(count):
        left = index // rows * block + _MARGIN + _LABEL
        top = _HEAD + index % rows * pitch[0]
        if index % rows == 0:
            _frame_labels(draw, left, pitch[1], frames)
        text(draw, (left - 5, top + height / 2), str(index), INK_ON_WHITE, 11, anchor="rm")
        draw.rectangle(
            (left - 1, top - 1, left + frames * pitch[1] - 1, top + height), fill=SEPARATOR
        )
        for frame, tile in enumerate(tiles[index]):
            image.paste(Image.fromarray(tile), (left + frame * pitch[1], top))
    _legend(image, scale)
    return np.asarray(image)


@checked
def save_filters(network: Network, path: str | Path, factor: int | None = None) -> None:
    """Writes `filter_picture` as a PNG file."""
    save_png(filter_picture(network, factor), path)


def _frame_labels(draw: ImageDraw.ImageDraw, left: int, pitch: int, frames: int) -> None:
    for frame, name in enumerate(frame_names(frames)):
        text(draw, (left + (frame + 0.5) * pitch, _HEAD - 6), name, INK_ON_WHITE, 12, anchor="ms")


def _legend(image: Image.Image, scale: float) -> None:
    left, width = _MARGIN + _LABEL, 120
    top = image.height - _FOOT + 10
    bar = diverging(np.broadcast_to(np.linspace(-1, 1, width, dtype=np.float32), (10, width)), 1)
    image.paste(Image.fromarray(bar), (left, top))
    draw = ImageDraw.Draw(image)
    draw.rectangle((left - 1, top - 1, left + width, top + 10), outline=SEPARATOR)
    for part, value in ((0.0, -scale), (0.5, 0.0), (1.0, scale)):
        words = f"{value:+.2g}" if value else "0"
        text(draw, (left + part * width, top + 14), words, INK_ON_WHITE, 11, anchor="ma")

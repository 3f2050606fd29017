"""Arrays as pictures: colours, enlargement, grids, labels, PNG.

A picture is a uint8 array (height, width, 3), as in the rest of the field. The colours of numbers
are Matplotlib's: RdBu around zero, inferno from zero up.
"""

from __future__ import annotations

import base64
import io
from functools import cache
from math import ceil
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw, ImageFont

from atari_zoo.converters.files import check_ending, encodable, written_whole

Colour = tuple[int, int, int]

# of panels, which are dark, so that a game and its activations are the brightest there is
PAPER: Colour = (22, 24, 29)
LINE: Colour = (52, 57, 68)
INK: Colour = (226, 229, 235)
FAINT: Colour = (150, 157, 170)
CHOSEN: Colour = (252, 180, 60)
BAR: Colour = (104, 128, 168)
INK_ON_WHITE: Colour = (40, 40, 40)
FAINT_ON_WHITE: Colour = (98, 102, 111)
MARGIN = 16  # pixels around a panel


def diverging(values: Float[np.ndarray, "*shape"], scale: float) -> UInt8[np.ndarray, "*shape 3"]:
    """Colours around zero: -scale is dark blue, 0 nearly white, +scale dark red; beyond is cut."""
    unit = np.clip(np.asarray(values, np.float32) / (scale or 1.0), -1, 1)
    return _palette("RdBu_r", 257)[np.rint((unit + 1) * 128).astype(np.intp)]  # 128 is 0


def sequential(values: Float[np.ndarray, "*shape"]) -> UInt8[np.ndarray, "*shape 3"]:
    """Colours of 0..1, from black through red to light yellow; beyond is cut off."""
    unit = np.clip(np.asarray(values, np.float32), 0, 1)
    return _palette("inferno", 256)[np.rint(unit * 255).astype(np.uint8)]


def in_grey(values: UInt8[np.ndarray, "*shape"]) -> UInt8[np.ndarray, "*shape 3"]:
    """The same picture with three equal channels."""
    return np.repeat(values[..., None], 3, axis=-1)


def enlarge(
    picture: UInt8[np.ndarray, "*batch height width 3"], factor: int
) -> UInt8[np.ndarray, "*batch taller wider 3"]:
    """Every pixel as factor x factor pixels."""
    return picture.repeat(factor, axis=-3).repeat(factor, axis=-2)


def resized(
    values: Float[np.ndarray, "height width"], height: int, width: int, resize: str = "area"
) -> Float[np.ndarray, "{height} {width}"]:
    """A map of numbers at another size, by bilinear interpolation.

    resize: how a screen of that size became one of the map's, as a Preprocessing names it: with
        "bilinear" the middles of the first and last pixels lie on each other, else their borders.
    """
    down, right = (
        _places(count, size, resize == "bilinear")
        for count, size in zip(values.shape, (height, width), strict=True)
    )
    return (down @ np.asarray(values, np.float32) @ right.T).astype(np.float32)


@cache
def _places(count: int, size: int, corners: bool) -> Float[np.ndarray, "{size} {count}"]:
    """What makes `size` values of `count`, each of the two nearest."""
    if corners:
        places = np.linspace(0, count - 1, size)
    else:
        places = np.clip((np.arange(size) + 0.5) * count / size - 0.5, 0, count - 1)
    return np.maximum(0, 1 - np.abs(places[:, None] - np.arange(count))).astype(np.float32)


def grid(
    tiles: UInt8[np.ndarray, "tiles height width 3"],
    columns: int,
    gap: int = 1,
    background: Colour = (255, 255, 255),
) -> UInt8[np.ndarray, "rows_high columns_wide 3"]:
    """The tiles in reading order with gaps between; an incomplete last row is filled up."""
    count, height, width, _ = tiles.shape
    columns = min(columns, count)
    rows = -(-count // columns)
    picture = np.empty((rows * (height + gap), columns * (width + gap), 3), np.uint8)
    picture[:] = background
    for index, tile in enumerate(tiles):
        top, left = index // columns * (height + gap), index % columns * (width + gap)
        picture[top : top + height, left : left + width] = tile
    return picture[: rows * (height + gap) - gap, : columns * (width + gap) - gap]


def text(
    draw: ImageDraw.ImageDraw,
    place: tuple[float, float],
    words: str,
    fill: Colour,
    size: int = 13,
    anchor: str = "la",
) -> None:
    """Writes on a picture, in the font that Pillow brings, so that every machine draws alike.

    anchor: which point of the words stands at `place`, as Pillow has it: "la" is the upper left.
    """
    draw.text(place, encodable(words), fill=fill, font=_font(size), anchor=anchor)


def written_width(words: str, size: int = 13) -> int:
    """How many pixels wide `text` writes the words."""
    return ceil(_font(size).getlength(encodable(words)))


def fitting(words: str, width: float, size: int = 13) -> str:
    """The words, or as much of them as is no wider than `width` pixels, and dots."""
    font, words = _font(size), encodable(words)
    if font.getlength(words) <= width:
        return words
    kept = words
    while kept and font.getlength(kept + "…") > width:
        kept = kept[:-1]
    return kept + "…"


def png(picture: UInt8[np.ndarray, "height width 3"]) -> bytes:
    """The picture as the bytes of a PNG file."""
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "PNG", optimize=True)
    return stream.getvalue()


def save_png(picture: UInt8[np.ndarray, "height width 3"], path: str | Path) -> None:
    """Writes a PNG file, whole or not at all. Raises ValueError for another ending than .png."""
    check_ending(path, ".png")
    with written_whole(path) as beside:
        beside.write_bytes(png(picture))


def data_uri(content: bytes, kind: str = "image/png") -> str:
    """The content as a URI that a page can hold in place of an address."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


@cache
def _palette(name: str, count: int) -> UInt8[np.ndarray, "count 3"]:
    from matplotlib import colormaps  # here, as many pictures need none

    return colormaps[name].resampled(count)(np.arange(count), bytes=True)[:, :3]


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)

"""Colour to grey: OpenCV's bytes, and the original zoo's numbers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Float32, Float64, Integer, UInt8


def grey(rgb: UInt8[np.ndarray, "*batch 3"]) -> UInt8[np.ndarray, "*batch"]:
    """Luminance as `cv2.cvtColor(RGB2GRAY)` has it: weights in 1/32768, rounded half up."""
    sums = rgb.astype(np.int32) @ np.array([9798, 19235, 3735], np.int32)
    return (sums + 16384 >> 15).astype(np.uint8)


def float_grey(rgb: UInt8[np.ndarray, "*batch 3"]) -> Float32[np.ndarray, "*batch"]:
    """Luminance in 0..255, not rounded: as numpy's `dot` of a frame and the weights in float32,
    which adds up in float64."""
    products = rgb.astype(np.float32) * np.array([0.299, 0.587, 0.114], np.float32)
    return products.sum(-1, dtype=np.float64).astype(np.float32)


def gymnasium_grey(rgb: UInt8[np.ndarray, "*batch 3"]) -> UInt8[np.ndarray, "*batch"]:
    """Luminance as Gymnasium's GrayscaleObservation has it since 1.0: Rec. 709's, cut to bytes."""
    return np.sum(np.multiply(rgb, np.array([0.2125, 0.7154, 0.0721])), axis=-1).astype(np.uint8)


def rec709_grey(rgb: UInt8[np.ndarray, "*batch 3"]) -> Float64[np.ndarray, "*batch"]:
    """Rec. 709's luminance in 0..255, not rounded: scikit-image's rgb2gray, times 255."""
    return rgb.astype(np.float64) @ np.array([0.2125, 0.7154, 0.0721])


def async_rl_grey(rgb: UInt8[np.ndarray, "*batch 3"]) -> UInt8[np.ndarray, "*batch"]:
    """As ale.py of muupan/async-rl has it: Rec. 709's weights, green's and blue's exchanged, cut to
    bytes."""
    red, green, blue = (rgb[..., channel] for channel in range(3))
    return (red * 0.2126 + green * 0.0722 + blue * 0.7152).astype(np.uint8)


def mean_grey(rgb: UInt8[np.ndarray, "*batch 3"]) -> Float64[np.ndarray, "*batch"]:
    """The mean of the three, not rounded."""
    return rgb.mean(axis=-1)


GREYS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "luma": grey,
    "float": float_grey,
    "gymnasium": gymnasium_grey,
    "rec709": rec709_grey,
    "mean": mean_grey,
    "async-rl": async_rl_grey,
}
WHOLE = ("luma", "gymnasium", "async-rl")  # whose greys are bytes
EXACT = ("rec709", "mean")  # whose last bits decide what stretching makes of them
COLOUR = "colour"  # in a grey's place: none is made


POOLS = ("grey", "rgb", "resized", "none")


class PairGreys:
    """The grey of a pixel that had one colour in a frame and another in the next.

    kind, max_pool: as `grey` and `max_pool` of a Preprocessing.
    table: at 256 i + j for the colours i and j, in 0..255; 0 where one is not known yet.

    Raises ValueError for an unknown grey or max_pool.
    """

    def __init__(self, kind: str, max_pool: str) -> None:
        if kind not in GREYS:
            raise ValueError(f"no grey '{kind}'; there are {', '.join(GREYS)}")
        if max_pool not in POOLS:
            raise ValueError(f"no max_pool '{max_pool}'; there are {', '.join(POOLS)}")
        self.kind, self.max_pool = kind, max_pool
        self._square = np.zeros((256, 256), np.float64 if kind in EXACT else np.float32)
        self.table: Float[np.ndarray, "65536"] = self._square.reshape(-1)

    def learn(
        self,
        indices: Integer[np.ndarray, "new"],
        colours: UInt8[np.ndarray, "256 3"],
        greys: UInt8[np.ndarray, "256"],
    ) -> None:
        """Takes up colours that are newly known.

        greys: the emulator's own, of which "luma" takes the maximum if max_pool is "grey".
        """
        single = greys if self.kind == "luma" else GREYS[self.kind](colours)
        for i in indices:
            if self.max_pool == "none":
                self._square[:, i] = single[i]  # the older one is not seen
            elif self.max_pool == "rgb":
                self._square[i] = GREYS[self.kind](np.maximum(colours[i], colours))
            else:
                self._square[i] = np.maximum(single[i], single)
            if self.max_pool != "none":
                self._square[:, i] = self._square[i]


class PairColours:
    """The red, green and blue of a pixel that had one colour in a frame and another in the next.

    last: whether the newer one alone is seen, not the larger of each.
    tables: of each, at 256 i + j for the colours i and j, in 0..255; 0 where one is not known yet.
    """

    def __init__(self, last: bool = False) -> None:
        self.last = last
        self._squares = np.zeros((3, 256, 256), np.float32)
        self.tables: Float32[np.ndarray, "3 65536"] = self._squares.reshape(3, -1)

    def learn(
        self,
        indices: Integer[np.ndarray, "new"],
        colours: UInt8[np.ndarray, "256 3"],
        greys: UInt8[np.ndarray, "256"],
    ) -> None:
        """Takes up colours that are newly known."""
        for i in indices:
            if self.last:
                self._squares[:, :, i] = colours[i][:, None]
                continue
            both = np.maximum(colours[i], colours).T
            self._squares[:, i], self._squares[:, :, i] = both, both

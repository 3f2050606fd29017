"""Colour frames from what the emulator showed: its last two screens, as palette indices."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import UInt8


def colours(
    palette: UInt8[np.ndarray, "256 3"],
) -> Callable[
    [UInt8[np.ndarray, "*rows 2 height width"]], UInt8[np.ndarray, "*rows height width 3"]
]:
    """Makes RGB of pairs of screens: the maximum of the two, so that nothing flickers."""
    padded = np.zeros((256, 4), np.uint8)  # four bytes are looked up at once
    padded[:, :3] = palette
    table = padded.view(np.uint32)[:, 0]

    def of_pairs(pairs: np.ndarray) -> np.ndarray:
        older, newer = (table[pairs[..., frame, :, :]] for frame in (0, 1))
        both = np.maximum(older.view(np.uint8), newer.view(np.uint8))
        return np.ascontiguousarray(both.reshape(*older.shape, 4)[..., :3])

    return of_pairs

"""Palettes: the emulator's colours and its own greys, by index, as far as they were on a screen."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Integer, UInt8

from atari_zoo.preprocessing.renderer import Renderer


@runtime_checkable
class Palette(Protocol):
    """Who is told the emulator's colours and its own greys of them.

    known: by index, whether it was told.
    """

    known: Bool[np.ndarray, "256"]

    def learn(
        self,
        indices: Integer[np.ndarray, "new"],
        colours: UInt8[np.ndarray, "new 3"],
        greys: UInt8[np.ndarray, "new"],
    ) -> None:
        """Takes up colours that are on a screen."""


class SharedPalette:
    """The colours that this process has seen, which it also tells the pool and its renderer.

    Its own are kept apart, as another process may be writing the pool's.
    """

    def __init__(self, arrays: dict[str, np.ndarray], renderer: Renderer) -> None:
        self.arrays, self.renderer = arrays, renderer
        self.known = np.zeros(256, bool)
        self.colours, self.greys = np.zeros((256, 3), np.uint8), np.zeros(256, np.uint8)

    def learn(
        self,
        indices: Integer[np.ndarray, "new"],
        colours: UInt8[np.ndarray, "new 3"],
        greys: UInt8[np.ndarray, "new"],
    ) -> None:
        """Takes up colours that are on a screen."""
        self.colours[indices], self.greys[indices], self.known[indices] = colours, greys, True
        self.renderer.learn(indices, self.colours, self.greys)
        self.arrays["colours"][indices], self.arrays["greys"][indices] = colours, greys

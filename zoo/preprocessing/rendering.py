"""Screens that were kept, as an agent of any preprocessing would have seen them."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Shaped, UInt8
from torch import Tensor

from atari_zoo.converters.cards import Preprocessing
from atari_zoo.preprocessing.greys import grey
from atari_zoo.preprocessing.renderers import Renderer


def render(
    screens: UInt8[np.ndarray, "*batch 2 height width"] | UInt8[Tensor, "*batch 2 height width"],
    palette: UInt8[np.ndarray, "256 3"],
    preprocessing: Preprocessing,
    greys: UInt8[np.ndarray, "256"] | None = None,
) -> Shaped[Tensor, "*batch 84 84"]:
    """The newest frames of the observations, from the last two screens (palette indices).

    greys: the emulator's own, which "luma" takes where the maximum is taken in grey; OpenCV's if
        not given. They differ in some colours of games for PAL televisions.
    Returns bytes, or float32 in 0..1 where the preprocessing does not round, on screens' device.
    Raises ValueError where the preprocessing names a grey, maximum, resize or rounding unknown.

    >>> render(environments.raw().screens, environments.palette, PREPROCESSINGS["tf"]).shape
    torch.Size([8, 84, 84])
    """
    device = screens.device if isinstance(screens, Tensor) else "cpu"
    pairs = screens.cpu().numpy() if isinstance(screens, Tensor) else screens
    renderer = Renderer(preprocessing, *pairs.shape[-2:])
    renderer.learn(np.arange(256), palette, grey(palette) if greys is None else greys)
    frames = np.stack([renderer(pair) for pair in pairs.reshape(-1, *pairs.shape[-3:])])
    return torch.from_numpy(frames).view(*pairs.shape[:-3], 84, 84).to(device)

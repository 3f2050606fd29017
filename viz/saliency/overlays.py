"""Attributions as pictures: on the game's colour frame, and on the frames that the agent saw."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, UInt8

from atari_zoo.converters.preprocessings import Preprocessing
from atari_zoo.viz.images import diverging, enlarge, grid, in_grey, resized

VECTOR = Preprocessing()
ACTOR, CRITIC = np.array([0, 229, 255]), np.array([255, 91, 167])  # hues that games hardly have
DIMMED, OPAQUE = 0.35, 0.85  # of the game beneath, and of the full colour


def overlay(
    frame: UInt8[np.ndarray, "height width 3"],
    values: Float[np.ndarray, "frames rows columns"],
    factor: int = 2,
    scale: float | None = None,
    preprocessing: Preprocessing = VECTOR,
) -> UInt8[np.ndarray, "taller wider 3"]:
    """The colour frame, dimmed a little, and on it in cyan where the attributions are large, of
    either sign; the larger, the more opaque.

    Absolute values are summed over the frames, so that opposite ones do not cancel: an object
    that moves is often positive where it is and negative where it was.
    scale: the sum that gets the full colour; their 99.8th percentile if not given.
    preprocessing: how the frame became what the agent saw.
    """
    strength = np.abs(values).sum(axis=0)
    return two_colours(
        frame, strength / (scale or brightest(strength)), None, factor, preprocessing
    )


def signed_overlay(
    frame: UInt8[np.ndarray, "height width 3"],
    values: Float[np.ndarray, "rows columns"],
    scale: float,
    factor: int = 1,
    preprocessing: Preprocessing = VECTOR,
) -> UInt8[np.ndarray, "taller wider 3"]:
    """The frame in grey, since games have red and blue too, and on it positive values in red,
    negative ones in blue; the larger, the more opaque.

    scale: the size that gets the full colour. preprocessing: as of `overlay`.
    """
    height, width = frame.shape[:2]
    shown = np.clip(on_screen(values / scale, height, width, preprocessing), -1, 1)
    grey = np.broadcast_to(frame.mean(axis=-1, keepdims=True), frame.shape)
    opacity = OPAQUE * np.abs(shown)[..., None]
    mixed = (1 - opacity) * (1 - DIMMED) * grey + opacity * sign_colours(shown)
    return enlarge(np.rint(mixed).astype(np.uint8), factor)


def sign_colours(values: Float[np.ndarray, "*shape"]) -> UInt8[np.ndarray, "*shape 3"]:
    """The red of what is above 0, the blue of what is below: not the ends of the
    diverging colours, which are too dark to be seen on a game."""
    return diverging(np.sign(values) * 0.7, 1.0)


def furthest(
    values: Float[np.ndarray, "frames rows columns"],
) -> Float[np.ndarray, "rows columns"]:
    """Of each pixel the value that lies furthest from 0 in any frame: a sum would let what an
    object adds where it is and takes where it was cancel."""
    return np.take_along_axis(values, np.abs(values).argmax(axis=0)[None], axis=0)[0]


def two_colours(
    frame: UInt8[np.ndarray, "height width 3"],
    actor: Float[np.ndarray, "rows columns"] | None,
    critic: Float[np.ndarray, "rows columns"] | None,
    factor: int = 2,
    preprocessing: Preprocessing = VECTOR,
) -> UInt8[np.ndarray, "taller wider 3"]:
    """The frame, dimmed a little, and on it the actor's saliency in cyan and the critic's in pink;
    1 is the full colour, through which the game can still be seen.

    Greydanus et al. (2018, https://arxiv.org/abs/1711.00138) add blue and red, which games have.
    preprocessing: as of `overlay`.
    """
    height, width = frame.shape[:2]
    weights, clear = [], np.ones((height, width, 1))
    for values in (actor, critic):
        strength = np.zeros((height, width))
        if values is not None:
            strength = np.clip(on_screen(values, height, width, preprocessing), 0, 1)
        weights.append(OPAQUE * strength[..., None])
        clear = clear * (1 - weights[-1])
    # where both are, each has its share of the colour
    tint = (weights[0] * ACTOR + weights[1] * CRITIC) / np.maximum(sum(weights), 1e-9)
    mixed = clear * (1 - DIMMED) * frame + (1 - clear) * tint
    return enlarge(np.rint(mixed).astype(np.uint8), factor)


def on_screen(
    values: Float[np.ndarray, "rows columns"], height: int, width: int, preprocessing: Preprocessing
) -> Float[np.ndarray, "{height} {width}"]:
    """A map of an observation's pixels on the screen that it was made from; 0 where that was cut
    off."""
    first, last, begin, end = preprocessing.window or (0, values.shape[0], 0, values.shape[1])
    whole = np.zeros(preprocessing.size if preprocessing.window else values.shape, np.float32)
    whole[first:last, begin:end] = values
    top, bottom, left, right = preprocessing.crop or (0, height, 0, width)
    screen = np.zeros((height, width), np.float32)
    seen = resized(whole, bottom - top, right - left, preprocessing.resize)
    screen[top:bottom, left:right] = seen
    return screen


def frame_strip(
    observation: UInt8[np.ndarray, "frames rows columns"],
    values: Float[np.ndarray, "frames rows columns"],
    factor: int = 2,
    signed: bool = True,
) -> UInt8[np.ndarray, "height width 3"]:
    """The frames of one observation side by side, oldest first, with their attributions.

    Positive ones are red, negative ones blue; one scale holds for all frames.
    signed: if not, the values are sizes, in the colour of `overlay`.
    """
    scale = brightest(np.abs(values))
    strength = np.clip(np.abs(values) / scale, 0, 1)[..., None]
    colours = sign_colours(values) if signed else ACTOR
    mixed = (1 - OPAQUE * strength) * (1 - DIMMED) * in_grey(observation)
    mixed = mixed + OPAQUE * strength * colours
    tiles = enlarge(np.rint(mixed).astype(np.uint8), factor)
    return grid(tiles, columns=len(tiles), gap=2, background=(128, 128, 128))


def brightest(strength: Float[np.ndarray, "*shape"]) -> float:
    """The value that gets the brightest colour: the 99.8th percentile, or what there is."""
    return float(np.percentile(strength, 99.8)) or float(strength.max()) or 1.0

"""Which pixels made the agent choose: Integrated Gradients (Sundararajan et al., 2017,
https://arxiv.org/abs/1703.01365), through Captum (https://captum.ai)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from captum.attr import IntegratedGradients
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from atari_zoo.converters.networks import MnihNetwork
from atari_zoo.viz.images import diverging, enlarge, grid, in_grey, resized, sequential

BATCH = 64  # gradients taken at a time: bounds the memory


class Attribution(NamedTuple):
    """values: of each pixel, in units of the output. delta: by how much their sum misses
    output(x) - output(black), which is the error of the numerical integral."""

    values: Float[Tensor, "batch frames height width"]
    delta: Float[Tensor, "batch"]


def integrated_gradients(
    network: MnihNetwork,
    observations: Float[Tensor, "batch frames height width"],
    actions: int | Int[Tensor, "batch"],
    steps: int = 50,
) -> Attribution:
    """Attribution of each pixel to the output of an action, from a black screen.

    observations: floats in 0..1, oldest frame first.
    actions: one for all observations, or one for each: 0 to network.actions - 1.
    steps: points of the integral; more make delta smaller.
    Returns attributions (batch, frames, height, width) and deltas (batch,), on the network's
    device. The attributions sum to output(x) - output(black) + delta.
    Raises ValueError if an action is not one of the network's, or observations are not floats
    in 0..1.

    >>> integrated_gradients(network, observations, 2).values.shape
    torch.Size([8, 4, 84, 84])
    """
    _check(network, observations, actions, steps)
    weight = next(network.parameters())
    observations = observations.detach().to(weight.device, weight.dtype)
    target = actions.to(weight.device) if isinstance(actions, Tensor) else actions
    values, delta = IntegratedGradients(network).attribute(
        observations,
        baselines=torch.zeros_like(observations),
        target=target,
        n_steps=steps,
        internal_batch_size=max(BATCH, len(observations)),
        return_convergence_delta=True,
    )
    return Attribution(values.detach(), delta.detach().to(weight.dtype))


def overlay(
    frame: UInt8[np.ndarray, "height width 3"],
    values: Float[np.ndarray, "frames 84 84"],
    factor: int = 2,
) -> UInt8[np.ndarray, "taller wider 3"]:
    """The colour frame, dimmed, and on it where the attributions are large, of either sign.

    Absolute values are summed over the frames, so that opposite ones do not cancel: an object
    that moves is often positive where it is and negative where it was. The brightest colour is
    the 99.8th percentile.
    """
    height, width = frame.shape[:2]
    strength = resized(np.abs(values).sum(axis=0), height, width)
    strength = np.clip(strength / _scale(strength), 0, 1)
    dim = 0.35 * frame + 20
    # weak attributions are noise spread over the whole screen: let them fade
    alpha = np.clip(strength * 1.6, 0, 1)[..., None]
    mixed = (1 - alpha) * dim + alpha * sequential(0.35 + 0.65 * strength)
    return enlarge(np.rint(mixed).astype(np.uint8), factor)


def frame_strip(
    observation: UInt8[np.ndarray, "frames 84 84"],
    values: Float[np.ndarray, "frames 84 84"],
    factor: int = 2,
) -> UInt8[np.ndarray, "height width 3"]:
    """The frames of one observation side by side, oldest first, with their attributions.

    Red pixels raised the output, blue ones lowered it; one scale holds for all frames.
    """
    scale = _scale(np.abs(values))
    strength = np.clip(np.abs(values) / scale * 1.6, 0, 1)[..., None]
    dim = in_grey(observation) * 0.45 + 24
    # the middle of the diverging colours is white; start from its coloured part instead
    signed = np.sign(values) * (0.5 + 0.25 * np.clip(np.abs(values) / scale, 0, 1))
    mixed = (1 - strength) * dim + strength * diverging(signed, 1.0)
    tiles = enlarge(np.rint(mixed).astype(np.uint8), factor)
    return grid(tiles, columns=len(tiles), gap=2, background=(128, 128, 128))


def _scale(strength: np.ndarray) -> float:
    return float(np.percentile(strength, 99.8)) or float(strength.max()) or 1.0


def _check(network: MnihNetwork, observations: Tensor, actions: int | Tensor, steps: int) -> None:
    if not observations.is_floating_point():
        raise ValueError(
            f"observations are {observations.dtype}; gradients need floats in 0..1: "
            "divide bytes by 255"
        )
    if observations.numel() and not 0 <= observations.min() <= observations.max() <= 1:
        raise ValueError(
            f"observations are in {observations.min():g}..{observations.max():g}; "
            "expected 0..1: divide bytes by 255"
        )
    given = actions.tolist() if isinstance(actions, Tensor) else [actions]
    wrong = [action for action in given if not 0 <= action < network.actions]
    if wrong:
        raise ValueError(f"action is {wrong[0]}; expected 0 to {network.actions - 1}")
    if isinstance(actions, Tensor) and actions.shape != observations.shape[:1]:
        raise ValueError(
            f"{tuple(actions.shape)} actions for {len(observations)} observations: "
            "give one for all, or one for each"
        )
    if steps < 1:
        raise ValueError(f"steps is {steps}; it must be at least 1")

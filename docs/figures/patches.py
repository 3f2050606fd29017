"""The counterpart of figure 2 of Such et al. (2019, https://arxiv.org/abs/1812.07069): a unit of
the third convolution that finds the submarine.

    python docs/figures/patches.py            # writes docs/figures/patches.png, prints a table

The paper shows unit 60 of its own Ape-X agent (Seaquest, run 2) and calls it sub-detecting, from
the look of its patches. This is another agent, `apex/Seaquest/1`, so other units do that. Which
one was found by a measurement, which the script repeats for every unit: in which share of
observations the place where the unit answers most lies where the player's submarine is. For unit
26 it is 87 %, for the next one 80 %, for the median unit 14 %.

What there is to see: in the upper band, of the moments with the largest values, the submarine
stands nearly alone in the middle of the field. In the lower band, of moments drawn at random, it
is mostly the same, at smaller values, and once the gauge of oxygen instead. So the unit tells
where the submarine is, more than whether there is one. It is the agent's own in every patch;
whether the unit answers to the enemies' as well, where its own is not near, is not shown.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

import atari_zoo as zoo
from atari_zoo.analysis.peaks import Peaks, recorded_peaks
from atari_zoo.recordings.recordings import Recording
from atari_zoo.viz.patches.finding import patches
from atari_zoo.viz.patches.moments import Selection
from atari_zoo.viz.patches.pictures import save_patches

MODEL, LAYER, UNIT = "apex/Seaquest/1", "conv3", 26
YELLOW = (187, 187, 53)  # the player's submarine; the score's yellow is another one
WATER = slice(40, 175)  # rows of the screen in which it dives
SIZE = (20, 140)  # yellow pixels: fewer and it is hidden, more and it is blown up
NEAR = 6  # pixels of the observation; a field has 36


def submarine(
    recording: Recording,
) -> tuple[Float[np.ndarray, "observations 2"], Bool[np.ndarray, "observations"]]:
    """Its middle, row and column in pixels of the observation, and where it is to be seen."""
    assert recording.frames is not None
    screens = np.asarray(recording.frames)
    yellow = (screens[:, :, WATER] == np.array(YELLOW)).all(-1)
    yellow = yellow.reshape(-1, *yellow.shape[2:])
    count = yellow.sum(axis=(1, 2))
    height, width = screens.shape[2:4]
    rows = (yellow.sum(axis=2) * (np.arange(yellow.shape[1]) + WATER.start)).sum(axis=1)
    columns = (yellow.sum(axis=1) * np.arange(width)).sum(axis=1)
    middle = np.stack([rows * 84 / height, columns * 84 / width], axis=1)
    return middle / np.maximum(count, 1)[:, None], (count > SIZE[0]) & (count < SIZE[1])


def found(
    peaks: Peaks,
    middle: Float[np.ndarray, "observations 2"],
    seen: Bool[np.ndarray, "observations"],
) -> Float[Tensor, "units"]:
    """The share of observations in which each unit's field stands over the submarine as it mostly
    does, to 6 pixels: a unit may find it by its bow, or by the water behind it."""
    places = torch.stack([peaks.rows, peaks.columns], dim=-1)[torch.from_numpy(seen)]
    centres = 8.0 * places + 18  # of a field of 36 pixels
    away = centres - torch.from_numpy(middle[seen]).float()[:, None]
    usual = away.median(dim=0).values
    near = ((away - usual).abs() <= NEAR).all(-1).float().mean(0)
    over = usual.abs().amax(-1) <= 18
    return near * over


def main() -> None:
    """Plays, measures, draws."""
    network = zoo.load(MODEL)
    play = zoo.rollout(network, steps=2000, envs=1, seed=0, keep=["screens", "frames"])
    shares = found(recorded_peaks(network, play, LAYER), *submarine(play))
    best = shares.argsort(descending=True)[:5].tolist()
    for unit in best:
        print(f"{LAYER}:{unit} is over the submarine in {shares[unit]:.0%} of observations")
    print(f"the median unit in {shares.median():.0%}")
    bands = [
        patches(network, play, LAYER, [UNIT], Selection(8, which))[0] for which in ("top", "random")
    ]
    save_patches(bands, Path(__file__).with_suffix(".png"), MODEL)


if __name__ == "__main__":
    main()

"""Jobs of a sweep that make pictures of each model; see `atari_zoo.sweeps.jobs`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import atari_zoo as zoo
from atari_zoo.viz.render.ascent import Settings
from atari_zoo.viz.render.pictures import save_rendered
from atari_zoo.viz.render.rendering import render


def maximize(
    model: str,
    folder: Path,
    seed: int,
    *,
    objective: str = "output:*",
    steps: int = 256,
    play: int = 500,
    device: str = "cpu",
) -> dict[str, Any]:
    """Images that raise an objective, as `images.npz` and `images.png`; how far they rose, and how
    much of `play` steps of real play they exceed."""
    network = zoo.load(model, device)
    played = zoo.rollout(network, steps=play, envs=1, seed=seed, keep=["screens"])
    settings = Settings(steps=steps, seed=seed)
    found = render(network, objective, settings, observations=played.observations())
    np.savez_compressed(folder / "images.npz", images=found.images.cpu().numpy())
    save_rendered(found, folder / "images.png")
    return {
        "names": list(found.names),
        "activations": found.activation.tolist(),
        "percentiles": found.percentile.tolist(),
        "played": found.played.tolist(),
        "held": found.held.tolist(),
    }

"""Sample Factory's checkpoints, `checkpoint_p0/checkpoint_000000978_4005888.pth`, of version 2.

{"model": state dict, ...} (sample_factory/algo/learning/learner.py); its networks are those of
model/{encoder,actor_critic}.py, its normalization utils/normalize.py. config.json, in the folder
above or beside it, tells the activation and the scale of pixels.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from atari_zoo.converters.cards import PREPROCESSINGS
from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.formats.sample_factory_graphs import ACTIVATIONS, Recipe, policy_graph
from atari_zoo.converters.formats.torch_files import opened_torch, pickle_mentions
from atari_zoo.converters.pickles.torch_contents import state_dict_in
from atari_zoo.converters.registry import Probe, Source, reader

MARK = b"action_parameterization.distribution_linear.weight"
CONFIGS = ("config.json", "cfg.json")
CONFIG = 1 << 20  # bytes
# its names of games are ALE's in small letters, but for these
SPELT = {"asteroid": "Asteroids", "kongfumaster": "KungFuMaster", "montezuma": "MontezumaRevenge"}
SPELT |= {"privateye": "PrivateEye"}
TITLES = (
    "BankHeist BattleZone BeamRider ChopperCommand CrazyClimber DemonAttack DoubleDunk "
    "FishingDerby IceHockey MsPacman NameThisGame RoadRunner SpaceInvaders StarGunner TimePilot "
    "UpNDown VideoPinball WizardOfWor YarsRevenge"
).split()
RELU_ASSUMED = "ReLUs, as its Atari agents have: config.json is not beside the file"
SCALE_ASSUMED = (
    "pixels divided by 255 and nothing subtracted, as its Atari agents do: config.json is not "
    "beside the file"
)


def _is_checkpoint(probe: Probe) -> bool:
    return pickle_mentions(probe, MARK)


@reader(
    "sample-factory",
    "Sample Factory checkpoint",
    "APPO's convolutional and residual networks, with a GRU, an LSTM or none, with their "
    "normalization",
    _is_checkpoint,
)
def read_sample_factory(path: Path) -> Source:
    """A checkpoint's policy; nothing in it is run."""
    with opened_torch(path) as file:
        content = file.content
        inside = content.get("model") if isinstance(content, Mapping) else None
        weights = file.tensors(state_dict_in(inside if inside is not None else content))
    config = _config(path)
    assumptions: list[str] = []
    activation, scale = _activation(config, assumptions), _scale(config, weights, assumptions)
    recipe = Recipe(_floats(weights), activation, scale, _subtracted(config, weights))
    model, notes = policy_graph(recipe)
    card: dict[str, Any] = {"algorithm": "ppo", "action_rule": "sample"}
    card["preprocessing"] = PREPROCESSINGS["cleanrl"]  # the same wrappers, as its source says
    game = _game(config)
    source = Source(model, card | ({"game": game} if game else {}), "Sample Factory 2")
    source.flatten, source.notes, source.assumptions = "C, H, W", notes, assumptions
    return source


def _config(path: Path) -> dict[str, Any]:
    """The experiment's settings; {} where they are not there."""
    for place in (
        folder / name for folder in (path.parent, path.parent.parent) for name in CONFIGS
    ):
        try:
            if place.is_file() and place.stat().st_size <= CONFIG:
                found = json.loads(place.read_text())
                return found if isinstance(found, dict) else {}
        except (OSError, ValueError, RecursionError):
            continue
    return {}


def _activation(config: dict[str, Any], assumptions: list[str]) -> str:
    name = config.get("nonlinearity")
    if name is None:
        assumptions.append(RELU_ASSUMED)
        return "relu"
    if name not in ACTIVATIONS:
        raise ConversionError(
            f"its activation {str(name)[:40]!a} is none of {', '.join(ACTIVATIONS)}"
        )
    return str(name)


def _scale(config: dict[str, Any], weights: Mapping[str, Tensor], assumptions: list[str]) -> float:
    """What its pixels are divided by; statistics of pixels tell it, too."""
    scale = config.get("obs_scale")
    if isinstance(scale, int | float) and 0 < scale < 1e6:
        return float(scale)
    means = list(_means(weights).values())
    if means:
        return 1.0 if float(means[0].max()) > 1 else 255.0
    assumptions.append(SCALE_ASSUMED)
    return 255.0


def _subtracted(config: dict[str, Any], weights: Mapping[str, Tensor]) -> float:
    """What is taken from its pixels before they are divided."""
    mean = config.get("obs_subtract_mean", 0.0)
    if not isinstance(mean, int | float) or not abs(mean) < 1e6:
        raise ConversionError(f"its obs_subtract_mean is {str(mean)[:40]!a}; a number was expected")
    below = [name for name, tensor in _means(weights).items() if float(tensor.min()) < 0]
    if below and "obs_subtract_mean" not in config:
        raise ConversionError(
            f"{below[0][:80]!a} has negative means, so that something was subtracted from pixels; "
            "put the experiment's config.json (obs_subtract_mean) beside the file"
        )
    return float(mean)


def _means(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in weights.items() if name.endswith("obs.running_mean")}


def _game(config: dict[str, Any]) -> str:
    found = re.fullmatch(r"atari_([a-z]+)", str(config.get("env", "")))
    if found is None:
        return ""
    titles = SPELT | {title.lower(): title for title in [*TITLES, "KungFuMaster", "PrivateEye"]}
    return titles.get(found[1], found[1].capitalize())


def _floats(weights: Mapping[str, Tensor]) -> dict[str, np.ndarray]:
    return {
        name: tensor.float().numpy()
        for name, tensor in weights.items()
        if tensor.is_floating_point()
    }

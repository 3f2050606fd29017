"""Stable-Baselines3's and sb3-contrib's zips, as `model.save` writes them.

`policy.pth` is a state dict; `data` is JSON (stable_baselines3/common/save_util.py,
`data_to_json`), whose ":serialized:" fields are pickles and are left alone.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from atari_zoo.converters.archives.zips import Archive, first_member, is_zip
from atari_zoo.converters.cards import PREPROCESSINGS, Preprocessing
from atari_zoo.converters.environment_ids import ENVIRONMENT_ID, game_of
from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.formats.torch_files import torch_file, weights_in
from atari_zoo.converters.network.agent_networks import AgentNetwork
from atari_zoo.converters.preprocessings import preprocessing_changed
from atari_zoo.converters.registry import Probe, Source, reader
from atari_zoo.converters.weights.named_heads import HeadFacts
from atari_zoo.converters.weights.state_dicts import seen_in, source_of
from atari_zoo.converters.weights.trunks import MOST_FRAMES

WEIGHTS = 1 << 28  # bytes of policy.pth
DATA = 1 << 24
NESTED = 100_000  # lists and objects in it
SIDES = (84, 80, 64, 96, 128)
RAW = (210, 160)  # the emulator's own screen, in colour: of an environment without wrappers
TYPES = ("uint8", "float32", "float64")
FRAME_SKIP = 4  # SB3's AtariWrapper's; the file counts steps

# A2C and PPO have the same networks: the algorithm whose setting is met first
SETTINGS = {"cg_max_steps": "", "n_epochs": "ppo", "gae_lambda": "a2c"}
# dense layers between features and heads; without them a network's only layer is number 0
EXTRA = re.compile(r"mlp_extractor\..*\.weight|(q_net|quantile_net)\.\1\.[1-9]\d*\.weight")
NATURE_CNN = "<class 'stable_baselines3.common.torch_layers.NatureCNN'>"
VERSION = "_stable_baselines3_version"


def _is_sb3(probe: Probe) -> bool:
    if not is_zip(probe.start):
        return False
    cut_short = not probe.names and first_member(probe.start) == "data"
    return cut_short or {"data", "policy.pth"} <= probe.names


@reader(
    "sb3",
    "Stable-Baselines3 zip",
    "A2C, PPO, DQN and sb3-contrib's QR-DQN with CnnPolicy, RecurrentPPO; normalize_images=False",
    _is_sb3,
)
def read_sb3(path: Path) -> Source:
    """A zip of `model.save`; nothing that it pickled is run."""
    with Archive(path) as archive:
        settings = _settings(archive.read("data", DATA))
        weights = weights_in(torch_file(io.BytesIO(archive.read("policy.pth", WEIGHTS))))
        version = archive.read(VERSION, 100) if VERSION in archive.names else b""
    refuse_others(settings, weights)
    source = source_of(weights, HeadFacts(quantiles=_count(settings.get("n_quantiles"))))
    assert isinstance(source.model, AgentNetwork)
    source.notes += rescale(source.model, settings)
    if (seen := shown_screens(source.model, settings)) is not None:
        source.card["preprocessing"] = seen
    _describe(source, settings, path)
    shown = re.match(rb"[0-9][0-9a-z.]*", version)
    source.written_by += f" {shown[0].decode()}" if shown else ""
    return source


def _settings(content: bytes) -> dict[str, Any]:
    if content.count(b"[") + content.count(b"{") > NESTED:
        raise ConversionError("'data' in the zip holds more than settings: damaged")
    try:
        settings = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ConversionError("'data' in the zip is no JSON: damaged") from error
    if not isinstance(settings, dict):
        raise ConversionError("'data' in the zip holds no settings: damaged")
    return settings


def refuse_others(settings: dict[str, Any], weights: Mapping[str, Tensor]) -> None:
    """Observations and networks that `CnnPolicy` may have, but not on Atari's screens or not its
    own.
    """
    shape = _fields(settings, "observation_space").get("_shape")
    if shape is not None and not _is_screens(shape):
        plain = isinstance(shape, list) and all(type(size) is int for size in shape)
        shown = str(shape[:4]) if plain else "another kind"
        raise ConversionError(
            f"it saw observations of {shown}; 1 to {MOST_FRAMES} frames of 84x84, or another usual "
            "screen, were expected"
        )
    named = _fields(settings, "policy_kwargs").get("features_extractor_class")
    if named is not None and named != NATURE_CNN:
        shown = re.sub(r"<class '(?:.*\.)?(.*)'>", r"\1", str(named))[:80]
        raise ConversionError(
            f"its features come from {shown!r}, a class of its own that the file names but does "
            "not hold; export the policy to ONNX, which has the graph itself"
        )
    extra = [tuple(weights[name].shape) for name in weights if EXTRA.fullmatch(name)]
    if extra:
        sizes = ", ".join(f"{size[-1]} to {size[0]}" for size in extra if size)
        raise ConversionError(f"extra dense layers between features and heads (net_arch): {sizes}")


def _is_screens(shape: Any) -> bool:
    """Whether these are Atari's screens; SB3 itself moves frames that come last to the front."""
    if not isinstance(shape, list) or len(shape) != 3 or not all(type(n) is int for n in shape):
        return False
    frames, height, width = shape if shape[0] < shape[2] else [shape[2], *shape[:2]]
    square = height == width and height in SIDES
    return 1 <= frames <= MOST_FRAMES and (square or (frames, height, width) == (3, *RAW))


def shown_screens(network: AgentNetwork, settings: dict[str, Any]) -> Preprocessing | None:
    """What a network saw that no wrappers of DeepMind's made; None if they did.

    The emulator's own screen as an environment of Gymnasium gives it (ALE/Game-v5): the last of
    four frames, in colour, with sticky actions.
    Raises ConversionError if its layers are of another screen than the settings tell.
    """
    frames, *size = network.shape
    told = _fields(settings, "observation_space").get("_shape")
    if told is not None and sorted(told) != sorted(network.shape):
        raise ConversionError(
            f"it saw observations of {told}, but its layers fit ones of {list(network.shape)}"
        )
    if (frames, *size) == (3, *RAW):
        raw = {"name": "modern", "grey": "colour", "max_pool": "none", "noops": 0}
        return preprocessing_changed(PREPROCESSINGS["modern"], raw | {"size": RAW, "stack": 1})
    if size != [84, 84]:
        sized = preprocessing_changed(PREPROCESSINGS["deepmind"], {"size": tuple(size)})
        return seen_in(sized, frames)
    return None


def rescale(network: AgentNetwork, settings: dict[str, Any]) -> list[str]:
    """Makes a network that was trained on bytes take 0..1; returns what was done."""
    if _fields(settings, "policy_kwargs").get("normalize_images", True) is not False:
        return []
    space = _fields(settings, "observation_space")
    highest = {255.0} if space.get("dtype") == "uint8" else _numbers(space.get("high"))
    if highest == {1.0}:
        return ["normalize_images=False: it was trained on floats from 0 to 1, as it is read"]
    if highest != {255.0}:
        shown = ", ".join(f"{number:g}" for number in sorted(highest)[:4]) or "none that it tells"
        raise ConversionError(f"normalize_images=False with pixels up to {shown}; not 1 or 255")
    conv = network.trunk.get_submodule("conv1.conv")
    assert isinstance(conv, torch.nn.Conv2d)
    with torch.no_grad():
        conv.weight *= 255
    return ["normalize_images=False: trained on 0..255, so conv1's weights are multiplied by 255"]


def _describe(source: Source, settings: dict[str, Any], path: Path) -> None:
    """Adds what the settings, and the zip's name in RL Zoo's manner, tell of the agent."""
    algorithm = next((name for key, name in SETTINGS.items() if key in settings), "")
    if "algorithm" not in source.card:
        source.card |= {"algorithm": algorithm or "unknown", "action_rule": "sample"}
    steps = _count(settings.get("num_timesteps"))
    if steps:
        source.card["frames"] = steps * FRAME_SKIP
        source.notes.append(f"{steps} steps, counted as {FRAME_SKIP} frames each")
    named = re.fullmatch(rf"(?:[a-z0-9_]+-)?({ENVIRONMENT_ID})", path.stem)
    if named:
        source.card["game"] = game_of(named[1])
    space = _fields(settings, "observation_space")
    if space.get("dtype") in TYPES and space.get("_shape"):
        source.input = f"{space['dtype']} {tuple(space['_shape'])}"


def _fields(settings: dict[str, Any], name: str) -> dict[str, Any]:
    """The plain values of a setting that is an object."""
    value = settings.get(name)
    return value if isinstance(value, dict) else {}


def _numbers(text: Any) -> set[float]:
    """The numbers in an array as NumPy prints it."""
    found = re.findall(r"\d{1,9}(?:\.\d{1,9})?", text[:10_000]) if isinstance(text, str) else []
    return {float(number) for number in found}


def _count(value: Any) -> int:
    return value if type(value) is int and 0 < value < 1 << 50 else 0

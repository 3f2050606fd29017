"""Stable-Baselines3's and sb3-contrib's policies alone, as `policy.save` writes them.

A torch file: {"state_dict": ..., "data": the arguments of the policy's class}, its spaces among
them (stable_baselines3/common/policies.py, `BaseModel.save`). Gym's and Gymnasium's Box pickles
its attributes; the classes stay names.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.formats.sb3 import refuse_others, rescale, shown_screens
from atari_zoo.converters.formats.torch_files import opened_torch, pickle_mentions
from atari_zoo.converters.network.agent_networks import AgentNetwork
from atari_zoo.converters.pickles.arrays import PickledType
from atari_zoo.converters.pickles.opaque import Opaque, OpaqueClass
from atari_zoo.converters.pickles.torch_contents import state_dict_in
from atari_zoo.converters.registry import Probe, Source, reader
from atari_zoo.converters.weights.named_heads import HeadFacts
from atari_zoo.converters.weights.state_dicts import source_of

ARGUMENT = b"features_extractor_class"  # of every policy's class


def _is_policy(probe: Probe) -> bool:
    return pickle_mentions(probe, ARGUMENT)


@reader(
    "sb3-policy",
    "Stable-Baselines3 policy (torch file)",
    "what `policy.save` writes of A2C, PPO, DQN and QR-DQN with CnnPolicy, and of RecurrentPPO",
    _is_policy,
)
def read_sb3_policy(path: Path) -> Source:
    """A file of `policy.save`; nothing in it is run."""
    with opened_torch(path) as file:
        content = file.content
        if not (isinstance(content, Mapping) and isinstance(content.get("data"), Mapping)):
            raise ConversionError("no policy of Stable-Baselines3's: its 'data' were expected")
        weights = file.tensors(state_dict_in(content.get("state_dict")))
    settings = _settings(content["data"])
    refuse_others(settings, weights)
    count = content["data"].get("n_quantiles")
    quantiles = count if type(count) is int and 0 < count < 1 << 20 else 0
    source = source_of(weights, HeadFacts(quantiles=quantiles))
    assert isinstance(source.model, AgentNetwork)
    source.notes += rescale(source.model, settings)
    if (seen := shown_screens(source.model, settings)) is not None:
        source.card["preprocessing"] = seen
    source.card.setdefault("action_rule", "sample")  # of A2C and PPO, which have one policy
    return source


def _settings(data: Mapping[Any, Any]) -> dict[str, Any]:
    """The arguments as the zips of `model.save` have them."""
    extractor = data.get("features_extractor_class")
    policy = {"normalize_images": data.get("normalize_images", True)}
    if isinstance(extractor, OpaqueClass):
        policy["features_extractor_class"] = f"<class '{extractor.name}'>"
    return {"observation_space": _box(data.get("observation_space")), "policy_kwargs": policy}


def _box(space: Any) -> dict[str, Any]:
    """Of a space of observations: shape, type and the highest numbers."""
    state = space.state if isinstance(space, Opaque) else None
    if not isinstance(state, Mapping):
        return {}
    shape, kind, high = (
        state.get("_shape", state.get("shape")),
        state.get("dtype"),
        state.get("high"),
    )
    box: dict[str, Any] = {"_shape": list(shape) if isinstance(shape, tuple) else shape}
    if isinstance(kind, PickledType):
        box["dtype"] = kind.to_numpy().name
    if isinstance(high, np.ndarray) and high.size and high.dtype.kind in "fiu":
        box["high"] = str(np.unique(high)[:10])
    return box

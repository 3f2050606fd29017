"""The Atari Zoo: load any Atari agent, play it, record it, ask what its neurons mean.

import atari_zoo as zoo

net = zoo.load("a2c/Pong/1")                  # or a path to any file a converter knows
rec = zoo.rollout(net, steps=500, envs=1, keep=["screens"])
acts = zoo.activations(net, rec.observations(), ["conv3", "fc"])
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from atari_zoo.catalog import UnknownModel as UnknownModel
    from atari_zoo.catalog import list_models as list_models
    from atari_zoo.counterfactuals import counterfactual as counterfactual
    from atari_zoo.games import UnknownGame as UnknownGame
    from atari_zoo.games import game as game
    from atari_zoo.layers import activations as activations
    from atari_zoo.logs import LogError as LogError
    from atari_zoo.logs import training_log as training_log
    from atari_zoo.models import load as load
    from atari_zoo.noises import Noise as Noise
    from atari_zoo.recording_files import open_recording as open_recording
    from atari_zoo.recordings import Recording as Recording
    from atari_zoo.rollouts import rollout as rollout
    from atari_zoo.run_checkpoints import checkpoints as checkpoints

# found when first asked for: `atari-zoo list` then answers without waiting for torch
_WHERE = {
    "UnknownModel": "catalog",
    "LogError": "logs",
    "training_log": "logs",
    "checkpoints": "run_checkpoints",
    "list_models": "catalog",
    "counterfactual": "counterfactuals",
    "UnknownGame": "games",
    "game": "games",
    "activations": "layers",
    "load": "models",
    "Noise": "noises",
    "Recording": "recordings",
    "open_recording": "recording_files",
    "rollout": "rollouts",
}
__all__ = list(_WHERE)


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'atari_zoo' has no attribute '{name}'")
    return getattr(import_module(f"atari_zoo.{_WHERE[name]}"), name)

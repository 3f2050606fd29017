"""The Atari Zoo: load any Atari agent, play it, record it, ask what its neurons mean.

import atari_zoo as zoo

net = zoo.load("a2c/Pong/1")                  # or a path to any file a converter knows
rec = zoo.rollout(net, steps=500, envs=1, keep=["screens"])
acts = zoo.activations(net, rec, ["conv3", "fc"])
"""

from importlib.metadata import version

import lazy_loader

__version__ = version("atari-zoo")

# found when first asked for: `atari-zoo list` then answers without waiting for torch
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

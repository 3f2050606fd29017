"""CleanRL's torch models: a state dict, or {"model_weights": ..., "args": vars(args)}.

Names and layouts are those of cleanrl/*_atari.py; what the arguments, and the folders that
CleanRL and its models on Hugging Face stand in, tell of the agent goes on the card.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from atari_zoo.converters.formats.cleanrl_settings import folder_card, settings_card
from atari_zoo.converters.formats.torch_files import holds_torch, opened_torch, weights_in
from atari_zoo.converters.registry import Source, reader
from atari_zoo.converters.weights.state_dicts import source_of

SUFFIX = ".cleanrl_model"


@reader(
    "cleanrl",
    "CleanRL model (torch)",
    "DQN, C51, PPO, Rainbow and SAC's actor; noisy layers by their means; IMPALA's ResNet",
    lambda probe: probe.path.suffix.lower() == SUFFIX and holds_torch(probe),
)
def read_cleanrl(path: Path) -> Source:
    """A `.cleanrl_model`; nothing in it is run."""
    with opened_torch(path) as file:
        source = source_of(weights_in(file))
        content = file.content
    source.card |= folder_card(path)
    if isinstance(content, Mapping) and isinstance(content.get("args"), Mapping):
        source.card |= settings_card(content["args"])
    return source

"""Names of networks with as many layers as somebody chose: rows for what a state dict counts.

Names are from the sources of torchbeast/polybeast_learner.py, cleanrl/ppo_procgen.py,
ppg_procgen.py and qdagger_dqn_atari_impalacnn.py; the zoo's own are those of its networks.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator
from itertools import count, takewhile

from atari_zoo.converters.cards import PREPROCESSINGS
from atari_zoo.converters.weights.namings import (
    CLEANRL,
    OWN_HEADS,
    BlockNames,
    LayerNames,
)

RESNET = "torchbeast (IMPALA's ResNet)"


def counted_namings(names: Collection[str]) -> Iterator[LayerNames]:
    """The rows that may fit a state dict with tensors of these names."""
    yield from _own(names)
    yield from _torchbeast(names)
    yield from _cleanrl(names)


def _own(names: Collection[str]) -> Iterator[LayerNames]:
    """The zoo's own: any head on the trunk that is there."""
    convolutions = tuple(_counted("trunk.conv{}.conv", names))
    blocks = []
    for block in _counted("trunk.block{}.conv", names):
        start = block.removesuffix("conv")
        pairs = tuple(
            (first, first.removesuffix("1") + "2")
            for first in _counted(start + "residual{}.conv1", names)
        )
        blocks.append(BlockNames(block, pairs))
    if not convolutions and not blocks:
        return
    fc = "trunk.fc.linear" if "trunk.fc.linear.weight" in names else None
    more = tuple(_counted("trunk.fc{}.linear", names, first=2))
    for row in OWN_HEADS:
        yield dataclasses.replace(
            row, convolutions=convolutions, blocks=tuple(blocks), fc=fc, more=more
        )


def _torchbeast(names: Collection[str]) -> Iterator[LayerNames]:
    """torchbeast's deep network: two residual blocks a part, in lists of their own."""
    blocks = tuple(
        BlockNames(conv, tuple((f"resnet{r}.{index}.1", f"resnet{r}.{index}.3") for r in (1, 2)))
        for index, conv in enumerate(_counted("feat_convs.{}.0", names, first=0))
    )
    if blocks:
        yield LayerNames(
            RESNET,
            "actor-critic",
            (),
            {"output": "policy", "value": "baseline"},
            "fc",
            "impala",
            PREPROCESSINGS["torchbeast"],
            blocks=blocks,
        )


def _cleanrl(names: Collection[str]) -> Iterator[LayerNames]:
    """CleanRL's residual networks: parts, Flatten, ReLU and the dense layers in one sequence."""
    blocks = []
    for conv in _counted("network.{}.conv", names, first=0):
        start = conv.removesuffix("conv")
        pairs = tuple((f"{start}res_block{r}.conv0", f"{start}res_block{r}.conv1") for r in (0, 1))
        blocks.append(BlockNames(conv, pairs))
    if not blocks:
        return
    fc, output = (f"network.{len(blocks) + after}" for after in (2, 4))
    policy = LayerNames(
        "CleanRL (PPO, IMPALA's ResNet)",
        "actor-critic",
        (),
        {"output": "actor", "value": "critic"},
        fc,
        "ppo",
        blocks=tuple(blocks),
    )
    yield policy
    yield dataclasses.replace(
        policy,
        library="CleanRL (PPG, IMPALA's ResNet)",
        ignored=("aux_critic.",),
        notes=("the auxiliary critic is left out",),
    )
    yield dataclasses.replace(
        policy,
        library="CleanRL (DQN, IMPALA's ResNet)",
        head="q",
        layers={"output": output},
        algorithm="dqn",
        preprocessing=CLEANRL,
    )


def _counted(name: str, names: Collection[str], first: int = 1) -> Iterator[str]:
    """The layers called so with a number in it, from `first` on, for as long as they are there."""
    layers = (name.format(number) for number in count(first))
    return takewhile(lambda layer: f"{layer}.weight" in names, layers)

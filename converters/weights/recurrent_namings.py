"""Names that libraries give the layers of recurrent agents: a row for each network.

From the libraries' sources: sb3_contrib/common/recurrent/policies.py, cleanrl/ppo_atari_lstm.py,
torchbeast/monobeast.py (AtariNet), a2c_ppo_acktr/model.py, baby-a3c.py; the zoo's own are those of
`RecurrentNetwork`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from atari_zoo.converters.cards import PREPROCESSINGS
from atari_zoo.converters.network.activations import Activation
from atari_zoo.converters.network.networks import ConvShape
from atari_zoo.converters.network.recurrent import ACTION, REWARD
from atari_zoo.converters.weights.counted_namings import RESNET, counted_namings
from atari_zoo.converters.weights.namings import CLEANRL, DEEPMIND, OWN, LayerNames

TORCHBEAST = PREPROCESSINGS["torchbeast"]
# baby-a3c.py: each with an ELU, on one frame of 80x80
BABY = (ConvShape(32, (3, 3), (2, 2), (1, 1, 1, 1), Activation("elu", (1.0,))),) * 4
BABY_SCREEN = (1, 80, 80)


@dataclass(frozen=True)
class RecurrentNames:
    """What a library calls the layers of a recurrent agent.

    names: of the layers that others have too. memory: before the names of its parts; "" where
    the head reads the features and what it is told. critic: of what stands between the features
    and the value, where that does not read the memory. told: what stands behind the features.
    convolutions, screen: those of a library whose weights alone do not tell them.
    """

    names: LayerNames
    memory: str
    critic: str = ""
    told: tuple[str, ...] = ()
    convolutions: tuple[ConvShape, ...] = ()
    screen: tuple[int, int, int] = (4, 84, 84)


def _sb3(prefix: str, critic: str) -> RecurrentNames:
    """prefix: of the extractor: since version 1.7 it stands there three times."""
    extractor = f"{prefix}features_extractor."
    apart = ("pi_features_extractor.", "vf_features_extractor.")
    layers = {"output": "action_net", "value": "value_net"}
    names = LayerNames(
        "sb3-contrib (RecurrentPPO)",
        "actor-critic",
        (f"{extractor}cnn.0", f"{extractor}cnn.2", f"{extractor}cnn.4"),
        layers,
        f"{extractor}linear.0",
        "ppo",
        DEEPMIND,
        ignored=("features_extractor.", "vf_features_extractor.") if prefix else (),
        critic_trunk=apart if prefix else None,
    )
    return RecurrentNames(names, "lstm_actor", critic)


def _torchbeast(memory: str) -> RecurrentNames:
    names = LayerNames(
        "torchbeast (AtariNet)",
        "actor-critic",
        ("conv1", "conv2", "conv3"),
        {"output": "policy", "value": "baseline"},
        "fc",
        "impala",
        TORCHBEAST,
    )
    return RecurrentNames(names, memory, told=(REWARD, ACTION))


def _baby(memory: str, output: str, value: str) -> RecurrentNames:
    names = LayerNames(
        "baby-a3c",
        "actor-critic",
        ("conv1", "conv2", "conv3", "conv4"),
        {"output": output, "value": value},
        preprocessing=PREPROCESSINGS["baby-a3c"],
        action_rule="sample",
        valid=False,
    )
    return RecurrentNames(names, memory, convolutions=BABY, screen=BABY_SCREEN)


RECURRENT_NAMINGS = (
    *(_sb3(p, critic) for p in ("", "pi_") for critic in ("lstm_critic", "critic", "")),
    RecurrentNames(
        LayerNames(
            "CleanRL (PPO with LSTM)",
            "actor-critic",
            ("network.0", "network.2", "network.4"),
            {"output": "actor", "value": "critic"},
            "network.7",
            "ppo",
            CLEANRL,
        ),
        "lstm",
    ),
    _torchbeast("core"),
    _torchbeast(""),
    _baby("lstm", "pol_func", "val_func"),
    _baby("gru", "actor_linear", "critic_linear"),  # later versions
    RecurrentNames(
        LayerNames(
            "pytorch-a2c-ppo-acktr-gail",
            "actor-critic",
            ("base.main.0", "base.main.2", "base.main.4"),
            {"output": "dist.linear", "value": "base.critic_linear"},
            "base.main.7",
            preprocessing=DEEPMIND,
        ),
        "base.gru",
    ),
)


def recurrent_namings(names: Collection[str]) -> Iterator[RecurrentNames]:
    """The rows that may fit a state dict with tensors of these names."""
    yield from RECURRENT_NAMINGS
    for row in counted_namings(names):
        if row.library == OWN:
            yield from _own(row)
        elif row.library == RESNET:
            seen = dataclasses.replace(row, preprocessing=TORCHBEAST)
            yield RecurrentNames(seen, "core", told=(REWARD,))
            yield RecurrentNames(seen, "", told=(REWARD,))


def _own(row: LayerNames) -> Iterator[RecurrentNames]:
    for told in ((), (REWARD, ACTION), (REWARD,), (ACTION,)):
        yield RecurrentNames(row, "memory.rnn", told=told)
        if told:
            yield RecurrentNames(row, "", told=told)
    if row.head == "policy":
        layers = {**row.layers, "value": "critic.value"}
        apart = dataclasses.replace(row, head="actor-critic", layers=layers)
        for critic in ("critic.between.rnn", "critic.between"):
            yield RecurrentNames(apart, "memory.rnn", critic)

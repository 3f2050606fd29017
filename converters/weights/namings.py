"""Names that libraries give their networks' layers: one row for each network that they save.

Names are from the libraries' sources: stable_baselines3/common/{policies,torch_layers}.py,
sb3_contrib/qrdqn/policies.py, cleanrl/*_atari.py, a2c_ppo_acktr/model.py, atari-agents' play.py,
Kaixhin's Rainbow model.py; the zoo's own are those of its networks' state dicts.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

from atari_zoo.converters.cards import PREPROCESSINGS, Preprocessing

Convolutions = tuple[str, ...]

DEEPMIND = PREPROCESSINGS["deepmind"]
CLEANRL = PREPROCESSINGS["cleanrl"]


@dataclass(frozen=True)
class BlockNames:
    """One part of a residual network: its first convolution, and the two of each residual block."""

    conv: str
    residuals: tuple[tuple[str, str], ...]

    @property
    def all(self) -> Convolutions:
        """Its convolutions, first to last."""
        return (self.conv, *(name for pair in self.residuals for name in pair))


@dataclass(frozen=True)
class LayerNames:
    """What a library calls a network's layers: prefixes before `.weight` and `.bias`.

    head: its kind, as the zoo's heads have it. layers: of the head, by their part in it.
    fc: the dense layer after the convolutions; None where the head's streams bring theirs, or
        it stands on the flattened map. more: the dense layers that follow it.
    blocks: a residual network's parts, in place of `convolutions`.
    algorithm: as the zoo has it; empty where the names do not tell. action_rule: where it is not
        the algorithm's.
    support: a tensor with the returns of the atoms.
    noisy: the head's layers are noisy ones, of which the means count when they are evaluated.
    ignored: prefixes of what is not the policy's, or stands there once more.
    critic_trunk: prefixes of the policy's trunk and of the critic's, which may be another.
    valid: the library pads no convolution, whatever the dense layer's size.
    scaled: its networks are known to see 0..1; else most see bytes, but the names do not tell.
    """

    library: str
    head: str
    convolutions: Convolutions
    layers: Mapping[str, str]
    fc: str | None = None
    algorithm: str = ""
    preprocessing: Preprocessing | None = None
    support: str = ""
    noisy: bool = False
    ignored: tuple[str, ...] = ()
    critic_trunk: tuple[str, str] | None = None
    valid: bool = True
    action_rule: str = ""
    notes: tuple[str, ...] = ()
    scaled: bool = True
    more: tuple[str, ...] = ()
    blocks: tuple[BlockNames, ...] = ()

    @property
    def dense(self) -> tuple[str, ...]:
        """The trunk's dense layers."""
        return () if self.fc is None else (self.fc, *self.more)

    @property
    def all_convolutions(self) -> Convolutions:
        """All of them, a residual network's too."""
        return (*self.convolutions, *(name for block in self.blocks for name in block.all))


def _each(prefix: str) -> Convolutions:
    """Convolutions in a sequence with their ReLUs."""
    return (f"{prefix}0", f"{prefix}2", f"{prefix}4")


def _sb3(
    title: str, head: str, prefix: str, layers: dict[str, str], algorithm: str = ""
) -> LayerNames:
    net = prefix.split(".")[0]
    target = net.endswith("_net")
    return LayerNames(
        f"Stable-Baselines3 ({title})",
        head,
        _each(f"{prefix}features_extractor.cnn."),
        layers,
        f"{prefix}features_extractor.linear.0",
        algorithm,
        DEEPMIND,
        ignored=(f"{net}_target.",) if target else (),
        notes=("the target network is left out",) if target else (),
    )


def _cleanrl(
    title: str,
    head: str,
    layers: dict[str, str],
    algorithm: str,
    fc: str | None = "network.7",
    support: str = "",
) -> LayerNames:
    noisy = head == "categorical dueling"
    title = f"CleanRL ({title})"
    convolutions = _each("network.")
    return LayerNames(title, head, convolutions, layers, fc, algorithm, CLEANRL, support, noisy)


def _own(head: str, layers: dict[str, str], support: str = "") -> LayerNames:
    return LayerNames(OWN, head, (), layers, support=support, valid=False)


OWN = "Atari Zoo"
ACTOR_CRITIC = {"output": "action_net", "value": "value_net"}
OWN_STREAMS = {"value fc": "head.fc.linear", "advantage fc": "head.advantage_fc.linear"}
OWN_DUELING = {"value": "head.value", "advantage": "head.advantage"}
OWN_ATOMS = {"value": "head.value.0", "advantage": "head.advantage.0"}
OWN_SUPPORT = "head.output.support"

NAMINGS = (
    LayerNames(
        "pytorch-a2c-ppo-acktr-gail",
        "actor-critic",
        _each("base.main."),
        {"output": "dist.linear", "value": "base.critic_linear"},
        "base.main.7",
        preprocessing=DEEPMIND,
    ),
    LayerNames(
        "pytorch-a2c-ppo-acktr (2017)",
        "actor-critic",
        ("conv1", "conv2", "conv3"),
        {"output": "actor_linear", "value": "critic_linear"},
        "linear1",
        preprocessing=DEEPMIND,
    ),
    _sb3("A2C, PPO", "actor-critic", "", ACTOR_CRITIC),
    # since version 1.7 the extractor stands there three times, and the critic may have its own
    dataclasses.replace(
        _sb3("A2C, PPO", "actor-critic", "pi_", ACTOR_CRITIC),
        ignored=("features_extractor.", "vf_features_extractor."),
        critic_trunk=("pi_features_extractor.", "vf_features_extractor."),
    ),
    _sb3("DQN", "q", "q_net.", {"output": "q_net.q_net.0"}, "dqn"),
    _sb3(
        "QR-DQN",
        "quantile first",  # an action's quantiles are not side by side, but a quantile's actions
        "quantile_net.",
        {"quantiles": "quantile_net.quantile_net.0"},
        "qrdqn",
    ),
    _cleanrl("PPO", "actor-critic", {"output": "actor", "value": "critic"}, "ppo"),
    _cleanrl("DQN", "q", {"output": "network.9"}, "dqn"),
    _cleanrl("C51", "categorical", {"atoms": "network.9"}, "c51", support="atoms"),
    _cleanrl(
        "Rainbow",
        "categorical dueling",
        {
            "value fc": "value_head.0",
            "value": "value_head.2",
            "advantage fc": "advantage_head.0",
            "advantage": "advantage_head.2",
        },
        "rainbow",
        fc=None,
        support="support",
    ),
    LayerNames(
        "CleanRL (SAC)",
        "policy",
        _each("conv."),
        {"output": "fc_logits"},
        "fc1",
        preprocessing=CLEANRL,
        action_rule="sample",
        notes=("Soft Actor-Critic's policy; its Q-networks are not in the file",),
    ),
    LayerNames(
        "Kaixhin's Rainbow",
        "categorical dueling",
        _each("convs."),
        {"value fc": "fc_h_v", "value": "fc_z_v", "advantage fc": "fc_h_a", "advantage": "fc_z_a"},
        algorithm="rainbow",
        preprocessing=PREPROCESSINGS["kaixhin"],
        noisy=True,
    ),
    LayerNames(
        "atari-agents (DQN, M-DQN)",
        "q",
        _each("_AtariNet__features."),
        {"output": "_AtariNet__head.2"},
        "_AtariNet__head.0",
        "dqn",
    ),
    LayerNames(
        "atari-agents (C51)",
        "categorical",
        _each("_AtariNet__features."),
        {"atoms": "_AtariNet__head.2"},
        "_AtariNet__head.0",
        "c51",
        support="_AtariNet__support",
    ),
)

# the heads of the zoo's own networks; `own_namings` puts a state dict's own trunk before them
OWN_HEADS = (
    _own("policy", {"output": "head.output"}),
    _own("actor-critic", {"output": "head.output", "value": "head.value"}),
    _own("dueling", OWN_DUELING),
    _own("dueling", OWN_DUELING | OWN_STREAMS),
    _own("categorical", {"atoms": "head.atoms.0"}, support=OWN_SUPPORT),
    _own("categorical dueling", OWN_ATOMS, support=OWN_SUPPORT),
    _own("categorical dueling", OWN_ATOMS | OWN_STREAMS, support=OWN_SUPPORT),
    _own("quantile", {"quantiles": "head.quantiles.0"}),
    _own(
        "implicit-quantile",
        {
            "embedding": "head.embedding.linear",
            "embedding fc": "head.fc.linear",
            "quantiles": "head.quantiles.0",
        },
        support="head.embedding.taus",
    ),
)

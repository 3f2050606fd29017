"""Names of Tianshou's policies on Atari, and what stands beside the weights in their state dicts.

From env/atari/atari_network.py (until version 2 examples/atari), utils/net/{common,discrete}.py and
policy/modelfree (since 2 algorithm/modelfree): a policy's `state_dict()` has its target network,
`model_old`; an algorithm's has the policy's names after `policy.`.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from atari_zoo.converters.cards import PREPROCESSINGS
from atari_zoo.converters.weights.namings import LayerNames

LIBRARY = "Tianshou"
POLICY = "policy."
# its noisy layers', and how other libraries call them; the noise itself is not the policy's
NOISY = {"mu_W": "weight_mu", "sigma_W": "weight_sigma", "mu_bias": "bias_mu"}
NOISY |= {"sigma_bias": "bias_sigma"}
NOISE = ("eps_p", "eps_q")
QUANTILES = "tau_hat"
MARKS = tuple(NOISY) + (QUANTILES,)
STARTS = (f"{POLICY}model.", f"{POLICY}actor.")

TARGET = ("model_old.",)
SHARED = ("critic.preprocess.", "_actor_critic.")  # what stands there once more
OTHERS = tuple("actor_old. critic. critic1. critic2. critic_old. critic1_old. critic2_old.".split())
SCREENS = "its screens are taken for EnvPool's, which Tianshou uses where it is installed"
NOTES = ("a target network, where there is one, is left out", SCREENS)


def without_tianshous_own(weights: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """Its weights as other libraries would call them; others' are as they were."""
    if not any(name.endswith(MARKS) or name.startswith(STARTS) for name in weights):
        return weights
    found = {}
    for name, tensor in weights.items():
        layer, _, part = name.removeprefix(POLICY).rpartition(".")
        if part not in NOISE:
            known = f"{layer}.{NOISY.get(part, part)}" if layer else part
            found[known] = tensor.flatten() if known == QUANTILES else tensor
    return found


def _each(net: str) -> tuple[str, str, str]:
    return (f"{net}.0", f"{net}.2", f"{net}.4")


def _values(
    title: str, head: str, part: str, algorithm: str, net: str, support: str = ""
) -> LayerNames:
    """Networks that are DQN's but for the outputs."""
    return LayerNames(
        f"{LIBRARY} ({title})",
        head,
        _each(f"{net}.net.0"),
        {part: f"{net}.net.3"},
        f"{net}.net.1",
        algorithm,
        PREPROCESSINGS["envpool"],
        support,
        ignored=TARGET,
        notes=NOTES,
        scaled=net.endswith(".module"),
    )


def _rainbow(net: str, noisy: bool) -> LayerNames:
    return LayerNames(
        f"{LIBRARY} (Rainbow)",
        "categorical dueling",
        _each("model.net"),
        {
            "value fc": "model.V.0",
            "value": "model.V.2",
            "advantage fc": "model.Q.0",
            "advantage": "model.Q.2",
        },
        None,
        "rainbow",
        PREPROCESSINGS["envpool"],
        "support",
        noisy,
        TARGET,
        notes=NOTES,
        scaled=False,
    )


def _implicit(net: str) -> LayerNames:
    return LayerNames(
        f"{LIBRARY} (IQN)",
        "implicit-quantile",
        _each(f"{net}.net"),
        {
            "embedding": "model.embed_model.net.0",
            "embedding fc": "model.last.model.0",
            "quantiles": "model.last.model.2",
        },
        None,
        "iqn",
        PREPROCESSINGS["envpool"],
        ignored=(*TARGET, QUANTILES),  # which it has from QR-DQN, and does not use
        notes=NOTES,
        scaled=net.endswith(".module"),
    )


def _actor(title: str, head: str, net: str) -> LayerNames:
    """Of PPO and A2C, whose critic has the actor's convolutions or its own; of SAC; or alone."""
    layers = {"output": "actor.last.model.0"}
    alone = head == "policy"
    return LayerNames(
        f"{LIBRARY} ({title})",
        head,
        _each(f"{net}.net.0"),
        layers if alone else layers | {"value": "critic.last.model.0"},
        f"{net}.net.1",
        preprocessing=PREPROCESSINGS["envpool"],
        ignored=OTHERS if alone else SHARED,
        critic_trunk=None if alone else ("actor.preprocess.", "critic.preprocess."),
        notes=(SCREENS,),
        action_rule="sample",
        scaled=net.endswith(".module"),
    )


TIANSHOU = (
    *(
        row
        for net in ("model", "model.module")
        for row in (
            _values("DQN", "q", "output", "dqn", net),
            _values("C51", "categorical", "atoms", "c51", net, "support"),
            _values("QR-DQN", "quantile", "quantiles", "qrdqn", net, QUANTILES),
        )
    ),
    *(_rainbow("model", noisy) for noisy in (True, False)),
    *(_implicit(net) for net in ("model.preprocess", "model.preprocess.module")),
    *(
        _actor(title, head, net)
        for net in ("actor.preprocess", "actor.preprocess.module")
        for title, head in (("PPO, A2C", "actor-critic"), ("discrete SAC", "policy"))
    ),
)

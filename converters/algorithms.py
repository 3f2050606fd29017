"""The algorithms whose agents the zoo knows: what their outputs mean and how they choose."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Algorithm:
    """What follows from the name of the algorithm alone.

    output: what the network's numbers are: "q" (values of actions) or "policy" (logits, scores).
    action_rule: how its agents choose when they are evaluated.
    preprocessing: the variant its agents were most often trained with.
    """

    name: str
    title: str
    output: str
    action_rule: str
    preprocessing: str = "deepmind"


ALGORITHMS: dict[str, Algorithm] = {
    algorithm.name: algorithm
    for algorithm in (
        Algorithm("a2c", "A2C", "policy", "sample"),
        Algorithm("acktr", "ACKTR", "policy", "sample"),
        Algorithm("ppo", "PPO", "policy", "sample"),
        Algorithm("impala", "IMPALA", "policy", "sample"),
        Algorithm("es", "ES", "policy", "argmax"),
        Algorithm("ga", "Deep GA", "policy", "argmax"),
        Algorithm("dqn", "DQN", "q", "argmax"),
        Algorithm("apex", "Ape-X", "q", "argmax"),
        Algorithm("c51", "C51", "q", "argmax", "dopamine"),
        Algorithm("rainbow", "Rainbow", "q", "argmax", "dopamine"),
        Algorithm("qrdqn", "QR-DQN", "q", "argmax"),
        Algorithm("iqn", "IQN", "q", "argmax", "dopamine"),
    )
}
UNKNOWN = Algorithm("unknown", "unknown", "q", "argmax")


def algorithm_named(name: str) -> Algorithm:
    """Raises ValueError, with the names there are, if there is no such algorithm."""
    if name == UNKNOWN.name:
        return UNKNOWN
    if name.lower() not in ALGORITHMS:
        raise ValueError(f"no algorithm '{name}'; there are {', '.join(ALGORITHMS)}")
    return ALGORITHMS[name.lower()]

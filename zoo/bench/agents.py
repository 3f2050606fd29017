"""Agents to measure: models by name or path, or architectures with random weights, as fast."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from pathlib import Path

import torch

from atari_zoo.catalog.names import GRAMMAR
from atari_zoo.converters.algorithms import algorithm_named
from atari_zoo.converters.cards import PREPROCESSINGS, ModelCard
from atari_zoo.converters.network.agent_networks import AgentNetwork
from atari_zoo.converters.network.foreign import Network
from atari_zoo.converters.network.heads import ActorCriticHead, QHead
from atari_zoo.converters.network.impala import ImpalaNetwork, ImpalaTrunk
from atari_zoo.converters.network.networks import MnihNetwork, Trunk, mnih_convolutions
from atari_zoo.games import game as find_game
from atari_zoo.models import device_named, load
from atari_zoo.remote.references import is_remote
from atari_zoo.untrained.untrained import UNTRAINED

GAME = "Seaquest"  # where nobody names one


def _mnih_2013(actions: int) -> AgentNetwork:
    """Two convolutions and 256 units, the deep Q-network of 2013."""
    return MnihNetwork(Trunk(mnih_convolutions((16, 32)), 256), QHead(256, actions))


def _impala_resnet(actions: int) -> AgentNetwork:
    """IMPALA's residual network, policy and value."""
    return ImpalaNetwork(ImpalaTrunk(), ActorCriticHead(256, actions))


# each with the algorithm that its outputs are of; those of `UNTRAINED` are the zoo's own
ARCHITECTURES: dict[str, tuple[str, Callable[[int], AgentNetwork]]] = {
    **{name: (name, make) for name, make in UNTRAINED.items()},
    "mnih2013": ("dqn", _mnih_2013),
    "impala-resnet": ("impala", _impala_resnet),
}


def bench_network(model: str | Path, game: str | None = None, device: str = "cpu") -> Network:
    """The model of that name or path; or, of an architecture's name, one with random weights.

    game: that it is to play, if not the model's own; of an architecture Seaquest if not given.
    Raises ValueError if there is no such model, architecture, game or device.

    >>> bench_network("impala-resnet", "Pong").actions
    6
    """
    name = str(model)
    if name in ARCHITECTURES and not Path(name).exists():
        return _random_network(name, game or GAME).to(device_named(device)).eval()
    if not (Path(name).exists() or is_remote(name) or GRAMMAR.fullmatch(name)):
        near = difflib.get_close_matches(name, ARCHITECTURES, 1)
        hint = f"did you mean '{near[0]}'? " if near else ""
        raise ValueError(
            f"no architecture '{name}'; {hint}There are {', '.join(ARCHITECTURES)}; a model has a "
            "name such as a2c/Pong/1, or a path"
        )
    network = load(name, device)
    if game is None and not network.card.game:
        raise ValueError(f"{name}: its card names no game; name one after it, such as {GAME}")
    return network


def _random_network(architecture: str, game: str) -> AgentNetwork:
    algorithm, make = ARCHITECTURES[architecture]
    found = find_game(game)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = make(len(found.actions))
    network.card = ModelCard(
        algorithm,
        found.name,
        "random",
        action_meanings=found.actions,
        action_rule=algorithm_named(algorithm).action_rule,
        preprocessing=PREPROCESSINGS["vector"],
    )
    return network

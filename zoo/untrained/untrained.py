"""Networks as they are before training, random: what every algorithm here begins with."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from atari_zoo.converters.cards import ModelCard
from atari_zoo.converters.network.heads import (
    ActorCriticHead,
    CategoricalHead,
    DuelingHead,
    PolicyHead,
    QHead,
)
from atari_zoo.converters.network.networks import MnihNetwork, Trunk
from atari_zoo.games import game as find_game
from atari_zoo.seeds import generator_seed
from atari_zoo.threads import torch_threads
from atari_zoo.untrained.flat_weights import write_parameters
from atari_zoo.untrained.virtual_batch import fold_norms, reference_batch

UNITS = 512  # of the dense layer


def initial_network(card: ModelCard, seed: int, virtual_batch: int = 0) -> MnihNetwork:
    """The network that training with `seed` begins with, in eval mode, with that card.

    It is the checkpoint at 0 frames of such a run, to the last bit on one machine; orthogonal
    weights may differ in the last bits where another linear algebra library computes them.
    virtual_batch: observations that evolution strategies took the layers' norms from.
    Raises ValueError if no such algorithm trains here, or the seed is no whole number.
    """
    if card.algorithm not in UNTRAINED:
        raise ValueError(f"no trainer for '{card.algorithm}'; there are {', '.join(UNTRAINED)}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(generator_seed(seed))
        network = UNTRAINED[card.algorithm](len(card.action_meanings))
    if virtual_batch:
        rom = find_game(card.game).rom
        seen = reference_batch(rom, virtual_batch, card.preprocessing, seed, "cpu")
        weights = nn.utils.parameters_to_vector(network.parameters()).detach()
        fold_norms(network, weights, seen)
        write_parameters(network, weights)
    network.card = card
    return network.eval()


def actor_critic_network(actions: int) -> MnihNetwork:
    """Policy and value, initialised orthogonally as baselines does."""
    network = MnihNetwork(Trunk(), ActorCriticHead(UNITS, actions))
    head = network.head
    assert isinstance(head, ActorCriticHead)
    with torch_threads(1):  # more would differ in the last bits, as their number does
        for module in network.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                gain = {id(head.output): 0.01, id(head.value): 1.0}.get(id(module), 2**0.5)
                nn.init.orthogonal_(module.weight, gain)
                nn.init.constant_(module.get_parameter("bias"), 0)
    return network


def q_network(actions: int) -> MnihNetwork:
    """A value for each action; weights as torch draws them, like those below."""
    return MnihNetwork(Trunk(), QHead(UNITS, actions))


def categorical_network(actions: int) -> MnihNetwork:
    """A distribution of returns over 51 atoms for each action."""
    return MnihNetwork(Trunk(), CategoricalHead(UNITS, actions))


def dueling_network(actions: int) -> MnihNetwork:
    """The state's value and the actions' advantages, each with a dense layer of its own."""
    trunk = Trunk(units=None)
    return MnihNetwork(trunk, DuelingHead(trunk.features, actions, units=UNITS))


def policy_network(actions: int) -> MnihNetwork:
    """A policy alone: weights normal with the deviations of `deviations`, biases 0."""
    network = MnihNetwork(Trunk(), PolicyHead(UNITS, actions))
    flat = deviations(network)
    write_parameters(network, torch.randn_like(flat) * flat)
    return network


def deviations(network: MnihNetwork) -> Float[Tensor, "parameters"]:
    """The standard deviation of each weight of a `policy_network`, 1 / sqrt(inputs); 0 for biases.

    A tenth of that for the output. From `LargeModel` of Such et al. (2017),
    https://github.com/uber-research/deep-neuroevolution, `models/dqn.py`.
    """
    head = network.head
    assert isinstance(head, PolicyHead)
    parts = []
    for parameter in network.parameters():
        inputs = parameter[0].numel()
        scale = 0.1 if parameter is head.output.weight else 1.0
        parts.append(torch.full((parameter.numel(),), scale / inputs**0.5 * (parameter.ndim > 1)))
    return torch.cat(parts)


UNTRAINED: dict[str, Callable[[int], MnihNetwork]] = {
    "a2c": actor_critic_network,
    "impala": actor_critic_network,
    "dqn": q_network,
    "rainbow": categorical_network,
    "apex": dueling_network,
    "es": policy_network,
    "ga": policy_network,
}

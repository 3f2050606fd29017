"""Controls: what an analysis finds in a network that learnt nothing."""

from __future__ import annotations

import copy

import torch
from torch import nn

from atari_zoo.converters.network.foreign import Network
from atari_zoo.converters.network.layer_changes import without_changes
from atari_zoo.converters.network.networks import MnihNetwork
from atari_zoo.seeds import generator_seed
from atari_zoo.untrained.untrained import UNTRAINED, initial_network

UNTRAINED_TAG = "untrained"
MISSING_WORDS = "untrained: missing where torch does not know how a layer is initialised"


def untrained(network: Network, seed: int = 0) -> Network:
    """A network of the same architecture before training, on the same device, in eval mode.

    Of the zoo's own algorithms it is what their training begins with; of any other, its layers as
    torch initialises them. Its card has the tag "untrained".
    Raises ValueError if a parameter belongs to no layer that torch knows to initialise.
    """
    card = network.card.replace(tag=UNTRAINED_TAG, frames=0, scores={}, sha256="")
    device = next(network.parameters()).device
    if isinstance(network, MnihNetwork) and card.algorithm in UNTRAINED and card.action_meanings:
        begun = initial_network(card, seed)
        if _shapes(begun) == _shapes(network):
            return begun.to(device)
    made = copy.deepcopy(network)
    without_changes(made)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(generator_seed(seed))
        reset = [module for module in made.modules() if _initialise(module)]
    known = {id(p) for module in reset for p in module.parameters(recurse=False)}
    for name, parameter in made.named_parameters():
        if id(parameter) not in known:
            raise ValueError(
                f"{network.card.name}: no untrained network to compare with: torch does not know "
                f"how '{name}' is initialised"
            )
    made.card = card
    return made.eval()


def untrained_or_none(network: Network, seed: int = 0) -> Network | None:
    """As `untrained`; None where there can be none."""
    try:
        return untrained(network, seed)
    except ValueError:
        return None


def _initialise(module: nn.Module) -> bool:
    reset = getattr(module, "reset_parameters", None)
    if callable(reset):
        reset()
    return callable(reset)


def _shapes(network: nn.Module) -> list[tuple[int, ...]]:
    return [tuple(parameter.shape) for parameter in network.parameters()]

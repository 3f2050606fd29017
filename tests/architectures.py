"""Every head on both paddings, with seeded random weights: what converters are tried on."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from atari_zoo.converters.cards import ModelCard
from atari_zoo.converters.network.heads import (
    ActorCriticHead,
    CategoricalHead,
    DuelingHead,
    Head,
    ImplicitQuantileHead,
    PolicyHead,
    QHead,
    QuantileHead,
)
from atari_zoo.converters.network.networks import SAME, MnihNetwork, Trunk, mnih_convolutions

# name -> (algorithm whose outputs mean that, whether the trunk has the dense layer, head)
HEADS: dict[str, tuple[str, bool, Callable[[int, int], Head]]] = {
    "policy": ("es", True, PolicyHead),
    "q": ("dqn", True, QHead),
    "actor-critic": ("a2c", True, ActorCriticHead),
    "dueling": ("apex", True, DuelingHead),
    "dueling streams": ("apex", False, lambda f, a: DuelingHead(f, a, units=96)),
    "categorical": ("c51", True, lambda f, a: CategoricalHead(f, a)),
    "categorical dueling": ("rainbow", True, lambda f, a: CategoricalHead(f, a, dueling=True)),
    "categorical streams": (
        "rainbow",
        False,
        lambda f, a: CategoricalHead(f, a, torch.linspace(0, 5, 11), dueling=True, units=96),
    ),
    "quantile": ("qrdqn", True, lambda f, a: QuantileHead(f, a, quantiles=25)),
    "implicit quantile": (
        "iqn",
        False,
        lambda f, a: ImplicitQuantileHead(f, a, units=96, cosines=16, samples=8),
    ),
}


def network(head: str, actions: int = 6, same: bool = False) -> MnihNetwork:
    """A network with this head; its weights depend on the arguments alone."""
    torch.manual_seed(len(head) + actions)
    algorithm, dense, make = HEADS[head]
    convolutions = mnih_convolutions((32, 64, 48), SAME) if same else mnih_convolutions()
    trunk = Trunk(convolutions, 128 if dense else None)
    made = MnihNetwork(trunk, make(trunk.features, actions), ModelCard(algorithm, "Pong"))
    for bias in (p for name, p in made.named_parameters() if name.endswith("bias")):
        nn.init.uniform_(bias, -0.5, 0.5)  # so that a bias lost or swapped shows
    return made.eval()


def observations(count: int = 3, seed: int = 0) -> Tensor:
    """Random observations, uint8 (count, 4, 84, 84)."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, 4, 84, 84), dtype=torch.uint8, generator=generator)


def layer_values(model: MnihNetwork, seen: Tensor) -> dict[str, Tensor]:
    """Each named layer's value, by hooks."""
    values: dict[str, Tensor] = {}
    for name, layer in model.layers.items():
        layer.register_forward_hook(lambda _m, _i, out, name=name: values.update({name: out}))
    with torch.no_grad():
        model(seen)
    return values

"""The registry of targets, and the context that those who read them are given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from atari_zoo.converters.network.foreign import Network
from atari_zoo.converters.registration import Registry
from atari_zoo.games import UnknownGame, as_ale_writes
from atari_zoo.games import game as find_game
from atari_zoo.viz.attribution.scores import TargetScore, layer_value


@dataclass(frozen=True)
class TargetContext:
    """What a target is read for: the network, and its outputs at the observations."""

    network: Network
    observations: Tensor
    outputs: Float[Tensor, "batch actions"]

    def actions(self, words: Sequence[str]) -> Int[Tensor, "batch"]:
        """The action that the first word names, for each observation; the chosen one without."""
        if not words or words[0] == "chosen":
            return self.outputs.argmax(dim=1)
        action = action_named(self.network, words[0])
        return torch.full(self.outputs.shape[:1], action, device=self.outputs.device)

    def one_hot(self, actions: Int[Tensor, "batch"]) -> Float[Tensor, "batch actions"]:
        """1 at the actions and 0 elsewhere."""
        return nn.functional.one_hot(actions, self.outputs.shape[1]).to(self.outputs.dtype)

    def layer(self, name: str, axes: int, what: str) -> Tensor:
        """The value of a layer that not all networks have, or ValueError."""
        if name not in self.network.layers:
            known = ", ".join(self.network.layers)
            raise ValueError(f"no layer '{name}', so no {what}: this network has {known}")
        with torch.no_grad():
            value = layer_value(self.network, name, self.observations)
        if value.ndim != axes or (name == "value" and value.shape[1] != 1):
            shape = "x".join(map(str, value.shape[1:]))
            raise ValueError(
                f"layer '{name}' is {shape}: a distribution, no {what}; "
                "explain one of its numbers, such as atom:chosen:0, or 'chosen'"
            )
        return value


TargetReader = Callable[[TargetContext, Sequence[str]], TargetScore]


class TargetForm(NamedTuple):
    """read: makes a score of it. form: how it is written. words: what it is, for a caption, in
    which {action}, {other} (the best other action) and {number} are filled in."""

    read: TargetReader
    form: str
    words: str


TARGETS: Registry[TargetForm] = Registry("target", "atari_zoo.viz.attribution")


def target(form: str, words: str) -> Callable[[TargetReader], TargetReader]:
    """Registers the function that reads the targets of this form; its first word is the name."""

    def register(read: TargetReader) -> TargetReader:
        TARGETS.add(form.partition(":")[0].partition("[")[0], TargetForm(read, form, words), read)
        return read

    return register


def action_named(network: Network, word: str) -> int:
    """The number of an action, given that number or the action's name in the agent's game.

    Raises ValueError if the network has no such action.
    """
    if word.lstrip("-").isdigit():
        if not 0 <= int(word) < network.actions:
            raise ValueError(f"action is {word}; expected 0 to {network.actions - 1}")
        return int(word)
    names = action_names(network)
    if word.upper() not in names[: network.actions]:
        known = ", ".join([known.form for known in TARGETS.values()] + names)
        raise ValueError(f"no target or action '{word}'; there are {known}")
    return names.index(word.upper())


def action_names(network: Network) -> list[str]:
    """The actions' names, as the card or the game has them; none where neither is known."""
    if network.card.action_meanings or not network.card.game:
        return list(as_ale_writes(network.card.action_meanings))
    try:
        return list(find_game(network.card.game).actions)
    except UnknownGame:
        return []

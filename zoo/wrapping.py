"""A module in memory as an agent: for whoever has a network of their own, and no file."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from atari_zoo.converters.arguments import checked
from atari_zoo.converters.cards import (
    ACTION_RULES,
    INPUT_RANGES,
    ModelCard,
    Preprocessing,
)
from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.network.foreign import ForeignNetwork
from atari_zoo.converters.network.outputs import OUTPUT, VALUE
from atari_zoo.converters.preprocessings import as_preprocessing
from atari_zoo.games import agent_actions, checked_actions
from atari_zoo.games import game as find_game


class WrappedNetwork(ForeignNetwork):
    """Somebody's own module, whose layers are called by their paths in it; made by `wrap`."""

    def __init__(
        self,
        module: nn.Module,
        card: ModelCard,
        shape: tuple[int, int, int],
        channels_last: bool,
        roles: Mapping[str, int],
    ) -> None:
        nn.Module.__init__(self)
        self.card, self.maximum = card, INPUT_RANGES[card.input_range]
        self.bytes, self.batch, self.readout, self.softmax = False, 0, nn.Identity(), ""
        self.shape, self.channels_last = shape, channels_last
        self.graph, self._paths, self.value = module, {}, nn.Identity()
        self.eval()
        self._tell({number: role for role, number in roles.items()})
        self._read_logits()
        self._note_layers()
        for role, number in roles.items():
            if getattr(self.roles, role) != number:
                wanted = "(batch, actions)" if role == OUTPUT else "(batch,) or (batch, 1)"
                raise ConversionError(f"output {number} is not {wanted}: it is no {role}")

    def _parts(self) -> dict[str, nn.Module]:
        return {name: part for name, part in self.graph.named_modules() if name}


@checked
def wrap(
    module: nn.Module,
    game: str,
    *,
    preprocessing: str | Preprocessing | Mapping[str, Any] = "vector",
    actions: Sequence[str] | None = None,
    input_range: str = "0..1",
    action_rule: str = "argmax",
    shape: Sequence[int] | None = None,
    channels_last: bool = False,
    action_output: int | None = None,
    value_output: int | None = None,
) -> WrappedNetwork:
    """The module as an agent of `game`, for every function that takes one; it is not copied, and
    is put in eval mode.

    module: takes floats (batch, *shape), oldest frame first, and gives (batch, actions), or a
        tuple with that, and perhaps the value of the state, (batch,) or (batch, 1): the layer
        "value". Probabilities (a softmax ends it) become their logits.
    preprocessing: how a screen becomes an observation, the name of such in `PREPROCESSINGS`, or
        what to change of "vector", as in {"size": (80, 80), "stack": 1}; "name" among that is of
        another one to begin from.
    actions: ALE's names of the outputs, in order; the game's own, or of 18 outputs the emulator's
        full set, if not given.
    shape: (frames, height, width) of what it takes; the preprocessing's if not given.
    input_range: the pixels that it takes, "0..1" or "0..255".
    action_rule: "argmax", "sample" or "epsilon-greedy".
    channels_last: whether it has the frames as its last axis.
    action_output, value_output: which of several outputs, from 0, rates the actions, and which is
        the value; by their shapes, if not given.

    Warns of what was assumed. Raises ValueError for an unknown game, preprocessing, range, rule or
    action; ConversionError where the module cannot be run so, or gives something else.

    >>> zoo.rollout(zoo.wrap(module, "Pong", input_range="0..255"), episodes=1).returns
    """
    _check_choice("input range", input_range, INPUT_RANGES)
    _check_choice("action rule", action_rule, ACTION_RULES)
    if shape is not None and (len(shape) != 3 or min(shape) < 1):
        raise ValueError(f"shape is {tuple(shape)}; expected (frames, height, width)")
    played = find_game(game)
    meanings = checked_actions(actions or (), type(module).__name__)
    seen = as_preprocessing(preprocessing)
    card = ModelCard(
        game=played.name,
        action_meanings=meanings,
        action_rule=action_rule,
        preprocessing=seen,
        input_range=input_range,
        format="module",
    )
    frames, height, width = shape or seen.shape
    name = type(module).__name__
    if not any(True for _ in module.parameters()):
        raise ConversionError(f"{name}: it has no parameters; a network was expected")
    given = {OUTPUT: action_output, VALUE: value_output}
    roles = {role: number for role, number in given.items() if number is not None}
    try:
        network = WrappedNetwork(module, card, (frames, height, width), channels_last, roles)
    except ConversionError as error:
        raise ConversionError(f"{name}: {error}") from error
    meanings = agent_actions(network.actions, card, played, name)
    network.card = network.card.replace(action_meanings=meanings)
    if network.roles.assumed:
        warnings.warn(f"{name}: assumed {network.roles.assumed}", UserWarning, stacklevel=2)
    return network


def _check_choice(what: str, given: str, choices: Sequence[str] | dict[str, float]) -> None:
    if given not in choices:
        raise ValueError(f"no {what} '{given}'; there are {', '.join(choices)}")

"""Targets of attribution: one number for each observation, made of what a network computes.

A target is an action (its number or name) or words with parts between colons, such as `margin` or
`atom:FIRE:50`; `TARGETS` lists them. Actions that follow from the observation, such as the chosen
one, are looked up once, on the whole observation: they stay the same when parts of it are changed.

Every Q-value contains the state's value, which says how well things go and not what to do: of
Q-networks, what decides is how far one exceeds the others. That is what is explained if nothing
else is asked for (`DECISION`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from atari_zoo.converters.algorithms import ALGORITHMS
from atari_zoo.converters.network.agent_networks import AgentNetwork
from atari_zoo.converters.network.foreign import Network
from atari_zoo.converters.network.heads import ActorCriticHead, PolicyHead
from atari_zoo.viz.attribution.scores import OUTPUT, TargetScore
from atari_zoo.viz.attribution.target_registry import (
    TARGETS,
    TargetContext,
    action_named,
    action_names,
    target,
)

# an array or a list: an action for each observation, such as a recording's
TargetLike = str | int | np.integer | Tensor | np.ndarray | list[int]
DECISION = "decision"  # what is explained if nothing else is asked for


def target_score(
    network: Network, observations: Tensor, target: TargetLike = "chosen"
) -> TargetScore:
    """The number that `target` names, of these observations.

    target: an action's number or name, (batch,) numbers of actions, or what `TARGETS` lists.
    Raises ValueError if the network has nothing of that kind; the message says what it has.
        Also if its outputs are not finite numbers.

    >>> target_score(net, observations, "margin")(observations).shape
    torch.Size([8])
    """
    with torch.no_grad():
        asked = TargetContext(network, observations, network(observations))
    if not torch.isfinite(asked.outputs).all():
        raise ValueError(f"{network.card.name}: its outputs are not finite numbers")
    target = plain_target(target)
    if isinstance(target, Tensor):
        return TargetScore(network, OUTPUT, asked.one_hot(_each(asked, target)))
    name, words = _parts(target)
    read, form, _ = TARGETS[name]
    fewest, most = form.count(":") - form.count("[:"), form.count(":")
    if not fewest <= len(words) <= most:
        raise ValueError(f"target is '{target}'; it is written {form}")
    return read(asked, words)


def plain_target(target: TargetLike) -> str | Tensor:
    """The target as text, or (batch,) numbers of actions.

    Raises ValueError if it is neither text nor whole numbers.
    """
    if isinstance(target, list | np.ndarray | Tensor):
        numbers = target if isinstance(target, Tensor) else torch.from_numpy(np.array(target))
        if numbers.is_floating_point() or numbers.is_complex() or numbers.dtype == torch.bool:
            raise ValueError(f"actions are {numbers.dtype}; expected whole numbers")
        return str(int(numbers)) if numbers.ndim == 0 else numbers.long()
    return str(target)


def resolved_target(network: Network, target: TargetLike) -> TargetLike:
    """The target, and of `DECISION` what that is of this network: "margin", or "chosen".

    An action after a colon stays: "decision:FIRE" is "margin:FIRE", or "FIRE".

    >>> resolved_target(zoo.load("dqn/Pong/1"), "decision")
    'margin'
    """
    name, _, action = str(target).partition(":") if isinstance(target, str) else ("", "", "")
    if name != DECISION:
        return target
    if rates_actions(network):
        return f"margin:{action}" if action else "margin"
    return action or "chosen"


def rates_actions(network: Network) -> bool:
    """Whether the outputs are values of actions (Q), and no policy's."""
    if isinstance(network, AgentNetwork):
        return not isinstance(network.head, PolicyHead | ActorCriticHead)
    algorithm = ALGORITHMS.get(network.card.algorithm)
    return algorithm is not None and algorithm.output == "q"


def target_words(network: Network, target: TargetLike, outputs: Tensor | None = None) -> str:
    """What a target is, in words for a caption.

    outputs: (actions,), of the one observation whose actions are to be named.

    >>> target_words(network, "decision", network(observation)[0])
    "the output of FIRE less RIGHT's, the best other"
    """
    wanted = plain_target(resolved_target(network, target))
    if isinstance(wanted, Tensor):
        return "the outputs of the actions given"
    name, words = _parts(wanted)
    chosen = not words or words[0] == "chosen"  # of all forms the action comes first
    action, other = "the chosen action", "that of the best other"
    if outputs is not None or not chosen:
        number = action_named(network, words[0]) if not chosen else _best(outputs)
        action = _name(network, number)
    if outputs is not None:
        others = outputs.index_fill(0, torch.tensor([number], device=outputs.device), -torch.inf)
        other = f"{_name(network, _best(others))}'s, the best other"
    return TARGETS[name].words.format(action=action, other=other, number=words[-1] if words else "")


def _parts(target: str) -> tuple[str, list[str]]:
    """The target's name in `TARGETS`, and the words after it."""
    name, *words = target.split(":")
    return (name, words) if name in TARGETS else ("action", [target])


def _best(outputs: Tensor | None) -> int:
    return 0 if outputs is None else int(outputs.argmax())


def _name(network: Network, action: int) -> str:
    names = action_names(network)
    return names[action] if action < len(names) else f"action {action}"


@target("decision[:ACTION]", "")
def decision(asked: TargetContext, words: Sequence[str]) -> TargetScore:
    """What decides for an action, the chosen one if not given: its margin where outputs are
    values of actions, its output where they are a policy's."""
    return (margin if rates_actions(asked.network) else chosen)(asked, words)


@target("chosen", "the output of {action}")
def chosen(asked: TargetContext, words: Sequence[str]) -> TargetScore:
    """The output of the action with the largest one."""
    return TargetScore(asked.network, OUTPUT, asked.one_hot(asked.actions(words)))


@target("action:ACTION", "the output of {action}")
def action(asked: TargetContext, words: Sequence[str]) -> TargetScore:
    """The output of an action."""
    return chosen(asked, words)


@target("margin[:ACTION]", "the output of {action} less {other}")
def margin(asked: TargetContext, words: Sequence[str]) -> TargetScore:
    """The output of an action, the chosen one if not given, minus the best other one's."""
    mine = asked.one_hot(asked.actions(words))
    others = asked.outputs.masked_fill(mine.bool(), -torch.inf)
    return TargetScore(asked.network, OUTPUT, mine - asked.one_hot(others.argmax(dim=1)))


@target("value", "the value of the state")
def value(asked: TargetContext, words: Sequence[str]) -> TargetScore:
    """The critic's value, or that of a dueling network's stream."""
    return TargetScore(asked.network, "value", torch.ones_like(asked.layer("value", 2, "value")))


@target("advantage[:ACTION]", "the advantage of {action} over the mean of all actions")
def advantage(asked: TargetContext, words: Sequence[str]) -> TargetScore:
    """What a dueling network adds to the value for an action: above the mean of all actions."""
    mine = asked.one_hot(asked.actions(words))
    asked.layer("advantage", 2, "advantage")
    return TargetScore(asked.network, "advantage", mine - 1 / mine.shape[1])


@target("atom:ACTION:NUMBER", "the logit of atom {number} of {action}")
def atom(asked: TargetContext, words: Sequence[str]) -> TargetScore:
    """The logit of one atom of an action's distribution (C51, Rainbow)."""
    return _part(asked, "atoms", "atom", words)


@target("quantile:ACTION:NUMBER", "quantile {number} of {action}")
def quantile(asked: TargetContext, words: Sequence[str]) -> TargetScore:
    """One quantile of an action's returns (QR-DQN, IQN)."""
    return _part(asked, "quantiles", "quantile", words)


@target("entropy", "the entropy of the policy")
def entropy(asked: TargetContext, words: Sequence[str]) -> TargetScore:
    """The entropy of the softmax over the outputs, in nats."""
    return TargetScore(asked.network, OUTPUT, function=_entropy)


@target("max", "the largest output")
def largest(asked: TargetContext, words: Sequence[str]) -> TargetScore:
    """The largest output, of whichever action has it: unlike `chosen` it may change hands."""
    return TargetScore(asked.network, OUTPUT, function=_largest)


def _entropy(outputs: Tensor) -> Tensor:
    logs = outputs.log_softmax(dim=1)
    return -(logs.exp() * logs).sum(1)


def _largest(outputs: Tensor) -> Tensor:
    return outputs.amax(1)


def _part(asked: TargetContext, layer: str, what: str, words: Sequence[str]) -> TargetScore:
    numbers = asked.layer(layer, 3, what)
    actions, count = asked.actions(words[:1]), numbers.shape[2]
    if not words[1].isdigit() or int(words[1]) >= count:
        raise ValueError(f"{what} is {words[1]}; expected 0 to {count - 1}")
    weights = torch.zeros_like(numbers)
    weights[torch.arange(len(actions)), actions, int(words[1])] = 1
    return TargetScore(asked.network, layer, weights)


def _each(asked: TargetContext, actions: Tensor) -> Tensor:
    if actions.shape != asked.outputs.shape[:1]:
        raise ValueError(
            f"{tuple(actions.shape)} actions for {len(asked.outputs)} observations: "
            "give one for all, or one for each"
        )
    for number in actions.tolist():
        action_named(asked.network, str(number))
    return actions.to(asked.outputs.device)

"""Targets of attribution: one number for each observation, made of what a network computes.

A target is an action (its number or name) or words with parts between colons, such as `margin` or
`atom:FIRE:50`; `TARGETS` lists them. Actions that follow from the observation, such as the chosen
one, are looked up once, on the whole observation: they stay the same when parts of it are changed.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from atari_zoo.converters.network.foreign import Network
from atari_zoo.viz.attribution.scores import OUTPUT, TargetScore
from atari_zoo.viz.attribution.target_registry import TARGETS, TargetContext, action_named, target

TargetLike = str | int | Tensor


def target_score(
    network: Network, observations: Tensor, target: TargetLike = "chosen"
) -> TargetScore:
    """The number that `target` names, of these observations.

    target: an action's number or name, (batch,) numbers of actions, or what `TARGETS` lists.
    Raises ValueError if the network has nothing of that kind; the message says what it has.

    >>> target_score(net, observations, "margin")(observations).shape
    torch.Size([8])
    """
    with torch.no_grad():
        asked = TargetContext(network, observations, network(observations))
    if isinstance(target, Tensor):
        return TargetScore(network, OUTPUT, asked.one_hot(_each(asked, target)))
    name, *words = str(target).split(":")
    if name not in TARGETS:
        name, words = "action", [str(target)]
    read, form = TARGETS[name]
    fewest, most = form.count(":") - form.count("[:"), form.count(":")
    if not fewest <= len(words) <= most:
        raise ValueError(f"target is '{target}'; it is written {form}")
    return read(asked, words)


@target("chosen")
def chosen(asked: TargetContext, words: Sequence[str]) -> TargetScore:
    """The output of the action with the largest one."""
    return TargetScore(asked.network, OUTPUT, asked.one_hot(asked.actions(words)))


@target("action:ACTION")
def action(asked: TargetContext, words: Sequence[str]) -> TargetScore:
    """The output of an action."""
    return chosen(asked, words)


@target("margin[:ACTION]")
def margin(asked: TargetContext, words: Sequence[str]) -> TargetScore:
    """The output of an action, the chosen one if not given, minus the best other one's."""
    mine = asked.one_hot(asked.actions(words))
    others = asked.outputs.masked_fill(mine.bool(), -torch.inf)
    return TargetScore(asked.network, OUTPUT, mine - asked.one_hot(others.argmax(dim=1)))


@target("value")
def value(asked: TargetContext, words: Sequence[str]) -> TargetScore:
    """The critic's value, or that of a dueling network's stream."""
    return TargetScore(asked.network, "value", torch.ones_like(asked.layer("value", 2, "value")))


@target("advantage[:ACTION]")
def advantage(asked: TargetContext, words: Sequence[str]) -> TargetScore:
    """What a dueling network adds to the value for an action: above the mean of all actions."""
    mine = asked.one_hot(asked.actions(words))
    asked.layer("advantage", 2, "advantage")
    return TargetScore(asked.network, "advantage", mine - 1 / mine.shape[1])


@target("atom:ACTION:NUMBER")
def atom(asked: TargetContext, words: Sequence[str]) -> TargetScore:
    """The logit of one atom of an action's distribution (C51, Rainbow)."""
    return _part(asked, "atoms", "atom", words)


@target("quantile:ACTION:NUMBER")
def quantile(asked: TargetContext, words: Sequence[str]) -> TargetScore:
    """One quantile of an action's returns (QR-DQN, IQN)."""
    return _part(asked, "quantiles", "quantile", words)


@target("entropy")
def entropy(asked: TargetContext, words: Sequence[str]) -> TargetScore:
    """The entropy of the softmax over the outputs, in nats."""
    return TargetScore(asked.network, OUTPUT, function=_entropy)


@target("max")
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

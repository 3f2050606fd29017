"""Rules of one network's play: a plan's open ends, settled by the network's card."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, is_dataclass
from typing import Any

from atari_zoo.converters.cards import ACTION_RULES, Preprocessing
from atari_zoo.converters.network.finite import check_finite
from atari_zoo.converters.network.foreign import Network, observation_shape
from atari_zoo.converters.preprocessings import as_preprocessing, preprocessing_changed
from atari_zoo.games import Game, agent_actions
from atari_zoo.games import game as find_game
from atari_zoo.play.options import options
from atari_zoo.play.plans import Plan


@dataclass(frozen=True)
class Rules:
    """The network's game and actions, how it chooses, what it sees, in how many environments.

    envs: no more than there are episodes.
    """

    game: Game
    actions: tuple[str, ...]
    action: str
    epsilon: float
    preprocessing: Preprocessing
    envs: int


def rules(plan: Plan, network: Network) -> Rules:
    """What the plan leaves open, as the network's card has it.

    Raises ValueError if neither names a game, if the network's actions are not the game's or its
    observations other than those that are made, or if its weights are not finite.
    """
    card = network.card
    if not (plan.game or card.game):
        raise ValueError("the model's card names no game: say which with game='Pong'")
    game = find_game(plan.game or card.game)
    action = plan.action or card.action_rule
    if action not in ACTION_RULES:
        raise ValueError(f"no action rule '{action}'; there are {', '.join(ACTION_RULES)}")
    actions = agent_actions(network.actions, card, game, card.name)
    check_finite(network, card.name)
    shown = _preprocessing(plan, card.preprocessing)
    seen, there = observation_shape(network), shown.shape
    if seen != there:
        raise ValueError(
            f"{card.name}: the network sees observations of {seen}; preprocessing '{shown.name}' "
            f"makes {there} (frames, height, width): it cannot be played"
        )
    last = shown.stack - 1
    wrong = [past for past in plan.forget if not 1 <= past <= last]
    if wrong:
        raise ValueError(
            f"forget has {wrong[0]}; {card.name} sees {shown.stack} frames, of which it can forget "
            + (f"1 to {last}: how many before the present one" if last else "none")
        )
    return Rules(
        game,
        actions,
        action,
        card.epsilon if plan.epsilon is None else plan.epsilon,
        shown,
        min(plan.envs, plan.episodes or plan.envs),
    )


def _preprocessing(plan: Plan, usual: Preprocessing) -> Preprocessing:
    chosen = as_preprocessing(plan.preprocessing or usual, usual)
    return chosen if plan.sticky is None else preprocessing_changed(chosen, {"sticky": plan.sticky})


LATER = {"relative": False}  # parts of options that older recordings do not tell


def _plain(value: Any) -> Any:
    """An option's value as JSON has it."""
    if isinstance(value, tuple | list):
        return list(value)
    if is_dataclass(value) and not isinstance(value, type):
        # what came later is told where it is not as usual, so that older recordings go on
        return {n: v for n, v in asdict(value).items() if n not in LATER or v != LATER[n]}
    return value


def recorded_options(plan: Plan, settled: Rules) -> dict[str, Any]:
    """What a recording's header tells of the options: JSON, only what is not as usual.

    The rule that chose actions is always told; the actions' names, where they are not the game's.
    """
    greedy = settled.action == "epsilon-greedy"
    rule = {"action": settled.action} | ({"epsilon": settled.epsilon} if greedy else {})
    passed_over = {f.name for f in fields(Rules)} | {"recompute"}  # told of with the weights
    changed = {
        f.name: _plain(value)
        for f, about in options(Plan)
        if about.header == "options" and f.name not in passed_over
        if (value := getattr(plan, f.name)) != f.default
    }
    own = settled.actions == settled.game.actions
    return rule | changed | ({} if own else {"actions": list(settled.actions)})

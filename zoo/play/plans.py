"""How agents are to play: what is asked of a rollout, checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from atari_zoo.converters.cards import ACTION_RULES, Preprocessing
from atari_zoo.converters.network.foreign import Network
from atari_zoo.games import Game, check_actions
from atari_zoo.games import game as find_game
from atari_zoo.play.noise import Noise

SILENCE = Noise()
KEEP = ("screens", "frames", "ram", "outputs", "probabilities", "executed")


@dataclass(frozen=True)
class Plan:
    """What `rollout` was asked for; see there.

    What is None is as the network's card has it: game, action, epsilon, preprocessing.
    Raises ValueError if something is out of range.
    """

    steps: int | None = None
    episodes: int | None = None
    envs: int = 8
    seed: int = 0
    game: str | None = None
    action: str | None = None
    epsilon: float | None = None
    preprocessing: Preprocessing | None = None
    sticky: float | None = None
    mode: int | None = None
    difficulty: int | None = None
    noise: Noise = SILENCE
    keep: Sequence[str] = ()
    layers: Sequence[str] = ()
    recompute: Sequence[str] = ()
    dtype: str = "float32"
    backend: str = "auto"
    groups: int | None = None

    def __post_init__(self) -> None:
        if (self.steps is None) == (self.episodes is None):
            raise ValueError("say how long to play: either steps= or episodes=")
        for name in ("steps", "episodes", "envs", "groups"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} is {value}; it must be at least 1")
        unknown = [name for name in self.keep if name not in KEEP]
        if unknown:
            raise ValueError(f"cannot keep '{unknown[0]}'; there are {', '.join(KEEP)}")
        if self.recompute and (self.noise != SILENCE or self.dtype != "float32"):
            raise ValueError(
                "what a network computed with noise or in half precision cannot be recomputed: "
                "record these layers with layers="
            )
        if self.recompute and not {"screens", "frames"} & set(self.keep):
            raise ValueError(
                "layers are recomputed from what the agent saw: keep 'screens' or 'frames' too"
            )


@dataclass(frozen=True)
class Rules:
    """The same, settled for one network: its game, how it chooses, and what it sees.

    envs: no more than there are episodes.
    """

    game: Game
    action: str
    epsilon: float
    preprocessing: Preprocessing
    envs: int

    @property
    def chosen_by(self) -> dict[str, Any]:
        """How actions are chosen, as a recording tells it."""
        greedy = self.action == "epsilon-greedy"
        return {"action": self.action} | ({"epsilon": self.epsilon} if greedy else {})


def rules(plan: Plan, network: Network) -> Rules:
    """What the plan leaves open, as the network's card has it.

    Raises ValueError if neither names a game, or the network's actions are not the game's.
    """
    card = network.card
    if not (plan.game or card.game):
        raise ValueError("the model's card names no game: say which with game='Pong'")
    of = find_game(plan.game or card.game)
    action = plan.action or card.action_rule
    if action not in ACTION_RULES:
        raise ValueError(f"no action rule '{action}'; there are {', '.join(ACTION_RULES)}")
    playing = card.replace(game=of.name, action_meanings=of.actions)
    check_actions(network.actions, playing, card.name)
    seen = plan.preprocessing or card.preprocessing
    if plan.sticky is not None:
        seen = replace(seen, name=f"{seen.name}, changed", sticky=plan.sticky)
    return Rules(
        of,
        action,
        card.epsilon if plan.epsilon is None else plan.epsilon,
        seen,
        min(plan.envs, plan.episodes or plan.envs),
    )


def told(plan: Plan, settled: Rules) -> dict[str, Any]:
    """How it was played, for whoever reads the recording: JSON, only what is not as usual."""
    usual = asdict(Plan(steps=1))
    changed = {
        name: value
        for name, value in asdict(plan).items()
        if name in ("noise", "mode", "difficulty", "dtype", "backend") and value != usual[name]
    }
    return settled.chosen_by | changed

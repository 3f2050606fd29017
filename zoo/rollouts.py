"""Agents play: a network, many copies of its game, and a record of what happened."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from atari_zoo.converters.cards import ACTION_RULES, ModelCard, Preprocessing
from atari_zoo.environments import Environments, Step
from atari_zoo.games import game as find_game
from atari_zoo.models import Network
from atari_zoo.recordings import Recording

KEEP = ("screens", "frames", "outputs")


def rollout(
    network: Network,
    *,
    steps: int | None = None,
    episodes: int | None = None,
    envs: int = 8,
    seed: int = 0,
    game: str | None = None,
    action: str | None = None,
    epsilon: float | None = None,
    preprocessing: Preprocessing | None = None,
    keep: Sequence[str] = (),
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Recording:
    """Plays `steps` steps in each environment, or `episodes` whole episodes in all.

    network: on the device where it is to run.
    episodes: shared out beforehand, each environment playing its first few to the end, so that
        short episodes are not counted more often than long ones.
    seed: environment i is seeded with seed + i; the same seed and envs give the same play.
    game, action ("argmax", "sample", "epsilon-greedy"), epsilon, preprocessing: the card's
        if not given.
    keep: what to record beside actions, rewards and scores: "screens" (which observations are
        rebuilt from), "frames" (colour, 100 kB a step), "outputs" (of the network).
    progress: called with what is done and what there is to do, in steps or episodes.

    Raises ValueError if the network and the game do not fit, or an argument is out of range.

    >>> rollout(net, episodes=10).returns.mean()
    20.1
    """
    card = network.card
    if not (game or card.game):
        raise ValueError("the model's card names no game: say which with game='Pong'")
    of = find_game(game or card.game)
    rule = action or card.action_rule
    _check(network, of.name, of.actions, steps, episodes, envs, rule, keep)
    preprocessing = preprocessing or card.preprocessing
    envs = min(envs, episodes) if episodes else envs
    device = next(network.parameters()).device
    choose = Chooser(rule, card.epsilon if epsilon is None else epsilon, seed, device)
    with closing(Environments(of.rom, envs, preprocessing, device, "frames" in keep)) as games:
        played = _Play(games, seed, episodes, keep)
        started = time.monotonic()
        with torch.inference_mode():
            while not played.finished(steps):
                outputs = network(played.observations)
                played.step(choose(outputs), outputs)
                progress(*played.progress(steps))
        seconds = time.monotonic() - started
    return played.recording(card, of.name, preprocessing, seed, seconds)


class Chooser:
    """Turns outputs into actions; its randomness depends on the seed alone."""

    def __init__(self, rule: str, epsilon: float, seed: int, device: torch.device) -> None:
        if not 0 <= epsilon <= 1:
            raise ValueError(f"epsilon is {epsilon}; it must be from 0 to 1")
        self.rule, self.epsilon = rule, epsilon
        self.generator = torch.Generator(device).manual_seed(seed)

    def __call__(self, outputs: Float[Tensor, "envs actions"]) -> Int[np.ndarray, "envs"]:
        chosen = outputs
        if self.rule == "sample":  # the Gumbel trick: argmax of logits + noise is a sample
            noise = torch.empty_like(outputs).exponential_(generator=self.generator)
            chosen = outputs - noise.log()
        actions = chosen.argmax(dim=1).cpu().numpy()
        if self.rule == "epsilon-greedy":
            actions = self._explore(actions, outputs)
        return actions

    def _explore(self, actions: np.ndarray, outputs: Tensor) -> np.ndarray:
        count, choices = outputs.shape
        where = torch.rand(count, generator=self.generator, device=outputs.device)
        random = torch.randint(choices, (count,), generator=self.generator, device=outputs.device)
        return np.where((where < self.epsilon).cpu().numpy(), random.cpu().numpy(), actions)


class _Play:
    """The state of a rollout: what was kept so far, and which episodes have ended."""

    def __init__(
        self, games: Environments, seed: int, episodes: int | None, keep: Sequence[str]
    ) -> None:
        self.games, self.keep, self.episodes = games, keep, episodes
        self.observations = games.reset(seed)
        self.kept: dict[str, list[np.ndarray]] = {name: [] for name in KEEP}
        self.steps: list[Step] = []
        self.starts = [np.ones(games.count, bool)]
        self.score, self.length = np.zeros(games.count), np.zeros(games.count, int)
        self.ended: list[list[tuple[float, int]]] = [[] for _ in range(games.count)]
        quota = -(-(episodes or 0) // games.count)
        self.quota = np.full(games.count, quota)
        if episodes:  # the first environments play one more where they cannot share evenly
            self.quota[games.count - (quota * games.count - episodes) :] -= 1

    def finished(self, steps: int | None) -> bool:
        done, total = self.progress(steps)
        return done >= total

    def progress(self, steps: int | None) -> tuple[int, int]:
        if self.episodes is None:
            return len(self.steps), steps or 0
        done = sum(min(len(e), int(q)) for e, q in zip(self.ended, self.quota, strict=True))
        return done, self.episodes

    def step(self, actions: np.ndarray, outputs: Tensor) -> None:
        if "screens" in self.keep:
            self.kept["screens"].append(self.observations[:, -1].cpu().numpy())
        if "frames" in self.keep:
            self.kept["frames"].append(self.games.frames())
        if "outputs" in self.keep:
            self.kept["outputs"].append(outputs.cpu().numpy())
        step = self.games.step(actions)
        self.observations = step.observations
        over = step.terminated | step.truncated
        self.score += step.rewards
        self.length += 1
        for env in np.flatnonzero(over):
            self.ended[env].append((float(self.score[env]), int(self.length[env])))
            self.score[env], self.length[env] = 0, 0
        self.steps.append(step._replace(observations=torch.empty(0)))
        self.starts.append(over)

    def recording(
        self, card: ModelCard, game: str, preprocessing: Preprocessing, seed: int, seconds: float
    ) -> Recording:
        counted = [
            episode
            for episodes, quota in zip(self.ended, self.quota, strict=True)
            for episode in (episodes[:quota] if self.episodes else episodes)
        ]
        kept: dict[str, Any] = {name: np.stack(rows) for name, rows in self.kept.items() if rows}
        return Recording(
            card,
            game,
            preprocessing,
            seed,
            starts=np.stack(self.starts[:-1]),
            actions=np.stack([s.actions for s in self.steps]),
            rewards=np.stack([s.rewards for s in self.steps]),
            lives=np.stack([s.lives for s in self.steps]),
            returns=np.array([score for score, _ in counted]),
            lengths=np.array([length for _, length in counted], int),
            steps=len(self.steps) * self.games.count,
            seconds=seconds,
            **kept,
        )


def _check(
    network: Network,
    game: str,
    meanings: tuple[str, ...],
    steps: int | None,
    episodes: int | None,
    envs: int,
    rule: str,
    keep: Sequence[str],
) -> None:
    if (steps is None) == (episodes is None):
        raise ValueError("say how long to play: either steps= or episodes=")
    for name, value in (("steps", steps), ("episodes", episodes), ("envs", envs)):
        if value is not None and value < 1:
            raise ValueError(f"{name} is {value}; it must be at least 1")
    if rule not in ACTION_RULES:
        raise ValueError(f"no action rule '{rule}'; there are {', '.join(ACTION_RULES)}")
    unknown = [name for name in keep if name not in KEEP]
    if unknown:
        raise ValueError(f"cannot keep '{unknown[0]}'; there are {', '.join(KEEP)}")
    if network.actions != len(meanings):
        raise ValueError(
            f"the network has {network.actions} actions, but {game} has {len(meanings)} "
            f"({' '.join(meanings)}): is it another game's network?"
        )

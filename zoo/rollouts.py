"""Agents play: a network, many copies of its game, and a record of what happened."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path

from atari_zoo.choosers import Chances, Chooser
from atari_zoo.converters.cards import ACTION_RULES, Preprocessing
from atari_zoo.environments import Environments
from atari_zoo.games import Game
from atari_zoo.games import game as find_game
from atari_zoo.models import Network
from atari_zoo.noises import Noise, ObservationNoise, with_parameter_noise
from atari_zoo.players import Player
from atari_zoo.playing import Playing, repeated, split
from atari_zoo.playing import steps as played_steps
from atari_zoo.recording_layout import LAYERS
from atari_zoo.recording_sinks import sink
from atari_zoo.recordings import Recording
from atari_zoo.tallies import Tally

SILENCE = Noise()
KEEP = ("screens", "frames", "ram", "outputs", "probabilities", "executed")


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
    sticky: float | None = None,
    mode: int | None = None,
    difficulty: int | None = None,
    noise: Noise = SILENCE,
    keep: Sequence[str] = (),
    layers: Sequence[str] = (),
    path: str | Path | None = None,
    resume: bool = False,
    dtype: str = "float32",
    backend: str = "torch",
    groups: int = 2,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Recording:
    """Plays `steps` steps in each environment, or `episodes` whole episodes in all.

    network: on the device where it is to run.
    episodes: shared out beforehand, each environment playing its first few to the end, so that
        short episodes are not counted more often than long ones.
    seed: environment i is seeded with seed + i; the same seed and envs give the same play.
    game, action ("argmax", "sample", "epsilon-greedy"), epsilon, preprocessing: the card's
        if not given. sticky: instead of the preprocessing's.
    mode, difficulty: of the game, as ALE numbers them.
    noise: on observations, parameters, actions.
    keep: what to record beside actions, rewards and scores: "frames" (the emulator's exact
        screens, which observations of any preprocessing are rendered from), "ram", "screens"
        (84x84, as the agent saw them), "outputs", "probabilities" (of the actions), "executed"
        (the actions that the emulator was given).
    layers: whose activations to record, in float16.
    path: of a folder to record into while playing; the recording returned then reads from it.
    resume: goes on with what is there, as if it had never stopped; or begins, if nothing is.
    dtype, backend: see `Player`. groups: the environments are played in so many halves or parts,
        so that the network thinks of one while the others' emulators work.
    progress: called with what is done and what there is to do, in steps or episodes.

    Raises ValueError if the network and the game do not fit, or an argument is out of range;
    FileExistsError if there is something at `path` and it is not to be resumed.

    >>> rollout(net, episodes=10).returns.mean()
    20.1
    """
    card = network.card
    if not (game or card.game):
        raise ValueError("the model's card names no game: say which with game='Pong'")
    of = find_game(game or card.game)
    rule = action or card.action_rule
    _check(steps, episodes, envs, groups, rule, keep)
    _check_actions(network, of)
    preprocessing = preprocessing or card.preprocessing
    if sticky is not None:
        preprocessing = replace(preprocessing, name=f"{preprocessing.name}, changed", sticky=sticky)
    envs = min(envs, episodes) if episodes else envs
    network = with_parameter_noise(network, noise, seed)
    device = next(network.parameters()).device
    epsilon = card.epsilon if epsilon is None else epsilon
    chooser = Chooser(rule, epsilon, seed, device, noise.actions)
    tally = Tally(envs, steps, episodes)
    exact = bool({"frames", "ram"} & set(keep))
    arrays = [*keep, *(f"{LAYERS}{layer}" for layer in layers)]
    with ExitStack() as stack:
        player = Player(network, layers, dtype, backend, envs)
        stack.enter_context(closing(player))
        kept = stack.enter_context(
            sink(path, resume, card, of.name, preprocessing, seed, arrays, tally)
        )
        playings = []
        for group in split(envs, groups):
            copies = Environments(
                of.rom,
                group.stop - group.start,
                preprocessing,
                device,
                raw=exact,
                mode=mode,
                difficulty=difficulty,
            )
            stack.enter_context(closing(copies))
            blur = ObservationNoise(noise, seed + group.start, device)
            playings.append(Playing(player, copies, chooser, blur, keep, group, seed))
        games = [playing.games for playing in playings]

        def draw() -> Chances:
            return chooser.draw(envs, network.actions)

        for number, actions in enumerate(kept.before):
            tally.add_step(repeated(playings, number, actions, draw()))
        started = time.monotonic()
        if not tally.finished:
            with closing(played_steps(playings, draw, tally.played)) as played:
                for step in played:
                    kept.append(step, games)
                    tally.add_step(step)
                    progress(*tally.progress)
                    if tally.finished:
                        break
        return kept.recording(time.monotonic() - started)


def _check(
    steps: int | None,
    episodes: int | None,
    envs: int,
    groups: int,
    rule: str,
    keep: Sequence[str],
) -> None:
    if (steps is None) == (episodes is None):
        raise ValueError("say how long to play: either steps= or episodes=")
    counts = {"steps": steps, "episodes": episodes, "envs": envs, "groups": groups}
    for name, value in counts.items():
        if value is not None and value < 1:
            raise ValueError(f"{name} is {value}; it must be at least 1")
    if rule not in ACTION_RULES:
        raise ValueError(f"no action rule '{rule}'; there are {', '.join(ACTION_RULES)}")
    unknown = [name for name in keep if name not in KEEP]
    if unknown:
        raise ValueError(f"cannot keep '{unknown[0]}'; there are {', '.join(KEEP)}")


def _check_actions(network: Network, of: Game) -> None:
    if network.actions != len(of.actions):
        raise ValueError(
            f"the network has {network.actions} actions, but {of.name} has {len(of.actions)} "
            f"({' '.join(of.actions)}): is it another game's network?"
        )

"""Agent steps a second of `zoo.rollout`, beside the vectorised emulator's own ceiling: the same
number of environments and threads, random actions, no network.

    python benchmarks/rollout.py --quick
"""

from __future__ import annotations

import time
from contextlib import closing

import numpy as np
import torch
from ale_py.vector_env import AtariVectorEnv
from rows import Row, arguments, by_turns, row, show

import atari_zoo as zoo
from atari_zoo.converters.cards import PREPROCESSINGS, ModelCard
from atari_zoo.converters.heads import ActorCriticHead
from atari_zoo.converters.networks import MnihNetwork, Trunk
from atari_zoo.games import Game, game

GAMES = ("Pong", "Seaquest", "Breakout")
VARIANTS = ("vector", "deepmind")
PEER = "AtariVectorEnv alone"


def agent(of: Game, variant: str, device: str) -> MnihNetwork:
    """An actor-critic of random weights: its speed is that of a trained one."""
    torch.manual_seed(0)
    card = ModelCard("a2c", of.name, action_rule="sample", preprocessing=PREPROCESSINGS[variant])
    return MnihNetwork(Trunk(), ActorCriticHead(512, len(of.actions)), card).to(device).eval()


def ours(network: MnihNetwork, steps: int, envs: int) -> float:
    """Agent steps a second, of all environments together."""
    recording = zoo.rollout(network, steps=steps, envs=envs, seed=0)
    return recording.steps / recording.seconds


def ceiling(emulator: AtariVectorEnv, steps: int) -> float:
    """The same of the emulator alone."""
    choices, envs = emulator.single_action_space.n, emulator.num_envs
    actions = np.random.default_rng(0).integers(choices, size=(steps, envs))
    started = time.monotonic()
    for some in actions:
        emulator.step(some)
    return steps * envs / (time.monotonic() - started)


def compare(of: Game, variant: str, steps: int, envs: int, repeats: int, device: str) -> Row:
    """The row of one game and preprocessing; neither making nor resetting games is timed."""
    network = agent(of, variant, device)
    ours(network, 20, 1)  # torch warms up
    # as it comes: grey, 84x84, four frames stacked, and with as many threads as ours has
    emulator = AtariVectorEnv(of.rom, envs, stack_num=4, autoreset_mode="SameStep")
    with closing(emulator):
        emulator.reset(seed=0)
        measured = by_turns(
            lambda: ours(network, steps, envs), lambda: ceiling(emulator, steps), repeats
        )
    return row(
        "rollout", f"{of.name}, {variant}, {envs} envs, {device}", PEER, *measured, "steps/s"
    )


def main() -> None:
    """Measures and prints."""
    parser = arguments(__doc__)
    parser.add_argument("--envs", type=int, default=8)
    parser.add_argument("--device", default="cpu", help="of the network: cpu or cuda")
    options = parser.parse_args()
    steps, repeats = (100, 2) if options.quick else (1000, 5)
    rows = (
        compare(game(name), variant, steps, options.envs, repeats, options.device)
        for name in GAMES
        for variant in VARIANTS
    )
    show(rows, options.json)


if __name__ == "__main__":
    main()

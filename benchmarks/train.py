"""Agent steps a second while A2C and DQN learn, beside Stable-Baselines3's own on the same cores
and with the same settings: games, batches, updates for each step, and the network of 1.7 million
weights.

    python benchmarks/train.py --quick
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from rows import Row, arguments, in_turns, row, show, until

from atari_zoo.games import Game, game
from atari_zoo.training import registry

GAMES = ("Pong", "Seaquest")
CORES = os.cpu_count() or 1
ENVS = {"a2c": 16, "dqn": 8}
WARM = 320  # agent steps before anything is timed: DQN has begun to learn by then
Contender = Callable[[int], float]


@contextmanager
def ours(algorithm: str, of: Game, device: str) -> Iterator[Contender]:
    """Our trainer, in a folder that goes."""
    settings: dict[str, Any] = {
        "a2c": {"workers": CORES},
        "dqn": {"batch": 32, "update_every": 4, "buffer": 10_000, "min_history": 160},
    }[algorithm]
    if device != "cpu":
        settings |= {"workers": 1} if algorithm == "a2c" else {}
    config = registry.config(
        algorithm, "workstation", rom=of.rom, envs=ENVS[algorithm], seed=1, frames=None, **settings
    )
    with tempfile.TemporaryDirectory() as folder:
        trainer = registry.trainer(algorithm)(Path(folder) / "run", config, accelerator=device)
        trainer.begin(1)

        def learn(steps: int) -> float:
            started, played = time.monotonic(), 0
            while played < steps:
                frames = trainer.update().frames
                trainer.frames += frames
                played += frames // config.preprocessing.frame_skip
            return played / (time.monotonic() - started)

        yield learn
        trainer.close()


@contextmanager
def sb3(algorithm: str, processes: bool, of: Game, device: str) -> Iterator[Contender]:
    """Stable-Baselines3's A2C or DQN over environments in processes of their own, or in one."""
    import ale_py
    import gymnasium
    from stable_baselines3 import A2C, DQN
    from stable_baselines3.common.env_util import make_atari_env
    from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv, VecFrameStack

    gymnasium.register_envs(ale_py)
    envs = ENVS[algorithm]
    games = make_atari_env(
        f"ALE/{of.name}-v5",
        n_envs=envs,
        seed=1,
        wrapper_kwargs={"terminal_on_life_loss": False},
        env_kwargs={"frameskip": 1, "repeat_action_probability": 0.0},
        vec_env_cls=SubprocVecEnv if processes else DummyVecEnv,
        vec_env_kwargs={"start_method": "fork"} if processes else {},
    )
    stacked = VecFrameStack(games, 4)
    agent: A2C | DQN
    if algorithm == "a2c":
        agent = A2C("CnnPolicy", stacked, n_steps=5, device=device)
    else:
        agent = DQN(
            "CnnPolicy",
            stacked,
            buffer_size=10_000,
            batch_size=32,
            learning_starts=160,
            train_freq=1,  # a step of all environments,
            gradient_steps=envs // 4,  # so an update for each 4 steps
            device=device,
        )

    def learn(steps: int) -> float:
        before, started = agent.num_timesteps, time.monotonic()
        agent.learn(steps, reset_num_timesteps=before == 0)
        return (agent.num_timesteps - before) / (time.monotonic() - started)

    yield learn
    stacked.close()


def compare(
    algorithm: str, of: Game, device: str, steps: int, repeats: int, end: float
) -> Iterator[Row]:
    """The rows of one algorithm and game."""
    peers = {
        f"SB3 {algorithm.upper()}, SubprocVecEnv": partial(sb3, algorithm, True),
        f"SB3 {algorithm.upper()}, DummyVecEnv": partial(sb3, algorithm, False),
    }
    with ExitStack() as stack:
        # processes first: they are forked, which threads of torch would not outlive
        contenders = {
            name: stack.enter_context(peer(of, device))
            for name, peer in {**peers, "ours": partial(ours, algorithm)}.items()
        }
        for learn in contenders.values():
            learn(WARM)
        rates = in_turns(
            {name: partial(learn, steps) for name, learn in contenders.items()}, repeats, end
        )
    case = f"{algorithm.upper()}, {of.name}, {ENVS[algorithm]} envs, {device}"
    for name in peers:
        yield row("train", case, name, rates["ours"], rates[name], "steps/s")


def main() -> None:
    """Measures and prints."""
    parser = arguments(__doc__)
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    options = parser.parse_args()
    torch.set_num_threads(CORES)
    steps, repeats = (400, 3) if options.quick else (4000, 5)
    games = GAMES[:1] if options.quick else GAMES
    end = until(options.quick)
    rows = (
        one
        for algorithm in ENVS
        for name in games
        for one in compare(algorithm, game(name), options.device, steps, repeats, end)
    )
    show(rows, options.json)


if __name__ == "__main__":
    main()

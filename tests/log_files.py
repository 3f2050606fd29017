"""Makes training logs as the programs that are read write them: by themselves where they can be
had here, else with their own few lines."""

from __future__ import annotations

import json
import pickle
import random
from pathlib import Path
from typing import Any

import numpy as np

HOUR = 3600.0


def original_rows(seed: int = 0, rows: int = 60, gaps: tuple[int, ...] = (20, 41)) -> list[dict]:
    """A log of the original zoo, in no order, with restarts' pauses before some of its rows.

    Before training stand two rows of `initial`, one of them late: the pauses are not to be
    counted between them.
    """
    dice = random.Random(seed)
    time, log = 0.0, []
    for row in range(rows):
        time += dice.uniform(30, 2 * HOUR) + (dice.uniform(4, 40) * HOUR if row in gaps else 0)
        log.append(_original_row(row, time, dice, initial=0))
    log += [_original_row(0, 0.0, dice, 1), _original_row(0, 1e7, dice, 1)]
    dice.shuffle(log)
    return log


def _original_row(row: int, time: float, dice: random.Random, initial: int) -> dict[str, Any]:
    return {
        "fname": f"/raw/a2c_initial/epoch_{row}.h5",
        "initial": initial,
        "frames": 4_000_000 * (row + 1),
        "time": time,
        "final": 0,
        "score": dice.uniform(0, 1000) if row else None,
        "policy_entropy": dice.random(),
    }


def write_original(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(rows))
    return path


def dopamine_statistics(iterations: list[int], seed: int = 0) -> dict[str, dict[str, list[Any]]]:
    """What Dopamine's Logger holds: `IterationStatistics.data_lists` by iteration."""
    dice = np.random.default_rng(seed)
    data: dict[str, dict[str, list[Any]]] = {}
    for iteration in iterations:
        lengths = [int(length) for length in dice.integers(500, 3000, dice.integers(3, 9))]
        returns = [float(score) for score in dice.integers(0, 50, len(lengths))]
        data[f"iteration_{iteration}"] = {
            "train_episode_lengths": lengths,
            "train_episode_returns": returns,
            "train_average_return": [np.float64(np.mean(returns))],
            "train_average_steps_per_second": [float(dice.uniform(50, 90))],
            "eval_episode_lengths": [900, 1100],
            "eval_episode_returns": [float(iteration), iteration + 1.0],
            "eval_average_return": [iteration + 0.5],
        }
    return data


def write_dopamine(run: Path, iterations: list[int], seed: int = 0) -> dict[str, Any]:
    """logs/log_N as the Logger writes it: the latest is whole, those before it shorter."""
    data = dopamine_statistics(iterations, seed)
    (run / "logs").mkdir(parents=True)
    names = list(data)
    for last in range(max(len(names) - 4, 0), len(names)):  # logs_duration = 4
        content = {name: data[name] for name in names[: last + 1]}
        with (run / "logs" / f"log_{iterations[last]}").open("wb") as file:
            pickle.dump(content, file, protocol=pickle.HIGHEST_PROTOCOL)
    return data


def write_monitors(folder: Path, copies: int = 2, episodes: int = 7) -> None:
    """monitor.csv of Stable-Baselines3's own Monitor, around the real emulator."""
    import ale_py
    import gymnasium
    from stable_baselines3.common.monitor import Monitor

    gymnasium.register_envs(ale_py)
    dice = np.random.default_rng(0)
    for copy in range(copies):
        env = gymnasium.make("PongNoFrameskip-v4", max_episode_steps=60)
        monitor = Monitor(env, str(folder / str(copy)))
        for _ in range(episodes):
            monitor.reset(seed=copy)
            over = False
            while not over:
                *_, ended, cut, _ = monitor.step(int(dice.integers(6)))
                over = ended or cut
        monitor.close()


def write_evaluations(folder: Path) -> Any:
    """evaluations.npz of Stable-Baselines3's own EvalCallback; returns the callback."""
    from stable_baselines3 import A2C
    from stable_baselines3.common.callbacks import EvalCallback
    from stable_baselines3.common.env_util import make_vec_env

    callback = EvalCallback(
        make_vec_env("CartPole-v1", seed=1),
        n_eval_episodes=3,
        eval_freq=40,
        log_path=str(folder),
        verbose=0,
    )
    A2C("MlpPolicy", make_vec_env("CartPole-v1", n_envs=2, seed=0), seed=0, device="cpu").learn(
        200, callback=callback
    )
    return callback


def write_run(folder: Path, rows: int = 12, rom: str = "pong", seed: int = 3) -> list[dict]:
    """The folder of a run of the zoo's trainer, with checkpoints' files that hold nothing."""
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"rom": rom, "seed": seed}))
    log = [
        {"frames": 1000 * n, "seconds": 2.5 * n, "score": None if n == 1 else n - 21.0,
         "episodes": n, "entropy": 1 / n}
        for n in range(1, rows + 1)
    ]  # fmt: skip
    (folder / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in log))
    for frames in (500, 4000, 9500):
        (folder / "checkpoints" / f"{frames:012d}.safetensors").touch()
    return log
